"""Cases as a model sees them: with the task's training noise, cut to its look-back, through its view."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tsbench.contracts import Task, TrainingNoise

from .batch import Batch
from .cases import Cases
from .disturbances import apply, case_generators
from .views import View

KEPT_BYTES = 2 * 2**30
"""Contexts with noise that stays the same are kept up to this size, and drawn again above it."""
BLOCK = 256


@dataclass(frozen=True)
class NoiseSource:
    """Where the noise of a split comes from.

    Attributes:
        noise: the task's declaration.
        scale: physical units to model space and back.
        key: of the generators, together with the case; `{epoch}` stands for the epoch.
    """

    noise: TrainingNoise
    scale: object
    key: str

    @classmethod
    def training(cls, task: Task, scale: object, seed: int) -> "NoiseSource | None":
        """Noise of the training part: from run seed, case and, where the task says so, epoch."""
        noise = task.training_noise
        epoch = "" if noise is None or noise.draw == "once" else "|{epoch}"
        return noise and cls(noise, scale, f"training noise|{task.id}|{seed}{epoch}")

    @classmethod
    def validation(cls, task: Task, scale: object) -> "NoiseSource | None":
        """Noise of the validation part: from task and case alone."""
        noise = task.training_noise
        return noise and cls(noise, scale, f"validation noise|{task.id}")

    @property
    def constant(self) -> bool:
        """Whether every epoch sees the same noise."""
        return "{epoch}" not in self.key

    def add(self, batch: Batch, epoch: int) -> Batch:
        """The batch with noise at a level of its own for each case."""
        generators = case_generators(self.key.format(epoch=epoch), "", batch["index"])
        levels = torch.tensor([one.uniform(self.noise.low, self.noise.high) for one in generators])
        noise = self.noise
        return apply(noise.disturbance, batch, generators, levels, noise.options, self.scale, noise.space)


@dataclass(frozen=True)
class Presented(Cases):
    """Cases with noise, a look-back and a view.

    Attributes:
        cases: in the task's own shape.
        view: of the model.
        noise: of the split, or None.
        epoch: of training.
        kept: contexts of all cases with noise, where it stays the same, or None.
    """

    cases: Cases
    view: View
    noise: NoiseSource | None = None
    epoch: int = 0
    kept: torch.Tensor | None = None

    @property
    def context(self) -> int:  # type: ignore[override]
        """Look-back in steps."""
        return self.cases.context

    @property
    def horizon(self) -> int:  # type: ignore[override]
        """Steps to forecast."""
        return self.cases.horizon

    @property
    def width(self) -> int:  # type: ignore[override]
        """Sequences that a case holds."""
        return self.cases.width

    def __len__(self) -> int:
        return len(self.cases)

    def using(self, *names: str) -> "Presented":
        """The same cases with these reserved names gathered."""
        return replace(self, cases=self.cases.using(*names))

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases as the model sees it."""
        batch = self.cases.gather(cases)
        if self.kept is not None:
            batch = batch.replace(context=self.kept[cases])
        elif self.noise is not None:
            batch = self.noise.add(batch, self.epoch)
        return self.view.batch(shorten(batch, self.context))

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scored values, in the task's own shape."""
        return self.cases.gather_truth(cases)

    def to_metric_space(self, values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Forecasts in the task's own shape, in the space where it is scored."""
        return self.cases.to_metric_space(values, index)

    def from_units(self, values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Forecasts in physical units, in the space where the task is scored."""
        return self.cases.from_units(values, index)

    def seasonal_error(self, index: torch.Tensor, power: int = 1) -> torch.Tensor:
        """Scale of MASE of some cases in metric space; with `power` 2 that of RMSSE."""
        return self.cases.seasonal_error(index, power)

    @property
    def seeded(self) -> bool:
        """Whether noise or cases are drawn from the seed of the run."""
        return self.noise is not None or self.cases.seeded

    def drawn(self, seed: int) -> "Presented":
        """The cases that training by gradient goes through; other contexts are disturbed as they come."""
        cases = self.cases.drawn(seed)
        return self if cases is self.cases else replace(self, cases=cases, kept=None)

    def at_epoch(self, epoch: int) -> "Presented":
        """With the cases and the noise of that epoch."""
        cases = self.cases.at_epoch(epoch)
        if cases is self.cases and (self.noise is None or self.noise.constant):
            return self
        return replace(self, cases=cases, epoch=epoch)

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """As the cases want it."""
        return self.cases.order(generator)


def present(cases: Cases, view: View, noise: NoiseSource | None = None) -> Presented:
    """Cases as a model sees them; noise that stays the same is drawn once where it fits in memory."""
    presented = Presented(cases, view, noise)
    if noise is None or not noise.constant:
        return presented
    bare = cases.using("context")
    first = bare.gather(torch.tensor([0]))["context"]
    if len(cases) * first.numel() * first.element_size() > KEPT_BYTES:
        return presented
    blocks: Sequence[torch.Tensor] = [
        noise.add(bare.gather(rows), 0)["context"] for rows in torch.arange(len(cases)).split(BLOCK)
    ]
    return replace(presented, kept=torch.cat(list(blocks)))


def shorten(batch: Batch, context: int) -> Batch:
    """The last `context` steps of a batch's context; itself where it has no more, or no time."""
    whole, names = batch["context"], batch.dimensions("context")
    if "time" not in names:
        return batch
    axis = names.index("time")
    if whole.shape[axis] == context:
        return batch
    return batch.replace(context=whole.narrow(axis, whole.shape[axis] - context, context))
