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
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.data.cases import Cases
from tsbench.extras import require
from tsbench.training.source import FitReport, TaskSource

from ..layers.station_sums import BATCH, validation_error
from ..lightgbm_lags.forest import TENSORS, to_tensors, to_text

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


class EnergyBoosting(nn.Module):
    """One forest; its tensors are the trees, so that it has weights.

    Raises:
        InputError: where lightgbm is not installed, or the samples of the task have no cells.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context", "entity", "entity_mask"})
    views: ClassVar[tuple[str, ...]] = ("panel",)
    Hyperparameters: ClassVar[type] = Hyperparameters
    trees: torch.Tensor

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        self.package = require("lightgbm", extra="baselines", user="energy_boosting")
        self.shape, self.chosen = shape, hyperparameters or Hyperparameters()
        if not shape.entity_features:
            raise InputError(
                "energy_boosting reads the cells of a station; the samples of this task have none"
            )
        features = len(shape.entity_features)
        self.columns = len(shape.channels) + (shape.sizes["entity"] + 1) * features + 1
        self._boosters: list[Any] = []
        # Unfitted: one tree of one leaf, which says 0.
        one, none = torch.ones(1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32)
        self._hold({
            "trees": one, "leaves": one.clone(), "feature": none, "default": none.clone(),
            "branches": torch.zeros(0, 2, dtype=torch.int32),
            "threshold": torch.zeros(0, dtype=torch.float64), "value": torch.zeros(1, dtype=torch.float64),
        })  # fmt: skip
        self.register_load_state_dict_post_hook(lambda module, keys: module._boosters.clear())

    def resize(self, sizes: Mapping[str, torch.Size]) -> None:
        """Make room for the trees of a file of weights, whose number no setting determines.

        Args:
            sizes: name of a tensor → its size in the file.
        """
        own = self.state_dict()
        self._hold({
            name: torch.zeros(sizes.get(name, one.shape), dtype=one.dtype) for name, one in own.items()
        })  # fmt: skip

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1)."""
        if not self._boosters:
            self._boosters = [
                self.package.Booster(model_str=text) for text in to_text(self.state_dict(), self.columns)
            ]
        (booster,) = self._boosters
        found = booster.predict(self.table(batch), num_threads=torch.get_num_threads())
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
        self._hold(to_tensors([kept]))
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

    def _hold(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take these tensors for the trees; thresholds and values of leaves are what is learned."""
        for name in TENSORS:
            tensor = tensors[name]
            if tensor.is_floating_point():
                setattr(self, name, nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(name, tensor)
        self._boosters.clear()
