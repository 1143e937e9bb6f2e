"""Maps of a transmitter by formula: loss by distance and sight, delay and direction of the straight path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.source import FitReport, TaskSource

from .links import CARRIER, Links, in_sight
from .maps import has_samples, in_units, mask_of, require_told, to_model_space

DIRECTIONS = ("arrival_east", "arrival_north", "arrival_up")
TARGETS = ("path_gain", "rss", "delay", *DIRECTIONS)
FIT_BATCH = 64


@dataclass(frozen=True)
class Hyperparameters:
    """Of a map by formula.

    Attributes:
        level: what is added to the gain where power and antenna are unknown (`rss`): the mean of what is
            missing on the training maps (`training`), or at the samples of each map (`samples`).
        sight: follow the straight line over the raster of buildings where the context has it; otherwise no
            receiver is in sight.
    """

    level: Literal["training", "samples"] = "training"
    sight: bool = True


class FormulaForecaster(nn.Module):
    """Forecasts path gain, received power, delay and direction; a formula gives the gain.

    Subclasses define `gain(batch, links, sight)`.

    Args:
        shape: of the task.
        hyperparameters: of the map.
        who: the model's name, for messages.

    Raises:
        InputError: for other targets, a hidden carrier, or a level of samples where there are none.
    """

    fits: Fits = "task"
    uses: frozenset[str] = frozenset({"context", "position", "environment"})
    views: ClassVar[tuple[str, ...]] = ("field", "volume")
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any, who: str) -> None:
        super().__init__()
        self.shape, self.who = shape, who
        self.chosen = hyperparameters or Hyperparameters()
        unknown = [name for name in shape.targets if name not in TARGETS]
        if unknown:
            raise InputError(f"{who} forecasts {', '.join(TARGETS)}, not {unknown[0]}")
        if {"path_gain", "rss"} & set(shape.targets):
            require_told(shape, who, CARRIER)
        self.by_samples = self.chosen.level == "samples" and "rss" in shape.targets
        if self.by_samples and not has_samples(shape):
            raise InputError(f"{who}: level 'samples' needs samples of the map, and the task has none")
        if self.by_samples:
            self.uses = self.uses | {"observed"}
        if "rss" not in shape.targets or self.by_samples:
            self.fits = "none"
        self.level = nn.Parameter(torch.zeros(()), requires_grad=False)

    def gain(
        self, batch: Mapping[str, torch.Tensor], links: Links, sight: torch.Tensor | None
    ) -> torch.Tensor:
        """Path gain in dB, float64, shape (sample, y, x); `sight` is None where it is unknown."""
        raise NotImplementedError

    @torch.no_grad()
    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shaped as the target."""
        return Forecast(self(batch))

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, target, y, x)."""
        links = Links.of(batch, self.shape)
        gain = None
        if {"path_gain", "rss"} & set(self.shape.targets):
            gain = self.gain(batch, links, self._sight(batch, links))
        maps = [
            to_model_space(self._map(name, batch, links, gain), self.shape, name)
            for name in self.shape.targets
        ]
        return torch.stack(maps, dim=1).to(batch["context"].dtype)

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """The level of received power: the mean of what the gain lacks on the training maps."""
        total, count, place = 0.0, 0, self.shape.targets.index("rss")
        for batch in source.train.batches(FIT_BATCH):
            valid = batch["valid"][:, place]
            missing = batch["target"][:, place] - self(batch)[:, place]
            total += float(missing[valid].double().sum())
            count += int(valid.sum())
        self.level += total / max(count, 1) * self.shape.scales["rss"].factor
        return FitReport()

    def _sight(self, batch: Mapping[str, torch.Tensor], links: Links) -> torch.Tensor | None:
        if not self.chosen.sight or "building_height" not in self.shape.channels:
            return None
        return in_sight(batch, self.shape, links)

    def _map(
        self, name: str, batch: Mapping[str, torch.Tensor], links: Links, gain: torch.Tensor | None
    ) -> torch.Tensor:
        if name == "delay":
            return links.direct_delay
        if name in DIRECTIONS:
            return links.direction[..., DIRECTIONS.index(name)]
        assert gain is not None
        if name == "path_gain":
            return gain
        return gain + (self._level_of(batch, gain) if self.by_samples else self.level)

    def _level_of(self, batch: Mapping[str, torch.Tensor], gain: torch.Tensor) -> torch.Tensor:
        """Mean of what the gain lacks at the samples of each map; the fitted level where there is none."""
        known = mask_of(batch, self.shape, "rss")
        missing = torch.where(known, in_units(batch, self.shape, "rss") - gain, 0.0)
        cells = tuple(range(1, missing.ndim))
        count = known.sum(dim=cells, keepdim=True)
        return torch.where(count > 0, missing.sum(dim=cells, keepdim=True) / count.clamp_min(1), self.level)
