"""Metrics of fields against the formulas of WeatherBench 2, written out again with xarray and numpy."""

import numpy as np
import pytest
import torch
import xarray as xr

from tsbench.contracts import Forecast, InputError, Scenario
from tsbench.contracts.result import Column
from tsbench.data.rollout.geometry import latitude_weights, region_weights
from tsbench.data.rollout.reference import GridReference
from tsbench.evaluation.metrics import metric
from tsbench.evaluation.metrics.rollout import METRICS, zonal_power
from tsbench.evaluation.tally import Tally

CASES, STEPS, ROWS, COLUMNS = 6, 3, 9, 12
NAMES = ("geopotential", "u_component_of_wind", "v_component_of_wind")
LATITUDE = np.linspace(-80, 80, ROWS)
REGIONS = ("tropics", "northern-hemisphere")
DIMS = ("sample", "lead_time", "channel", "latitude", "longitude")
RANDOM = np.random.default_rng(0)
SIZE = np.array([1000.0, 10.0, 5.0])[:, None, None]
TRUTH, ERROR = (SIZE * RANDOM.standard_normal((CASES, STEPS, 3, ROWS, COLUMNS)) for _ in range(2))
FORECAST = TRUTH + ERROR
CLIMATOLOGY = 0.3 * SIZE * RANDOM.standard_normal((3, ROWS, COLUMNS))
SPREAD = np.array([900.0, 8.0, 6.0])


def reference(climatology: np.ndarray = CLIMATOLOGY) -> GridReference:
    return GridReference(
        torch.from_numpy(region_weights(LATITUDE, REGIONS)),
        torch.from_numpy(climatology),
        torch.from_numpy(SPREAD),
        ((1, 2),),
    )


def tally(name: str, forecast: Forecast, ref: GridReference | None = None) -> Tally:
    columns = [Column(one, None, region) for region in (None, *REGIONS) for one in NAMES]
    scenario = Scenario(key="regular", condition="regular", dataset="fields")
    found = Tally(scenario, [metric(name)], name, NAMES, STEPS, CASES, 1, columns=columns)
    for part in torch.arange(CASES).split(4):
        whole = forecast.values
        values = whole[part] if forecast.kind == "point" else whole[:, part]
        given = (ref or reference())[slice(int(part[0]), int(part[-1]) + 1)]
        observed = torch.from_numpy(TRUTH)[part]
        found.update(Forecast(values, kind=forecast.kind), observed, None, lambda _, given=given: given, part)
    return found


def cells(name: str, forecast: Forecast, ref: GridReference | None = None) -> dict:
    """(variable, region, lead time) → value, read from the recorded rows."""
    columns = tally(name, forecast, ref).score_columns()
    return {
        (variable, region, lead): metric(name).value(numerator, denominator)
        for variable, region, lead, numerator, denominator in zip(
            *(columns[one] for one in ("variable", "region", "lead_time", "numerator", "denominator")),
            strict=True,
        )
    }


def spatial_average(values: np.ndarray, region: str | None = None) -> xr.DataArray:
    """WeatherBench 2: `weighted(get_lat_weights).mean` over the rows of a region."""
    array = xr.DataArray(values, dims=DIMS, coords={"latitude": LATITUDE, "channel": list(NAMES)})
    bounds = np.concatenate([[-90.0], (LATITUDE[:-1] + LATITUDE[1:]) / 2, [90.0]])
    share = np.sin(np.deg2rad(bounds[1:])) - np.sin(np.deg2rad(bounds[:-1]))
    weights = xr.DataArray(share / share.mean(), dims="latitude", coords={"latitude": LATITUDE})
    if region == "tropics":
        array = array.where(abs(array.latitude) <= 20, drop=True)
    elif region == "northern-hemisphere":
        array = array.where(array.latitude >= 20, drop=True)
    return array.weighted(weights).mean(["latitude", "longitude"], skipna=False)


POINT = Forecast(torch.from_numpy(FORECAST))


