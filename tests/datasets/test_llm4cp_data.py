"""LLM4CP's published files: read from small ones that are written here as MATLAB writes them."""

import h5py
import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import open_lazily
from tsbench.data.task_data import TaskData
from tsbench.data.views import view_for
from tsbench.datasets.llm4cp.adapter import with_noise

USERS, SUBCARRIERS = 10, 3
KEYS = {"H_U_his": 16, "H_U_pre": 4, "H_D_pre": 4}


def response(speeds: int, steps: int, seed: int) -> np.ndarray:
    """Random responses with axes (speed, user, time, subcarrier, row, column, polarisation)."""
    random = np.random.default_rng(seed)
    shape = (speeds, USERS, steps, SUBCARRIERS, 2, 2, 2)
    return random.standard_normal(shape) + 1j * random.standard_normal(shape)


def write(path, name: str, values: np.ndarray) -> None:
    """As MATLAB: first axis last, complex numbers as pairs."""
    pairs = np.empty(values.shape[::-1], dtype=[("real", "<f8"), ("imag", "<f8")])
    pairs["real"], pairs["imag"] = values.T.real, values.T.imag
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=pairs)


@pytest.fixture(scope="module")
def arrays():
    """Name without `.mat` → values; 30 training speeds, so that there are two parts of them."""
    return {
        f"{key}_{source}": response(speeds, steps, seed=number + 10 * (source == "test"))
        for source, speeds in (("train", 30), ("test", 10))
        for number, (key, steps) in enumerate(KEYS.items())
    }


@pytest.fixture
def folder(tmp_path, arrays):
    for name, values in arrays.items():
        write(tmp_path / f"{name}.mat", name, values)
    return tmp_path


@pytest.fixture
def stores(tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))


@pytest.fixture
def opened(folder, stores):
    """Prepares a variant from the folder: `opened("llm4cp")` is its store."""

    def open_(name: str):
        return open_lazily(prepare(name, source=folder, processes=1))

    return open_


def test_a_sample_is_a_user_at_a_speed_and_a_port_an_antenna(opened, arrays):
    store = opened("llm4cp-clean")

    assert dict(store.sizes) == {
        "sample": 400,
        "antenna": 8,
        "time": 16,
        "subcarrier": SUBCARRIERS,
        "lead_time": 4,
    }
    for variable, key in zip(("history_uplink", "target_uplink", "target_downlink"), KEYS, strict=True):
        for sample, (speed, user, source) in {
            0: (0, 0, "train"),
            264: (26, 4, "train"),
            399: (9, 9, "test"),
        }.items():
            wanted = arrays[f"{key}_{source}"][speed, user]
            found = store[variable][sample].values
            for port, place in {0: (0, 0, 0), 1: (0, 0, 1), 2: (0, 1, 0), 7: (1, 1, 1)}.items():
                expected = wanted[(slice(None), slice(None), *place)].astype(np.complex64)
                np.testing.assert_array_equal(found[port], expected)


def test_nine_tenths_of_the_users_at_each_speed_train(opened):
    store = opened("llm4cp-clean")
    split, speed = store["split"].values, store["speed"].values

    assert [int((split == one).sum()) for one in ("train", "validation", "test")] == [270, 30, 100]
    assert list(split[:10]) == ["train"] * 9 + ["validation"]
    assert speed[0] == pytest.approx(10.1)
    assert speed[299] == pytest.approx(100)
    assert sorted(set(speed[300:])) == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert store["speed"].attrs["units"] == "km h-1"


def test_published_training_speeds_are_a_tenth_apart():
    from tsbench.datasets.llm4cp.adapter import _speeds

    np.testing.assert_allclose(np.diff(_speeds(900, [10.1, 100])), 0.1, atol=1e-6)


def test_noise_is_on_history_and_targets_at_the_levels_of_the_protocol(folder, stores):
    clean, noisy = (
        open_lazily(prepare(name, source=folder, processes=1)) for name in ("llm4cp-clean", "llm4cp")
    )
    for variable in ("history_uplink", "target_uplink", "target_downlink"):
        signal = clean[variable].values
        noise = noisy[variable].values - signal
        power = [np.mean(np.abs(one) ** 2, axis=(1, 2, 3)) for one in (signal, noise)]
        snr = 10 * np.log10(power[0] / power[1])
        train, test = snr[:300], snr[300:]

        np.testing.assert_allclose(test, 18, atol=2.0)  # 96 numbers of the target
        assert test.mean() == pytest.approx(18, abs=0.2)
        assert train.min() > 3.5
        assert train.max() < 21.5
        assert train.mean() == pytest.approx(12.5, abs=1)
        assert train.std() == pytest.approx(15 / 12**0.5, abs=0.6)


