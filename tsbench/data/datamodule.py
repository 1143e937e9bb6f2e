"""Training and validation batches of a task as a LightningDataModule, for Trainers of one's own."""

import pytorch_lightning as pl

from .cases import Batches, Cases, batch_size_for

VALIDATION_SEQUENCES = 512


class TaskDataModule(pl.LightningDataModule):
    """Batches of a task. A seed gives the same batches on every machine.

    Args:
        train: training cases; of those that are drawn for each epoch, only these are seen.
        validation: validation cases.
        batch_size: training cases a step.
        seed: of the order of the training cases.
        drop_last: leave out the last incomplete training batch.
    """

    def __init__(self, train: Cases, validation: Cases, batch_size: int, seed: int, drop_last: bool) -> None:
        super().__init__()
        self.train, self.validation = train.drawn(seed), validation
        self.batch_size, self.seed, self.drop_last = batch_size, seed, drop_last

    def train_dataloader(self) -> Batches:
        """Shuffled anew each epoch."""
        return Batches(self.train, self.batch_size, seed=self.seed, drop_last=self.drop_last)

    def val_dataloader(self) -> Batches:
        """Every validation case once, in order."""
        return Batches(self.validation, batch_size_for(self.validation, VALIDATION_SEQUENCES))
