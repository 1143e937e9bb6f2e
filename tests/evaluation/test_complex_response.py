"""Errors and rates of complex responses against the official losses, and their laws."""

import math

import pytest
import torch

from tsbench.evaluation.metrics.complex_response import (
    BEAM_GAIN,
    NMSE,
    NMSE_DB,
    NMSE_MEDIAN,
    SPECTRAL_EFFICIENCY,
    SQUARED_ERROR_NORM,
    beam_gain,
    beam_rate,
    error_energy_ratio,
    normalised_squared_error,
    spectral_efficiency,
    squared_error_norm,
)
from tsbench.training.weights import read_tensors

SHAPE = (5, 4, 3, 6)  # sample, antenna, lead_time, subcarrier
UNUSED = torch.ones(1)
METRICS = (NMSE, NMSE_MEDIAN, NMSE_DB, SQUARED_ERROR_NORM, SPECTRAL_EFFICIENCY, BEAM_GAIN)
OF_ALL_ANTENNAS = (SPECTRAL_EFFICIENCY, BEAM_GAIN)


def draw(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    forecast, observed = torch.randn(2, *SHAPE, generator=generator, dtype=torch.complex128)
    return forecast, observed


def value(metric, forecast: torch.Tensor, observed: torch.Tensor) -> float:
    numerator, denominator = metric.statistic(forecast, observed, UNUSED)
    return metric.value(float(numerator.sum()), float(denominator.sum()))


class TestTheOfficialLosses:
    """csi_rrg_metrics: recorded forecasts give the recorded values, by step and as a whole."""

    @pytest.fixture(scope="class")
    def tensors(self, shared_fixtures):
        return read_tensors(shared_fixtures / "csi_rrg_metrics.safetensors")

    @pytest.fixture(scope="class")
    def pair(self, tensors):
        return tensors["input/x_hat"].to(torch.complex128), tensors["input/x"].to(torch.complex128)

    @pytest.mark.parametrize(
        ("statistic", "name"), [(normalised_squared_error, "nmse"), (squared_error_norm, "mse")]
    )
    def test_errors_are_reproduced(self, tensors, pair, statistic, name):
        error, ones = statistic(*pair, UNUSED)

        by_step = error.sum(dim=(0, 2)) / ones.sum(dim=(0, 2))
        torch.testing.assert_close(by_step.float(), tensors[f"output/{name}_by_step"], atol=1e-5, rtol=1e-6)
        torch.testing.assert_close(error.mean().float(), tensors[f"output/{name}"], atol=1e-5, rtol=1e-6)

    @pytest.mark.parametrize("snr", [0, 10])
    @pytest.mark.parametrize("name", ["se", "se0"])
    def test_rates_are_reproduced(self, tensors, pair, name, snr):
        forecast, observed = pair

        rate = beam_rate(forecast if name == "se" else observed, observed, snr)

        expected = tensors[f"output/{name}_snr{snr}_by_step"], tensors[f"output/{name}_snr{snr}"]
        torch.testing.assert_close(rate.mean(dim=(0, 2)).float(), expected[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(rate.mean().float(), expected[1], atol=1e-5, rtol=0)

    def test_the_metric_s_rate_is_that_at_ten_decibels(self, tensors, pair):
        assert value(SPECTRAL_EFFICIENCY, *pair) == pytest.approx(float(tensors["output/se_snr10"]), abs=1e-5)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_statistics_are_real_with_the_antenna_last(metric):
    numerator, denominator = metric.statistic(*draw(0), UNUSED)

    antennas = 1 if metric in OF_ALL_ANTENNAS else 4
    assert numerator.shape == denominator.shape == (5, 3, antennas)
    assert numerator.dtype == denominator.dtype == torch.float64


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_statistics_of_parts_are_parts_of_the_statistics(metric):
    forecast, observed = draw(1)
    whole = metric.statistic(forecast, observed, UNUSED)

    parts = [metric.statistic(forecast[part], observed[part], UNUSED) for part in (slice(2), slice(2, 5))]

    for number in range(2):
        torch.testing.assert_close(torch.cat([part[number] for part in parts]), whole[number])


def test_nmse_of_a_zero_forecast_is_exactly_one():
    _, observed = draw(2)
    ratio, _ = normalised_squared_error(torch.zeros_like(observed), observed, UNUSED)

    assert torch.equal(ratio, torch.ones_like(ratio))
    assert value(NMSE, torch.zeros_like(observed), observed) == 1.0
    assert value(NMSE_DB, torch.zeros_like(observed), observed) == 0.0


def test_errors_of_the_truth_are_zero():
    _, observed = draw(3)

    assert value(NMSE, observed, observed) == 0.0
    assert value(SQUARED_ERROR_NORM, observed, observed) == 0.0


def test_errors_are_those_of_the_formula_written_out():
    forecast, observed = draw(4)
    error, energy = error_energy_ratio(forecast, observed, UNUSED)
    ratio, _ = normalised_squared_error(forecast, observed, UNUSED)
    norm, _ = squared_error_norm(forecast, observed, UNUSED)

    sample, antenna, step = 2, 3, 1
    h, guess = observed[sample, antenna, step].tolist(), forecast[sample, antenna, step].tolist()
    missed = sum(abs(one - other) ** 2 for one, other in zip(h, guess, strict=True))
    size = sum(abs(one) ** 2 for one in h)
    found = [float(one[sample, step, antenna]) for one in (error, energy, ratio, norm)]
    assert found == pytest.approx([missed, size, missed / size, missed], rel=1e-12)


def test_decibels_are_those_of_the_ratio_of_sums():
    forecast, observed = draw(5)
    ratio = (forecast - observed).abs().square().sum() / observed.abs().square().sum()

    assert value(NMSE_DB, forecast, observed) == pytest.approx(10 * math.log10(ratio), rel=1e-12)


@pytest.mark.parametrize("factor", [2.0, -0.3j, 1e-4 + 1e-4j])
def test_nmse_has_no_unit_and_the_squared_error_has_it_squared(factor):
    forecast, observed = draw(6)
    plain, scaled = (forecast, observed), (factor * forecast, factor * observed)

    assert value(NMSE, *scaled) == pytest.approx(value(NMSE, *plain), rel=1e-12)
    expected = abs(factor) ** 2 * value(SQUARED_ERROR_NORM, *plain)
    assert value(SQUARED_ERROR_NORM, *scaled) == pytest.approx(expected, rel=1e-12)


def test_the_rate_of_the_truth_is_its_bound():
    _, observed = draw(7)
    bound = torch.log2(1 + observed.abs().square().sum(dim=1) / 0.1)

    torch.testing.assert_close(beam_rate(observed, observed), bound)


def test_no_forecast_has_a_rate_above_the_bound():
    forecast, observed = draw(8)

    assert (beam_rate(forecast, observed) <= beam_rate(observed, observed)).all()


@pytest.mark.parametrize("factor", [1e-6, 3 - 4j, 1e5j])
def test_the_rate_does_not_depend_on_a_complex_factor_of_the_forecast(factor):
    forecast, observed = draw(9)

    torch.testing.assert_close(beam_rate(factor * forecast, observed), beam_rate(forecast, observed))


def test_the_rate_of_a_zero_forecast_is_zero():
    _, observed = draw(10)
    rate, _ = spectral_efficiency(torch.zeros_like(observed), observed, UNUSED)

    assert torch.equal(rate, torch.zeros_like(rate))


def test_a_forecast_orthogonal_to_the_truth_has_no_rate():
    observed = torch.tensor([1.0, 1.0], dtype=torch.complex128).reshape(1, 2, 1, 1)
    forecast = torch.tensor([1.0, -1.0], dtype=torch.complex128).reshape(1, 2, 1, 1)

    assert beam_rate(forecast, observed).item() == 0.0


def test_no_beam_brings_more_power_than_the_one_that_knows_the_truth():
    forecast, observed = draw(11)
    received, best = beam_gain(forecast, observed, UNUSED)

    assert (received < best).all()
    assert value(BEAM_GAIN, forecast, observed) < 0
    torch.testing.assert_close(*beam_gain(observed, observed, UNUSED))
    assert value(BEAM_GAIN, observed, observed) == pytest.approx(0, abs=1e-12)


def test_the_gain_does_not_depend_on_a_complex_factor_for_each_subcarrier():
    forecast, observed = draw(12)
    factors = torch.tensor([1e-6, 3 - 4j, 1e5j, 1, -1, 2 + 1j], dtype=torch.complex128)

    found = beam_gain(factors * forecast, observed, UNUSED)

    torch.testing.assert_close(found, beam_gain(forecast, observed, UNUSED))


def test_a_beam_that_knows_nothing_brings_the_power_of_one_antenna():
    # Independent of the truth: in the mean 1 / antennas of the best, −6.02 dB with 4.
    generator = torch.Generator().manual_seed(0)
    forecast, observed = torch.randn(2, 500, 4, 2, 6, dtype=torch.complex128, generator=generator)

    assert value(BEAM_GAIN, forecast, observed) == pytest.approx(10 * math.log10(1 / 4), abs=0.1)


def test_the_gain_of_a_zero_forecast_has_no_decibels():
    _, observed = draw(13)

    assert value(BEAM_GAIN, torch.zeros_like(observed), observed) is None


def test_metrics_say_what_they_are_for():
    assert [one.name for one in METRICS] == ["nmse", "nmse_median", "nmse_db", "sse", "se", "beam_gain"]
    assert all(one.view == "csi" and one.source and one.title for one in METRICS)
    assert [one.name for one in METRICS if one.better == "higher"] == ["se", "beam_gain"]
    assert (NMSE_MEDIAN.finish, NMSE_DB.finish) == ("median", "decibel")
