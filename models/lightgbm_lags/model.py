"""LightGBM on lags: gradient-boosted trees, shared by all targets and all lead times of a task.

Ke et al., "LightGBM: A highly efficient gradient boosting decision tree", NeurIPS 2017, on the features that
win forecasting competitions (lags, seasonal lags, rolling means, calendar; Makridakis et al., "M5 accuracy
competition", 2022). Direct: the lead time is a feature of one forest, which takes one fit where a forest a
step takes as many as there are steps. Each context is scaled by its own mean and deviation, so that the
forecast follows shift and scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.data.batch import Batch
from tsbench.data.cases import Cases
from tsbench.training.source import FitReport, TaskSource

from ..layers.trees import GrownTrees
from .features import Features, Sequences

GATHERED = 64
"""Windows that are gathered at a time; the rows that are drawn do not depend on it."""
TABLE_ROWS = 250_000
"""Rows of a table that are forecast at a time."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of the boosted trees.

    Attributes:
        output: `point` by squared error; `quantiles`: a forest for each level of the task, by pinball loss.
        rounds: trees of a forest at most.
        patience: rounds without a lower validation loss before it stops growing; 0 grows them all.
        weights: `scale` counts an error as it counts in the space of the batches; `equal` in the scale of its
            context, for series of different size.
        learning_rate: share of a tree's step that is taken.
        leaves: of a tree at most.
        leaf_rows: rows that a leaf holds at least.
        column_share: of the columns that each tree may look at.
        windows: training windows that rows are drawn from at most, and again for validation.
        rows: of the training table at most; a quarter as many for validation.
        lags: newest steps that are columns.
        seasons: seasons back of which the step of the target's phase and its neighbours are columns.
    """

    output: Literal["point", "quantiles"] = "point"
    rounds: int = 400
    patience: int = 20
    weights: Literal["scale", "equal"] = "scale"
    learning_rate: float = 0.05
    leaves: int = 31
    leaf_rows: int = 100
    column_share: float = 0.8
    windows: int = 4096
    rows: int = 200_000
    lags: int = 12
    seasons: int = 7

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name in (
            "rounds",
            "learning_rate",
            "leaf_rows",
            "column_share",
            "windows",
            "rows",
            "lags",
            "seasons",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.leaves < 2 or self.patience < 0 or self.column_share > 1:
            raise ValueError("leaves must be at least 2, patience at least 0 and column_share at most 1")


class LightGBMLags(GrownTrees):
    """Trees on features of each context. Its tensors are the trees, so that it has weights.

    Raises:
        InputError: where lightgbm is not installed.
    """

    fits: ClassVar[Fits] = "task"
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        chosen = hyperparameters or Hyperparameters()
        # Unfitted, it forecasts the mean of the context.
        levels = shape.quantiles if chosen.output == "quantiles" else ()
        super().__init__("LightGBM on lags", max(1, len(levels)))
        self.shape, self.chosen, self.levels = shape, chosen, levels
        covariates = {"past_covariates"} if shape.past_covariates else set()
        covariates |= {"future_covariates"} if shape.future_covariates else set()
        self.uses = frozenset({"context", "observed", *covariates})
        self.features = Features(shape, self.chosen.lags, self.chosen.seasons)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast (sample, lead_time, target), or quantiles (quantile, sample, lead_time, target)."""
        context, shape = batch["context"], self.shape
        sequences = self.features.sequences(batch)
        number = len(sequences.mean)
        block = max(1, TABLE_ROWS // shape.horizon)
        parts = [
            self._scaled(sequences, *_pairs(np.arange(start, min(start + block, number)), shape.horizon))
            for start in range(0, number, block)
        ]
        scaled = np.concatenate(parts, axis=1).reshape(-1, number, shape.horizon)
        values = sequences.mean[:, None] + sequences.deviation[:, None] * scaled
        values = values.reshape(-1, len(context), len(shape.targets), shape.horizon).swapaxes(2, 3)
        found = torch.from_numpy(np.ascontiguousarray(values)).to(context)
        return Forecast(found, "quantiles", self.levels) if self.levels else Forecast(found[0])

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Grow the forests on rows drawn from the training windows; the seed decides which.

        Raises:
            InputError: where no training window has a target and a context that varies.
        """
        random = np.random.default_rng(source.seed)
        train = self._draw(source.train, self.chosen.rows, random)
        validation = self._draw(source.validation, max(1, self.chosen.rows // 4), random)
        boosters = [self._grow(train, validation, level, source.seed) for level in self.levels or (None,)]
        self.take(boosters)
        forecast = np.stack([booster.predict(validation.table) for booster in boosters])
        return FitReport(
            validation_loss=self._loss(forecast, validation),
            detail={"trees": int(self.trees.sum()), "rows": len(train.target)},
        )

    def _scaled(self, of: Sequences, sequence: npt.NDArray[np.int64], lead: npt.NDArray[np.int64]) -> Any:
        """What the forests forecast in the scale of each context, (output, row), quantiles in order."""
        found = self.forecast(self.features.table(of, sequence, lead))
        return np.sort(np.stack(found), axis=0)

    def _draw(self, cases: Cases, rows: int, random: np.random.Generator) -> "Rows":
        """Rows of the table, drawn evenly from windows, targets and lead times."""
        shape = self.shape
        windows = np.sort(random.permutation(len(cases))[: self.chosen.windows])
        each = max(1, min(rows // len(windows), len(shape.targets) * shape.horizon))
        parts = [
            self._rows(batch, each, random)
            for batch in map(cases.gather, torch.from_numpy(windows).split(GATHERED))
        ]
        columns = zip(*parts, strict=True)
        drawn = Rows(*(np.concatenate(column) for column in columns))
        if not len(drawn.target):
            raise InputError("No window to fit on has both an observed target and a context that varies")
        return drawn

    def _rows(self, batch: Batch, each: int, random: np.random.Generator) -> "tuple[npt.NDArray[Any], ...]":
        """Table, scaled target and weight of `each` pairs of target and lead time of every sample."""
        horizon, targets = self.shape.horizon, len(self.shape.targets)
        pairs = random.random((batch.size, targets * horizon)).argsort(axis=1)[:, :each]
        sample, target, lead = np.arange(batch.size)[:, None], pairs // horizon, pairs % horizon
        sequence = (sample * targets + target).reshape(-1)
        lead = lead.reshape(-1)
        sequences = self.features.sequences(batch)
        truth = batch["target"].transpose(1, 2).flatten(0, 1).cpu().numpy().astype(np.float64)[sequence, lead]
        deviation = sequences.deviation[sequence]
        usable = deviation > 0
        if "valid" in batch:
            usable &= batch["valid"].transpose(1, 2).flatten(0, 1).cpu().numpy()[sequence, lead]
        sequence, lead, deviation = sequence[usable], lead[usable], deviation[usable]
        scaled = (truth[usable] - sequences.mean[sequence]) / deviation
        return self.features.table(sequences, sequence, lead), scaled, deviation

    def _grow(self, train: "Rows", validation: "Rows", level: float | None, seed: int) -> Any:
        """One forest: of the mean, or of a quantile."""
        chosen = self.chosen
        parameters = {
            **({"objective": "regression"} if level is None else {"objective": "quantile", "alpha": level}),
            "learning_rate": chosen.learning_rate,
            "num_leaves": chosen.leaves,
            "min_data_in_leaf": chosen.leaf_rows,
            "feature_fraction": chosen.column_share,
            "seed": seed % 2**31,
            "num_threads": torch.get_num_threads(),
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        power = 0 if chosen.weights == "equal" else 2 if level is None else 1
        data = self.package.Dataset(train.table, train.target, weight=train.deviation**power)
        held = self.package.Dataset(
            validation.table, validation.target, weight=validation.deviation**power, reference=data
        )
        stop = [self.package.early_stopping(chosen.patience, verbose=False)] if chosen.patience else []
        grown = self.package.train(parameters, data, chosen.rounds, valid_sets=[held], callbacks=stop)
        best = grown.best_iteration if chosen.patience else -1
        return self.package.Booster(model_str=grown.model_to_string(num_iteration=best))

    def _loss(self, forecast: npt.NDArray[np.float64], rows: "Rows") -> float:
        """Mean squared error, or mean pinball loss over the levels, in the space of the batches."""
        error = (rows.target - forecast) * rows.deviation
        if not self.levels:
            return float(np.mean(error**2))
        level = np.array(self.levels)[:, None]
        return float(np.mean(np.maximum(level * error, (level - 1) * error)))


@dataclass(frozen=True)
class Rows:
    """A table to fit on.

    Attributes:
        table: float32, shape (row, column).
        target: in the scale of its context, float64, shape (row,).
        deviation: of its context, shape (row,): squared, it weighs a row as its error counts.
    """

    table: npt.NDArray[np.float32]
    target: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]


def _pairs(
    sequences: npt.NDArray[np.int64], horizon: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each sequence with each lead time, sequence by sequence."""
    return sequences.repeat(horizon), np.tile(np.arange(horizon), len(sequences))
