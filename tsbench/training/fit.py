"""Fits a neural model with Lightning's Trainer: early stopping, best weights, resume, determinism."""

import contextlib
import copy
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.profilers import PassThroughProfiler
from tqdm import tqdm

from tsbench.contracts import InputError, JobFailed
from tsbench.data.datamodule import TaskDataModule

from .checkpoint import LAST_CHECKPOINT, EpochCheckpoint, read_checkpoint
from .cost import count_flops
from .module import NeuralForecaster
from .settings import TrainingSettings
from .source import CorpusSource, FitReport, TaskSource


def fit_by_gradient(model: NeuralForecaster, source: TaskSource | CorpusSource) -> FitReport:
    """Train a model on a task; on return it holds the weights with the lowest validation loss.

    A fit that was interrupted goes on after its last whole epoch where `source.folder` keeps its checkpoint,
    and ends with the same bits as one that was not.

    Raises:
        InputError: where the checkpoint is damaged, or the last batch alone is asked to be dropped.
        JobFailed: where the loss is not finite.
    """
    settings = model.settings = source.settings
    module = data_module(source)
    steps = len(module.train_dataloader())
    resume = _resume_from(source.folder)
    checkpoint = EpochCheckpoint(source.folder, source.on_epoch)
    trainer = _trainer(settings, source, checkpoint)
    flops = flops_of(model, module)
    # Dropout draws from the global generator: seeded here, kept in checkpoints, restored for the caller.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|torch.optim")
        torch.manual_seed(source.seed)
        try:
            trainer.fit(model, datamodule=module, ckpt_path=resume, weights_only=True)
        except SystemExit as stop:
            # Lightning turns Ctrl-C into exit(1) once it has put everything down.
            raise KeyboardInterrupt from stop
    if checkpoint.best_loss is None:
        raise JobFailed(
            f"Training diverged: the validation loss is {checkpoint.last_loss}; try a lower learning rate"
        )
    checkpoint.restore_best(model)
    return report_of(checkpoint, steps, flops)


def data_module(source: TaskSource | CorpusSource) -> TaskDataModule:
    """Training and validation batches of a source.

    Raises:
        InputError: where the last batch alone is asked to be dropped.
    """
    settings = source.settings
    module = TaskDataModule(
        source.train, source.validation, settings.batch_size, source.seed, settings.drop_last
    )
    if len(module.train_dataloader()) == 0:
        raise InputError(f"{len(module.train)} training cases make no batch of {settings.batch_size}")
    return module


def report_of(checkpoint: EpochCheckpoint, steps: int, flops: tuple[float | None, float | None]) -> FitReport:
    """The report of a finished fit.

    Args:
        checkpoint: of the fit.
        steps: an epoch.
        flops: of a step, and of a pass over the validation part.
    """
    epochs = len(checkpoint.history)
    per_step, per_validation = flops
    total = (
        None if per_step is None or per_validation is None else epochs * (steps * per_step + per_validation)
    )
    detail = {
        "best_epoch": checkpoint.best_epoch + 1,
        "flops_per_step": per_step,
        "steps_per_epoch": steps,
        "history": checkpoint.history,
    }
    return FitReport(validation_loss=checkpoint.best_loss, epochs=epochs, flops=total, detail=detail)


class LearningRateSchedule(Callback):
    """Sets the learning rate: of an epoch by its number and the losses before it, or of each step."""

    def __init__(self, settings: TrainingSettings, checkpoint: EpochCheckpoint) -> None:
        self.settings, self.checkpoint = settings, checkpoint

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the epoch's rate."""
        if self.settings.by_step:
            return
        losses = [epoch["validation_loss"] for epoch in self.checkpoint.history]
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.settings.learning_rate_at(trainer.current_epoch, losses)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the step's rate and momentum."""
        if not self.settings.by_step:
            return
        steps = self.settings.epochs * int(trainer.num_training_batches)
        rate, momentum = self.settings.at_step(trainer.global_step, steps)
        for group in trainer.optimizers[0].param_groups:
            group["lr"], group["betas"] = rate, (momentum, group["betas"][1])


class NoProfiler(PassThroughProfiler):
    """Lightning's profiler that notes nothing, without its thirty generators a step."""

    nothing = contextlib.nullcontext()

    def profile(self, action_name: str) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """The same empty context for every action."""
        return self.nothing


class EpochBar(Callback):
    """One progress bar an epoch on standard error, so that standard output stays a table or JSON."""

    every = 25

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the epoch's bar."""
        title = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.bar = tqdm(
            total=trainer.num_training_batches, desc=title, file=sys.stderr, leave=False, ncols=79
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar now and then."""
        step = batch_idx + 1
        if step % self.every == 0:
            self.bar.update(step - self.bar.n)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close it."""
        self.bar.close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close it on the way out."""
        self.bar.close()


def _trainer(
    settings: TrainingSettings, source: TaskSource | CorpusSource, checkpoint: EpochCheckpoint
) -> pl.Trainer:
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    callbacks: list[Callback] = [LearningRateSchedule(settings, checkpoint), checkpoint, *source.callbacks]
    if settings.patience:
        callbacks.append(
            EarlyStopping("validation_loss", patience=settings.patience, min_delta=settings.min_delta)
        )
    if source.progress:
        callbacks.append(EpochBar())
    return pl.Trainer(
        accelerator="cpu" if source.device == "cpu" else "gpu",
        devices=1,
        max_epochs=settings.epochs,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        profiler=NoProfiler(),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        inference_mode=True,
        gradient_clip_val=settings.gradient_clip or None,
    )


def _resume_from(folder: Path | None) -> str | None:
    path = folder / LAST_CHECKPOINT if folder else None
    if path is None or not path.is_file():
        return None
    read_checkpoint(path)
    return str(path)


def flops_of(model: NeuralForecaster, module: TaskDataModule) -> tuple[float | None, float | None]:
    """FLOPs of one training step, and of one pass over the validation part."""
    twin = copy.deepcopy(model)
    cases = torch.arange(min(module.batch_size, len(module.train)))
    batch = module.train.gather(cases)

    def step() -> Any:
        twin.loss(batch).backward()

    def forward() -> Any:
        with torch.no_grad():
            twin.loss(batch)

    with torch.random.fork_rng(devices=[]):
        per_step, per_forward = count_flops(step), count_flops(forward)
    if per_step is None or per_forward is None:
        return None, None
    return per_step, per_forward / len(cases) * len(module.validation)
