"""LightGBM on features of a panel's samples: those of the ridge regression, which says what they are.

Ke et al., "LightGBM: A highly efficient gradient boosting decision tree", NeurIPS 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.source import FitReport, TaskSource

from ..layers.trees import GrownTrees
from ..panel_ridge.features import PanelFeatures, Reads


@dataclass(frozen=True)
class Hyperparameters:
    """Of the boosted trees.

    Attributes:
        reads: `past`: past targets and the year alone.
        block: steps over which the context is averaged.
        rounds: trees at most.
        patience: rounds without a lower validation loss before it stops growing.
        learning_rate: share of a tree's step that is taken.
        leaves: of a tree at most.
        leaf_rows: rows that a leaf holds at least.
        column_share: of the columns that each tree may look at.
        row_share: of the rows that each tree is grown on.
    """

    reads: Reads = "all"
    block: int = 4
    rounds: int = 1000
    patience: int = 50
    learning_rate: float = 0.03
    leaves: int = 15
    leaf_rows: int = 20
    column_share: float = 0.5
    row_share: float = 0.8

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name in (
            "block",
            "rounds",
            "patience",
            "learning_rate",
            "leaf_rows",
            "column_share",
            "row_share",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.leaves < 2 or max(self.column_share, self.row_share) > 1:
            raise ValueError("leaves must be at least 2, column_share and row_share at most 1")


class PanelBoosting(GrownTrees):
    """Trees on features. Its tensors are the trees, so that it has weights.

    Raises:
        InputError: where lightgbm is not installed.
    """

    fits: ClassVar[Fits] = "task"
    views: ClassVar[tuple[str, ...]] = ("panel",)
    uses: ClassVar[frozenset[str]] = PanelFeatures.uses
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        # Unfitted, it forecasts 0, the training mean.
        super().__init__("Boosted trees on panels")
        self.chosen = hyperparameters or Hyperparameters()
        self.features = PanelFeatures(shape, self.chosen.block, self.chosen.reads)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1)."""
        (found,) = self.forecast(self.features(batch).numpy())
        return Forecast(torch.from_numpy(np.asarray(found, np.float32))[:, None, None])

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Grow trees until the validation error falls no more; the seed decides on rows and columns."""
        chosen = self.chosen
        (rows, target), (held, truth) = (
            tuple(one.numpy() for one in self.features.gathered(cases))
            for cases in (source.train, source.validation)
        )
        parameters = {
            "objective": "regression",
            "learning_rate": chosen.learning_rate,
            "num_leaves": chosen.leaves,
            "min_data_in_leaf": chosen.leaf_rows,
            "feature_fraction": chosen.column_share,
            "bagging_fraction": chosen.row_share,
            "bagging_freq": 1,
            "seed": source.seed % 2**31,
            "num_threads": torch.get_num_threads(),
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        data = self.package.Dataset(rows, target)
        held_data = self.package.Dataset(held, truth, reference=data)
        stop = [self.package.early_stopping(chosen.patience, verbose=False)]
        grown = self.package.train(parameters, data, chosen.rounds, valid_sets=[held_data], callbacks=stop)
        best = self.package.Booster(model_str=grown.model_to_string(num_iteration=grown.best_iteration))
        self.take([best])
        loss = float(np.mean((best.predict(held) - truth) ** 2))
        return FitReport(validation_loss=loss, detail={"trees": int(self.trees.sum())})
