"""A small weather model: a Transformer with windows on the globe, rolled out step by step."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from tsbench.contracts import InputError, TaskShape

from ..layers.grid import GridForecaster, GridHyperparameters, stacked
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
    """

    width: int = 96
    blocks: int = 4
    heads: int = 4
    patch: int = 2
    window_rows: int = 4
    window_columns: int = 8


class WeatherTransformer(GridForecaster):
    """Encoder, processor and a head; the head's output is the change of the state.

    Raises:
        InputError: where the grid does not divide into patches and windows.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters)
        self.backbone = build_backbone(shape, self.chosen)
        self.head = Head(self.chosen.width, len(shape.channels), self.chosen.patch)

    def increment(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """Change of the state in one step, in units of `spread`."""
        return self.head(self.backbone(stacked(state, static)))


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
