"""Chronos-2: an encoder over patches whose group attention lets series and covariates of one sample meet.

Ansari et al., "Chronos-2: From Univariate to Universal Forecasting", 2025 (arXiv 2510.15821), and the package
chronos-forecasting, whose network and rules are used as they are.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from tsbench.contracts import TaskShape
from tsbench.data.calendar import PREFIX

from ..layers.chronos import read_network
from ..layers.pretrained import Pretrained, with_gaps

ROWS = 256
"""Series, targets and covariates together, in one call; a sample is never divided."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of Chronos-2.

    Attributes:
        joint: the targets of a sample, its other channels and its covariates are read together; otherwise
            each target is forecast by itself and nothing else is read.
        calendar: read the calendar columns too; the authors give the model a data set's own covariates only.
    """

    joint: bool = True
    calendar: bool = False


class Chronos2(Pretrained):
    """Forecasts the targets of a sample together, with past-only and known covariates.

    Channels that are no targets are past-only covariates. A horizon beyond the network's is reached by the
    package's rule: nine quantiles are appended to the context and continued, weighted by the probability
    between them. Levels between the trained ones are interpolated linearly, as in the package.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters
    uses: ClassVar[frozenset[str]] = Pretrained.uses | {"past_covariates", "future_covariates"}
    name = "chronos_2"
    package = "chronos.chronos2"
    example = "amazon/chronos-2"

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters)
        chosen = hyperparameters or Hyperparameters()
        self.joint = chosen.joint
        read = [one for one in shape.past_covariates if chosen.calendar or not one.startswith(PREFIX)]
        self.known = [name for name in read if name in shape.future_covariates] if chosen.joint else []
        self.past_only = (
            [name for name in read if name not in shape.future_covariates] if chosen.joint else []
        )

    def read(self, folder: Path, config: dict[str, Any]) -> torch.nn.Module:
        """The network of a folder, in the package's pipeline."""
        from chronos.chronos2 import Chronos2Model, Chronos2Pipeline

        network = read_network(Chronos2Model, folder, config)
        self.pipeline = Chronos2Pipeline(network)
        return network

    @property
    def levels(self) -> Sequence[float]:
        """Levels of the checkpoint, 21 from 0.01 to 0.99 in the published one."""
        return self.pipeline.quantiles

    def forecast(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Quantiles, shape (sample, lead_time, target, quantile)."""
        # The package pins its batches, which only the processor's memory allows.
        past, future = (rows.cpu() for rows in self._rows(batch))
        targets = len(self.shape.targets) if self.joint else 1
        covariates = past.shape[1] - targets
        groups = [
            {
                "context": context,
                "future_covariates": known,
                "n_targets": targets,
                "n_covariates": covariates,
                "n_future_covariates": len(self.known),
            }
            for context, known in zip(past, future, strict=True)
        ]
        # The package fills a batch until it holds at least ROWS; this way it stays below where it can.
        size = max(1, ROWS // past.shape[1])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="We recommend keeping prediction length")
            made = [
                torch.stack(self._quantiles(groups[start : start + size]))
                for start in range(0, len(groups), size)
            ]
        values = torch.cat(made)  # (group, target, lead_time, quantile)
        return values.reshape(len(batch["context"]), -1, *values.shape[2:]).transpose(1, 2)

    def _quantiles(self, groups: list[dict[str, Any]]) -> list[torch.Tensor]:
        quantiles, _ = self.pipeline.predict_quantiles(
            groups,
            prediction_length=self.shape.horizon,
            quantile_levels=list(self.shape.quantiles),
            batch_size=sum(len(group["context"]) for group in groups),
        )
        return quantiles

    def _rows(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of each group: targets, past-only covariates, known covariates; what is not known is NaN.

        Returns:
            past, shape (group, row, time), and future, shape (group, row, lead_time).
        """
        context = with_gaps(batch).transpose(1, 2)  # (sample, channel, time)
        index = list(self.shape.target_index)
        if not self.joint:
            sequences = context[:, index].reshape(-1, 1, context.shape[2])
            return sequences, sequences.new_full((len(sequences), 1, self.shape.horizon), torch.nan)
        others = [one for one in range(context.shape[1]) if one not in index]
        rows = [context[:, index], context[:, others]]
        if self.past_only or self.known:
            columns = [self.shape.past_covariates.index(name) for name in [*self.past_only, *self.known]]
            rows.append(batch["past_covariates"][..., columns].transpose(1, 2))
        past = torch.cat(rows, dim=1)
        unknown = past.shape[1] - len(self.known)
        future = past.new_full((len(past), unknown, self.shape.horizon), torch.nan)
        if self.known:
            columns = [self.shape.future_covariates.index(name) for name in self.known]
            future = torch.cat([future, batch["future_covariates"][..., columns].transpose(1, 2)], dim=1)
        return past, future