def test_weights_of_five_rows_are_the_closed_form():
    rows = np.array([-90.0, -45.0, 0.0, 45.0, 90.0])
    half = np.sin(np.deg2rad(22.5))
    far = np.sin(np.deg2rad(67.5))
    shares = np.array([1 - far, far - half, 2 * half, far - half, 1 - far])

    np.testing.assert_allclose(latitude_weights(rows), 5 * shares / 2, rtol=1e-12)
    assert latitude_weights(rows).mean() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("region", [None, *REGIONS])
@pytest.mark.parametrize("lead", [1, 3])
def test_errors_are_those_of_weatherbench_2(region, lead):
    at = {"lead_time": lead - 1, "channel": 0}
    squared = spatial_average(ERROR**2, region).mean("sample")[at].item()
    key = (NAMES[0], region, lead)

    assert cells("wb.rmse", POINT)[key] == pytest.approx(squared**0.5, rel=1e-6)
    assert cells("wb.mae", POINT)[key] == pytest.approx(
        spatial_average(abs(ERROR), region).mean("sample")[at].item(), rel=1e-6
    )
    assert cells("wb.bias", POINT)[key] == pytest.approx(
        spatial_average(ERROR, region).mean("sample")[at].item(), rel=1e-6
    )
    assert cells("rmse_ratio", POINT)[key] == pytest.approx(squared**0.5 / SPREAD[0], rel=1e-6)


@pytest.mark.parametrize("by_time", [False, True])
def test_anomaly_correlation_is_that_of_weatherbench_2(by_time):
    climatology = CLIMATOLOGY
    if by_time:
        climatology = CLIMATOLOGY + 0.2 * SIZE * RANDOM.standard_normal(TRUTH.shape)
    ahead, true = FORECAST - climatology, TRUTH - climatology
    both = spatial_average(ahead * true) / np.sqrt(spatial_average(ahead**2) * spatial_average(true**2))
    found = cells("wb.acc", POINT, reference(climatology))

    for place, name in enumerate(NAMES):
        wanted = both.mean("sample")[{"lead_time": 1, "channel": place}].item()
        assert found[name, None, 2] == pytest.approx(wanted, rel=1e-6)


def test_wind_vector_error_adds_both_winds_before_the_root():
    squared = spatial_average(ERROR**2).mean("sample")
    wanted = np.sqrt(squared.sel(channel=NAMES[1]) + squared.sel(channel=NAMES[2]))

    found = cells("wb.wind_vector_rmse", POINT)

    assert [found[None, None, lead] for lead in (1, 2, 3)] == pytest.approx(wanted.values.tolist(), rel=1e-6)


def test_constant_offsets_and_perfect_forecasts():
    offset = Forecast(torch.from_numpy(TRUTH + 7.0))
    assert cells("wb.rmse", offset)[NAMES[0], None, 1] == pytest.approx(7.0)
    assert cells("wb.bias", offset)[NAMES[1], "tropics", 2] == pytest.approx(7.0)
    perfect = Forecast(torch.from_numpy(TRUTH))
    assert tally("wb.acc", perfect).values()["wb.acc"] == pytest.approx(1.0)
    assert tally("rmse_ratio", perfect).values()["rmse_ratio"] == 0


def test_the_climatology_has_no_anomaly_and_no_correlation():
    forecast = torch.from_numpy(CLIMATOLOGY).expand(CASES, STEPS, -1, -1, -1)
    rounded = forecast.float().double()  # as a model gives it

    assert tally("wb.acc", Forecast(rounded)).values()["wb.acc"] is None


MEMBERS = FORECAST + 0.5 * SIZE * RANDOM.standard_normal((5, *FORECAST.shape))
ENSEMBLE = Forecast(torch.from_numpy(MEMBERS), kind="samples")


