"""Geo2SigMap's first stage: a U-Net from buildings and transmitter to the path gain, added to a formula's.

Li, Li, Gao and Chen, "Geo2SigMap: High-Fidelity RF Signal Mapping Using Geographic Databases", DySPAN 2024,
arXiv 2312.14303. Metres and dB go in as they are; the U-Net learns what is missing in the UMa path loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import TaskShape
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

from ..layers.links import CARRIER, uma_prior_gain
from ..layers.maps import in_units, only_target, require, require_told, to_model_space
from .inference import fast
from .network import add_layers, plain

PRIOR = "path_gain_prior"
IMAGE = ("building_height", "transmitter")
FIT_BATCH = 64


@dataclass(frozen=True)
class Hyperparameters:
    """Of the first stage.

    Attributes:
        base_width: maps at full size.
        start_at_mean: a fit begins at the mean of the training maps less the prior. Nothing is scaled, so
            that from torch's start, about 0 dB, it would take thousands of steps to get there.
        fast_inference: fold the normalisations into the convolutions on a processor.
    """

    base_width: int = 64
    start_at_mean: bool = True
    fast_inference: bool = True

    def __post_init__(self) -> None:
        """A network without maps is none."""
        if self.base_width < 1:
            raise ValueError(f"base_width must be at least 1, not {self.base_width}")


class Geo2SigMapUnet(NeuralForecaster):
    """path gain = UMa prior + U-Net(heights of buildings, height of the transmitter in its cell).

    The prior is the channel `path_gain_prior`, or follows from position and carrier. On received power the
    U-Net learns the mean of all antennas as well.

    Raises:
        InputError: for several targets, or a task that hides buildings, transmitter or carrier.
    """

    views: ClassVar[tuple[str, ...]] = ("field",)
    probabilistic: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        self.chosen = hyperparameters or self.Hyperparameters()
        self.target = only_target(shape, "geo2sigmap_unet")
        self.uses = names_for(shape, "geo2sigmap_unet")  # type: ignore[misc]
        add_layers(self, len(IMAGE), self.chosen.base_width)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, 1, y, x)."""
        image = torch.stack([in_units(batch, self.shape, name) for name in IMAGE], dim=1)
        made = through(self, image, self.chosen.fast_inference) + prior(batch, self.shape)
        return to_model_space(made, self.shape, self.target)

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Train from the mean of the training maps less the prior, or from `init`."""
        if init is None and self.chosen.start_at_mean:
            nn.init.constant_(self.outc.conv.bias, self._mean_of_the_rest(source))  # type: ignore[union-attr]
        return super().fit(source, init)

    def _mean_of_the_rest(self, source: TaskSource | CorpusSource) -> float:
        """Mean in dB of what the prior lacks, over the cells that are trained on."""
        total, count = 0.0, 0
        for batch in source.train.batches(FIT_BATCH):
            rest = batch["target"] - to_model_space(prior(batch, self.shape), self.shape, self.target)
            total += float(rest[batch["valid"]].double().sum())
            count += int(batch["valid"].sum())
        return total / max(count, 1) * self.shape.scales[self.target].factor


def names_for(shape: TaskShape, who: str) -> frozenset[str]:
    """What the stage reads of a batch.

    Raises:
        InputError: where the task hides buildings, transmitter or carrier.
    """
    require(shape, who, *IMAGE)
    if PRIOR in shape.channels:
        return frozenset({"context"})
    require_told(shape, who, CARRIER)
    return frozenset({"context", "position", "environment"})


def prior(batch: Mapping[str, torch.Tensor], shape: TaskShape) -> torch.Tensor:
    """Path gain by formula in dB, shape (sample, 1, y, x), in the precision of the context."""
    if PRIOR in shape.channels:
        return in_units(batch, shape, PRIOR)[:, None]
    return uma_prior_gain(batch, shape, "geo2sigmap_unet")[:, None].to(batch["context"].dtype)


def through(layers: nn.Module, image: torch.Tensor, quickly: bool) -> torch.Tensor:
    """What a U-Net makes of an image, shape (sample, 1, y, x); quickly where nothing is learned."""
    evaluating = not layers.training and not torch.is_grad_enabled()
    if quickly and evaluating and image.device.type == "cpu":
        return fast(layers, image)  # type: ignore[arg-type]
    return plain(layers, image)  # type: ignore[arg-type]
