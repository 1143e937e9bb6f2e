"""Where the cells of a store of maps lie, and what follows from that and from a transmitter's position."""

from dataclasses import dataclass

import torch
import xarray as xr

NEAREST = 1.0
"""Metres: what is nearer to the transmitter counts as that far."""


@dataclass(frozen=True)
class Frame:
    """The cells of a map; its origin is the centre of the map on the ground, row 0 is north, column 0 west.

    Attributes:
        rows, columns: of a map.
        spacing: edge of a cell in metres.
        heights: of the receivers above the ground in metres, one for each z; one of a plane.
        volume: whether maps have the dimension z.
    """

    rows: int
    columns: int
    spacing: float
    heights: tuple[float, ...]
    volume: bool

    @classmethod
    def of(cls, opened: xr.Dataset) -> "Frame":
        """The frame of a store."""
        z = opened["z"].values
        return cls(
            opened.sizes["y"],
            opened.sizes["x"],
            float(opened.attrs["cell_size_m"]),
            tuple(float(one) for one in (z if z.ndim else [z])),
            bool(z.ndim),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a map: (z, y, x) or (y, x)."""
        return (*((len(self.heights),) if self.volume else ()), self.rows, self.columns)

    @property
    def sizes(self) -> dict[str, int]:
        """Dimension → size."""
        return dict(zip(("z", "y", "x") if self.volume else ("y", "x"), self.shape, strict=True))

    def x(self) -> torch.Tensor:
        """Centres of the columns, metres to the east, float32, shape (x,)."""
        return (torch.arange(self.columns) + 0.5) * self.spacing - self.columns * self.spacing / 2

    def y(self) -> torch.Tensor:
        """Centres of the rows, metres to the north, descending, float32, shape (y,)."""
        return self.rows * self.spacing / 2 - (torch.arange(self.rows) + 0.5) * self.spacing

    def z(self) -> torch.Tensor:
        """Heights of the receivers, float32, shaped to combine with a map."""
        return torch.tensor(self.heights).reshape(-1, 1, 1) if self.volume else torch.tensor(self.heights[0])

    def whole(self, plane: torch.Tensor) -> torch.Tensor:
        """A plane of each sample, (sample, y, x), repeated over the heights of a volume."""
        return plane[:, None].expand(-1, *self.shape) if self.volume else plane


def transmitter_plane(position: torch.Tensor, frame: Frame) -> torch.Tensor:
    """The transmitter's height in its cell, 0 elsewhere; one beside the map is put into the nearest cell.

    Args:
        position: x, y, z in metres, shape (sample, 3).
        frame: of the maps.

    Returns:
        Metres, shape (sample, y, x).
    """
    column = (position[:, 0] / frame.spacing + frame.columns / 2).floor().long()
    row = (frame.rows / 2 - position[:, 1] / frame.spacing).floor().long()
    plane = torch.zeros(len(position), frame.rows, frame.columns)
    sample = torch.arange(len(position))
    plane[sample, row.clamp(0, frame.rows - 1), column.clamp(0, frame.columns - 1)] = position[:, 2]
    return plane


def log_distance(position: torch.Tensor, frame: Frame) -> torch.Tensor:
    """log10 of the metres between the transmitter and the receiver of each cell, at least `NEAREST`.

    Args:
        position: x, y, z in metres, shape (sample, 3).
        frame: of the maps.

    Returns:
        Shape (sample, y, x), or (sample, z, y, x) of volumes.
    """
    x, y, z = (one.reshape(-1, *[1] * len(frame.shape)) for one in position.unbind(1))
    squared = (frame.x() - x) ** 2 + (frame.y()[:, None] - y) ** 2 + (frame.z() - z) ** 2
    return 0.5 * squared.clamp_min(NEAREST**2).log10()
