"""LightGBM on features of a panel's samples: those of the ridge regression, which says what they are.

Ke et al., "LightGBM: A highly efficient gradient boosting decision tree", NeurIPS 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.extras import require
from tsbench.training.source import FitReport, TaskSource

from ..lightgbm_lags.forest import TENSORS, to_tensors, to_text
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


class PanelBoosting(nn.Module):
    """Trees on features. Its tensors are the trees, so that it has weights.

    Raises:
        InputError: where lightgbm is not installed.
    """

    fits: ClassVar[Fits] = "task"
    views: ClassVar[tuple[str, ...]] = ("panel",)
    uses: ClassVar[frozenset[str]] = PanelFeatures.uses
    trees: torch.Tensor
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        self.package = require("lightgbm", extra="baselines", user="Boosted trees on panels")
        self.chosen = hyperparameters or Hyperparameters()
        self.features = PanelFeatures(shape, self.chosen.block, self.chosen.reads)
        self._booster: Any = None
        # Unfitted: one tree of one leaf, which forecasts 0, the training mean.
        one = torch.ones(1, dtype=torch.int32)
        none = torch.zeros(0, dtype=torch.int32)
        self._hold({
            "trees": one, "leaves": one.clone(), "feature": none, "default": none.clone(),
            "branches": torch.zeros(0, 2, dtype=torch.int32),
            "threshold": torch.zeros(0, dtype=torch.float64), "value": torch.zeros(1, dtype=torch.float64),
        })  # fmt: skip
        self.register_load_state_dict_post_hook(_forget_booster)

    def resize(self, sizes: Mapping[str, torch.Size]) -> None:
        """Make room for the trees of a file of weights; `sizes`: of its tensors, by name."""
        own = self.state_dict()
        self._hold({
            name: torch.zeros(sizes.get(name, one.shape), dtype=one.dtype) for name, one in own.items()
        })  # fmt: skip

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1)."""
        table = self.features(batch).numpy()
        if self._booster is None:
            texts = to_text(self.state_dict(), table.shape[1])
            if len(texts) != 1:
                raise InputError(f"The weights hold {len(texts)} forests, not one")
            self._booster = self.package.Booster(model_str=texts[0])
        found = self._booster.predict(table, num_threads=torch.get_num_threads())
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
        self._hold(to_tensors([best]))
        loss = float(np.mean((best.predict(held) - truth) ** 2))
        return FitReport(validation_loss=loss, detail={"trees": int(self.trees.sum())})

    def _hold(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take these tensors for the trees; thresholds and values of leaves are what is learned."""
        for name in TENSORS:
            tensor = tensors[name]
            if tensor.is_floating_point():
                setattr(self, name, nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(name, tensor)
        self._booster = None


def _forget_booster(module: Any, keys: Any) -> None:
    module._booster = None
