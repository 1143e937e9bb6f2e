"""A coded link whose beam is matched to a forecast of the channel: which of its blocks arrive.

Each forecast snapshot carries one block: bits, the 5G LDPC code (3GPP TS 38.212, section 5.3.2), Gray-mapped
QAM on every subcarrier of some OFDM symbols, and on each subcarrier the beam ĥ/‖ĥ‖ over the antennas (maximum
ratio transmission). It meets the true channel, so that the receiver sees the one factor Σ_a ĥ_a* h_a / ‖ĥ‖ a
subcarrier, which it knows from precoded pilots, and white noise. The only module here that imports Sionna.
"""

from dataclasses import dataclass
from typing import Any

import torch

from tsbench.contracts import InputError

QAM_BITS = (2, 4, 6, 8)
LOWEST_RATE, HIGHEST_RATE = 0.2, 0.95
LEAST_BITS, MOST_BITS = 12, 8448
"""Information bits that one block of the code takes."""
TOGETHER = 64
"""Blocks that are decoded at once; decoding takes a few MB each."""
LEAST_GAIN = 1e-12


@dataclass(frozen=True)
class LinkSettings:
    """The link.

    Attributes:
        snr_db: signal-to-noise ratios of one antenna of unit power, as in the spectral efficiency.
        bits_per_symbol: 2, 4, 6 or 8: QPSK to 256-QAM.
        rate: of the code.
        symbols: OFDM symbols that carry a block.
        iterations: of the decoder.
    """

    snr_db: tuple[float, ...] = (-3.0, 0.0, 3.0)
    bits_per_symbol: int = 4
    rate: float = 0.5
    symbols: int = 2
    iterations: int = 20

    def block(self, subcarriers: int) -> tuple[int, int]:
        """Information bits and coded bits of a block.

        Raises:
            InputError: where a setting cannot be, or the code has no block of that size.
        """
        if self.bits_per_symbol not in QAM_BITS:
            raise InputError(
                f"A QAM symbol carries {', '.join(map(str, QAM_BITS))} bits, not {self.bits_per_symbol}"
            )
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise InputError(f"The code has rates from {LOWEST_RATE} to {HIGHEST_RATE}, not {self.rate:g}")
        if self.symbols < 1 or self.iterations < 1:
            raise InputError("A block needs at least one OFDM symbol, and its decoder one iteration")
        coded = subcarriers * self.symbols * self.bits_per_symbol
        bits = round(coded * self.rate)
        if not LEAST_BITS <= bits <= MOST_BITS:
            raise InputError(
                f"{self.symbols} OFDM symbols on {subcarriers} subcarriers hold {bits} information bits; "
                f"a block has {LEAST_BITS} to {MOST_BITS}. Choose other symbols, bits or another rate"
            )
        return bits, coded


@dataclass(frozen=True)
class Blocks:
    """Blocks as they are sent, and the noise that they meet.

    Attributes:
        bits: 0 or 1, float32, shape (block, information bit).
        sent: QAM symbols of unit mean power, complex64, shape (block, symbol, subcarrier).
        noise: CN(0, 1), same shape.
    """

    bits: torch.Tensor
    sent: torch.Tensor
    noise: torch.Tensor


class Transmission:
    """Sends blocks.

    Args:
        settings: of the link.
        subcarriers: that a block is spread over.

    Raises:
        InputError: where a setting cannot be, or Sionna cannot be imported.
    """

    def __init__(self, settings: LinkSettings, subcarriers: int) -> None:
        self.settings, self.subcarriers = settings, subcarriers
        self.bits, coded = settings.block(subcarriers)
        try:
            from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder
            from sionna.phy.mapping import Demapper, Mapper
        except (ImportError, OSError, AttributeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"Links are simulated with Sionna, which cannot be imported ({reason}): "
                "pip install 'sionna>=2.2,<3'"
            ) from error
        qam: dict[str, Any] = {"constellation_type": "qam", "num_bits_per_symbol": settings.bits_per_symbol}
        where: dict[str, Any] = {"precision": "single", "device": "cpu"}
        self._encoder = LDPC5GEncoder(self.bits, coded, num_bits_per_symbol=settings.bits_per_symbol, **where)
        self._decoder = LDPC5GDecoder(self._encoder, num_iter=settings.iterations, **where)
        self._mapper, self._demapper = Mapper(**qam, **where), Demapper("app", **qam, **where)

    def draw(self, blocks: int, generator: torch.Generator) -> Blocks:
        """Draw blocks and their noise; the same for every forecast that is to be compared."""
        bits = torch.randint(0, 2, (blocks, self.bits), generator=generator).float()
        sent = self._mapper(self._encoder(bits)).reshape(blocks, self.settings.symbols, self.subcarriers)
        normal = torch.randn((*sent.shape, 2), generator=generator) * 0.5**0.5
        return Blocks(bits, sent, torch.view_as_complex(normal))

    def lost(self, factor: torch.Tensor, blocks: Blocks, snr_db: float) -> torch.Tensor:
        """Which blocks arrive with a wrong bit.

        Args:
            factor: what beam and channel make of a subcarrier, complex, shape (block, subcarrier).
            blocks: that are sent.
            snr_db: of one antenna of unit power.

        Returns:
            bool, shape (block,).
        """
        parts = range(0, len(blocks.bits), TOGETHER)
        found = [
            self._lost(
                factor[start : start + TOGETHER],
                Blocks(*(one[start : start + TOGETHER] for one in (blocks.bits, blocks.sent, blocks.noise))),
                10 ** (-snr_db / 10),
            )
            for start in parts
        ]
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.bool)

    @torch.no_grad()
    def _lost(self, factor: torch.Tensor, blocks: Blocks, variance: float) -> torch.Tensor:
        factor = factor.to(torch.complex64)[:, None]  # (block, 1, subcarrier)
        received = factor * blocks.sent + variance**0.5 * blocks.noise
        # Without any gain the demapper is told of a noise so large that it learns nothing.
        gain = factor.abs().square().clamp_min(LEAST_GAIN)
        equalised = received * factor.conj() / gain
        likelihoods = self._demapper(
            equalised.flatten(1), (variance / gain).expand(equalised.shape).flatten(1).contiguous()
        )
        return (self._decoder(likelihoods) != blocks.bits).any(dim=1)


def beam_factor(forecast: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Σ_a ĥ_a* h_a / ‖ĥ‖: what is left of the channel behind a beam of unit power matched to the forecast.

    Args:
        forecast: ĥ, complex, shape (sample, antenna, lead_time, subcarrier); no factor but a phase matters.
        observed: h, same shape.

    Returns:
        Complex, shape (sample, lead_time, subcarrier); 0 where the forecast is 0.
    """
    length = forecast.abs().square().sum(dim=1).sqrt()
    product = (forecast.conj() * observed).sum(dim=1)
    return torch.where(length > 0, product / torch.where(length > 0, length, 1.0), 0.0)
