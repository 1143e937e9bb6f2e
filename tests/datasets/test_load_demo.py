"""The generated data: plausible, seasonal, and the same for a seed."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbench import registry
from tsbench.data.prepare import prepare
from tsbench.data.series import read_series
from tsbench.data.store import open_store
from tsbench.datasets.load_demo.holidays import easter, holiday_mask
from tsbench.datasets.load_demo.noise import autoregressive

NAMES = ("load_demo", "load_demo_south")


@pytest.fixture
def table(stores):
    def read(name: str):
        stores(name)
        return read_series(name)

    return read


@pytest.mark.parametrize("name", NAMES)
def test_two_years_of_three_finite_variables_with_units(name, table):
    data = table(name)
    assert data.values.shape == (2 * 8760, 3)
    assert (data.variables, data.units) == (("load", "temperature", "price"), ("MW", "degC", "EUR MWh-1"))
    assert (data.step, data.stamp(0)) == ("PT1H", "2022-01-01T00:00:00")
    assert np.isfinite(data.values).all()


def test_shorter_sizes_are_the_beginning_of_the_full_one(stores):
    full = open_store(stores("load_demo"))
    tiny = open_store(prepare("load_demo", size="tiny"))
    assert tiny.equals(full.isel(time=slice(0, tiny.sizes["time"])))


def test_seed_decides_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    first = open_store(prepare("load_demo", size="tiny", seed=1))
    again = open_store(prepare("load_demo", size="tiny", seed=1, fresh=True))
    other = open_store(prepare("load_demo", size="tiny", seed=2))
    assert first.equals(again)
    assert abs(np.corrcoef(first["temperature"], other["temperature"])[0, 1]) < 0.9
    assert not first.equals(other)


@pytest.mark.parametrize("name", NAMES)
def test_load_has_daily_and_weekly_season_and_grows(name, table):
    load = table(name).values[:, 0]
    deviation = load - load.mean()

    def correlation(lag: int) -> float:
        return float((deviation[lag:] * deviation[:-lag]).mean() / deviation.var())

    assert correlation(24) > correlation(12) + 0.3
    assert correlation(168) > correlation(96) + 0.05
    assert load[8760:].mean() > load[:8760].mean()


@pytest.mark.parametrize("name", NAMES)
def test_holidays_are_quieter_than_other_working_days(name, table):
    data = table(name)
    parameters = registry.dataset(name).variant.parameters
    holiday = holiday_mask(data.time, parameters["holidays"], parameters["easter_offsets"])
    weekday = (data.time.astype("datetime64[D]").astype(int) + 3) % 7
    working = weekday < 5
    assert 8 * 24 <= holiday.sum() / 2 <= 12 * 24
    for month in (4, 5, 12):
        in_month = (data.time.astype("datetime64[M]").astype(int) % 12 == month - 1) & working
        assert data.values[in_month & holiday, 0].mean() < 0.95 * data.values[in_month & ~holiday, 0].mean()


def test_cold_raises_the_load_in_the_north_and_heat_in_the_south(table):
    for name, cold, heat in (("load_demo", True, False), ("load_demo_south", True, True)):
        load, temperature, _ = table(name).values.T
        mild = load[(temperature > 15) & (temperature < 20)].mean()
        if cold:
            assert load[temperature < 0].mean() > mild
        if heat:
            assert load[temperature > 30].mean() > 1.05 * mild


def test_noise_of_the_load_is_heteroscedastic(table):
    """The change from day to day, same hour, is more variable at the peak than at night."""
    load = table("load_demo").values[:, 0].reshape(-1, 24)
    change = np.diff(load, 2, axis=0)
    assert change[:, 18].std() > 1.2 * change[:, 3].std()


@pytest.mark.parametrize("name", NAMES)
def test_price_is_convex_in_the_load_and_has_spikes(name, table):
    load, _, price = table(name).values.T
    middle, upper, top = np.quantile(load, [0.25, 0.75, 0.95])
    low, mid, high = (
        np.median(price[load < middle]),
        np.median(price[(load > middle) & (load < upper)]),
        np.median(price[load > top]),
    )
    loads = [
        np.median(load[load < middle]),
        np.median(load[(load > middle) & (load < upper)]),
        np.median(load[load > top]),
    ]
    assert (high - mid) / (loads[2] - loads[1]) > (mid - low) / (loads[1] - loads[0]) > 0
    assert price.max() > 5 * np.median(price)
    assert price.min() >= -100


def test_regions_differ_in_climate_and_draws(table):
    north, south = (table(name).values for name in NAMES)
    assert south[:, 1].mean() > north[:, 1].mean() + 5
    weather = [part[24:, 1] - part[:-24, 1] for part in (north, south)]
    assert abs(np.corrcoef(*weather)[0, 1]) < 0.1


def test_easter_of_known_years():
    known = {
        1961: (4, 2),
        2000: (4, 23),
        2008: (3, 23),
        2022: (4, 17),
        2023: (4, 9),
        2024: (3, 31),
        2038: (4, 25),
    }
    for year, (month, day) in known.items():
        assert easter(year) == np.datetime64(date(year, month, day))


@given(st.integers(1700, 2400))
def test_easter_is_a_sunday_between_22_march_and_25_april(year):
    sunday = easter(year).item()
    assert sunday.weekday() == 6
    assert date(year, 3, 22) <= sunday <= date(year, 4, 25)


@given(st.floats(1, 100), st.integers(0, 2**32))
def test_autoregressive_noise_has_the_variance_of_its_shocks(memory, seed):
    noise = autoregressive(np.random.default_rng(seed).standard_normal(int(4000 * memory)), memory)
    assert noise.var() == pytest.approx(1, abs=0.25)


def test_tasks_score_the_load_in_megawatts():
    for horizon in (24, 168):
        task = registry.task(f"load-demo-{horizon}")
        assert (task.targets, task.space, task.primary, task.period) == (("load",), "units", "mase", 24)
        assert task.scenarios()[-1].dataset == "load_demo_south"
