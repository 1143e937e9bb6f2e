"""Metrics of maps against scikit-image and numpy, and what they count."""

import numpy as np
import pytest
import torch
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import f1_score

from tsbench.contracts import NO_SIGNAL, Forecast, Scenario
from tsbench.evaluation.metrics import metric
from tsbench.evaluation.metrics.field import GREY_RANGE
from tsbench.evaluation.metrics.field import METRICS as OF_MAPS
from tsbench.evaluation.tally import Tally

NAMES = [one.name for one in OF_MAPS if not one.joint]


def draw(shape=(3, 1, 20, 24), seed=0):
    """Forecast, truth with buildings and cells without a path, and a mask without the given cells."""
    generator = torch.Generator().manual_seed(seed)
    forecast, truth = (-100 + 15 * torch.randn(shape, generator=generator).double() for _ in range(2))
    truth = 0.7 * truth + 0.3 * forecast
    place = torch.rand(shape, generator=generator)
    truth[place < 0.2] = torch.nan
    truth[(place > 0.2) & (place < 0.3)] = NO_SIGNAL
    given = (place > 0.3) & (place < 0.4)
    return forecast, truth, truth.isfinite() & ~given


def value(name, forecast, truth, valid):
    one = metric(name)
    sums = [float(part.sum()) for part in one.statistic(forecast, truth, torch.ones(1), valid)]
    return one.value(*sums)


def reached(truth, valid):
    return (valid & (truth > NO_SIGNAL)).numpy()


def grey(values):
    return np.clip((values.numpy() - NO_SIGNAL) / GREY_RANGE, 0, 1)


def test_errors_are_those_of_the_scored_cells():
    forecast, truth, valid = draw()
    error = (forecast - truth).numpy()[reached(truth, valid)]

    assert value("rmse_outdoor", forecast, truth, valid) == pytest.approx(
        np.sqrt(np.mean(error**2)), abs=1e-6
    )
    assert value("mae_outdoor", forecast, truth, valid) == pytest.approx(np.abs(error).mean(), abs=1e-6)
    assert value("toa_error", forecast, truth, valid) == pytest.approx(np.abs(error).mean(), abs=1e-6)


def test_inclusive_errors_count_the_given_cells_too():
    forecast, truth, valid = draw()
    error = (forecast - truth).numpy()[(truth > NO_SIGNAL).numpy()]

    assert value("rmse_inclusive", forecast, truth, valid) == pytest.approx(
        np.sqrt(np.mean(error**2)), abs=1e-6
    )
    assert value("mae_inclusive", forecast, truth, valid) == pytest.approx(np.abs(error).mean(), abs=1e-6)
    assert value("rmse_inclusive", forecast, truth, valid) != value("rmse_outdoor", forecast, truth, valid)


def test_nmse_is_the_squared_nrmse_of_skimage():
    forecast, truth, valid = draw()
    mask = reached(truth, valid)
    expected = normalized_root_mse(grey(truth)[mask], grey(forecast)[mask]) ** 2

    assert value("nmse_map", forecast, truth, valid) == pytest.approx(expected, abs=1e-6)
    black = torch.full_like(truth, NO_SIGNAL)
    assert value("nmse_map", black, truth, valid) == pytest.approx(1, abs=1e-12)


def test_psnr_is_that_of_skimage():
    forecast, truth, valid = draw()
    mask = reached(truth, valid)
    expected = peak_signal_noise_ratio(grey(truth)[mask], grey(forecast)[mask], data_range=1)

    assert value("psnr_map", forecast, truth, valid) == pytest.approx(expected, abs=1e-6)


def test_psnr_of_an_error_of_a_ten_thousandth_is_40_decibels():  # radiodiff_3d, must show 7
    truth = torch.rand(1, 1, 16, 16).double()

    assert value("psnr_grey", truth + 0.01, truth, None) == pytest.approx(40, abs=1e-9)


