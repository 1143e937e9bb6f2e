"""Checkpoints of a fit: the best weights so far as safetensors, and the state after the last whole epoch."""

import time
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from tsbench import atomic
from tsbench.contracts import InputError

from .weights import load_weights, save_weights

BEST_WEIGHTS, LAST_CHECKPOINT = "best.safetensors", "last.ckpt"
LIGHTNING_KEYS = ("pytorch-lightning_version", "state_dict", "loops", "callbacks")


class EpochCheckpoint(Checkpoint):
    """Keeps the weights with the lowest validation loss, and after each epoch all that a resume needs.

    It is a Lightning `Checkpoint`, so that it runs after early stopping and saves that one's state as well.
    The epoch in which training stops is not saved: repeating it comes to the same stop.

    Args:
        folder: where checkpoints are kept, or None to keep the best weights in memory only.
        on_epoch: called after each whole epoch.

    Attributes:
        best_loss, best_epoch: of the weights that are kept; None before the first finite loss.
        last_loss: of the last epoch.
        history: one record an epoch.
    """

    def __init__(self, folder: Path | None, on_epoch: Callable[[], None]) -> None:
        self.folder, self.on_epoch = folder, on_epoch
        self.best_loss: float | None = None
        self.best_epoch = 0
        self.last_loss = float("nan")
        self.history: list[dict[str, float]] = []
        self._kept: dict[str, torch.Tensor] = {}
        self._random: torch.Tensor | None = None
        self._start = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up the generator where the checkpoint left it."""
        if self._random is not None:
            torch.set_rng_state(self._random)
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights if they are the best, and save the state of training."""
        metrics = trainer.callback_metrics
        now = time.perf_counter()
        epoch = {
            "epoch": trainer.current_epoch + 1,
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": float(metrics["train_loss"]),
            "validation_loss": float(metrics["validation_loss"]),
            "seconds": now - self._start,
        }
        self._start = now
        self.note(epoch, pl_module)
        self.on_epoch()
        if self.folder is not None and not trainer.should_stop:
            with atomic.new_file(self.folder / LAST_CHECKPOINT) as temporary:
                trainer.save_checkpoint(temporary)

    def note(self, epoch: dict[str, float], model: torch.nn.Module) -> None:
        """Add an epoch to the history, and keep the model's weights if they are the best."""
        self.history.append(epoch)
        self.last_loss = epoch["validation_loss"]
        if self.last_loss < (float("inf") if self.best_loss is None else self.best_loss):
            self.best_loss, self.best_epoch = self.last_loss, len(self.history) - 1
            self._keep(model)

    def state_dict(self) -> dict[str, Any]:
        """State for Lightning's checkpoint: plain numbers and one tensor, so that it loads without pickle."""
        return {
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "history": self.history,
            "random": torch.get_rng_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.best_loss, self.best_epoch = state_dict["best_loss"], state_dict["best_epoch"]
        self.history, self._random = list(state_dict["history"]), state_dict["random"]

    def restore_best(self, model: torch.nn.Module) -> None:
        """Load the best weights into the model."""
        if self.folder is not None:
            load_weights(model, self.folder / BEST_WEIGHTS)
        else:
            model.load_state_dict(self._kept)

    def _keep(self, model: torch.nn.Module) -> None:
        if self.folder is not None:
            save_weights(model, self.folder / BEST_WEIGHTS)
        else:
            self._kept = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def read_checkpoint(path: Path, keys: Collection[str] = LIGHTNING_KEYS) -> dict[str, Any]:
    """Read a checkpoint without unpickling objects.

    Args:
        path: the file.
        keys: that it must have.

    Raises:
        InputError: where it is damaged.
    """
    try:
        with warnings.catch_warnings():
            # The reader guesses at the format of what it does not know.
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if missing := set(keys) - checkpoint.keys():
            raise KeyError(min(missing))
        return checkpoint
    except Exception as error:
        # torch raises whatever its reader stumbles on: RuntimeError, EOFError, KeyError, UnpicklingError, …
        raise InputError(
            f"The checkpoint {path} is damaged ({type(error).__name__}); start over with --fresh"
        ) from error
