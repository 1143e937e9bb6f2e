"""Maps from sparse samples by formula: the samples of each case as points, and the cells in blocks."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits

from .maps import cell_centres, in_units, mask_of, only_target, sampled, scale_of, to_model_space

DISTANCES = 2**23
"""Distances that are held at a time."""


@dataclass(frozen=True)
class Samples:
    """Samples of some maps, as many for each as the one with most has.

    Attributes:
        places: metres, float64, shape (sample, point, 3).
        values: in units, float64, shape (sample, point).
        present: false where a map has fewer samples, shape (sample, point).
    """

    places: torch.Tensor
    values: torch.Tensor
    present: torch.Tensor


Interpolation = Callable[[torch.Tensor, Samples], torch.Tensor]
"""From squared distances (sample, cell, point), inf where absent, and samples to values (sample, cell)."""


class SparseForecaster:
    """Forecasts a map from its samples; where there is none, it says the mean of the training maps.

    Args:
        shape: of the task.
        who: the model's name, for messages.

    Raises:
        InputError: for several targets, or a task without samples.
    """

    fits: Fits = "none"
    uses = frozenset({"context", "observed"})
    views: ClassVar[tuple[str, ...]] = ("field", "volume")

    def __init__(self, shape: TaskShape, who: str) -> None:
        self.shape = shape
        self.target, self.channel = only_target(shape, who), sampled(shape, who)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shaped as the target."""
        found = self.maps(batch)
        made = to_model_space(found, self.shape, self.target).to(batch["context"].dtype)
        return Forecast(made[:, None])

    def maps(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Maps in units, float64, shape (sample, y, x)."""
        raise NotImplementedError

    @property
    def mean(self) -> float:
        """Of the training maps, in units."""
        return scale_of(self.shape, self.target).mean


def samples_of(batch: Mapping[str, torch.Tensor], shape: TaskShape, channel: str) -> Samples:
    """The samples of a batch, those of each map in the order of its cells."""
    mask = mask_of(batch, shape, channel).flatten(1)
    values = in_units(batch, shape, channel).flatten(1).double()
    count = max(1, int(mask.sum(dim=1).max()))
    order = mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :count]  # (sample, point)
    centres = cell_centres(shape, batch["context"]).reshape(-1, 3)
    return Samples(centres[order], values.gather(1, order), mask.gather(1, order))


def interpolated(
    batch: Mapping[str, torch.Tensor], shape: TaskShape, channel: str, interpolate: Interpolation, mean: float
) -> torch.Tensor:
    """Every cell from the samples of its map, block by block of cells.

    Args:
        batch: with `observed`.
        shape: of the task.
        channel: of the samples.
        interpolate: what a value is made by.
        mean: where a map has no sample.

    Returns:
        Units, float64, shape (sample, y, x).
    """
    samples = samples_of(batch, shape, channel)
    centres = cell_centres(shape, batch["context"])
    found = [interpolate(squared, samples) for squared in _squared_distances(centres.reshape(-1, 3), samples)]
    maps = torch.cat(found, dim=1).reshape(-1, *centres.shape[:-1])
    none = ~samples.present.any(dim=1).reshape(-1, *[1] * (maps.ndim - 1))
    return torch.where(none, mean, maps)


def _squared_distances(cells: torch.Tensor, samples: Samples) -> Iterator[torch.Tensor]:
    """Shape (sample, cell, point) of blocks of cells; exact for cells of a grid, so that ties stay ties."""
    block = max(1, DISTANCES // samples.present.numel())
    # Samples lie in cells: where all cells are at one height, so are they.
    axes = [axis for axis in range(3) if bool(cells[:, axis].min() < cells[:, axis].max())] or [0]
    everywhere = bool(samples.present.all())
    for some in cells.split(block):
        first, *others = (some[None, :, None, axis] - samples.places[:, None, :, axis] for axis in axes)
        squared = first.square_()
        for one in others:
            squared += one.square_()
        yield squared if everywhere else torch.where(samples.present[:, None], squared, torch.inf)
