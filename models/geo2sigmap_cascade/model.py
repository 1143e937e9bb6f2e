"""Geo2SigMap's cascade: the first stage's isotropic map and sparse samples to the power that is received.

Li, Li, Gao and Chen, "Geo2SigMap: High-Fidelity RF Signal Mapping Using Geographic Databases", DySPAN 2024,
arXiv 2312.14303. The first stage is fitted on the isotropic path gain of the training maps and frozen; the
second, the same U-Net with one more channel and no residual, learns the antenna from samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import InputError, Task, TaskShape
from tsbench.data.task_data import TaskData
from tsbench.training.build import build
from tsbench.training.fit import fit_by_gradient
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

from ..geo2sigmap_unet.model import IMAGE, PRIOR, Geo2SigMapUnet, names_for, prior, through
from ..geo2sigmap_unet.network import UNet
from ..layers.maps import in_units, mask_of, only_target, sampled, scale_of, to_model_space
from ..layers.phases import joined, phase_source, remove_phases

ISOTROPIC = "path_gain"
FIRST, SECOND = "first-stage", "second-stage"


@dataclass(frozen=True)
class Hyperparameters:
    """Of the cascade.

    Attributes:
        base_width: maps at full size, of both stages.
        mask_channel: tell the second stage where samples are; as published, -160 dB alone says it.
        first_epochs: of the first stage at most; 0: as many as the second's.
        start_at_mean: fits begin at the mean of the training maps, as of geo2sigmap_unet.
        fast_inference: fold the normalisations into the convolutions on a processor.
    """

    base_width: int = 64
    mask_channel: bool = False
    first_epochs: int = 0
    start_at_mean: bool = True
    fast_inference: bool = True

    def __post_init__(self) -> None:
        """A network without maps is none."""
        if self.base_width < 1:
            raise ValueError(f"base_width must be at least 1, not {self.base_width}")
        if self.first_epochs < 0:
            raise ValueError(f"first_epochs must not be negative, not {self.first_epochs}")


class Geo2SigMapCascade(NeuralForecaster):
    """received power = U-Net₂(heights of buildings, samples, UMa prior + U-Net₁(buildings, transmitter)).

    Raises:
        InputError: for several targets, or a task that hides buildings, transmitter or carrier, or has no
            samples.
    """

    views: ClassVar[tuple[str, ...]] = ("field",)
    probabilistic: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = self.chosen = hyperparameters or self.Hyperparameters()
        self.target = only_target(shape, "geo2sigmap_cascade")
        self.samples = sampled(shape, "geo2sigmap_cascade")
        needed = names_for(shape, "geo2sigmap_cascade")
        self.uses = needed | {"observed"} if chosen.mask_channel else needed  # type: ignore[misc]
        self.stage1 = UNet(len(IMAGE), chosen.base_width)
        self.stage2 = UNet(3 + chosen.mask_channel, chosen.base_width)
        self.stage1.requires_grad_(False).eval()

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, 1, y, x)."""
        samples = in_units(batch, self.shape, self.samples)[:, None]
        channels = [in_units(batch, self.shape, IMAGE[0])[:, None], samples, self.isotropic(batch)]
        if self.chosen.mask_channel:
            channels.append(mask_of(batch, self.shape, self.samples)[:, None].to(samples.dtype))
        made = through(self.stage2, torch.cat(channels, dim=1), self.chosen.fast_inference)
        return to_model_space(made, self.shape, self.target)

    @torch.no_grad()
    def isotropic(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The first stage's map, path gain in dB, shape (sample, 1, y, x)."""
        image = torch.stack([in_units(batch, self.shape, name) for name in IMAGE], dim=1)
        return through(self.stage1, image, self.chosen.fast_inference) + prior(batch, self.shape)

    def train(self, mode: bool = True) -> "Geo2SigMapCascade":
        """The first stage stays as it was fitted, its statistics too."""
        super().train(mode)
        self.stage1.eval()
        return self

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Train the first stage on isotropic maps, then the second; with `init` only the second.

        Raises:
            InputError: where the data set has no isotropic path gain.
        """
        if init is not None:
            return super().fit(source, init)
        assert isinstance(source, TaskSource)
        reports = {FIRST: self._fit_first(source)}
        if self.chosen.start_at_mean:
            mean = scale_of(self.shape, self.target).mean
            nn.init.constant_(self.stage2.outc.conv.bias, mean)  # type: ignore[arg-type, union-attr]
        reports[SECOND] = fit_by_gradient(self, phase_source(source, SECOND))
        remove_phases(source, reports)
        return joined(reports)

    def _fit_first(self, source: TaskSource) -> FitReport:
        epochs = self.chosen.first_epochs or source.settings.epochs
        isotropic = replace(
            phase_source(source, FIRST),
            data=TaskData.open(isotropic_task(source.data.task), source.data.name),
            settings=replace(source.settings, epochs=epochs),
        )
        chosen = Geo2SigMapUnet.Hyperparameters(self.chosen.base_width, self.chosen.start_at_mean)
        stage = build(Geo2SigMapUnet, isotropic.shape, chosen, source.seed)
        report = stage.fit(replace(isotropic, uses=stage.uses))
        self.stage1.load_state_dict(stage.state_dict())
        self.stage1.requires_grad_(False).eval()
        return report


def isotropic_task(task: Task) -> Task:
    """The same maps with the isotropic path gain as target, and without samples.

    Raises:
        InputError: for a task that already has path gain as its target: there is no second stage.
    """
    assert task.field is not None
    if ISOTROPIC in task.field.target:
        raise InputError(
            "geo2sigmap_cascade learns path gain first, then what is received; geo2sigmap_unet does one"
        )
    context = [*IMAGE, *([PRIOR] if PRIOR in task.field.context else [])]
    layout = task.field.model_dump(mode="json") | {"context": context, "target": [ISOTROPIC], "sparse": None}
    return Task.model_validate(task.model_dump(mode="json") | {"field": layout})
