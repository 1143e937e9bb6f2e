"""PAD: Prony's method is exact on exponentials, and the laws of a linear predictor hold."""

import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError, TaskShape
from tsbench.models.pad.model import PAD, Hyperparameters, prony
from tsbench.training.settings import fill

ANTENNAS, SUBCARRIERS = 4, 6


def shape(context: int = 16, horizon: int = 4) -> TaskShape:
    names = tuple(f"{part}{number}" for number in range(SUBCARRIERS) for part in ("re", "im"))
    sizes = {"antenna": ANTENNAS, "subcarrier": SUBCARRIERS}
    return TaskShape(context, horizon, 1, names, names, sizes=sizes)


def noise(*sizes: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*sizes, dtype=torch.complex128, generator=generator)


def tones(count: int, samples: int = 3, steps: int = 20) -> torch.Tensor:
    """Sums of exponentials with amplitudes of each bin's own: (sample, antenna, time, subcarrier)."""
    phases = 2 * torch.pi * torch.arange(count) / count + 0.3 * torch.arange(samples)[:, None]
    powers = torch.exp(1j * phases[..., None] * torch.arange(steps)).to(torch.complex128)
    amplitudes = noise(samples, ANTENNAS, count, SUBCARRIERS)
    return torch.einsum("nact,nats->nacs", powers[:, None].expand(-1, ANTENNAS, -1, -1).mT, amplitudes)


def forecast(context: torch.Tensor, **changes) -> torch.Tensor:
    return PAD(shape(context.shape[2]), Hyperparameters(**changes)).predict({"context": context}).values


@pytest.mark.parametrize("count", [1, 3, 8])
def test_up_to_eight_exponentials_common_to_all_bins_are_continued_exactly(count):
    series = tones(count)

    found = forecast(series[:, :, :16], ridge=1e-12)

    torch.testing.assert_close(found, series[:, :, 16:], atol=1e-4, rtol=0)


def test_the_ridge_of_the_reference_costs_a_tone_little():
    series = tones(1)

    torch.testing.assert_close(forecast(series[:, :, :16]), series[:, :, 16:], atol=1e-3, rtol=0)


def test_nine_exponentials_are_too_many_for_order_eight():
    series = tones(9)

    assert (forecast(series[:, :, :16], ridge=1e-12) - series[:, :, 16:]).abs().max() > 0.1


def test_the_predictor_minimises_the_ridge_loss_of_the_last_step():
    bins = noise(1, 24, 16)
    past, last = bins[..., -9:-1], bins[..., -1:]
    power = past.abs().square().sum(dim=1).mean()
    rows = torch.cat([past[0], (1e-4 * power).sqrt() * torch.eye(8, dtype=torch.complex128)])
    aims = torch.cat([last[0], torch.zeros(8, 1, dtype=torch.complex128)])
    predictor = torch.linalg.lstsq(rows, aims).solution

    found = prony(bins, horizon=1, order=8, ridge=1e-4)

    torch.testing.assert_close(found[0], bins[0, :, -8:] @ predictor)


def test_the_angle_delay_domain_gives_the_same_forecast():  # csi_rrg.md, PAD: 2-D unitary DFT and back
    context = noise(3, ANTENNAS, 16, SUBCARRIERS)
    transformed = torch.fft.fft2(context, dim=(1, 3), norm="ortho").transpose(2, 3).flatten(1, 2)
    continued = prony(transformed, horizon=4, order=8, ridge=1e-4)
    back = continued.unflatten(1, (ANTENNAS, SUBCARRIERS)).transpose(2, 3)
    expected = torch.fft.ifft2(back, dim=(1, 3), norm="ortho")

    torch.testing.assert_close(forecast(context, limit=1e9), expected)


@pytest.mark.parametrize("scale", [3.0, 2j, 1e-4 - 1e-4j])
def test_a_scaled_look_back_gives_a_scaled_forecast(scale):
    context = noise(3, ANTENNAS, 16, SUBCARRIERS)

    torch.testing.assert_close(forecast(scale * context), scale * forecast(context))


def test_antennas_and_subcarriers_in_another_order_give_the_forecast_in_that_order():
    context = noise(3, ANTENNAS, 16, SUBCARRIERS)
    antennas, subcarriers = torch.tensor([2, 0, 3, 1]), torch.tensor([5, 1, 0, 3, 2, 4])

    found = forecast(context[:, antennas][..., subcarriers])

    torch.testing.assert_close(found, forecast(context)[:, antennas][..., subcarriers])


def test_a_forecast_does_not_depend_on_the_rest_of_the_batch():
    context = noise(6, ANTENNAS, 16, SUBCARRIERS).to(torch.complex64)
    context[4, :, -1] *= 100  # one that falls back

    for sample in range(6):
        torch.testing.assert_close(forecast(context)[sample], forecast(context[sample : sample + 1])[0])


def test_a_sample_that_runs_away_repeats_its_last_value_and_the_others_do_not():
    growing = 2.0 ** torch.arange(16)[None, None, :, None] * noise(1, ANTENNAS, 1, SUBCARRIERS)
    steady = tones(1, samples=1)[:, :, :16]

    found = forecast(torch.cat([growing, steady]))

    assert torch.equal(found[0], growing[0, :, -1:].expand(-1, 4, -1))
    assert not torch.equal(found[1], steady[0, :, -1:].expand(-1, 4, -1))
    assert forecast(growing, limit=17.0).abs().max() > 15 * growing.abs().max()


def test_a_sample_of_zeros_is_forecast_as_zeros():
    assert torch.equal(
        forecast(torch.zeros(2, ANTENNAS, 16, SUBCARRIERS, dtype=torch.complex64)),
        torch.zeros(2, ANTENNAS, 4, SUBCARRIERS, dtype=torch.complex64),
    )


def test_the_forecast_has_the_type_of_the_look_back():
    assert forecast(noise(1, ANTENNAS, 16, SUBCARRIERS).to(torch.complex64)).dtype == torch.complex64


def test_a_look_back_that_is_not_longer_than_the_order_is_refused():
    with pytest.raises(InputError, match="pad of order 8 needs a context of at least 9, not 8"):
        PAD(shape(8))


@pytest.mark.parametrize(("name", "value"), [("order", 0), ("ridge", 0.0), ("limit", -1.0)])
def test_values_that_are_not_positive_are_refused(name, value):
    with pytest.raises(InputError, match=f"card: {name} must be positive, not {value}"):
        fill(Hyperparameters, {name: value}, "card")


def test_the_card_says_why_fdd_is_out_of_reach():
    card = registry.model("pad")
    gap = card.gap(registry.task("csi-rrg-fdd"))

    assert gap is not None
    assert "downlink" in gap.reason
    assert card.gap(registry.task("csi-rrg-tdd")) is None
    assert card.settings_for(registry.task("csi-rrg-tdd-tiny")) is not None
