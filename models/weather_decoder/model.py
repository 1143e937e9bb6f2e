"""Light decoders on a frozen weather model: new variables from the latent state that it forecasts with.

After "Finetuning a weather foundation model with lightweight decoders for unseen physical processes" (2025),
which puts them on Aurora; sizes and layers are ours. The backbone is a fitted `weather_transformer`, and
nothing of it changes: its own forecasts stay the same to the last bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.training.source import CorpusSource, FitReport, TaskSource

from ..layers.grid import GridForecaster, area_loss, stacked
from ..weather_transformer.model import Hyperparameters as BackboneHyperparameters
from ..weather_transformer.model import build_backbone
from ..weather_transformer.network import Head


@dataclass(frozen=True)
class Hyperparameters(BackboneHyperparameters):
    """Of the backbone, which must be those that it was fitted with, and of the decoders.

    Attributes:
        hidden: width of the layer of each decoder.
    """

    hidden: int = 64


class WeatherDecoder(GridForecaster):
    """A decoder for each target: a norm, a layer, and a linear map of each token to its points.

    In training the latent state comes from what was observed, in a forecast from the model's own roll-out.

    Raises:
        InputError: where the task asks for what the backbone forecasts itself.
    """

    states_only: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters)
        if known := [name for name in shape.targets if name in shape.channels]:
            raise InputError(
                f"weather_decoder decodes what the backbone does not forecast; {known[0]} it does"
            )
        chosen = self.chosen
        self.backbone = build_backbone(shape, chosen)
        self.head = Head(chosen.width, len(shape.channels), chosen.patch)
        self.decoders = nn.ModuleList(
            Head(chosen.width, 1, chosen.patch, chosen.hidden) for _ in shape.targets
        )
        for part in (self.backbone, self.head):
            part.requires_grad_(False)
        self.pretrained = False

    def adapted(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights of a backbone, with decoders at their start; weights of this model as they are."""
        self.pretrained = True
        own = {name: one for name, one in self.state_dict().items() if name.startswith("decoders.")}
        return own | tensors

    def latent(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """Latent state of the next step, shape (sample, row, column, width), without gradients."""
        with torch.no_grad():
            return self.backbone(stacked(state, static))

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """The new variables of a latent state, shape (sample, target, latitude, longitude)."""
        return torch.cat([decoder(latent) for decoder in self.decoders], dim=1)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast of the new variables, shape (sample, lead_time, target, latitude, longitude)."""
        state, static, ahead = batch["context"], batch["static"], []
        for _ in range(self.shape.horizon):
            latent = self.latent(state, static)
            ahead.append(self.decode(latent))
            following = state[:, -1] + self.head(latent) * self.spread[:, None, None]
            state = torch.cat([state[:, 1:], following[:, None]], dim=1)
        return torch.stack(ahead, dim=1)

    def increment(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """Change of the state in one step, as the backbone forecasts it."""
        return self.head(self.latent(state, static))

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """Error of the first step ahead, rows weighing by their area."""
        decoded = self.decode(self.latent(batch["context"], batch["static"]))
        units = torch.ones(len(self.shape.targets), device=decoded.device)
        return area_loss(
            decoded[:, None], batch["target"][:, :1], units, batch["static"], self.settings.loss, reduction
        )

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Train the decoders.

        Raises:
            InputError: without the weights of a backbone.
        """
        if not self.pretrained and init is None:
            raise InputError(
                "weather_decoder stands on a fitted weather_transformer: "
                "tsbench fit weather_transformer TASK, then --weights RUN"
            )
        return super().fit(source, init)
