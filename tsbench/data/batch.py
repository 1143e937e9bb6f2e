"""A Batch: tensors under reserved names with fixed dimensions. A name that a task lacks is absent."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

DIMENSIONS: dict[str, tuple[str, ...]] = {
    "context": ("sample", "time", "channel"),
    "target": ("sample", "lead_time", "channel"),
    "observed": ("sample", "time", "channel"),
    "valid": ("sample", "lead_time", "channel"),
    "past_covariates": ("sample", "time", "coordinate"),
    "future_covariates": ("sample", "lead_time", "coordinate"),
    "time": ("sample", "time"),
    "position": ("sample", "coordinate"),
    "static": ("sample", "feature"),
    "categorical": ("sample", "feature"),
    "entity": ("sample", "entity", "feature"),
    "entity_mask": ("sample", "entity"),
    "environment": ("sample", "feature"),
    "length": ("sample",),
    "series": ("sample",),
    "index": ("sample",),
    "group": ("sample",),
}
"""Reserved names that exist so far, with their dimensions in the view `sequence`; other views name their own.
`observed` and `valid` are masks of context and target (true: a value); `time` holds the stamps of the
context, nanoseconds since 1970, int64; `index` counts the cases of a split from 0; samples of one `group` may
be coupled by a model. Target channels are the task's targets, a part of the context's. `series` is the number
of a sample's series in its collection, and `length` says how many of the last steps of the context are its
own: those before are padding, 0 and not observed. `entity` holds features of a few parts of a sample, in no
order, and `entity_mask` says which of them there are. `position` is where a sample lies, in units: latitude
and longitude in degrees, or where the transmitter of a map is (`tsbench.contracts.field`); `environment` is
what else is known of it."""


def by_sample(value: float | torch.Tensor, dimensions: int) -> float | torch.Tensor:
    """A number, or one for each sample (sample,), shaped to combine with a tensor of that many dimensions."""
    return value.reshape(-1, *[1] * (dimensions - 1)) if isinstance(value, torch.Tensor) else value


class Batch(Mapping[str, torch.Tensor]):
    """An immutable mapping from reserved names to tensors.

    Args:
        dimensions: reserved name → dimension names, where they differ from `DIMENSIONS`.
        tensors: reserved name → tensor.

    Raises:
        ValueError: for a name that is not reserved, or a tensor of another rank than its name says.
    """

    __slots__ = ("_own", "_tensors")

    def __init__(
        self, dimensions: Mapping[str, tuple[str, ...]] | None = None, /, **tensors: torch.Tensor
    ) -> None:
        self._own = dimensions or {}
        for name, tensor in tensors.items():
            if name not in DIMENSIONS:
                raise ValueError(f"'{name}' is not a reserved batch name; there are {sorted(DIMENSIONS)}")
            if tensor.ndim != len(self.dimensions(name)):
                raise ValueError(
                    f"'{name}' has the dimensions {self.dimensions(name)}, not {tensor.ndim} of them"
                )
        self._tensors = tensors

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def dimensions(self, name: str) -> tuple[str, ...]:
        """Dimension names of a tensor of this batch."""
        return self._own.get(name) or DIMENSIONS[name]

    @property
    def size(self) -> int:
        """Number of samples."""
        return next(iter(self._tensors.values())).shape[0]

    def replace(self, **tensors: torch.Tensor) -> "Batch":
        """A batch with some tensors replaced or added."""
        return Batch(self._own, **{**self._tensors, **tensors})

    def take(self, samples: torch.Tensor) -> "Batch":
        """Some samples of the batch; `samples`: positions, or a mask of shape (sample,)."""
        return Batch(self._own, **{name: tensor[samples] for name, tensor in self._tensors.items()})

    def to(self, device: Any, non_blocking: bool = False) -> "Batch":
        """The batch on another device; itself where it is there already."""
        if all(tensor.device == torch.device(device) for tensor in self._tensors.values()):
            return self
        return Batch(
            self._own,
            **{name: one.to(device, non_blocking=non_blocking) for name, one in self._tensors.items()},
        )
