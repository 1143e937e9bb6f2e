"""Cases of a store of fields: windows around a forecast origin of one member, gathered from one tensor."""

from dataclasses import dataclass, field, replace

import torch

from tsbench.data.batch import Batch
from tsbench.data.cases import Cases, Scored
from tsbench.data.views import CONTEXT_DIMENSIONS, dimensions

from .climatology import Climatology
from .reference import GridReference
from .scale import GridScale

WIDTH = 16
"""Sequences that a case counts as: a batch of the default size holds 16 cases."""
OWN = {
    **dimensions("grid"),
    "observed": CONTEXT_DIMENSIONS["grid"],
    "static": ("sample", "channel", "latitude", "longitude"),
}


@dataclass(frozen=True)
class GridWindows(Cases):
    """Windows of some members.

    Attributes:
        fields: in physical units, float32, shape (member, time, channel, latitude, longitude).
        statics: in model space, float32, shape (member, static, latitude, longitude).
        members, origins: of each case, int64, shape (case,); the origin is the last step of the context.
        read, wanted: positions of the channels of context and target.
        scale, target_scale: physical units to model space, of the channels of context and target.
        reference: of metrics, without the climatology of each case.
        climatology: of the targets in metric space, where it depends on the valid time.
        context, horizon: steps.
        names: reserved names that are gathered.
        scored: the task's data.
        units: whether the task is scored in physical units.
    """

    fields: torch.Tensor
    statics: torch.Tensor
    members: torch.Tensor
    origins: torch.Tensor
    read: list[int]
    wanted: list[int]
    scale: GridScale
    target_scale: GridScale
    reference: GridReference
    climatology: Climatology
    context: int
    horizon: int
    names: frozenset[str] = frozenset({"context", "target"})
    width: int = WIDTH
    scored: Scored | None = field(default=None, repr=False, compare=False)
    units: bool = True

    def __len__(self) -> int:
        return len(self.origins)

    def using(self, *names: str) -> "GridWindows":
        """The same windows with these reserved names gathered."""
        return replace(self, names=frozenset(names))

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases in model space."""
        known = torch.arange(1 - self.context, 1)
        tensors = {"context": self.scale.to_model(self._take(cases, known, self.read)), "index": cases}
        if "target" in self.names:
            ahead = torch.arange(1, self.horizon + 1)
            tensors["target"] = self.target_scale.to_model(self._take(cases, ahead, self.wanted))
        if "static" in self.names:
            tensors["static"] = self.statics[self.members[cases]]
        return Batch(OWN, **tensors)

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Targets in the metric space; every value counts."""
        truth = self._take(cases, torch.arange(1, self.horizon + 1), self.wanted)
        return (truth if self.units else self.target_scale.to_model(truth)), None

    def seasonal_error(self, index: torch.Tensor, power: int = 1) -> GridReference:  # type: ignore[override]
        """What metrics of fields read, with the climatology of the valid times of some cases."""
        if self.climatology.constant is not None:
            return self.reference
        steps = self.origins[index][:, None] + torch.arange(1, self.horizon + 1)
        return replace(self.reference, climatology=self.climatology.at(steps))

    def _take(self, cases: torch.Tensor, lags: torch.Tensor, channels: list[int]) -> torch.Tensor:
        """Values of some channels at steps relative to the origin, (sample, step, channel, lat, lon)."""
        steps = self.origins[cases][:, None] + lags
        taken = self.fields[self.members[cases][:, None], steps]
        return taken if channels == list(range(taken.shape[2])) else taken[:, :, channels]
