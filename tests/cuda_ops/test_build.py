"""Compiling CUDA sources: cache, several processes, failures; nvcc and the launcher's arguments."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tsbench.cuda_ops import build, check, launch

SOURCE = """
#include "numbers.cuh"
extern "C" __global__ void twice(const bfloat16 *x, float *y, long long count, float factor) {
    const long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (i < count) y[i] = factor * as_float(x[i]);
}
"""
BUILD = (
    "import sys, pathlib; from tsbench.cuda_ops import build; "
    "print(len(build.machine_code(pathlib.Path(sys.argv[1]), 'sm_90')))"
)


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "twice.cu"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def nvrtc() -> None:
    try:
        build._toolkit()
    except build.BuildFailed as error:
        pytest.skip(str(error))


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """Names of the sources that were compiled, by a stand-in that needs no NVRTC."""
    seen = []

    def compiled(source, architecture):
        seen.append(source.name)
        return build.ELF + source.read_bytes()

    monkeypatch.setattr(build, "_toolkit", lambda: "13.0")
    monkeypatch.setattr(build, "_compile", compiled)
    return seen


def test_nvrtc_compiles_without_a_device(source, nvrtc):
    code = build.machine_code(source, "sm_90")
    assert code.startswith(build.ELF)
    assert b"twice" in code


def test_nvrtc_compiles_every_source(nvrtc):
    for kernel in build.sources():
        assert build.machine_code(kernel, "sm_90").startswith(build.ELF), kernel.name


def test_a_source_that_is_wrong_fails_in_one_line_that_names_the_error(source, nvrtc):
    source.write_text(SOURCE.replace("factor *", "facto *"))
    with pytest.raises(
        build.BuildFailed, match=r'twice\.cu does not compile for sm_90: .*"facto" is undefined'
    ):
        build.machine_code(source, "sm_90")
    assert not build.cache_path(source, "sm_90").exists()


def test_a_source_is_compiled_once_for_an_architecture(source, counted):
    first = build.machine_code(source, "sm_90")
    assert build.machine_code(source, "sm_90") == first
    assert counted == ["twice.cu"]
    build.machine_code(source, "sm_80")
    assert counted == ["twice.cu"] * 2


def test_a_changed_source_and_another_toolkit_are_compiled_anew(source, counted, monkeypatch):
    build.machine_code(source, "sm_90")
    source.write_text(SOURCE + "\n// more\n")
    build.machine_code(source, "sm_90")
    monkeypatch.setattr(build, "_toolkit", lambda: "13.1")
    build.machine_code(source, "sm_90")
    assert len(counted) == 3


def test_a_damaged_file_in_the_cache_is_compiled_again(source, counted):
    whole = build.machine_code(source, "sm_90")
    build.cache_path(source, "sm_90").write_bytes(b"")
    assert build.machine_code(source, "sm_90") == whole
    assert build.cache_path(source, "sm_90").read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_a_warning_only(source, counted, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match=r"twice\.cu is compiled again in each process"):
        assert build.machine_code(source, "sm_90").startswith(build.ELF)


def test_several_processes_may_build_the_same_source(source, nvrtc):
    running = [
        subprocess.Popen([sys.executable, "-P", "-c", BUILD, str(source)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    sizes = {one.communicate()[0].strip() for one in running}
    assert all(one.returncode == 0 for one in running)
    cached = build.cache_path(source, "sm_90")
    assert sizes == {str(cached.stat().st_size)}
    assert [path.name for path in cached.parent.iterdir()] == [cached.name]


def test_missing_nvrtc_is_one_line_with_the_command(monkeypatch):
    class Missing:
        @staticmethod
        def nvrtcVersion():  # noqa: N802
            raise RuntimeError("Failure finding libnvrtc.so.13\nmore")

    build._toolkit.cache_clear()
    monkeypatch.setattr(build, "_nvrtc", lambda: Missing)
    with pytest.raises(
        build.BuildFailed, match=r'^NVRTC is not found: pip install "tsbench\[cuda\]".*so\.13\)$'
    ):
        build._toolkit()
    build._toolkit.cache_clear()


def test_a_missing_package_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    with pytest.raises(
        build.BuildFailed, match=r'twice\.cu needs the package cuda: pip install "tsbench\[cuda\]"'
    ):
        build.core_module("twice.cu")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")
def test_the_compile_check_refuses_a_wrong_source(source, capfd):
    nvcc = shutil.which("nvcc")
    assert nvcc is not None
    assert check.compiles(nvcc, source, "sm_90")
    source.write_text(SOURCE.replace("factor *", "facto *"))
    assert not check.compiles(nvcc, source, "sm_90")
    assert "facto" in "".join(capfd.readouterr())


def test_building_ahead_says_what_it_built(source, counted, monkeypatch):
    monkeypatch.setattr(build, "sources", lambda: [source])
    first, again = list(build.build_all("sm_90")), list(build.build_all("sm_90"))
    assert [one.ok for one in first] == [True]
    assert first[0].found.startswith("built")
    assert again[0].found.startswith("in the cache")


def test_building_ahead_without_a_device_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    (line,) = build.build_all()
    assert line.ok
    assert "no CUDA device" in line.found


def test_the_command_builds_and_fails_where_a_source_does_not_compile(source, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from tsbench.cli.main import app

    def failing(path, architecture):
        raise build.BuildFailed("twice.cu does not compile for sm_90: error")

    monkeypatch.setattr(build, "sources", lambda: [source])
    monkeypatch.setattr(build, "_toolkit", lambda: "13.0")
    monkeypatch.setattr(build, "_compile", failing)
    done = CliRunner().invoke(app, ["doctor", "--build-ops", "--architecture", "sm_90", "--json"])
    (line,) = json.loads(done.stdout)
    assert line["found"] == "twice.cu does not compile for sm_90: error"
    assert done.exit_code != 0
    wrong = CliRunner().invoke(app, ["doctor", "--build-ops", "--architecture", "hopper"])
    assert "not an architecture" in str(wrong.exception)


def test_arguments_are_pointers_long_long_and_float32():
    tensor = torch.zeros(3)
    assert launch.packed(tensor) == tensor.data_ptr()
    assert launch.packed(None) == 0
    assert type(launch.packed(True)) is int
    assert launch.packed(1 << 40) == 1 << 40
    assert launch.packed(0.5) == np.float32(0.5)
    assert type(launch.packed(0.5)) is np.float32


def test_a_kernel_runs_on_the_current_stream_of_its_tensors(source, counted, monkeypatch):
    """The order of calls, with a stand-in for the driver, which is not here."""
    seen = {}

    class Device(SimpleNamespace):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    class Code:
        handle = 1

        def get_kernel(self, name):
            return f"kernel {name}"

    core = SimpleNamespace(
        Device=lambda index: SimpleNamespace(set_current=lambda: seen.update(device=index)),
        ObjectCode=SimpleNamespace(from_cubin=lambda code: Code()),
        Stream=SimpleNamespace(from_handle=lambda handle: f"stream {handle}"),
        LaunchConfig=lambda **how: how,
        launch=lambda *what: seen.update(launched=what),
    )
    monkeypatch.setattr(build, "core_module", lambda user: core)
    monkeypatch.setattr(build, "architecture_of", lambda device: "sm_90")
    monkeypatch.setattr(torch.cuda, "device", lambda device: Device())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=7))

    class OnDevice(torch.Tensor):
        device = torch.device("cuda", 1)

    tensor = torch.zeros(4).as_subclass(OnDevice)
    launch.launch(source, "twice", (2, 3), 128, [tensor, 4, 0.5], shared_bytes=64)

    assert seen["device"] == 1
    stream, config, kernel, *arguments = seen["launched"]
    assert (stream, kernel) == ("stream 7", "kernel twice")
    assert config == {"grid": (2, 3), "block": 128, "shmem_size": 64}
    assert arguments == [tensor.data_ptr(), 4, np.float32(0.5)]
    assert counted == ["twice.cu"]


def test_numbers_round_as_torch_does(on_host, tmp_path):
    path = tmp_path / "convert.cu"
    body = "const long long i = threadIdx.x; if (i < n) { store(%s + i, x[i]); y[i] = as_float(%s[i]); }"
    path.write_text(
        '#include "numbers.cuh"\n'
        + "".join(
            f'extern "C" __global__ void to_{kind}(const float *x, {kind} *z, float *y, long long n) '
            f"{{ {body % ('z', 'z')} }}\n"
            for kind in ("bfloat16", "float16")
        )
    )
    x = torch.cat([torch.randn(200) * 100, torch.tensor([0.0, -0.0, torch.inf, -torch.inf, 1e-8, 3.3895e38])])
    for kind in (torch.bfloat16, torch.float16):
        y, z = torch.empty_like(x), torch.empty(len(x), dtype=kind)
        on_host(path).launch(f"to_{str(kind).split('.')[1]}", (1,), len(x), [x, z, y, len(x)])
        assert torch.equal(z, x.to(kind))
        assert torch.equal(y, x.to(kind).float())