def reference(first, second):
    return structural_similarity(
        first, second, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


@pytest.mark.parametrize("name", ["ssim_map", "ssim_grey"])
def test_ssim_is_that_of_skimage_slice_by_slice(name):
    forecast, truth, valid = draw((2, 1, 3, 20, 24))
    if name == "ssim_grey":
        forecast, truth = torch.from_numpy(grey(forecast)), torch.from_numpy(grey(truth))
        images = forecast.numpy(), truth.numpy()
    else:
        images = grey(forecast), grey(truth)
    indoors = truth.isnan().numpy()
    first, second = (np.where(indoors, 0, one).reshape(-1, 20, 24) for one in images)
    expected = np.mean([reference(one, other) for one, other in zip(second, first, strict=True)])

    assert value(name, forecast, truth, valid) == pytest.approx(expected, abs=1e-6)
    assert value(name, truth, truth, valid) == pytest.approx(1, abs=1e-12)  # radiodiff_3d, must show 7


def test_ssim_of_maps_smaller_than_its_window_is_refused():
    small = torch.zeros(1, 1, 10, 30).double()
    with pytest.raises(ValueError, match="needs maps of 11"):
        value("ssim_map", small, small, None)


@pytest.mark.parametrize("level", [90, 100, 110])
def test_coverage_is_the_f1_score_of_all_outdoor_cells(level):
    forecast, truth, valid = draw()
    mask = valid.numpy()
    expected = f1_score(truth.numpy()[mask] >= -level, forecast.numpy()[mask] >= -level)

    assert value(f"coverage_f1_{level}", forecast, truth, valid) == pytest.approx(expected, abs=1e-12)
    assert value(f"coverage_f1_{level}", truth, truth, valid) == 1


def test_a_cell_without_a_path_counts_for_coverage_alone():
    truth = torch.tensor([-80.0, NO_SIGNAL]).double().reshape(1, 1, 1, 2)
    wrong = torch.full_like(truth, -80.0)

    assert value("rmse_outdoor", wrong, truth, None) == 0
    assert value("coverage_f1_100", wrong, truth, None) == pytest.approx(2 / 3)


def directions(azimuth, zenith):
    azimuth, zenith = np.radians(azimuth), np.radians(zenith)
    parts = [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)]
    return torch.from_numpy(np.stack(parts, axis=1))


def test_angles_are_those_of_numpy_and_go_around_the_circle():
    random = np.random.default_rng(0)
    azimuth, zenith = random.uniform(0, 360, (2, 2, 5, 6)), random.uniform(5, 175, (2, 2, 5, 6))
    truth, other = (directions(one, two) for one, two in zip(azimuth, zenith, strict=True))
    valid = torch.from_numpy(random.random((2, 1, 5, 6)) < 0.8).expand(-1, 3, -1, -1)
    truth[~valid] = torch.nan
    mask = valid[:, 0].numpy()
    around = (azimuth[0] - azimuth[1] + 180) % 360 - 180
    angle = np.degrees(np.arccos((truth * other).sum(1).numpy()))

    assert value("doa_error", 3 * other, truth, valid) == pytest.approx(angle[mask].mean(), abs=1e-6)
    assert value("azimuth_error", other, truth, valid) == pytest.approx(np.abs(around[mask]).mean(), abs=1e-6)
    expected = np.abs(zenith[0] - zenith[1])[mask].mean()
    assert value("zenith_error", other, truth, valid) == pytest.approx(expected, abs=1e-6)


def test_359_degrees_are_two_from_1():
    near, far = (directions(np.full((1, 1, 1), one), np.full((1, 1, 1), 90)) for one in (1, 359))

    assert value("azimuth_error", near, far, None) == pytest.approx(2, abs=1e-9)
    assert value("doa_error", near, far, None) == pytest.approx(2, abs=1e-9)


def test_a_direction_without_length_is_wrong_by_a_right_angle():
    truth = directions(np.full((1, 1, 1), 30), np.full((1, 1, 1), 70))

    assert value("doa_error", torch.zeros_like(truth), truth, None) == pytest.approx(90)


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_is_additive_over_cases_and_by_channel(name):
    forecast, truth, valid = draw((4, 2, 20, 24))
    statistic = metric(name).statistic
    whole = statistic(forecast, truth, torch.ones(1), valid)
    parts = [
        statistic(forecast[part], truth[part], torch.ones(1), valid[part]) for part in (slice(1), slice(1, 4))
    ]

    for number, sums in enumerate(whole):
        assert sums.shape == (4, 1, 2)
        assert torch.allclose(sums, torch.cat([one[number] for one in parts]), atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_forecast_indoors_does_not_matter(name):
    forecast, truth, valid = draw()
    other = torch.where(truth.isnan(), forecast + 40, forecast)

    assert value(name, forecast, truth, valid) == value(name, other, truth, valid)


def test_a_tally_of_maps_has_a_row_a_map_with_its_own_cluster():
    forecast, truth, valid = draw((3, 1, 20, 24))
    scenario = Scenario(key="regular", condition="regular", dataset="maps")
    tally = Tally(
        scenario,
        [metric(name) for name in NAMES],
        "rmse_outdoor",
        ("path_gain",),
        1,
        3,
        1,
        cluster=["a", "a", "b"],
    )
    for part in (slice(2), slice(2, 3)):
        tally.update(
            Forecast(forecast[part]),
            truth[part],
            valid[part],
            lambda power: torch.empty(0),
            torch.arange(3)[part],
        )

    for name in NAMES:
        assert tally.values()[name] == pytest.approx(value(name, forecast, truth, valid), abs=1e-9)
    rows = tally.unit_columns()
    assert rows["cluster"] == ["a", "a", "b"]
    one = value("rmse_outdoor", forecast[2:], truth[2:], valid[2:])
    assert (rows["numerator"][2] / rows["denominator"][2]) ** 0.5 == pytest.approx(one, abs=1e-9)
