"""Pretrained: the base of models that others have trained, which forecast with given weights only."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.extras import require
from tsbench.training.published_folder import CONFIG, check_sums, read_object

EXTRA = "foundation"


class Pretrained(nn.Module):
    """A zero-shot forecaster of quantiles.

    Subclasses name their package and read a folder of weights into `network`, and say how a batch becomes the
    quantiles of the task's levels. Everything is computed in float32.

    Raises:
        InputError: where the package is not installed.
    """

    fits: ClassVar[Fits] = "none"
    uses: ClassVar[frozenset[str]] = frozenset({"context", "observed"})
    name: ClassVar[str]
    package: ClassVar[str]
    example: ClassVar[str]
    """Weights on the hub, for the message where none are given."""

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        require(self.package, EXTRA, self.name)
        self.shape = shape
        self.network: nn.Module | None = None

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Quantile forecast at the task's levels, shape (quantile, sample, lead_time, target).

        Raises:
            InputError: where no weights were given.
        """
        if self.network is None:
            raise InputError(
                f"{self.name} forecasts with given weights only: "
                f"--weights FOLDER, or --weights {self.example}"
            )
        values = self.forecast(batch).to(batch["context"].device)
        return Forecast(values.permute(3, 0, 1, 2), "quantiles", self.shape.quantiles)

    def load_folder(self, folder: Path) -> None:
        """Load published weights (config.json and safetensors) strictly.

        Raises:
            InputError: where the folder is damaged, holds a pickle or another model, or lacks a tensor, or
                its levels do not span those of the task.
        """
        check_sums(folder)
        network = self.read(folder, read_object(folder / CONFIG))
        self._check_levels(folder)
        self.network = network.float().eval()

    @abstractmethod
    def read(self, folder: Path, config: dict[str, Any]) -> nn.Module:
        """The network of a folder whose files are whole; sets what `forecast` needs beside it."""

    @property
    @abstractmethod
    def levels(self) -> Sequence[float]:
        """Quantile levels that the network was trained at, ascending."""

    @abstractmethod
    def forecast(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Quantiles at the task's levels, shape (sample, lead_time, target, quantile)."""

    def _check_levels(self, folder: Path) -> None:
        asked, trained = self.shape.quantiles, self.levels
        outside = [level for level in asked if not min(trained) <= level <= max(trained)]
        if outside:
            raise InputError(
                f"{self.name} cannot forecast the quantiles {outside}: {folder.name} was trained at "
                f"{list(trained)}, and nothing is known beyond"
            )
        if 0.5 not in trained:
            raise InputError(f"{folder / CONFIG}: the trained quantiles {list(trained)} lack the median 0.5")


def with_gaps(batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The context, NaN where nothing was observed or a series has not begun; (sample, time, channel)."""
    if "observed" not in batch:
        return batch["context"]
    return batch["context"].masked_fill(~batch["observed"], torch.nan)


def asks_for_code(config: Mapping[str, Any]) -> str | None:
    """The key of a transformers configuration that would fetch or run something else than the network."""
    attention = [config.get("attn_implementation"), config.get("_attn_implementation")]
    if any(one not in (None, "eager", "sdpa") for one in attention):
        return "attn_implementation"
    return "quantization_config" if config.get("quantization_config") else None
