"""Responses estimated from pilots: theory of the errors, Sionna's estimators beside ours, and what is refused."""

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError
from tsbench.data.batch import Batch
from tsbench.data.channel_estimation import (
    estimated_lmmse,
    estimated_ls,
    exponential_covariance,
    interpolate,
    linear_filter,
    lmmse_filter,
    pilot_places,
)
from tsbench.data.disturbances import case_generators
from tsbench.data.views import dimensions

SPACING, SPREAD = 120e3, 100e-9
OPTIONS = {"comb": 2, "spacing": SPACING, "delay_spread": SPREAD}
ESTIMATORS = [estimated_ls, estimated_lmmse]
FEATURES = 75


def channels(cases: list[int], elements: int = 4, steps: int = 16, features: int = FEATURES) -> Batch:
    """Responses with the covariance that the estimator assumes, of unit power, a generator for each case."""
    covariance = exponential_covariance(features, SPACING, SPREAD)
    root = torch.linalg.cholesky(covariance + 1e-9 * torch.eye(features))
    drawn = [
        torch.randn(
            elements, 32, features, dtype=torch.complex128, generator=torch.Generator().manual_seed(case)
        )
        for case in cases
    ]
    values = torch.stack(drawn)[:, :, -steps:] @ root.mT
    return Batch(dimensions("csi"), context=values.to(torch.complex64), index=torch.tensor(cases))


def known(estimate, level, batch: Batch, key: str = "robustness/pilots", **options) -> torch.Tensor:
    generators = case_generators("responses@1", key, batch["index"])
    return estimate(batch, generators, level, OPTIONS | options, None)["context"]


def error(estimate, level, batch: Batch, **options) -> torch.Tensor:
    """Mean squared error by subcarrier."""
    missed = known(estimate, level, batch, **options) - batch["context"]
    return missed.abs().double().square().mean(dim=(0, 1, 2))


@pytest.mark.parametrize("snr", [0.0, 10.0])
def test_the_error_of_least_squares_at_the_pilots_is_the_noise(snr):
    batch = channels(list(range(40)), elements=8)

    found = error(estimated_ls, snr, batch)[pilot_places(FEATURES, 2)]

    power = batch["context"].abs().square().mean()
    assert float(found.mean() / power) == pytest.approx(10 ** (-snr / 10), rel=0.02)


def test_a_linear_interpolation_averages_the_noise_of_its_two_pilots():
    # The response is flat, so that only noise is left: halfway (1/4 + 1/4) of it.
    flat = channels(list(range(40)), elements=8)
    flat = flat.replace(context=torch.ones_like(flat["context"]))

    found = error(estimated_ls, 0.0, flat)

    assert float(found[::2].mean()) == pytest.approx(1, rel=0.02)
    assert float(found[1::2].mean()) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("snr", [0.0, 10.0, 20.0])
def test_the_error_of_lmmse_is_that_of_theory(snr):
    batch = channels(list(range(60)), elements=8)
    covariance, pilots = exponential_covariance(FEATURES, SPACING, SPREAD), pilot_places(FEATURES, 2)
    weights = lmmse_filter(covariance, pilots, 10 ** (-snr / 10))

    theory = (covariance - weights @ covariance[pilots]).diagonal().real

    assert float(error(estimated_lmmse, snr, batch).mean()) == pytest.approx(float(theory.mean()), rel=0.05)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 25.0])
@pytest.mark.parametrize("comb", [1, 2, 4])
def test_lmmse_is_never_worse_than_least_squares(snr, comb):
    batch = channels(list(range(10)))

    assert (
        error(estimated_lmmse, snr, batch, comb=comb).mean()
        < error(estimated_ls, snr, batch, comb=comb).mean()
    )


@pytest.mark.parametrize("estimate", ESTIMATORS)
def test_errors_fall_with_the_signal_to_noise_ratio(estimate):
    batch = channels(list(range(10)))

    found = [float(error(estimate, snr, batch).mean()) for snr in (0.0, 10.0, 20.0)]

    assert found == sorted(found, reverse=True)


def test_a_pilot_everywhere_without_noise_gives_the_response_back():
    batch = channels([0, 1])

    for estimate in ESTIMATORS:
        torch.testing.assert_close(
            known(estimate, 120.0, batch, comb=1), batch["context"], rtol=1e-4, atol=1e-4
        )


def test_linear_interpolation_is_exact_on_a_line_also_beyond_the_last_pilot():
    place = torch.arange(11, dtype=torch.float64)
    line = (2 - 1j) + (0.5 + 0.25j) * place

    found = linear_filter(11, pilot_places(11, 4)) @ line[::4]

    torch.testing.assert_close(found, line)


