"""What a model is fitted on: training and validation cases of a task or a corpus, never test cases."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tsbench.contracts import TaskShape
from tsbench.data.cases import Cases
from tsbench.data.corpus import OpenedCorpus
from tsbench.data.presented import NoiseSource, Presented, present
from tsbench.data.task_data import TaskData
from tsbench.data.views import View

from .settings import TrainingSettings


@dataclass(frozen=True)
class TaskSource:
    """A task as the source of a fit.

    Attributes:
        data: the opened task. Fits use `train` and `validation` below.
        context: look-back in steps.
        seed: of initial weights, order of the cases, noise in training and dropout.
        settings: of gradient training.
        folder: where checkpoints of an unfinished fit are kept, or None to keep none.
        uses: reserved batch names to gather.
        view: in which the model takes the task.
        progress: draw a progress bar.
        device: where to train (`cpu`, `cuda`).
        on_epoch: called after each whole epoch.
        callbacks: Lightning callbacks of the caller; models that are not trained by gradient know none.
    """

    data: TaskData
    context: int
    seed: int
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    folder: Path | None = None
    uses: frozenset[str] = frozenset({"context"})
    view: View = field(default_factory=View)
    progress: bool = False
    device: str = "cpu"
    on_epoch: Callable[[], None] = lambda: None
    callbacks: tuple[Any, ...] = ()

    @property
    def shape(self) -> TaskShape:
        """What the model is built for."""
        return self.view.shape(self.data.shape(self.context))

    @cached_property
    def train(self) -> Presented:
        """Training cases with the task's noise and with targets, as the model sees them."""
        cases = self.data.windows("train", self.context).using("target", *self.uses)
        return present(cases, self.view, NoiseSource.training(self.data.task, self.data.scale, self.seed))

    @cached_property
    def validation(self) -> Presented:
        """Validation cases with the task's noise and with targets, as the model sees them."""
        cases = self.data.windows("validation", self.context).using("target", *self.uses)
        return present(cases, self.view, NoiseSource.validation(self.data.task, self.data.scale))


@dataclass(frozen=True)
class CorpusSource:
    """A corpus as the source of a fit; attributes as those of `TaskSource`."""

    data: OpenedCorpus
    seed: int
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    folder: Path | None = None
    progress: bool = False
    device: str = "cpu"
    on_epoch: Callable[[], None] = lambda: None
    callbacks: tuple[Any, ...] = ()

    @property
    def shape(self) -> TaskShape:
        """What the model is built for."""
        return self.data.shape

    @property
    def train(self) -> Cases:
        """Sequences of the training series, drawn anew in each epoch."""
        return self.data.train

    @property
    def validation(self) -> Cases:
        """Sequences of the held-out series."""
        return self.data.validation


@dataclass(frozen=True)
class FitReport:
    """What a fit gave.

    Attributes:
        validation_loss: of the weights that were kept, or None where the model has none.
        epochs: that were run, or None.
        flops: of the whole fit, or None where they cannot be counted.
        detail: further numbers for the record, for example the loss of each epoch.
    """

    validation_loss: float | None = None
    epochs: int | None = None
    flops: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)
