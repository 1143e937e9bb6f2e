"""What a model is fitted on: the training and validation windows of a task. Test windows are out of reach."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tsbench.contracts import TaskShape
from tsbench.data.task_data import TaskData
from tsbench.data.windows import Windows

from .settings import TrainingSettings


@dataclass(frozen=True)
class TaskSource:
    """A task as the source of a fit.

    Attributes:
        data: the opened task. Fits use `train` and `validation` below.
        context: look-back in steps.
        seed: of initial weights, order of the windows and dropout.
        settings: of gradient training.
        folder: where checkpoints of an unfinished fit are kept, or None to keep none.
        uses: reserved batch names to gather.
        progress: draw a progress bar.
        device: where to train (`cpu`, `cuda`).
        on_epoch: called after each whole epoch.
    """

    data: TaskData
    context: int
    seed: int
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    folder: Path | None = None
    uses: frozenset[str] = frozenset({"context"})
    progress: bool = False
    device: str = "cpu"
    on_epoch: Callable[[], None] = lambda: None

    @property
    def shape(self) -> TaskShape:
        """What the model is built for."""
        return self.data.shape(self.context)

    @property
    def train(self) -> Windows:
        """Training windows, with targets."""
        return self.data.windows("train", self.context).using("target", *self.uses)

    @property
    def validation(self) -> Windows:
        """Validation windows, with targets."""
        return self.data.windows("validation", self.context).using("target", *self.uses)


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
