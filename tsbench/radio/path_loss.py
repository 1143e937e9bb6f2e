"""Path loss by formula: free space and 3GPP TR 38.901 (table 7.4.1-1), for generators and models alike."""

from typing import Literal

import numpy as np

LIGHT = 299_792_458.0
"""Metres per second."""
Environment = Literal["uma", "umi"]


def free_space_loss(distance: np.ndarray, frequency: np.ndarray | float) -> np.ndarray:
    """Friis' free-space loss between isotropic antennas.

    Args:
        distance: metres, any shape, positive.
        frequency: Hz.

    Returns:
        dB, same shape.
    """
    return 20 * np.log10(4 * np.pi * distance * frequency / LIGHT)


def path_loss(
    distance: np.ndarray,
    base_height: np.ndarray | float,
    terminal_height: np.ndarray | float,
    frequency: np.ndarray | float,
    environment: Environment = "uma",
) -> tuple[np.ndarray, np.ndarray]:
    """Mean path loss of TR 38.901 in an urban macro or micro cell.

    Heights are used without subtracting the environment height of 1 m, and below 10 m the formula beyond the
    break point is not used, so that a map has no jump around its transmitter.

    Args:
        distance: horizontal, metres, any shape.
        base_height: of the base station, metres.
        terminal_height: metres.
        frequency: Hz.
        environment: `uma` or `umi`.

    Returns:
        Loss with and without line of sight, dB, shape of `distance`.
    """
    slant = np.sqrt(np.square(distance) + np.square(base_height - terminal_height))
    gigahertz, slant = 20 * np.log10(frequency / 1e9), np.maximum(slant, 1.0)
    turn = 4 * base_height * terminal_height * frequency / LIGHT
    lift = np.square(turn) + np.square(base_height - terminal_height)
    near, steep, beyond = (28.0, 22.0, 9.0) if environment == "uma" else (32.4, 21.0, 9.5)
    with np.errstate(divide="ignore"):
        far = near + 40 * np.log10(slant) + gigahertz - beyond * np.log10(lift)
    sight = np.where(distance <= turn, near + steep * np.log10(slant) + gigahertz, far)
    if environment == "uma":
        hidden = 13.54 + 39.08 * np.log10(slant) + gigahertz - 0.6 * (terminal_height - 1.5)
    else:
        hidden = 22.4 + 35.3 * np.log10(slant) + 1.065 * gigahertz - 0.3 * (terminal_height - 1.5)
    return sight, np.maximum(sight, hidden)


def uma_prior_loss(
    distance: np.ndarray,
    base_height: np.ndarray | float,
    terminal_height: float,
    frequency: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray]:
    """Path loss of Geo2SigMap's prior (Li et al., arXiv 2312.14303): UMa, with the quirk of its code.

    Below 10 m the formula beyond the break point is used, as there.

    Args:
        distance: horizontal, metres, any shape, float64.
        base_height: of the base station, metres.
        terminal_height: metres.
        frequency: Hz.

    Returns:
        Loss without and with line of sight, dB; the prior is minus the first.
    """
    lift = base_height - terminal_height
    slant = np.sqrt(np.square(distance) + lift**2)
    gigahertz = 20 * np.log10(frequency / 1e9)
    turn = 4 * base_height * terminal_height * frequency / LIGHT
    near = 28 + 22 * np.log10(slant) + gigahertz
    far = 28 + 40 * np.log10(slant) + gigahertz - 9 * np.log10(turn**2 + lift**2)
    sight = np.where((distance >= 10) & (distance <= turn), near, far)
    hidden = 13.54 + 39.08 * np.log10(slant) + gigahertz - 0.6 * (terminal_height - 1.5)
    return np.maximum(sight, hidden), sight


def uma_prior(
    cells: int, cell: float, base_height: float, frequency: float, terminal_height: float = 2.0
) -> np.ndarray:
    """Geo2SigMap's path-gain prior for a transmitter in the pixel (cells / 2, cells / 2).

    Distances are truncated to whole metres before the formula, as its look-up table does.

    Args:
        cells: rows and columns of the map.
        cell: edge of a cell, metres.
        base_height: of the transmitter, metres.
        frequency: Hz.
        terminal_height: metres.

    Returns:
        Path gain in dB, shape (cells, cells), float64.
    """
    offsets = (np.arange(cells) - cells // 2) * cell
    distance = np.floor(np.hypot(offsets[:, None], offsets[None, :]))
    return -uma_prior_loss(distance, base_height, terminal_height, frequency)[0]
