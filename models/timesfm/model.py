"""TimesFM 3: a decoder over patches in which the series and covariates of one sample attend to each other.

Das et al., "A decoder-only foundation model for time-series forecasting", ICML 2024 (arXiv 2310.10688), and
the package timesfm, whose network and benchmark settings are used as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError

from tsbench.contracts import InputError, TaskShape
from tsbench.data.calendar import PREFIX
from tsbench.training.published_folder import CONFIG, WHOLE, check_state

from ..layers.pretrained import Pretrained, with_gaps

SAMPLES = 16
"""Samples in one call."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of TimesFM.

    Attributes:
        joint: the targets of a sample, its other channels and its covariates are read together, at most 32 at
            once, as the authors divide them; otherwise each target is forecast by itself.
        calendar: read the calendar columns too.
        symmetric: mean of the forecast and of the negated forecast of the negated context, as in the authors'
            benchmarks.
        positive: no forecast below zero where the context never is, as in the authors' benchmarks. Only
            right for tasks whose contexts are in physical units: zero is the mean of a normalised series.
    """

    joint: bool = True
    calendar: bool = False
    symmetric: bool = True
    positive: bool = False


class TimesFM(Pretrained):
    """Forecasts the targets of a sample together, with past-only and known covariates, in one pass.

    Channels that are no targets are past-only covariates. Missing values are interpolated linearly and
    leading ones cut off, by the package. There are quantiles at the trained levels alone.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters
    uses: ClassVar[frozenset[str]] = Pretrained.uses | {"past_covariates", "future_covariates"}
    name = "timesfm"
    package = "timesfm3.torch"
    example = "google/timesfm-3.0-pytorch"

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters)
        self.chosen = hyperparameters or Hyperparameters()
        read = [one for one in shape.past_covariates if self.chosen.calendar or not one.startswith(PREFIX)]
        self.known = [name for name in read if name in shape.future_covariates]
        self.past_only = [name for name in read if name not in shape.future_covariates]

    def read(self, folder: Path, config: dict[str, Any]) -> torch.nn.Module:
        """The network of a folder, in the package's evaluator."""
        from timesfm3.torch import TimesFM3Evaluator

        if not isinstance(config.get("transformer_config"), dict):
            raise InputError(f"{folder / CONFIG} is not of TimesFM 3: it has no transformer_config")
        if not (folder / WHOLE).is_file():
            raise InputError(f"There is no file {folder / WHOLE}; the package reads no weights in parts")
        try:
            self.evaluator: Any = TimesFM3Evaluator.from_pretrained(
                str(folder), device="cpu", local_files_only=True, per_core_batch_size=SAMPLES
            )
        except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
            raise InputError(f"{folder} cannot be read as TimesFM 3: {str(error)[:300]}") from error
        network = self.evaluator.model
        # The package loads what fits, and leaves the rest at random.
        check_state(folder, {name: one.shape for name, one in network.state_dict().items()})
        return network

    @property
    def levels(self) -> Sequence[float]:
        """Levels of the checkpoint, deciles in the published one."""
        return self.evaluator.model.quantiles

    def forecast(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Quantiles, shape (sample, lead_time, target, quantile)."""
        context = with_gaps(batch).transpose(1, 2)  # (sample, channel, time)
        index = list(self.shape.target_index)
        past_only = known = None
        if self.chosen.joint:
            past_only, known = self._covariates(batch, context)
        assert self.network is not None
        self.evaluator.device = next(self.network.parameters()).device
        made = self.evaluator.predict_batch(
            list(context[:, index].cpu().numpy()),
            self.shape.horizon,
            past_only_covariates=past_only,
            past_future_covariates=known,
            use_symmetric_averaging=self.chosen.symmetric,
            make_positive=self.chosen.positive,
            univariate=not self.chosen.joint,
        )
        values = torch.stack([torch.from_numpy(one.quantiles) for one in made])
        levels = [list(self.levels).index(level) for level in self.shape.quantiles]
        return values[..., levels].transpose(1, 2)

    def _covariates(
        self, batch: Mapping[str, torch.Tensor], context: torch.Tensor
    ) -> tuple[list[Any] | None, list[Any] | None]:
        """Past-only (row, time) and known covariates (row, time and lead_time) of each sample, or None."""
        others = [one for one in range(context.shape[1]) if one not in self.shape.target_index]
        rows = [context[:, others]] if others else []
        if self.past_only:
            rows.append(self._columns(batch, "past_covariates", self.past_only))
        past_only = list(torch.cat(rows, dim=1).cpu().numpy()) if rows else None
        if not self.known:
            return past_only, None
        names = ("past_covariates", "future_covariates")
        known = torch.cat([self._columns(batch, name, self.known) for name in names], dim=2)
        return past_only, list(known.cpu().numpy())

    def _columns(self, batch: Mapping[str, torch.Tensor], part: str, names: list[str]) -> torch.Tensor:
        """Columns of covariates, shape (sample, row, time)."""
        columns = [getattr(self.shape, part).index(name) for name in names]
        return batch[part][..., columns].transpose(1, 2)

    def _check_levels(self, folder: Path) -> None:
        super()._check_levels(folder)
        between = [level for level in self.shape.quantiles if level not in self.levels]
        if between:
            raise InputError(
                f"timesfm cannot forecast the quantiles {between}: {folder.name} was trained at "
                f"{list(self.levels)}, and its package has no rule for others"
            )
