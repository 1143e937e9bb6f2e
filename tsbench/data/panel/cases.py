"""Cases of a panel: each a row of the store with the periods before it, gathered by index."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from ..batch import Batch
from ..cases import Cases, Scored
from ..normalisation import Scale
from .arrays import PanelArrays

PAST = {"past_covariates": ("sample", "period", "coordinate")}
"""Targets of the periods before go by periods, not by the steps of the context."""


@dataclass(frozen=True)
class PanelScale:
    """Normalisation of a panel, fitted on the training rows.

    Attributes:
        context, target: of channels and of the target.
        static, entity: of these features; codes keep what they are.
    """

    context: Scale
    target: Scale
    static: Scale | None = None
    entity: Scale | None = None

    def of(self, batch: object) -> Scale:
        """That of the context, for disturbances: the same for all."""
        return self.context


@dataclass(frozen=True)
class PanelCases(Cases):
    """Rows of one part.

    Attributes:
        arrays: of the store.
        rows: one a case, int64.
        history: rows of the periods of each row of the store, its own last, int64, shape (row, period).
        scale: physical units to model space.
        context: look-back in steps.
        names: reserved names that are gathered.
        scored: the task's data.
        horizon: one value.
    """

    arrays: PanelArrays
    rows: torch.Tensor
    history: torch.Tensor
    scale: PanelScale
    context: int
    names: frozenset[str] = frozenset({"context", "target"})
    scored: Scored | None = field(default=None, repr=False, compare=False)
    horizon: int = 1

    def __len__(self) -> int:
        return len(self.rows)

    def using(self, *names: str) -> "PanelCases":
        """The same cases with these reserved names gathered."""
        return replace(self, names=frozenset(names))

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases in model space; what is not observed is 0 there."""
        rows = self.rows[cases]
        periods = self.history[rows, -self._periods :]  # (sample, period)
        values = self.arrays.context[periods].flatten(1, 2)[:, -self.context :]  # (sample, time, channel)
        tensors = {"context": self.scale.context.to_model(values), "index": cases}
        if self._gaps:
            observed = ~values.isnan()
            tensors["context"] = torch.where(observed, tensors["context"], 0.0)
            tensors["observed"] = observed
        elif "observed" in self.names:
            tensors["observed"] = torch.ones_like(values, dtype=torch.bool)
        if "target" in self.names:
            tensors["target"] = self._targets(rows)[:, None]
        if "past_covariates" in self.names and self.arrays.layout.past_targets:
            tensors["past_covariates"] = self._past(rows)
        if "time" in self.names and self.arrays.begin is not None:
            tensors["time"] = self._stamps(periods)
        if "position" in self.names and self.arrays.position is not None:
            tensors["position"] = self.arrays.position[rows]
        tensors |= self._features(rows)
        return Batch(PAST, **tensors)

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Targets in the metric space, float64, shape (sample, 1, 1); every one counts."""
        truth = self.arrays.target[self.rows[cases]][:, None, None]
        return (truth if self.scored is None else self.scored.from_units(truth)), None

    @cached_property
    def _periods(self) -> int:
        """Periods that the look-back reaches into."""
        return -(-self.context // self.arrays.context.shape[1])

    @cached_property
    def _gaps(self) -> bool:
        return bool(self.arrays.context.isnan().any())

    def _targets(self, rows: torch.Tensor) -> torch.Tensor:
        """In model space, float32, shape (row, ..., 1)."""
        return self.scale.target.to_model(self.arrays.target[rows][..., None]).float()

    def _past(self, rows: torch.Tensor) -> torch.Tensor:
        """Targets of the periods of the context but its own, then the newest of them again.

        Shape (sample, period, 1); y(t − n + 1), …, y(t − 1), y(t − 1).
        """
        before = self.history[rows]
        return self._targets(torch.cat([before[:, -self._periods : -1], before[:, -2:-1]], dim=1))

    def _stamps(self, periods: torch.Tensor) -> torch.Tensor:
        """Nanoseconds since 1970, int64, shape (sample, time)."""
        assert self.arrays.begin is not None
        steps = torch.arange(self.arrays.context.shape[1]) * self.arrays.step_nanoseconds
        stamps = torch.from_numpy(self.arrays.begin)[periods][..., None] + steps  # (sample, period, step)
        return stamps.flatten(1, 2)[:, -self.context :]

    def _features(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}
        if "static" in self.names and self.arrays.static is not None:
            assert self.scale.static is not None
            found["static"] = self.scale.static.to_model(self.arrays.static[rows])
        if "categorical" in self.names and self.arrays.categorical is not None:
            found["categorical"] = self.arrays.categorical[rows]
        if self.names & {"entity", "entity_mask"} and self.arrays.entities is not None:
            assert self.scale.entity is not None
            values = self.arrays.entities[rows]  # (sample, entity, feature)
            found["entity"] = self.scale.entity.to_model(values).nan_to_num()
            found["entity_mask"] = ~values.isnan().all(dim=-1)
        return found