@pytest.mark.parametrize("estimate", ESTIMATORS)
class TestEveryEstimator:
    def test_it_does_not_depend_on_the_batch_or_the_order_to_the_bit(self, estimate):
        whole = known(estimate, 10.0, channels(list(range(20))))
        order = np.random.default_rng(5).permutation(20).tolist()

        shuffled = known(estimate, 10.0, channels(order))
        alone = torch.cat([known(estimate, 10.0, channels([case])) for case in range(20)])

        assert torch.equal(shuffled, whole[order])
        assert torch.equal(alone, whole)

    def test_a_level_for_each_sample_is_that_sample_s(self, estimate):
        levels = torch.tensor([0.0, 10.0, 20.0], dtype=torch.float64)

        together = known(estimate, levels, channels([0, 1, 2]))

        alone = [known(estimate, float(one), channels([case])) for case, one in enumerate(levels)]
        assert torch.equal(together, torch.cat(alone))

    def test_it_differs_between_cases_and_keys_and_keeps_its_input(self, estimate):
        batch = channels([0, 0]).replace(index=torch.tensor([0, 1]))
        before = batch["context"].clone()
        here = known(estimate, 10.0, batch)

        assert not torch.equal(here[0], here[1])
        assert not torch.equal(known(estimate, 10.0, batch, key="another"), here)
        assert here.dtype == torch.complex64
        assert torch.equal(batch["context"], before)

    def test_it_follows_a_complex_factor_of_the_response(self, estimate):
        batch = channels([0])
        louder = batch.replace(context=4 * batch["context"])

        torch.testing.assert_close(known(estimate, 10.0, louder), 4 * known(estimate, 10.0, batch))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"comb": 0}, "`comb` is 0; it must be a whole number above 0"),
            ({"comb": 1.5}, "`comb` is 1.5; it must be a whole number"),
            ({"comb": None}, "`comb` is missing"),
            ({"comb": 75}, "A comb of 75 leaves fewer than 2 pilots on 75 subcarriers"),
        ],
    )
    def test_a_comb_that_cannot_be_is_refused(self, estimate, options, message):
        with pytest.raises(InputError, match=message):
            known(estimate, 10.0, channels([0]), **options)


@pytest.mark.parametrize("name", ["spacing", "delay_spread"])
@pytest.mark.parametrize("value", [0, -1.0, None, True, "wide", float("inf")])
def test_lmmse_refuses_a_profile_that_cannot_be(name, value):
    with pytest.raises(InputError, match=f"option `{name}` .* must be a number above 0"):
        known(estimated_lmmse, 10.0, channels([0]), **{name: value})


def test_the_covariance_is_the_transform_of_its_profile():
    delays = torch.arange(0.0005, 40, 0.001, dtype=torch.float64) * SPREAD
    power = torch.exp(-delays / SPREAD)
    response = torch.polar(power.sqrt(), torch.zeros_like(delays))[None, :] * torch.exp(
        -2j * torch.pi * SPACING * torch.arange(6, dtype=torch.float64)[:, None] * delays
    )

    expected = response @ response.mH / power.sum()

    torch.testing.assert_close(exponential_covariance(6, SPACING, SPREAD), expected, rtol=0, atol=1e-6)


class TestSionnaBesideOurs:
    """Sionna's estimators on one OFDM symbol with pilots on a comb, given the same noisy observations."""

    COMB, ANTENNAS, NOISE = 4, 3, 0.1

    @pytest.fixture(scope="class")
    def grid(self):
        from sionna.phy.ofdm import PilotPattern, ResourceGrid

        mask = np.zeros((1, 1, 1, FEATURES), bool)
        mask[..., :: self.COMB] = True
        turns = np.random.default_rng(0).integers(4, size=(1, 1, int(mask.sum())))
        pattern = PilotPattern(mask, np.exp(1j * np.pi * (turns / 2 + 1 / 4)), device="cpu")
        return ResourceGrid(1, FEATURES, SPACING, pilot_pattern=pattern, device="cpu")

    @pytest.fixture(scope="class")
    def observation(self, grid):
        """What is received, (1, 1, antenna, 1, subcarrier), and least squares at the pilots by hand."""
        response = channels([3], elements=self.ANTENNAS, steps=1)["context"][0, :, 0]
        normal = torch.randn(
            response.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(1)
        )
        pilots = torch.zeros(FEATURES, dtype=torch.complex64)
        pilots[:: self.COMB] = torch.as_tensor(grid.pilot_pattern.pilots)[0, 0].to(torch.complex64)
        received = response * pilots + self.NOISE**0.5 * normal
        places = pilot_places(FEATURES, self.COMB)
        return received[None, None, :, None], (received[:, places] / pilots[places])[None, :, None]

    def test_least_squares_with_linear_interpolation_is_the_same(self, grid, observation):
        from sionna.phy.ofdm import LSChannelEstimator

        received, at_pilots = observation
        found, _ = LSChannelEstimator(grid, interpolation_type="lin", device="cpu")(received, self.NOISE)

        weights = linear_filter(FEATURES, pilot_places(FEATURES, self.COMB))
        ours = interpolate(at_pilots, [weights])[0, :, 0]
        torch.testing.assert_close(found[0, 0, :, 0, 0, 0], ours, rtol=1e-4, atol=1e-5)

    def test_the_linear_estimator_of_least_error_is_the_same(self, grid, observation):
        from sionna.phy.ofdm import LMMSEChannelEstimator, tdl_freq_cov_mat

        received, at_pilots = observation
        places = pilot_places(FEATURES, self.COMB)
        for covariance in (
            exponential_covariance(FEATURES, SPACING, SPREAD),
            tdl_freq_cov_mat("A", SPACING, FEATURES, SPREAD, device="cpu").to(torch.complex128),
        ):
            estimator = LMMSEChannelEstimator(
                grid,
                # Over time one symbol is filtered and scaled back: only frequency is left.
                torch.ones(1, 1, dtype=torch.complex64),
                covariance.to(torch.complex64),
                order="t-f",
                device="cpu",
            )
            found, _ = estimator(received, self.NOISE)

            ours = interpolate(at_pilots, [lmmse_filter(covariance, places, self.NOISE)])[0, :, 0]
            torch.testing.assert_close(found[0, 0, :, 0, 0, 0], ours, rtol=1e-3, atol=1e-4)
