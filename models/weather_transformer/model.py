"""A small weather model: a Transformer with windows on the globe, rolled out step by step.

On a task of variables that it does not read, it is a frozen backbone with light decoders: after
"Finetuning a weather foundation model with lightweight decoders for unseen physical processes" (2025),
which puts them on Aurora; sizes and layers are ours. Nothing of the backbone changes: its own forecasts
stay the same to the last bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

from ..layers.grid import GridForecaster, GridHyperparameters, area_loss, stacked
from .network import Backbone, Head


@dataclass(frozen=True)
class Hyperparameters(GridHyperparameters):
    """Of the small weather model.

    Attributes:
        width: of a token.
        blocks: number of blocks.
        heads: of the attention.
        patch: points of a token in each direction.
        window_rows, window_columns: tokens of a window.
        hidden: width of the layer of each decoder of a new variable.
    """

    width: int = 96
    blocks: int = 4
    heads: int = 4
    patch: int = 2
    window_rows: int = 4
    window_columns: int = 8
    hidden: int = 64


class WeatherTransformer(GridForecaster):
    """Encoder, processor and a head; the head's output is the change of the state.

    Where the task's targets are not read, the weights of another fit are kept as they are, and a decoder is
    trained for each target: a norm, a layer, and a linear map of each token to its points. In training the
    latent state comes from what was observed, in a forecast from the model's own roll-out.

    Raises:
        InputError: where the grid does not divide into patches and windows, or some targets are read and
            others are not.
    """

    states_only: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters)
        self.backbone = build_backbone(shape, self.chosen)
        self.head = Head(self.chosen.width, len(shape.channels), self.chosen.patch)
        self.decodes = shape.targets != shape.channels
        # Decoders come with the fit, so that the weights of a backbone are those of this model until then.
        self.decoders: nn.ModuleList | None = None
        self.pretrained = False
        if self.decodes and (known := [name for name in shape.targets if name in shape.channels]):
            raise InputError(f"weather_transformer decodes what it does not read; {known[0]} it does")
        if self.decodes:
            self.requires_grad_(False)

    def add_decoders(self, seed: int) -> None:
        """A decoder for each target, at its start."""
        chosen = self.chosen
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.decoders = nn.ModuleList(
                Head(chosen.width, 1, chosen.patch, chosen.hidden) for _ in self.shape.targets
            )

    def resize(self, sizes: Mapping[str, Any]) -> None:
        """Make room for decoders where weights hold some."""
        if self.decodes and self.decoders is None and any(name.startswith("decoders.") for name in sizes):
            self.add_decoders(0)

    def adapted(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights as they are; from now on the backbone is a fitted one."""
        self.pretrained = True
        return tensors

    def increment(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """Change of the state in one step, in units of `spread`."""
        return self.head(self.backbone(stacked(state, static)))

    def latent(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """Latent state of the next step, shape (sample, row, column, width), without gradients."""
        with torch.no_grad():
            return self.backbone(stacked(state, static))

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """The new variables of a latent state, shape (sample, target, latitude, longitude).

        Raises:
            InputError: where no decoder was fitted.
        """
        if self.decoders is None:
            raise InputError("weather_transformer has no decoders for new variables yet: add --fine-tune")
        return torch.cat([decoder(latent) for decoder in self.decoders], dim=1)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target, latitude, longitude)."""
        if not self.decodes:
            return super().forward(batch)
        state, static, ahead = batch["context"], batch["static"], []
        for _ in range(self.shape.horizon):
            latent = self.latent(state, static)
            ahead.append(self.decode(latent))
            following = state[:, -1] + self.head(latent) * self.spread[:, None, None]
            state = torch.cat([state[:, 1:], following[:, None]], dim=1)
        return torch.stack(ahead, dim=1)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """Error of the roll-out; of decoders that of the first step ahead; rows weigh by their area."""
        if not self.decodes:
            return super().loss(batch, reduction)
        decoded = self.decode(self.latent(batch["context"], batch["static"]))
        units = torch.ones(len(self.shape.targets), device=decoded.device)
        return area_loss(
            decoded[:, None], batch["target"][:, :1], units, batch["static"], self.settings.loss, reduction
        )

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Train all of it, or decoders on a fitted backbone.

        Raises:
            InputError: where decoders are asked for and there are no weights of a backbone.
        """
        if not self.decodes:
            return super().fit(source, init)
        if not self.pretrained:
            raise InputError(
                "weather_transformer learns new variables on a fitted backbone: "
                "tsbench fit weather_transformer TASK, then --weights RUN"
            )
        if self.decoders is None:
            self.add_decoders(source.seed)
        return NeuralForecaster.fit(self, source, init)


def build_backbone(shape: TaskShape, chosen: Any, further: int = 0) -> Backbone:
    """The backbone for a task.

    Args:
        shape: of the task.
        chosen: hyper-parameters.
        further: channels of the image beside those of the context and the static fields.

    Raises:
        InputError: where the grid does not divide into patches and windows.
    """
    rows, columns = shape.sizes["latitude"], shape.sizes["longitude"]
    tokens = rows // chosen.patch, columns // chosen.patch
    whole = rows % chosen.patch == columns % chosen.patch == 0
    area = chosen.window_rows * chosen.window_columns
    fits = whole and tokens[0] % chosen.window_rows == 0 and tokens[1] % chosen.window_columns == 0
    if not fits or tokens[1] % max(1, area // tokens[0]):
        raise InputError(
            f"A grid of {rows} × {columns} points does not divide into patches of {chosen.patch} and windows "
            f"of {chosen.window_rows} × {chosen.window_columns} tokens"
        )
    return Backbone(
        inputs=shape.context * len(shape.channels) + len(shape.static) + further,
        rows=rows,
        columns=columns,
        width=chosen.width,
        blocks=chosen.blocks,
        heads=chosen.heads,
        patch=chosen.patch,
        window=(chosen.window_rows, chosen.window_columns),
    )