def test_history_and_target_of_a_sample_have_levels_of_their_own(folder, stores):
    clean, noisy = (
        open_lazily(prepare(name, source=folder, processes=1)) for name in ("llm4cp-clean", "llm4cp")
    )
    snr = []
    for variable in ("history_uplink", "target_uplink"):
        signal = clean[variable].values[:300]
        noise = noisy[variable].values[:300] - signal
        snr.append(
            np.log10(
                np.mean(np.abs(signal) ** 2, axis=(1, 2, 3)) / np.mean(np.abs(noise) ** 2, axis=(1, 2, 3))
            )
        )

    assert abs(np.corrcoef(*snr)[0, 1]) < 0.2


def test_white_noise_has_the_power_asked_for():
    signal = response(1, 16, seed=0)
    noise = with_noise(signal, 10.0, np.random.default_rng(1)) - signal

    assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.1 * np.mean(np.abs(signal) ** 2), rel=0.05)
    assert abs(np.mean(noise**2)) < 0.1 * np.mean(np.abs(noise) ** 2)  # circular


@pytest.mark.parametrize("task", ["llm4cp-tdd", "llm4cp-fdd", "llm4cp-clean-tdd", "llm4cp-clean-fdd"])
def test_a_task_forecasts_each_port_by_itself(opened, arrays, task):
    declared = registry.tasks()[task]
    opened(declared.dataset)
    data, view = TaskData.open(declared, declared.dataset), view_for("csi", ("sequence",))

    batch = view.batch(data.windows("train", 16).gather(torch.arange(2)))
    scenario = declared.scenarios()[0]

    assert batch["context"].shape == (16, 16, 2 * SUBCARRIERS)
    assert batch["target"].shape == (16, 4, 2 * SUBCARRIERS)
    assert batch["group"].tolist() == [0] * 8 + [1] * 8
    assert scenario.cell == {"speed": 10}
    assert len(data.test_cases(scenario, 16)) == USERS
    assert data.cluster(scenario) == "10.0"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "H_U_pre_test.mat").unlink(), "holds no H_U_pre_test.mat"),
        (lambda folder: (folder / "H_U_his_train.mat").write_bytes(b"MATLAB 5.0"), "not a MATLAB file of version 7.3"),
        (lambda folder: write(folder / "H_U_his_train.mat", "H", response(30, 16, 0)), "holds no array 'H_U_his_train'; it holds H"),
        (lambda folder: write(folder / "H_U_his_train.mat", "H_U_his_train", response(30, 12, 0)), r"has the shape \(30, 10, 12, 3, 2, 2, 2\), not"),
        (lambda folder: write(folder / "H_D_pre_train.mat", "H_D_pre_train", response(29, 4, 0)), "29 speeds, .*H_U_his_train.mat 30 speeds, .* they must agree"),
        (lambda folder: write(folder / "H_D_pre_train.mat", "H_D_pre_train", 0 * response(30, 4, 0)), "holds nothing but zeros at speed 0, user 0, port 0"),
        (lambda folder: write(folder / "H_D_pre_train.mat", "H_D_pre_train", np.nan * response(30, 4, 0)), "holds NaN or infinite values at speed 0, user 0, port 0"),
    ],
)  # fmt: skip
def test_files_that_are_not_as_published_are_refused(folder, stores, spoil, message):
    spoil(folder)

    with pytest.raises(InputError, match=message):
        prepare("llm4cp", source=folder, processes=1)


def test_real_numbers_are_refused(folder, stores):
    with h5py.File(folder / "H_U_his_train.mat", "w") as file:
        file.create_dataset("H_U_his_train", data=np.zeros((2, 2, 2, 3, 16, 10, 30)))

    with pytest.raises(InputError, match="holds float64, not complex numbers"):
        prepare("llm4cp", source=folder, processes=1)


def test_an_array_that_lies_in_another_file_is_not_read(folder, stores):
    with h5py.File(folder / "H_U_his_train.mat", "w") as file:
        file["H_U_his_train"] = h5py.ExternalLink(folder / "H_U_his_test.mat", "H_U_his_test")

    with pytest.raises(InputError, match="holds no array 'H_U_his_train'"):
        prepare("llm4cp", source=folder, processes=1)
