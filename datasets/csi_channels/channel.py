"""Draws the samples of one cell with Sionna's tapped delay lines and urban scenarios.

Whatever Sionna draws comes from its own generator of the processor; that is put in the state of the cell's
seed, and back where it was.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..csi_rrg.channel import BATCH, one_thread, simulator
from ..csi_rrg.grid import Array, Cell, Link

if TYPE_CHECKING:
    import torch

O2I_LOSS = "low"
"""Asked for by Sionna; no terminal is indoors."""


def draw_cell(
    link: Link, cell: Cell, samples: int, correlation: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the channels of a cell.

    Args:
        link: carrier, numerology and array.
        cell: model (`TDL-A` to `TDL-E`, `UMi`, `UMa`), delay spread and speed.
        samples: how many.
        correlation: of the outermost antennas of a tapped delay line, see `antenna_correlation`.
        seed: of the cell.

    Returns:
        Uplink band, then downlink band, shape (sample, antenna, snapshot, 2 × subcarrier), complex64; and the
        root-mean-square delay spread of each sample, s, float64, shape (sample,).

    Raises:
        InputError: where Sionna is missing or cannot be imported.
    """
    import torch

    simulator()  # one line where Sionna is missing
    with one_thread(), torch.no_grad(), _seeded(seed):
        sizes = [min(BATCH, samples - start) for start in range(0, samples, BATCH)]
        drawn = [_draw(link, cell, size, correlation) for size in sizes]
    responses, spreads = zip(*drawn, strict=True)
    return np.concatenate(responses), np.concatenate(spreads)


def antenna_correlation(array: Array, correlation: float) -> "torch.Tensor":
    """Correlation of the base station's antennas: α^((i − j)/(n − 1))² over positions, 0 over polarisation.

    3GPP TS 38.101-4, annex B.2.3.1, has this for n = 4 positions in a line.

    Args:
        array: of the base station; its positions count in a line.
        correlation: α, between the first position and the last.

    Returns:
        complex64, shape (antenna, antenna).
    """
    import torch

    positions = array.rows * array.columns
    place = torch.arange(positions, dtype=torch.float64)
    apart = (place[:, None] - place) / max(positions - 1, 1)
    return torch.kron(torch.eye(2), correlation ** apart.square()).to(torch.complex64)


def _draw(link: Link, cell: Cell, samples: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    import torch
    from sionna.phy.channel import subcarrier_frequencies

    rate = 1 / link.interval
    if cell.model.startswith("TDL-"):
        a, tau = _tapped(link, cell, correlation)(samples, link.snapshots, rate)
    else:
        a, tau = _dropped(link, cell, samples)(link.snapshots, rate)
    path = a[:, 0, :, 0, 0].transpose(-1, -2)  # (sample, antenna, snapshot, path)
    delay = tau[:, 0, 0]  # (sample, path)
    frequencies = subcarrier_frequencies(link.subcarriers, link.spacing, device="cpu")
    phase = -2 * torch.pi * delay[..., None] * frequencies
    wave = torch.polar(torch.ones_like(phase), phase)  # (sample, path, subcarrier)
    response = path @ wave[:, None]  # (sample, antenna, snapshot, subcarrier)
    amplitude = response.abs().square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    kept = response[..., list(link.kept)] / amplitude
    return kept.numpy(), _delay_spread(path, delay).numpy()


def _tapped(link: Link, cell: Cell, correlation: float):
    from sionna.phy.channel.tr38901 import TDL

    return TDL(
        cell.model.removeprefix("TDL-"),
        cell.delay_spread / 1e9,
        link.carrier,
        min_speed=float(cell.speed),
        max_speed=float(cell.speed),
        num_rx_ant=link.array.antennas,
        num_tx_ant=1,
        rx_corr_mat=antenna_correlation(link.array, correlation),
        precision="single",
        device="cpu",
    )


def _dropped(link: Link, cell: Cell, samples: int):
    """An urban cell with one terminal for each sample, its place, heading and orientation drawn."""
    from sionna.phy.channel import gen_single_sector_topology
    from sionna.phy.channel.tr38901 import UMa, UMi

    from ..csi_rrg.coefficients import panel, terminal

    kind = {"UMi": UMi, "UMa": UMa}[cell.model]
    model = kind(
        carrier_frequency=link.carrier,
        o2i_model=O2I_LOSS,
        ut_array=terminal(link.carrier),
        bs_array=panel(link.carrier, link.array),
        direction="uplink",
        # Samples are scaled to unit energy, so that neither is seen.
        enable_pathloss=False,
        enable_shadow_fading=False,
        precision="single",
        device="cpu",
    )
    topology = gen_single_sector_topology(
        samples,
        1,
        cell.model.lower(),
        indoor_probability=0.0,
        min_ut_velocity=float(cell.speed),
        max_ut_velocity=float(cell.speed),
        precision="single",
        device="cpu",
    )
    model.set_topology(*topology)
    return model


def _delay_spread(path: "torch.Tensor", delay: "torch.Tensor") -> "torch.Tensor":
    """Root-mean-square delay over the paths, by their power over antennas and snapshots, shape (sample,)."""
    power = path.abs().double().square().mean(dim=(1, 2))  # (sample, path)
    power = power / power.sum(dim=1, keepdim=True)
    mean = (power * delay).sum(dim=1, keepdim=True)
    return (power * (delay - mean).square()).sum(dim=1).sqrt()


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    from sionna.phy import config

    generator = config.torch_rng("cpu")
    before = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(before)
