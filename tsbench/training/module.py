"""NeuralForecaster: the base of neural models. A model writes `__init__` and `forward`; the rest is here."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch.nn import functional

from tsbench.contracts import Forecast, JobFailed, TaskShape
from tsbench.contracts.model import Fits

from .build import NoHyperparameters
from .heads import Head
from .settings import TrainingSettings
from .source import CorpusSource, FitReport, TaskSource


def symmetric_percentage_loss(
    forecast: torch.Tensor, target: torch.Tensor, reduction: str = "mean"
) -> torch.Tensor:
    """200 |y − f| / (|y| + |f|), 0 where both are 0: the error by which the M4 competition ranks."""
    size = forecast.abs() + target.abs()
    each = 200 * (forecast - target).abs() / torch.where(size > 0, size, 1.0)
    return each if reduction == "none" else each.sum() if reduction == "sum" else each.mean()


LOSSES = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
    "smape": symmetric_percentage_loss,
}
"""Losses of each value of a point forecast."""


class NeuralForecaster(pl.LightningModule):
    """A forecaster that is trained by gradient descent.

    Subclasses define `__init__(self, shape, hyperparameters)`, which calls `super().__init__(shape)`, and
    `forward(self, batch)`, which returns the forecast in model space, shape (sample, lead_time, target).
    Their hyper-parameters are a frozen dataclass named `Hyperparameters`. With a probabilistic loss the same
    model is built for more steps, and a head reads these as quantiles or parameters (see heads.py).

    Attributes:
        probabilistic_head: reads the numbers of a probabilistic forecast; None for a point forecast.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context"})
    stackable: ClassVar[bool] = False
    """Whether several seeds may be fitted together: the loss needs nothing but parameters and batch, and
    `torch.func.vmap` can map it. See `tsbench.training.together`."""
    probabilistic: ClassVar[bool] = True
    """Whether `forward` may give any number of steps, or `adopt` is its own; false: point forecasts only."""
    own_numbers: ClassVar[bool] = False
    """Whether the model is built for the task's own horizon, and `adopt` makes it give a head's numbers."""
    whole_periods: ClassVar[bool] = False
    """Whether the steps are forecast in whole periods."""
    probabilistic_head: Head | None = None
    Hyperparameters: ClassVar[type] = NoHyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        self.shape = shape
        self.settings = TrainingSettings()
        self._losses: dict[str, list[tuple[torch.Tensor, Any]]] = {"train": [], "validation": []}

    def adopt(self, head: Head) -> None:
        """Make probabilistic forecasts, which `head` reads from what `forward` gives: its `widened` shape."""
        self.probabilistic_head = head

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Forecast of a batch: its point, or what the head makes of the model's numbers."""
        if self.probabilistic_head is None:
            return Forecast(self(batch))
        numbers, spread = self._numbers(self.probabilistic_head, batch)
        return self.probabilistic_head.forecast(numbers, spread, realizations, generator)

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Train on the source from the present weights, or from `init` (a state_dict)."""
        from .fit import fit_by_gradient

        if init is not None:
            self.load_state_dict(dict(init), strict=True)
        return fit_by_gradient(self, source)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """Training loss over the observed targets of a batch, a scalar."""
        if self.probabilistic_head is not None:
            numbers, spread = self._numbers(self.probabilistic_head, batch)
            return _reduce(
                self.probabilistic_head.loss(numbers, batch["target"], spread), batch.get("valid"), reduction
            )
        forecast, target = self(batch), batch["target"]
        if forecast.shape != target.shape:
            # Torch would stretch one to the other, and train something else.
            raise JobFailed(
                f"{type(self).__name__}.forward gave the shape {tuple(forecast.shape)}; "
                f"(sample, lead_time, target) is {tuple(target.shape)}"
            )
        if self.settings.loss == "nmse":
            return _normalised_squared_error(forecast, target, batch.get("valid"), reduction)
        function = LOSSES[self.settings.loss]
        if "valid" not in batch:
            return function(forecast, target, reduction=reduction)
        return _reduce(function(forecast, target, reduction="none"), batch["valid"], reduction)

    def terms(self, batch: Mapping[str, torch.Tensor]) -> int | torch.Tensor:
        """How many terms the summed loss of a batch has."""
        if self.settings.loss == "nmse":
            return batch["target"].shape[:2].numel()
        return batch["valid"].sum() if "valid" in batch else batch["target"].numel()

    def training_step(self, batch: Mapping[str, torch.Tensor], batch_index: int) -> torch.Tensor:
        """One step of the Trainer."""
        loss = self.loss(batch)
        self._losses["train"].append((loss.detach(), 1))
        return loss

    def validation_step(self, batch: Mapping[str, torch.Tensor], batch_index: int) -> None:
        """Sums the loss over the validation windows, so that its mean does not depend on the batch size."""
        self._losses["validation"].append((self.loss(batch, reduction="sum"), self.terms(batch)))

    def on_train_epoch_end(self) -> None:
        """Log the mean of the epoch's training losses."""
        self.log("train_loss", self._mean_loss("train"))

    def on_validation_epoch_end(self) -> None:
        """Log the validation loss, which early stopping and the choice of weights watch."""
        self.log("validation_loss", self._mean_loss("validation"))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam or AdamW; the learning rate of each epoch or step is set by the fit."""
        settings = self.settings
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimiser]
        return kind(
            self.parameters(),
            lr=settings.learning_rate,
            betas=(settings.momentum, settings.second_momentum),
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches know how to move; those that are in place stay."""
        return batch.to(device)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":
            # Lightning notes the hook at work some forty times a step; nn.Module's own way is a tenth of a
            # step.
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def _numbers(self, head: Head, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the head reads: the model's numbers, and the spread of the look-back."""
        values = self(batch)
        wanted = (len(batch["context"]), head.widened.horizon, len(self.shape.targets))
        if values.shape != wanted:
            raise JobFailed(
                f"{type(self).__name__}.forward gave the shape {tuple(values.shape)}; "
                f"(sample, lead_time, target) is {wanted}, since shape.horizon is {wanted[1]}"
            )
        return head.split(values), head.spread(batch["context"], batch.get("observed"))

    def _mean_loss(self, stage: str) -> float:
        """Mean over the stage's batches, weighted by their counts; the sums start anew."""
        losses, counts = zip(*self._losses[stage], strict=True)
        self._losses[stage] = []
        total = torch.stack([loss.double() for loss in losses]).sum()
        return float(total / sum(counts))


def _reduce(each: torch.Tensor, valid: torch.Tensor | None, reduction: str) -> torch.Tensor:
    """Sum or mean of the loss of each value, over those that are valid."""
    if valid is None:
        return each.sum() if reduction == "sum" else each.mean()
    each = torch.where(valid, each, 0.0)
    return each.sum() if reduction == "sum" else each.sum() / valid.sum().clamp_min(1)


def _normalised_squared_error(
    forecast: torch.Tensor, target: torch.Tensor, valid: torch.Tensor | None, reduction: str
) -> torch.Tensor:
    """Squared error over power of each sample and step; what is missing adds to neither."""
    error, power = (forecast - target).square(), target.square()
    if valid is not None:
        error, power = torch.where(valid, error, 0.0), torch.where(valid, power, 0.0)
    ratio = error.sum(dim=-1) / power.sum(dim=-1).clamp_min(torch.finfo(power.dtype).tiny)
    return ratio.sum() if reduction == "sum" else ratio.mean()
