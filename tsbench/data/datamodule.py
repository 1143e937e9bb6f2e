"""Training and validation batches of a task as a LightningDataModule, for Trainers of one's own."""

import pytorch_lightning as pl

from .windows import Batches, Windows

VALIDATION_BATCH = 512


class TaskDataModule(pl.LightningDataModule):
    """Batches of a task. A seed gives the same batches on every machine.

    Args:
        train: training windows.
        validation: validation windows.
        batch_size: training windows a step.
        seed: of the order of the training windows.
        drop_last: leave out the last incomplete training batch.
    """

    def __init__(
        self, train: Windows, validation: Windows, batch_size: int, seed: int, drop_last: bool
    ) -> None:
        super().__init__()
        self.train, self.validation = train, validation
        self.batch_size, self.seed, self.drop_last = batch_size, seed, drop_last

    def train_dataloader(self) -> Batches:
        """Shuffled anew each epoch."""
        return Batches(self.train, self.batch_size, seed=self.seed, drop_last=self.drop_last)

    def val_dataloader(self) -> Batches:
        """Every validation window once, in order."""
        return Batches(self.validation, VALIDATION_BATCH)
