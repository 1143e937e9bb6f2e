"""Simulated crop yields against their formulas; the table of Khaki et al. read, written and refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.datasets.crop_yield import adapter, khaki
from tsbench.datasets.crop_yield.counties import PLANTING, SOIL, Counties
from tsbench.datasets.crop_yield.growth import CROPS, HEAT, WATER, draw_droughts, with_droughts, yields_of
from tsbench.datasets.crop_yield.simulation import county_grid, simulate, states_of
from tsbench.datasets.crop_yield.variables import FACTORS, NAMES, OBSERVED, VARIABLES
from tsbench.datasets.crop_yield.weather import Places, draw_factors, weather_of
from tsbench.models.vita.network import VARIABLES as OF_VITA


@pytest.fixture(scope="module")
def simulated():
    return simulate(counties=12, regions=4, last_year=1990, seed=0)


def test_the_same_seed_gives_the_same_store_and_another_another(simulated):
    assert simulated.equals(simulate(12, 4, 1990, 0))
    other = simulate(12, 4, 1990, 1)
    assert not np.array_equal(simulated["corn_yield"], other["corn_yield"])


def test_a_store_holds_county_years_and_regions_with_all_variables(simulated):
    assert simulated.sizes["sample"] == 12 * 11
    assert tuple(simulated["variable"].values) == OBSERVED
    assert tuple(simulated["measure"].values) == NAMES == OF_VITA
    # VITA sheet: the six are variables 7, 8, 11, 1, 2 and 29 of POWER.
    assert [NAMES.index(name) for name in OBSERVED] == [7, 8, 11, 1, 2, 29]
    assert simulated["region_weather"].dims == ("region", "region_year", "week", "measure")
    assert tuple(simulated["property"].values) == (*SOIL, *PLANTING)
    assert simulated["site"].dtype == np.float32
    planting = simulated["site"].values[:, len(SOIL) :]
    assert (np.diff(planting, axis=1) > 0).all()


def test_factors_persist_and_are_alike_nearby():
    places = Places(np.array([40.0, 40.0, 46.0]), np.array([-90.0, -88.5, -90.0]))
    factors = draw_factors(places, 60, np.random.default_rng(0)).reshape(len(FACTORS), -1, 3)
    flat = factors.transpose(1, 0, 2)  # (week, factor, place)
    assert float((flat[1:] * flat[:-1]).mean() / factors.var()) == pytest.approx(0.8, abs=0.03)
    assert float(factors.var()) == pytest.approx(1, abs=0.1)
    # Gaussian kernel, length 3°: exp(−(1.5 / 3)² / 2) and exp(−(6 / 3)² / 2).
    near, far = ((factors[..., 0] * factors[..., other]).mean() / factors.var() for other in (1, 2))
    assert float(near) == pytest.approx(np.exp(-0.125), abs=0.06)
    assert float(far) == pytest.approx(np.exp(-2), abs=0.06)


def test_weather_is_climatology_plus_loadings_times_factors_plus_noise():
    places = Places(np.full(2, 42.0), np.array([-100.0, -85.0]))
    factors = np.zeros((len(FACTORS), 30, 52, 2))
    variable = next(one for one in VARIABLES if one.name == "T2M")
    calm = weather_of((variable,), places, factors, np.random.default_rng(0))[..., 0]
    assert float(calm.mean()) == pytest.approx(variable.centre, abs=0.1)
    week = calm.mean(axis=(0, 1))
    assert abs(int(week.argmax()) + 1 - variable.peak) <= 2
    residual = calm - week
    assert float(residual.std()) == pytest.approx(0.3 * variable.spread, rel=0.05)
    factors[FACTORS.index("warmth")] = 1
    warm = weather_of((variable,), places, factors, np.random.default_rng(0))[..., 0]
    assert float((warm - calm).mean()) == pytest.approx(0.9 * variable.spread, rel=1e-3)


def test_what_drives_yields_hardly_shows_in_the_observed_variables():
    for name in ("soil", "dryness"):
        column = FACTORS.index(name)
        seen = [abs(one.loadings[column]) for one in VARIABLES if one.name in OBSERVED]
        hidden = [abs(one.loadings[column]) for one in VARIABLES if one.name not in OBSERVED]
        assert max(seen) < 0.4 < 0.7 < max(hidden)
        assert {**WATER, **HEAT}[name] > 0.8


def test_yields_follow_their_formula():
    crop = CROPS["corn"]
    factors = np.zeros((len(FACTORS), 20, 52, 400))
    random = np.random.default_rng(0)
    calm = yields_of(crop, factors, np.zeros(400), random)
    slope = np.polyfit(np.arange(20), calm.mean(axis=0), 1)[0]
    assert slope == pytest.approx(1.8, abs=0.05)
    assert float(
        (calm - calm.mean(axis=1, keepdims=True) - 1.8 * (np.arange(20) - 9.5)).std()
    ) == pytest.approx(6 * np.sqrt(19 / 20), rel=0.05)
    wet, dry = factors.copy(), factors.copy()
    for name in WATER:
        wet[FACTORS.index(name)], dry[FACTORS.index(name)] = 9, -9
    gain, loss = (yields_of(crop, one, np.zeros(400), np.random.default_rng(0)) - calm for one in (wet, dry))
    assert float(gain.mean()) == pytest.approx(25, abs=0.1)
    assert float(loss.mean()) == pytest.approx(-25, abs=0.1)
    hot = factors.copy()
    for name in HEAT:
        hot[FACTORS.index(name)] = 2
    lost = yields_of(crop, hot, np.zeros(400), np.random.default_rng(0)) - calm
    assert float(lost.mean()) == pytest.approx(-6 * 2 * sum(HEAT.values()), abs=0.1)
    # Soil of quality 1 gives 0.7 of the spread of counties.
    rich = yields_of(crop, factors, np.ones(400), np.random.default_rng(0)) - calm
    assert float(rich.mean()) == pytest.approx(0.7 * 12, abs=0.01)


def test_a_tenth_of_the_years_are_droughts_and_shift_two_factors_in_summer():
    droughts = draw_droughts(39, np.random.default_rng(0))
    assert droughts.sum() == 4
    shifted = with_droughts(np.zeros((len(FACTORS), 39, 52, 3)), droughts)
    assert np.unique(shifted[FACTORS.index("soil"), droughts, 19:36]).tolist() == [-2]
    assert shifted[FACTORS.index("warmth")].any() == shifted[:, ~droughts].any() == False  # noqa: E712
    assert not shifted[:, :, :19].any()


def test_counties_lie_on_a_grid_of_states():
    grid = county_grid(100, np.random.default_rng(0))
    assert grid.latitude.min() > 37
    assert grid.longitude.max() < -82
    names, counts = np.unique(states_of(grid), return_counts=True)
    assert names.tolist() == [f"state-{number}" for number in range(1, 9)]
    assert counts.min() >= 8


def test_the_size_decides_how_many_counties_there_are():
    path = prepare("crop-yield", size="tiny")
    assert len(np.unique(open_store(path)["county"].values)) == 12


# VITA sheet, splits: five extreme years of each crop, overall 2014 to 2018, five years ahead.
EXTREME = {"corn": (2002, 2004, 2009, 2012, 2014), "soybean": (2003, 2004, 2009, 2012, 2016)}


def test_tasks_train_on_the_fifteen_years_before_and_select_on_the_last():
    tasks = registry.tasks()
    for crop, years in EXTREME.items():
        for year in sorted({*years, *range(2014, 2019)}):
            for name in (f"crop-{crop}-{year}", f"crop-khaki-{crop}-{year}-official"):
                split = tasks[name].split
                assert split.train == (year - 15, year - 2)
                assert split.validation == (year - 1, year - 1)
                assert split.test == (year, year)
        for year in range(2014, 2019):
            split = tasks[f"crop-{crop}-{year}-ahead"].split
            assert (split.train, split.validation) == ((year - 19, year - 6), (year - 5, year - 5))
        assert {name for name in tasks if name.startswith(f"crop-{crop}-") and name.endswith("-small")} == {
            f"crop-{crop}-{year}-small" for year in years
        }


@pytest.mark.parametrize("name", ["crop-corn-2012-small", "crop-soybean-2003-small-official"])
def test_no_sample_knows_its_own_yield(name):
    data = TaskData.open(registry.task(name))
    year = int(data.task.split.test[0])
    for part, last in (("train", year - 2), ("validation", year - 1), ("test", year)):
        cases = data.windows(part, 156).using("target", "past_covariates", "time")
        batch = cases.gather(torch.arange(len(cases)))
        assert batch["past_covariates"].shape[1:] == (3, 1)
        assert not (batch["past_covariates"] == batch["target"]).any()
        years = batch["time"].numpy().astype("datetime64[ns]").astype("datetime64[Y]").astype(int) + 1970
        official = data.task.panel.official and part == "train"
        assert years.max() == last + official


def table_of(simulated) -> Counties:
    values = {name: simulated[name].values for name in ("county", "state", "year", "latitude", "longitude")}
    site = simulated["site"].values
    return Counties(
        weather=simulated["weather"].values,
        units=tuple(one.unit for name in OBSERVED for one in VARIABLES if one.name == name),
        soil=site[:, : len(SOIL)],
        planting=site[:, len(SOIL) :],
        corn=simulated["corn_yield"].values,
        soybean=simulated["soybean_yield"].values,
        **values,
    )


def test_a_written_table_is_read_as_it_was(simulated, tmp_path):
    table = table_of(simulated)
    khaki.write(tmp_path / "table.csv", table)
    again = khaki.read(tmp_path / "table.csv")
    for name in ("county", "state", "year", "latitude", "longitude", "weather", "soil", "planting", "corn"):
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name), err_msg=name)
    assert again.units == ("mm/day", "MJ/m2/day", "cm or kg/m2", "degC", "degC", "kPa")


def test_a_table_of_ones_own_becomes_a_store(simulated, tmp_path):
    khaki.write(tmp_path / "khaki_multi_crop_yield.csv", table_of(simulated))
    entry = registry.dataset("khaki-corn-belt")
    request = BuildRequest(
        entry.name, entry.variant, {"khaki_multi_crop_yield.csv": tmp_path / "khaki_multi_crop_yield.csv"}
    )
    store = adapter.build(request)
    np.testing.assert_array_equal(store["weather"], simulated["weather"])
    assert "region_weather" not in store


@pytest.fixture(scope="module")
def frame(simulated, tmp_path_factory):
    path = tmp_path_factory.mktemp("khaki") / "table.csv"
    khaki.write(path, table_of(simulated))
    return pd.read_csv(path)


def columns(variable: int) -> list[str]:
    return [f"W_{variable}_{week}" for week in range(1, 53)]


def scaled(*names: str, by: float = 1.0, plus: float = 0.0):
    return lambda frame: frame.assign(**{name: frame[name] * by + plus for name in names})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame[frame.year != 1985], "no row of 1985, between 1980 and 1990"),
        (lambda frame: frame.drop(columns=["W_4_17"]), r"week 17 of W_4 \(T2M_MAX\) has no column; 1 of 312"),
        (lambda frame: frame.drop(columns=["lat"]), "no column 'lat'"),
        (lambda frame: frame.drop(columns=["P_3"]), "no column 'P_3'"),
        (
            lambda frame: frame.assign(lng=frame.lng.where(frame.loc_ID != "county-004")),
            "county county-004 has no coordinates",
        ),
        (lambda frame: frame.assign(lng=-frame.lng), "outside of -130 to -60 degrees"),
        (lambda frame: frame.assign(lat=frame.lng, lng=frame.lat), "outside of 24 to 50 degrees"),
        (lambda frame: pd.concat([frame, frame.iloc[[5]]]), "county-000, 1985 are there twice"),
        (scaled(*columns(4), by=1.8, plus=32), "which is degF; degC is expected"),
        (scaled(*columns(5), plus=273.15), "which is K; degC is expected"),
        (scaled(*columns(1), by=1 / 25.4), "which is inch/day; mm/day is expected"),
        (scaled(*columns(6), by=10), "which is hPa; kPa or Pa is expected"),
        (scaled(*columns(2), by=1 / 3.6), "which is kWh/m2/day"),
        (scaled(*columns(3), plus=-500), "which is no cm or kg/m2"),
        (scaled("corn_yield", by=0.0628), r"corn_yield \(corn\): values reach .*, which is t/ha"),
        (scaled("soybean_yield", by=67.25), "which is kg/ha; bu/acre is expected"),
        (lambda frame: frame.assign(year="soon"), "'soon' is not a number"),
        (lambda frame: frame.assign(State=None), "'State' is empty"),
    ],
)
def test_a_bad_table_is_refused_by_name(frame, change, message, tmp_path):
    change(frame).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(InputError, match=message):
        khaki.read(tmp_path / "bad.csv")


def test_other_known_units_are_taken_and_named(frame, tmp_path):
    changed = scaled(*columns(2), by=11.574)(scaled(*columns(6), by=1000)(frame))
    changed.to_csv(tmp_path / "daymet.csv", index=False)
    assert khaki.read(tmp_path / "daymet.csv").units[1::4] == ("W/m2", "Pa")


def test_rows_and_cells_that_are_missing_leave_gaps(frame, tmp_path):
    some = frame[(frame.loc_ID != "county-001") | (frame.year != 1984)].copy()
    some.loc[some.index[0], "W_1_1"] = np.nan
    some.loc[some.index[1], "corn_yield"] = np.nan
    some.to_csv(tmp_path / "gaps.csv", index=False)
    table = khaki.read(tmp_path / "gaps.csv")
    assert len(table.year) == 12 * 11 - 1
    assert np.isnan(table.weather).sum() == 1
    assert np.isnan(table.corn).sum() == 1