def test_spread_over_skill_of_an_ensemble():
    variance = spatial_average(MEMBERS.var(axis=0, ddof=1)).mean("sample")
    error = spatial_average((MEMBERS.mean(axis=0) - TRUTH) ** 2).mean("sample")
    wanted = np.sqrt(variance / error)[{"lead_time": 0, "channel": 2}].item()

    assert cells("spread_skill", ENSEMBLE)[NAMES[2], None, 1] == pytest.approx(wanted, rel=1e-6)
    assert tally("spread_skill", POINT).values()["spread_skill"] == 0


def test_ranked_probability_score_is_fair():
    skill = abs(MEMBERS - TRUTH).mean(axis=0)
    pairs = abs(MEMBERS[:, None] - MEMBERS[None]).sum(axis=(0, 1)) / (2 * 5 * 4)
    wanted = spatial_average(skill - pairs).mean("sample")[{"lead_time": 2, "channel": 1}].item()

    assert cells("wb.crps", ENSEMBLE)[NAMES[1], None, 3] == pytest.approx(wanted, rel=1e-6)
    of_point = cells("wb.crps", POINT)[NAMES[0], None, 1]
    assert of_point == pytest.approx(cells("wb.mae", POINT)[NAMES[0], None, 1])


@pytest.mark.parametrize("longitudes", [11, 12])
def test_power_of_the_zonal_waves_is_the_mean_square(longitudes):
    values = torch.from_numpy(RANDOM.standard_normal((4, longitudes)))

    torch.testing.assert_close(zonal_power(values).sum(dim=-1), values.square().mean(dim=-1))


def test_a_single_wave_has_its_power_at_its_number():
    around = 2 * torch.pi * torch.arange(12, dtype=torch.float64) / 12

    power = zonal_power(3 * torch.cos(2 * around))

    torch.testing.assert_close(power, torch.tensor([0, 0, 4.5, 0, 0, 0, 0], dtype=torch.float64))


def test_smoothing_lowers_the_small_scale_power():
    smooth = (TRUTH + np.roll(TRUTH, 1, axis=-1)) / 2
    # A mean of two neighbours multiplies the amplitude of wave k by cos(pi k / n).
    kept = np.cos(np.pi * np.arange(7) / 12) ** 2
    power = zonal_power(torch.from_numpy(TRUTH[:, 1, 0])).mean(dim=0).numpy()  # (latitude, wave)
    weights = latitude_weights(LATITUDE)[:, None]
    wanted = (weights * power * kept)[:, 2:].sum() / (weights * power)[:, 2:].sum()

    assert cells("small_scale_power", Forecast(torch.from_numpy(smooth)))[NAMES[0], None, 2] == pytest.approx(
        wanted, rel=1e-9
    )
    assert cells("small_scale_power", Forecast(torch.from_numpy(TRUTH)))[NAMES[0], None, 2] == pytest.approx(
        1
    )


def test_totals_are_over_the_whole_globe_and_never_mix_units():
    assert tally("wb.rmse", POINT).values()["wb.rmse"] is None
    whole = [cells("rmse_ratio", POINT)[name, None, None] for name in NAMES]
    assert tally("rmse_ratio", POINT).values()["rmse_ratio"] == pytest.approx(np.mean(whole), rel=1e-6)


def test_every_metric_is_for_grids_and_names_its_source():
    assert all(one.view == "grid" and one.source for one in METRICS)


def test_descending_latitudes_and_unknown_regions_are_refused():
    with pytest.raises(InputError, match=r"latitudes descend \(from 80 to -80\)"):
        latitude_weights(LATITUDE[::-1])
    with pytest.raises(InputError, match="Unknown region 'arctic'; there are tropics"):
        region_weights(LATITUDE, ("arctic",))


def test_winds_are_needed_for_their_error():
    without = GridReference(*(getattr(reference(), one) for one in ("weights", "climatology", "spread")))
    with pytest.raises(InputError, match="needs u_component_of_wind and v_component_of_wind"):
        tally("wb.wind_vector_rmse", POINT, without)
