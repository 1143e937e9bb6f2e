"""The coded link: its errors fall with the SNR, depend on nothing but the beam, and wrong settings are refused."""

import sys

import pytest
import torch

from tsbench.contracts import InputError
from tsbench.evaluation.metrics.complex_response import beam_power
from tsbench.link.transmission import LinkSettings, Transmission, beam_factor

SUBCARRIERS = 24
SHAPE = (5, 4, 3, SUBCARRIERS)  # sample, antenna, lead_time, subcarrier


def draw(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    forecast, observed = torch.randn(2, *SHAPE, generator=generator, dtype=torch.complex128)
    return forecast, observed


@pytest.fixture(scope="module")
def link():
    """QPSK at rate 1/2 on 4 OFDM symbols: 96 information bits a block."""
    return Transmission(LinkSettings(bits_per_symbol=2, symbols=4), SUBCARRIERS)


@pytest.fixture(scope="module")
def blocks(link):
    return link.draw(80, torch.Generator().manual_seed(1))


def flat(link, blocks, gain: complex = 1.0) -> torch.Tensor:
    return torch.full((len(blocks.bits), link.subcarriers), gain, dtype=torch.complex64)


def test_blocks_are_lost_below_the_threshold_of_the_code_and_arrive_above(link, blocks):
    rates = [float(link.lost(flat(link, blocks), blocks, snr).float().mean()) for snr in (-6, 1, 8)]

    # QPSK at rate 1/2 carries 1 bit/s/Hz: Shannon's limit is 0 dB, a short code needs some 2 dB more.
    assert rates[0] == 1.0
    assert rates[2] == 0.0
    assert rates[0] >= rates[1] >= rates[2]


def test_a_stronger_channel_is_a_higher_snr(link, blocks):
    plain = link.lost(flat(link, blocks), blocks, 1.0)
    stronger = link.lost(flat(link, blocks, 10 ** (6 / 20)), blocks, -5.0)

    assert 0 < plain.sum() < len(plain)
    assert float((plain == stronger).float().mean()) > 0.95  # rounding may turn a block on the edge


def test_the_phase_of_the_channel_does_not_matter(link, blocks):
    # The receiver knows it; the noise is turned instead, so that blocks on the edge may differ.
    plain, turned = (link.lost(flat(link, blocks, gain), blocks, 1.0).sum() for gain in (1.0, 1j))

    assert abs(int(plain) - int(turned)) <= 0.25 * len(blocks.bits)


def test_a_channel_of_zero_loses_every_block(link, blocks):
    assert link.lost(flat(link, blocks, 0.0), blocks, 20.0).all()


def test_blocks_do_not_depend_on_who_is_decoded_beside_them(link, blocks):
    whole = link.lost(flat(link, blocks), blocks, 1.0)
    some = type(blocks)(*(one[70:] for one in (blocks.bits, blocks.sent, blocks.noise)))

    assert torch.equal(link.lost(flat(link, some), some, 1.0), whole[70:])


def test_symbols_and_noise_have_unit_power_and_a_seed_gives_the_same(link, blocks):
    assert float(blocks.sent.abs().square().mean()) == pytest.approx(1, abs=1e-5)
    assert float(blocks.noise.abs().square().mean()) == pytest.approx(1, rel=0.05)
    assert blocks.sent.shape == blocks.noise.shape == (80, 4, SUBCARRIERS)
    again = link.draw(80, torch.Generator().manual_seed(1))
    assert torch.equal(again.bits, blocks.bits)
    assert torch.equal(again.noise, blocks.noise)


def test_the_factor_of_a_beam_has_the_power_that_the_metric_counts():
    forecast, observed = draw()

    torch.testing.assert_close(beam_factor(forecast, observed).abs().square(), beam_power(forecast, observed))


def test_the_beam_that_knows_the_channel_has_its_whole_norm():
    _, observed = draw()

    found = beam_factor(observed, observed)

    torch.testing.assert_close(found.real, observed.abs().square().sum(dim=1).sqrt())
    assert float(found.imag.abs().max()) < 1e-12


def test_a_forecast_of_zero_has_no_beam():
    _, observed = draw()

    assert torch.equal(
        beam_factor(torch.zeros_like(observed), observed),
        torch.zeros(5, 3, SUBCARRIERS, dtype=torch.complex128),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (LinkSettings(bits_per_symbol=3), "A QAM symbol carries 2, 4, 6, 8 bits, not 3"),
        (LinkSettings(rate=0.1), "rates from 0.2 to 0.95, not 0.1"),
        (LinkSettings(rate=float("nan")), "rates from 0.2 to 0.95, not nan"),
        (LinkSettings(symbols=0), "at least one OFDM symbol"),
        (LinkSettings(iterations=0), "one iteration"),
        (
            LinkSettings(symbols=1000),
            r"1000 OFDM symbols on 24 subcarriers hold 48000 information bits; a block has 12",
        ),
        (LinkSettings(symbols=1, bits_per_symbol=2, rate=0.2), "hold 10 information bits"),
    ],
)
def test_a_link_that_cannot_be_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Transmission(settings, SUBCARRIERS)


def test_missing_sionna_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sionna.phy.mapping", None)

    with pytest.raises(InputError, match=r"Sionna, which cannot be imported .* pip install") as caught:
        Transmission(LinkSettings(), SUBCARRIERS)
    assert "\n" not in str(caught.value)
