"""Stops trials that look bad early: a Lightning callback that reports each epoch's validation loss to Optuna.

Optuna's own integration is built on the package `lightning`, whose callbacks do not pass for those of
`pytorch_lightning`.
"""

import math

import optuna
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from tsbench.training.checkpoint import EpochCheckpoint


class PruningCallback(Callback):
    """Reports the lowest validation loss so far; raises `TrialPruned` before an epoch that is not worth it.

    The lowest one is what a trial is judged by: the weights of that epoch are kept. It is asked after each
    epoch and acted on before the next, when state and cost of the epoch have been saved; a trial that reaches
    its end is complete.

    Args:
        trial: of a study with one objective.

    Attributes:
        checkpoint: of the fit, with the history of its epochs; None before training starts.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.checkpoint: EpochCheckpoint | None = None
        self._prune = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epochs that an earlier, killed attempt has finished."""
        self.checkpoint = next(
            one for one in trainer.checkpoint_callbacks if isinstance(one, EpochCheckpoint)
        )
        best = math.inf
        for record in self.checkpoint.history:
            best = min(best, record["validation_loss"])
            self._report(best, int(record["epoch"]))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop here, where the epoch before is whole."""
        if self._prune:
            raise optuna.TrialPruned

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch, and ask."""
        assert self.checkpoint is not None
        loss = float(trainer.callback_metrics["validation_loss"])
        # The checkpoint comes after this callback, so that its best loss is the one before this epoch.
        before = math.inf if self.checkpoint.best_loss is None else self.checkpoint.best_loss
        self._report(min(loss, before), trainer.current_epoch + 1)

    def _report(self, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            return
        self.trial.report(loss, epoch)
        self._prune = self.trial.should_prune()
