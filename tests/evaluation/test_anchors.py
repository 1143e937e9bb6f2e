"""The figures of ltsf_protocol that need no training, on ETTh1 as published, through the public interface."""

import pytest

import tsbench as tb
from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct

# ltsf_protocol, "Anchors every implementation must hit": MSE and MAE at look-back 96, and windows.
ANCHORS = {
    96: (2785, (1.2944, 0.7132), (0.5122, 0.4333), (0.7008, 0.5581)),
    192: (2689, (1.3249, 0.7331), (0.5808, 0.4692), (0.7183, 0.5705)),
    336: (2545, (1.3299, 0.7460), (0.6499, 0.5008), (0.7229, 0.5809)),
    720: (2161, (1.3351, 0.7550), (0.6554, 0.5141), (0.7116, 0.5953)),
}
CASES = [
    (model, horizon, windows, *figures)
    for horizon, (windows, *columns) in ANCHORS.items()
    for model, figures in zip(("last_value", "seasonal_naive", "window_mean"), columns, strict=True)
]


@pytest.fixture
def run(stores):
    """Runs a baseline on the regular condition of a task of ETTh1."""
    stores("etth1")

    def run_(model: str, task: str, **options) -> tb.Result:
        chosen = Options(**{"context": 96, "conditions": ("regular",), "threads": 2} | options)
        return tb.run(model, task, options=chosen, conduct=Conduct(track=False))

    return run_


@pytest.mark.parametrize(("model", "horizon", "windows", "mse", "mae"), CASES)
def test_untrained_anchors_of_etth1(run, model, horizon, windows, mse, mae):
    result = run(model, f"etth1-{horizon}")

    assert result.cases == windows
    assert result.scores["mse"]["regular"] == pytest.approx(mse, abs=5e-5)
    assert result.scores["mae"]["regular"] == pytest.approx(mae, abs=5e-5)


def test_dropping_the_last_batch_gives_the_figure_of_the_codes_that_do(run):  # ltsf_protocol, the pitfall
    result = run("last_value", "etth1-96", drop_last=True, batch_size=128)

    assert result.scores["mse"]["regular"] == pytest.approx(1.2975, abs=5e-5)
    assert result.cases == 2785 // 128 * 128
    assert result.parity == {"drop_last": 128}


@pytest.mark.parametrize("size", [1, 32, 128])
def test_the_batch_size_changes_no_anchor(run, size):
    result = run("last_value", "etth1-96", batch_size=size)

    assert result.scores["mse"]["regular"] == pytest.approx(1.2944, abs=5e-5)
    assert result.parity == {}


def test_the_scale_of_the_oil_temperature_is_that_of_the_sheet(stores):  # ltsf_protocol, scaling
    stores("etth1")

    data = tb.TaskData.open(tb.registry.task("etth1-96"))

    assert float(data.scale.mean[-1]) == pytest.approx(17.12826, abs=5e-6)
    assert float(data.scale.std[-1]) == pytest.approx(9.17649, abs=5e-6)


def test_tpgn_has_the_windows_of_its_paper_on_etth1(stores):  # tpgn.md: train 10117, val 3317, test 3317
    stores("etth1")

    data = tb.TaskData.open(tb.registry.task("etth1-univariate-168"))

    assert [len(data.windows(split, 168)) for split in ("train", "validation", "test")] == [10117, 3317, 3317]


def test_a_place_that_is_not_at_hand_is_skipped_with_the_way_to_get_it(run):
    result = run("last_value", "etth1-96", conditions=("regular", "generalisation"))

    assert result.skipped == {"generalisation/dataset=etth2": "etth2 is not prepared: tsbench data get etth2"}
    assert set(result.scenarios) == {"regular"}
