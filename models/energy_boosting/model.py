"""Boosted trees on a station's cells and the hour, which do not know the station.

Ke et al., "LightGBM: A highly efficient gradient boosting decision tree", NeurIPS 2017, on the columns of
each cell and on their sums over the cells, by absolute error weighed by 1 / energy: the relative error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.data.cases import Cases
from tsbench.training.source import FitReport, TaskSource

from ..layers.station_sums import BATCH, validation_error
from ..layers.trees import GrownTrees

SMALLEST = 1e-3


@dataclass(frozen=True)
class Hyperparameters:
    """Of the boosted trees.

    Attributes:
        rounds: trees at most.
        patience: rounds without a lower validation loss before it stops growing; 0 grows them all.
        learning_rate: share of a tree's step that is taken.
        leaves: of a tree at most.
        leaf_rows: rows that a leaf holds at least.
        column_share: of the columns that each tree may look at.
    """

    rounds: int = 400
    patience: int = 30
    learning_rate: float = 0.1
    leaves: int = 31
    leaf_rows: int = 50
    column_share: float = 0.8

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name in ("rounds", "learning_rate", "leaf_rows", "column_share"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.leaves < 2 or self.patience < 0 or self.column_share > 1:
            raise ValueError("leaves must be at least 2, patience at least 0 and column_share at most 1")


class EnergyBoosting(GrownTrees):
    """One forest; its tensors are the trees, so that it has weights.

    Raises:
        InputError: where lightgbm is not installed, or the samples of the task have no cells.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context", "entity", "entity_mask"})
    views: ClassVar[tuple[str, ...]] = ("panel",)
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__("energy_boosting")
        self.shape, self.chosen = shape, hyperparameters or Hyperparameters()
        if not shape.entity_features:
            raise InputError(
                "energy_boosting reads the cells of a station; the samples of this task have none"
            )

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1)."""
        (found,) = self.forecast(self.table(batch))
        return Forecast(torch.from_numpy(found).to(batch["context"])[:, None, None])

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Grow the forest; the seed chooses the columns of each tree."""
        chosen = self.chosen
        table, energy = self._rows(source.train)
        data = self.package.Dataset(table, energy, weight=1 / np.maximum(energy, SMALLEST))
        held_table, held = self._rows(source.validation)
        validation = self.package.Dataset(
            held_table, held, weight=1 / np.maximum(held, SMALLEST), reference=data
        )
        parameters = {
            "objective": "regression_l1",
            "learning_rate": chosen.learning_rate,
            "num_leaves": chosen.leaves,
            "min_data_in_leaf": chosen.leaf_rows,
            "feature_fraction": chosen.column_share,
            "seed": source.seed % 2**31,
            "num_threads": torch.get_num_threads(),
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        stop = [self.package.early_stopping(chosen.patience, verbose=False)] if chosen.patience else []
        grown = self.package.train(parameters, data, chosen.rounds, valid_sets=[validation], callbacks=stop)
        best = grown.best_iteration if chosen.patience else -1
        kept = self.package.Booster(model_str=grown.model_to_string(num_iteration=best))
        self.take([kept])
        return FitReport(
            validation_loss=validation_error(self, source),
            detail={"trees": int(self.trees.sum()), "rows": len(energy)},
        )

    def table(self, batch: Mapping[str, torch.Tensor]) -> npt.NDArray[np.float32]:
        """The hour, features of each cell (NaN where there is none), their sums, and the number of cells."""
        entity, there = batch["entity"], batch["entity_mask"][..., None]
        parts = [
            batch["context"][:, -1],
            torch.where(there, entity, torch.nan).flatten(1),
            (entity * there).sum(dim=1),
            there.sum(dim=1),
        ]
        return torch.cat([one.float() for one in parts], dim=1).cpu().numpy()

    def _rows(self, cases: Cases) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Table and energy of the samples with a positive energy."""
        tables, energies = [], []
        for batch in cases.batches(BATCH):
            energy = batch["target"][:, 0, 0].double().cpu().numpy()
            tables.append(self.table(batch)[energy > 0])
            energies.append(energy[energy > 0])
        return np.concatenate(tables), np.concatenate(energies)
