"""Channel coefficients of the CDL models of 3GPP TR 38.901, evaluated only at the instants that are kept.

The only module that imports Sionna PHY; import it inside functions, through `channel.simulator`. Parameters,
random draws, element fields and array offsets are Sionna's. Ours are the order of the sums (over the rays of
a cluster before anything else, so that no array over rays, antennas *and* instants ever exists), the
instants, a random generator of the caller's own, and the older direction of the Doppler shift.
"""

import torch
from sionna.phy import PI
from sionna.phy.channel import subcarrier_frequencies
from sionna.phy.channel.tr38901 import CDL, PanelArray
from sionna.phy.channel.tr38901.channel_coefficients import ChannelCoefficientsGenerator

from .grid import Array, Link

SCALE_INSTANTS = 140
"""Instants at which the mean energy is taken: 2.98 kHz, well above twice the fastest beat of 0.72 kHz."""


class LinkSimulator:
    """Draws channels of one CDL model, delay spread and speed.

    Args:
        link: carrier, numerology, array and Doppler mode.
        model: CDL model, `A` to `E`.
        delay_spread: root-mean-square delay spread, s.
        speed: of the user terminal, m/s; its direction is drawn for each sample.
        generator: of all random draws.
    """

    def __init__(
        self, link: Link, model: str, delay_spread: float, speed: float, generator: torch.Generator
    ) -> None:
        self.link = link
        self.cdl = _Cdl(
            generator,
            model=model,
            delay_spread=delay_spread,
            carrier_frequency=link.carrier,
            ut_array=terminal(link.carrier),
            bs_array=panel(link.carrier, link.array),
            direction="uplink",
            min_speed=speed,
            # Without it Sionna 2.2 draws the speed from U(0, speed), since its default is 0.
            max_speed=speed,
            precision="single",
            device="cpu",
        )
        self.cdl._cir_gen = self._coefficients = _Coefficients(link, generator, self.cdl)
        self._frequencies = subcarrier_frequencies(link.subcarriers, link.spacing, device="cpu")

    def draw(self, samples: int, normalise: bool = True) -> torch.Tensor:
        """Draw channels.

        Args:
            samples: how many.
            normalise: whether each sample is scaled to unit mean energy over antennas, symbols and
                subcarriers.

        Returns:
            Frequency responses of the uplink and the downlink band, one after the other, shape (sample,
            antenna, snapshot, 2 × kept subcarriers), complex64.
        """
        a, tau = self.cdl(samples, self._coefficients.instants, 1.0)
        path = a[:, 0, :, 0, 0]  # (sample, antenna, path, instant)
        phase = -2 * PI * self._frequencies * tau[0, 0, 0][:, None]
        wave = torch.polar(torch.ones_like(phase), phase)  # (path, subcarrier); the same in every sample
        kept = path[..., : self.link.snapshots].transpose(-1, -2)  # (sample, antenna, snapshot, path)
        response = kept @ wave[:, list(self.link.kept)]
        if not normalise:
            return response
        return response / self._amplitude(path[..., self.link.snapshots :], wave)[:, None, None, None]

    @staticmethod
    def _amplitude(path: torch.Tensor, wave: torch.Tensor) -> torch.Tensor:
        """Root of the mean energy over antennas, instants and all subcarriers, shape (sample,)."""
        samples, antennas, paths, instants = path.shape
        flat = path.transpose(1, 2).reshape(samples, paths, antennas * instants)
        between_paths = flat @ flat.mH / (antennas * instants)  # (sample, path, path)
        between_waves = wave @ wave.mH / wave.shape[1]
        return (between_paths * between_waves).sum((-1, -2)).real.sqrt()


class _Cdl(CDL):
    """Sionna's CDL with a random generator of its own instead of the global one."""

    def __init__(self, generator: torch.Generator, **options) -> None:
        super().__init__(**options)
        self._generator = generator

    @property
    def torch_rng(self) -> torch.Generator:
        return self._generator


class _Coefficients(ChannelCoefficientsGenerator):
    """Steps 10 and 11 of TR 38.901, section 7.5, at chosen instants."""

    def __init__(self, link: Link, generator: torch.Generator, cdl: CDL) -> None:
        super().__init__(
            carrier_frequency=link.carrier,
            tx_array=cdl._tx_array,
            rx_array=cdl._rx_array,
            subclustering=False,
            precision="single",
            device="cpu",
        )
        self._generator = generator
        self._legacy = link.doppler == "legacy"
        symbols = torch.arange(link.symbols, dtype=torch.float32)
        # The quotient that Sionna forms for all symbols: the same bits at the kept ones.
        kept = (symbols / link.symbol_rate)[:: link.keep_every][: link.snapshots]
        # Middles of equal stretches of the symbols 0 … n − 1, whose mean energy normalises the sample.
        stretch = link.symbols / SCALE_INSTANTS
        middles = (torch.arange(SCALE_INSTANTS) + 0.5) * stretch - 0.5
        self._times = torch.cat([kept, middles / link.symbol_rate])
        self.instants = len(self._times)

    @property
    def torch_rng(self) -> torch.Generator:
        return self._generator

    def _step_11(self, phi, topology, k_factor, rays, t, c_ds):
        return super()._step_11(phi, topology, k_factor, rays, self._times, c_ds)

    def _step_11_nlos(self, phi, topology, rays, t):
        angles = rays.aoa, rays.aod, rays.zoa, rays.zod
        field = self._step_11_field_matrix(topology, *angles, self._step_11_phase_matrix(phi, rays))
        offset = self._step_11_array_offsets(topology, *angles)
        doppler = self._step_11_doppler_matrix(topology, *angles, t)
        # (sample, tx, rx, cluster, ray, rx antenna, tx antenna = 1)
        ray = (field * offset).squeeze(-1) * (rays.powers / field.shape[4]).sqrt()[..., None, None]
        cluster = ray.transpose(-1, -2) @ doppler  # (sample, tx, rx, cluster, rx antenna, instant)
        # One "ray" a cluster is left to what sums over rays.
        return cluster.unsqueeze(4).unsqueeze(-2)

    def _step_11_doppler_matrix(self, topology, aoa, aod, zoa, zod, t):
        if self._legacy:
            # Sionna up to 1.1 took the arrival direction although the transmitter moves.
            aod, zod = aoa, zoa
        return super()._step_11_doppler_matrix(topology, aoa, aod, zoa, zod, t)


def terminal(carrier: float) -> PanelArray:
    """The terminal's array: one vertical antenna that hears all directions alike."""
    return PanelArray(
        num_rows_per_panel=1,
        num_cols_per_panel=1,
        polarization="single",
        polarization_type="V",
        antenna_pattern="omni",
        carrier_frequency=carrier,
        precision="single",
        device="cpu",
    )


def panel(carrier: float, array: Array) -> PanelArray:
    """The base station's dual-polarised panel."""
    return PanelArray(
        num_rows_per_panel=array.rows,
        num_cols_per_panel=array.columns,
        polarization="dual",
        polarization_type="cross",
        antenna_pattern="38.901",
        carrier_frequency=carrier,
        precision="single",
        device="cpu",
    )
