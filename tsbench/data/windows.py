"""Windows of a time series as cases: one gather from one contiguous tensor a batch, no loop over samples."""

from dataclasses import dataclass, field, replace

import torch

from .batch import Batch
from .cases import Cases, Scored
from .runs import runs


@dataclass(frozen=True)
class Windows(Cases):
    """The forecast windows of one split for one look-back.

    Attributes:
        values: model space, filled, float32, shape (row, channel), contiguous.
        truth: scored values in the task's metric space, float32, shape (row, target); NaN-free.
        observed: mask of `values`, or None where everything was observed.
        past, future: covariates, float32, shape (row, coordinate).
        origins: first row of each target, int64, shape (case,), ascending.
        context, horizon: steps.
        target_index: position of the targets among the channels.
        names: reserved names that are gathered.
        scored: the task's data, which know the space in which forecasts are scored.
        time: stamps in nanoseconds since 1970, int64, shape (row, 1), or None where there is no calendar.
    """

    values: torch.Tensor
    truth: torch.Tensor
    observed: torch.Tensor | None
    past: torch.Tensor
    future: torch.Tensor
    origins: torch.Tensor
    context: int
    horizon: int
    target_index: tuple[int, ...]
    names: frozenset[str] = frozenset({"context", "target"})
    scored: Scored | None = field(default=None, repr=False, compare=False)
    time: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.origins)

    def using(self, *names: str) -> "Windows":
        """The same windows with these reserved names gathered."""
        return replace(self, names=frozenset(names))

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases.

        Args:
            cases: positions in `origins`, int64, shape (sample,).

        Returns:
            A batch; context and target are in model space.
        """
        starts = self.origins[cases] - self.context
        window = runs(self.values, starts, self.context + self.horizon)  # (sample, time, channel)
        tensors = {"context": window[:, : self.context]}
        if "target" in self.names:
            tensors["target"] = self._targets(window[:, self.context :])
        if self.observed is not None:
            mask = runs(self.observed, starts, self.context + self.horizon)
            tensors["observed"] = mask[:, : self.context]
            tensors["valid"] = self._targets(mask[:, self.context :])
        if "past_covariates" in self.names:
            tensors["past_covariates"] = runs(self.past, starts, self.context)
        if "future_covariates" in self.names:
            tensors["future_covariates"] = runs(self.future, starts + self.context, self.horizon)
        if "time" in self.names and self.time is not None:
            tensors["time"] = runs(self.time, starts, self.context)[..., 0]
        return Batch(index=cases, **tensors)

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scored values in the metric space and their mask, shape (sample, lead_time, target)."""
        origins = self.origins[cases]
        valid = None
        if self.observed is not None:
            valid = self._targets(runs(self.observed, origins, self.horizon))
        return runs(self.truth, origins, self.horizon), valid

    def _targets(self, window: torch.Tensor) -> torch.Tensor:
        if self.target_index == tuple(range(window.shape[-1])):
            return window
        return window[..., list(self.target_index)]
