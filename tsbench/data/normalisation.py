"""Normalisation fitted on the training part: physical units to model space and back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch


class Affine(Protocol):
    """What a task's data need of a normalisation, whatever its values are."""

    def to_model(self, values: torch.Tensor) -> torch.Tensor:
        """Physical units to model space."""
        ...

    def to_units(self, values: torch.Tensor) -> torch.Tensor:
        """Model space to physical units."""
        ...


@dataclass(frozen=True)
class Scale:
    """An affine map of each variable, model = (units − shift) / factor, with the training mean and spread.

    Attributes:
        shift, factor: of the map, float64, shape (channel,); (sample, 1, channel) where each sample of a
            batch has a map of its own.
        mean, std: mean and population standard deviation of the training part in the space at hand, float64,
            same shape.
    """

    shift: torch.Tensor
    factor: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def to_model(self, values: torch.Tensor) -> torch.Tensor:
        """Physical units to model space; channels last."""
        return (values - self.shift.to(values)) / self.factor.to(values)

    def to_units(self, values: torch.Tensor) -> torch.Tensor:
        """Model space to physical units; channels last."""
        return values * self.factor.to(values) + self.shift.to(values)

    def in_units(self) -> "Scale":
        """The same map, `mean` and `std` as they are in physical units."""
        return self

    def in_model_space(self) -> "Scale":
        """The same map, `mean` and `std` as they are in model space."""
        mean, std = (self.mean - self.shift) / self.factor, self.std / self.factor
        return Scale(self.shift, self.factor, mean, std)

    def channels(self, index: list[int]) -> "Scale":
        """The map of some of the channels."""
        return Scale(*(one[..., index] for one in (self.shift, self.factor, self.mean, self.std)))

    def of(self, batch: Mapping[str, torch.Tensor]) -> "Scale":
        """The map of a batch: the same for all."""
        return self


@dataclass(frozen=True)
class SeriesScale:
    """A map of each series of a collection.

    Attributes:
        shift, factor, mean, std: as those of a Scale, shape (series, channel).
    """

    shift: torch.Tensor
    factor: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def of(self, batch: Mapping[str, torch.Tensor]) -> Scale:
        """The maps of a batch's samples, by its `series`."""
        return self.of_series(batch["series"])

    def of_series(self, series: torch.Tensor) -> Scale:
        """The maps of some series, each shape (sample, 1, channel); `series`: int64, shape (sample,)."""
        rows = series.to(self.shift.device)
        return Scale(*(one[rows][:, None] for one in (self.shift, self.factor, self.mean, self.std)))


@dataclass(frozen=True)
class PartScale:
    """An affine map of all real parts and one of all imaginary parts.

    Attributes:
        shift, factor: of real and imaginary part, model = (units − shift) / factor, float64, shape (2,).
    """

    shift: torch.Tensor
    factor: torch.Tensor

    def to_model(self, values: torch.Tensor) -> torch.Tensor:
        """Physical units to model space; complex, any shape."""
        parts = torch.view_as_real(values)
        return torch.view_as_complex((parts - self.shift.to(parts)) / self.factor.to(parts))

    def to_units(self, values: torch.Tensor) -> torch.Tensor:
        """Model space to physical units; complex, any shape."""
        parts = torch.view_as_real(values.contiguous())
        return torch.view_as_complex(parts * self.factor.to(parts) + self.shift.to(parts))

    def of(self, batch: Mapping[str, torch.Tensor]) -> "PartScale":
        """The map of a batch: the same for all."""
        return self

    def in_units(self) -> "PartScale":
        """The same map."""
        return self

    def in_model_space(self) -> "PartScale":
        """The same map."""
        return self


def fit_part_scale(blocks: Iterable[np.ndarray], kind: str) -> PartScale:
    """Fit one map of real and one of imaginary parts.

    Args:
        blocks: the training part, complex, any shape, in physical units.
        kind: `zscore_parts` (population standard deviation + 1e-8, as its authors add) or `none`.

    Raises:
        ValueError: where a value is not finite.
    """
    if kind == "none":
        return PartScale(torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
    mean, deviation = part_moments(blocks)
    return PartScale(torch.from_numpy(mean), torch.from_numpy(deviation + 1e-8))


def part_moments(blocks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of all real parts and of all imaginary parts.

    Args:
        blocks: complex, any shape; together one set of numbers.

    Returns:
        Two arrays of float64, shape (2,): real part, imaginary part.

    Raises:
        ValueError: where a value is not finite.
    """
    sums, squares, count = np.zeros(2), np.zeros(2), 0
    for block in blocks:
        for part, numbers in enumerate((np.real(block), np.imag(block))):
            sums[part] += numbers.sum(dtype=np.float64)
            squares[part] += np.square(numbers, dtype=np.float64).sum()
        count += block.size
    if not np.isfinite(squares).all():
        raise ValueError("the training part holds NaN or infinite values")
    mean = sums / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0.0))


def fit_scale(train: np.ndarray, kind: str) -> Scale:
    """Fit the normalisation of a task on its training rows.

    Args:
        train: float64, shape (row, channel), in physical units; NaN is left out.
        kind: `zscore` (population standard deviation; 1 where a variable is constant) or `none`.
    """
    mean = torch.from_numpy(np.nanmean(train, axis=0))
    std = torch.from_numpy(np.nanstd(train, axis=0))
    if kind == "none":
        return Scale(torch.zeros_like(mean), torch.ones_like(std), mean, std)
    return Scale(mean, torch.where(std > 0, std, 1.0), mean, std)


def fit_series_scale(values: np.ndarray, sizes: np.ndarray, ends: np.ndarray, kind: str) -> SeriesScale:
    """Fit the normalisation of each series on its training part.

    Args:
        values: all values, series after series, float64, shape (observation, channel); NaN is left out.
        sizes: number of values of each series, shape (series,), each above 0.
        ends: number of values of each training part, shape (series,).
        kind: `zscore` (population standard deviation; 1 where a series is constant) or `none`. The mean of a
            series without a value to learn from is 0.
    """
    first = np.cumsum(sizes) - sizes
    position = np.arange(len(values)) - np.repeat(first, sizes)
    seen = (position < np.repeat(ends, sizes))[:, None] & ~np.isnan(values)
    count = np.maximum(np.add.reduceat(seen, first, axis=0, dtype=np.int64), 1)
    mean = np.add.reduceat(np.where(seen, values, 0.0), first, axis=0) / count
    centred = np.where(seen, values - np.repeat(mean, sizes, axis=0), 0.0)
    std = np.sqrt(np.add.reduceat(centred**2, first, axis=0) / count)
    # A constant series has a spread of rounding errors, and would be divided by them.
    std = np.where(std > 1e-12 * np.abs(mean), std, 0.0)
    moments = torch.from_numpy(mean), torch.from_numpy(std)
    if kind == "none":
        return SeriesScale(torch.zeros_like(moments[0]), torch.ones_like(moments[1]), *moments)
    return SeriesScale(moments[0], torch.where(moments[1] > 0, moments[1], 1.0), *moments)
