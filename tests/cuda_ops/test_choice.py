"""The choice of path: the word, its scope, and the one warning."""

import subprocess
import sys
import threading
import warnings

import pytest
import torch

from tsbench.contracts import InputError
from tsbench.cuda_ops import chosen, ops, ordered_members, pgn_history, recorded, window_gather
from tsbench.cuda_ops.choice import path

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def usable(device):
    return None


def broken(device):
    return "no NVRTC"


def test_the_choice_is_auto_unless_the_environment_or_a_block_says_otherwise(monkeypatch):
    assert chosen() == "auto"
    monkeypatch.setenv("TSBENCH_OPS", "reference")
    assert chosen() == "reference"
    with ops("cuda"):
        assert chosen() == "cuda"
        with ops("auto"):
            assert chosen() == "auto"
        assert chosen() == "cuda"
    assert chosen() == "reference"


def test_a_block_that_raises_gives_the_choice_back():
    with pytest.raises(KeyError), ops("reference"):
        raise KeyError
    assert chosen() == "auto"


def test_threads_do_not_see_each_others_choice():
    seen = {}
    with ops("reference"):
        thread = threading.Thread(target=lambda: seen.update(other=chosen()))
        thread.start()
        thread.join()
    assert seen == {"other": "auto"}


def test_a_wrong_word_is_one_line(monkeypatch):
    with pytest.raises(
        InputError, match=r"^ops\(…\): 'fast' is no choice of operators; use reference, auto, cuda$"
    ):
        ops("fast").__enter__()  # type: ignore[arg-type]
    monkeypatch.setenv("TSBENCH_OPS", "gpu")
    with pytest.raises(InputError, match=r"^TSBENCH_OPS: 'gpu' is no choice"):
        chosen()


@pytest.mark.parametrize(
    ("choice", "device", "obstacle", "expected"),
    [
        ("reference", CPU, usable, "reference"),
        ("reference", CUDA, usable, "reference"),
        ("auto", CPU, usable, "torch"),
        ("auto", CUDA, usable, "cuda"),
        ("cuda", CUDA, usable, "cuda"),
    ],
)
def test_the_path_follows_from_choice_and_device(choice, device, obstacle, expected):
    with warnings.catch_warnings(), ops(choice):
        warnings.simplefilter("error")
        assert path("op", device, obstacle) == expected


def test_auto_without_a_kernel_takes_torch_operations_and_warns_once_with_the_reason():
    with pytest.warns(RuntimeWarning, match="op runs in torch operations, without its CUDA kernel: no NVRTC"):
        assert path("op", CUDA, broken) == "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert path("op", CUDA, broken) == "torch"
        assert path("another", CUDA, broken) == "torch"


def test_cuda_is_an_error_where_the_kernel_cannot_run():
    with ops("cuda"):
        with pytest.raises(InputError, match="op got tensors on cpu, but TSBENCH_OPS=cuda asks"):
            path("op", CPU, usable)
        with pytest.raises(InputError, match="The CUDA kernel of op cannot run: no NVRTC"):
            path("op", CUDA, broken)


def test_importing_the_operators_loads_neither_triton_nor_cuda_core():
    """Beyond what torch's own FLOP counter loads, which tries for Triton: operators register with it."""
    code = (
        "import sys, torch.utils.flop_counter; before = set(sys.modules); import tsbench.cuda_ops; "
        "heavy = ('triton', 'cuda'); "
        "print(sorted(m for m in set(sys.modules) - before if m.split('.')[0] in heavy))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_block_notes_which_paths_were_taken_and_no_calls_outside_it():
    table, starts = torch.zeros(9, 2), torch.tensor([0, 3])
    window_gather(table, starts, 2, 1)
    with recorded() as found:
        assert found == {}
        window_gather(table, starts, 2, 1)
        with ops("reference"):
            window_gather(table, starts, 2, 1)
            pgn_history(torch.zeros(1, 1, 2, 3), torch.zeros(1, 4, 1, 1), torch.zeros(1, 4))
        ordered_members(torch.zeros(3, 2))
    ordered_members(torch.zeros(3, 2).double())

    assert found == {
        "window_gather": {"reference", "torch"},
        "pgn_history": {"reference"},
        "ordered_members": {"torch"},
    }
