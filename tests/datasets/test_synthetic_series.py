"""The synthetic series: seeded, each on its own, with the season that they say they have."""

import numpy as np
import pytest

from tsbench.data.collection import read_collection
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.datasets.synthetic_series.components import draw_components
from tsbench.datasets.synthetic_series.kernels import draw_process

PERIODS = (24, 168)


@pytest.fixture
def tiny():
    return open_store(prepare("synthetic-series", size="tiny"))


def test_a_size_holds_named_finite_series_of_equal_length(tiny):
    collection = read_collection("synthetic-series", "tiny")

    assert collection.sizes.tolist() == [1024] * 16
    assert np.isfinite(collection.values).all()
    assert len(set(collection.series)) == 16
    assert {name.split("-")[0] for name in collection.series} == {"kernels", "components"}
    assert (tiny["period"] >= 1).all()


def test_a_series_does_not_depend_on_how_many_are_made(tiny, tmp_path, monkeypatch):
    from tsbench.datasets.synthetic_series import adapter

    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    monkeypatch.setitem(adapter.SERIES, "tiny", 5)
    fewer = open_store(prepare("synthetic-series", size="tiny"))

    assert np.array_equal(fewer["value"], tiny["value"][: 5 * 1024])


def test_the_seed_decides_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    first = open_store(prepare("synthetic-series", size="tiny", seed=1))
    other = open_store(prepare("synthetic-series", size="tiny", seed=2))

    assert first.equals(open_store(prepare("synthetic-series", size="tiny", seed=1, fresh=True)))
    assert not first.equals(other)


@pytest.mark.parametrize("draw", [draw_components, lambda *given: draw_process(*given[:2], 5, given[2])])
def test_series_repeat_after_the_period_that_they_name(draw):
    """Over many draws the correlation at the named period is above that at half of it."""
    gains = []
    for seed in range(60):
        series, period = draw(512, (24,), np.random.default_rng(seed))
        if period == 1:
            continue
        assert period == 24
        moves = np.diff(series)
        gains.append(_correlation(moves, 24) - _correlation(moves, 12))

    assert len(gains) > 20
    assert np.mean(gains) > 0.15


def test_a_season_fits_several_times_into_a_process():
    periods = {draw_process(256, (24, 168), 5, np.random.default_rng(seed))[1] for seed in range(40)}

    assert periods == {1, 24}  # 168 fits once only


def test_no_process_is_smooth_to_the_last_digit():
    for seed in range(10):
        series, _ = draw_process(256, PERIODS, 1, np.random.default_rng(seed))
        third = np.abs(np.diff(series, 3)).mean()
        assert third > 0.01 * series.std()


def _correlation(values: np.ndarray, lag: int) -> float:
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / centred.var())
