"""The eight symmetries of a square map: quarter turns and mirror images, with all that has a direction.

Symmetry k: mirrored west to east where k ≥ 4, then turned counter-clockwise k mod 4 times by 90 degrees.
"""

from collections.abc import Sequence

import torch

from .maps import Maps

SYMMETRIES = 8
AZIMUTHS = ("arrival_azimuth", "transmitter_azimuth")


def turn(maps: Maps, symmetry: torch.Tensor, environment: Sequence[str] = ()) -> Maps:
    """Each sample seen through its symmetry.

    Args:
        maps: square.
        symmetry: of each sample, 0 to 7, int64, shape (sample,).
        environment: names of the columns of the environment.
    """
    arrays = {name: _turned(values, symmetry) for name, values in maps.arrays.items()}
    if "arrival_azimuth" in arrays:
        by_cell = symmetry.reshape(-1, *[1] * (arrays["arrival_azimuth"].ndim - 1))
        arrays["arrival_azimuth"] = turned_azimuth(arrays["arrival_azimuth"], by_cell)
    columns = [
        turned_azimuth(column, symmetry) if name in AZIMUTHS else column
        for name, column in zip(environment, maps.environment.unbind(1), strict=True)
    ]
    turned = torch.stack(columns, dim=1) if columns else maps.environment
    return Maps(arrays, turned_position(maps.position, symmetry), turned, maps.frame)


def turned_azimuth(azimuth: torch.Tensor, symmetry: torch.Tensor) -> torch.Tensor:
    """Degrees counter-clockwise from east, between 0 and 360."""
    mirrored = torch.where(symmetry >= 4, 180 - azimuth, azimuth)
    return (mirrored + 90 * (symmetry % 4)) % 360


def turned_position(position: torch.Tensor, symmetry: torch.Tensor) -> torch.Tensor:
    """Metres x east, y north, z up, shape (sample, 3)."""
    x = torch.where(symmetry >= 4, -position[:, 0], position[:, 0])
    y = position[:, 1]
    quarter = symmetry % 4
    east = torch.stack([x, -y, -x, y]).gather(0, quarter[None])[0]
    north = torch.stack([y, x, -y, -x]).gather(0, quarter[None])[0]
    return torch.stack([east, north, position[:, 2]], dim=1)


def _turned(values: torch.Tensor, symmetry: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(values)
    for one in symmetry.unique().tolist():
        chosen = symmetry == one
        part = values[chosen]
        out[chosen] = torch.rot90(part.flip(-1) if one >= 4 else part, one % 4, dims=(-2, -1))
    return out
