"""RadioUNet: RadioWNet fitted in two phases, first the one U-Net, then the one that reads its map.

Levie, Yapar, Kutyniok and Caire, "RadioUNet: Fast Radio Map Estimation with Convolutional Neural Networks",
IEEE Transactions on Wireless Communications 2021. Inputs and grey values as in the published code:
buildings and transmitter are 1/256 where they are, a map lies between 0 and 1 above a threshold, and outputs
are no lower.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.nn import functional

from tsbench.contracts import JobFailed, TaskShape
from tsbench.training.fit import fit_by_gradient
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

from ..layers.maps import has_samples, in_units, only_target, require, sampled, to_model_space
from ..layers.phases import joined, phase_source, remove_phases
from .network import SECOND, SMALLEST, Phase, add_layers, both, choose_phase, first_widths

PHASES: tuple[Phase, ...] = ("firstU", "secondU")


@dataclass(frozen=True)
class Hyperparameters:
    """Of RadioUNet.

    Attributes:
        floor: value of the target, in its units, that is 0 for the network; lower ones count as it.
        ceiling: value that is 1 for the network. The published maps are grey values cut off below 0.2.
        input_scale: value of a building and of the transmitter in their channels.
        divisor: by which the published widths are divided.
        step_epochs: epochs after which the learning rate falls by `step_factor`, in each phase.
        step_factor: of each fall.
        restarts: new starts of a phase whose output is 0 everywhere: such a network learns nothing.
    """

    floor: float = 0.2
    ceiling: float = 1.0
    input_scale: float = 1 / 256
    divisor: int = 1
    step_epochs: int = 30
    step_factor: float = 0.1
    restarts: int = 5

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if self.ceiling <= self.floor:
            raise ValueError(f"ceiling, {self.ceiling}, must be above floor, {self.floor}")
        for name in ("input_scale", "divisor", "step_epochs", "step_factor"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.restarts < 0:
            raise ValueError(f"restarts must not be negative, not {self.restarts}")


class RadioUnet(NeuralForecaster):
    """map = floor + (ceiling − floor) · U₂(U₁(x), x), with x buildings, transmitter and, if given, samples.

    Attributes:
        phase: which U-Net learns, and whose map is the forecast.

    Raises:
        InputError: for several targets, or a task that hides buildings or transmitter.
    """

    views: ClassVar[tuple[str, ...]] = ("field",)
    probabilistic: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        self.chosen = hyperparameters or self.Hyperparameters()
        self.target = only_target(shape, "radiounet")
        require(shape, "radiounet", "building_height", "transmitter")
        self.samples = sampled(shape, "radiounet") if has_samples(shape) else None
        inputs = 2 if self.samples is None else 3
        add_layers(
            self,
            inputs,
            first_widths(inputs).divided(self.chosen.divisor),
            SECOND.divided(self.chosen.divisor),
        )
        self.phase: Phase = "secondU"

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast of the phase, shape (sample, 1, y, x)."""
        found = self.maps(batch)[PHASES.index(self.phase)]
        values = self.chosen.floor + (self.chosen.ceiling - self.chosen.floor) * found
        return to_model_space(values, self.shape, self.target)

    def maps(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """What both U-Nets make of a batch, 0 at `floor` and 1 at `ceiling`, each (sample, 1, y, x)."""
        image = self.image(batch)
        rows, columns = image.shape[2:]
        whole = functional.pad(image, [0, -columns % SMALLEST, 0, -rows % SMALLEST])
        first, second = both(self, whole)
        return first[..., :rows, :columns], second[..., :rows, :columns]

    def image(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What the network reads, shape (sample, 2 or 3, y, x)."""
        channels = [(in_units(batch, self.shape, name) > 0) for name in ("building_height", "transmitter")]
        image = torch.stack(channels, dim=1).to(batch["context"].dtype) * self.chosen.input_scale
        if self.samples is None:
            return image
        # What was not sampled holds -160 dB, which is no higher than any floor.
        given = in_units(batch, self.shape, self.samples)[:, None] - self.chosen.floor
        return torch.cat([image, (given / (self.chosen.ceiling - self.chosen.floor)).clamp_min(0)], dim=1)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """Of the phase's map; values below the floor, which no output reaches, count as it."""
        floor = to_model_space(torch.tensor(self.chosen.floor), self.shape, self.target)
        return super().loss({**batch, "target": batch["target"].clamp_min(floor.item())}, reduction)

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Train the first U-Net, then the second on its map.

        Raises:
            JobFailed: where every start of a phase was dead.
        """
        assert isinstance(source, TaskSource)
        if init is not None:
            self.load_state_dict(dict(init), strict=True)
        starts = [f"{phase}-{start}" for phase in PHASES for start in range(self.chosen.restarts + 1)]
        reports = {phase: self._fit_phase(phase, source) for phase in PHASES}
        remove_phases(source, starts)
        return joined(reports)

    def _fit_phase(self, phase: Phase, source: TaskSource) -> FitReport:
        self.phase = phase
        choose_phase(self, phase)
        for start in range(self.chosen.restarts + 1):
            if start:
                self._draw_again(phase, source.seed, start)
            own = phase_source(source, f"{phase}-{start}")
            falls = StepRate(self.chosen.step_epochs, self.chosen.step_factor)
            probe = source.train.gather(torch.arange(min(len(source.train), source.settings.batch_size)))
            watch = DeadStart(probe)
            if watch.dead(self):
                continue
            try:
                return fit_by_gradient(self, replace(own, callbacks=(*own.callbacks, falls, watch)))
            except NothingLearned:
                continue
        raise JobFailed(
            f"RadioUNet's {phase} gave 0 everywhere from {self.chosen.restarts + 1} starts: its last ReLU is "
            "dead; try another seed, or a lower learning rate"
        )

    def _draw_again(self, phase: Phase, seed: int, start: int) -> None:
        """New weights of one U-Net, from the seed of the run and the number of the start."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((seed * 1_000_003 + start) % 2**63)
            for layer in self._layers_of(phase):
                layer.reset_parameters()

    def _layers_of(self, phase: Phase) -> Iterator[nn.Conv2d | nn.ConvTranspose2d]:
        for name, layer in self.named_modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and name.startswith("W") == (
                phase == "secondU"
            ):
                yield layer


class NothingLearned(Exception):
    """The output of a phase is 0 everywhere, so that no gradient reaches its weights."""


class DeadStart(Callback):
    """Ends a phase that is dead after its first epoch.

    Args:
        batch: on which the output is looked at.
    """

    def __init__(self, batch: Mapping[str, torch.Tensor]) -> None:
        self.batch = batch

    def dead(self, model: RadioUnet) -> bool:
        """Whether the map of the model's phase is 0 everywhere."""
        device = next(model.parameters()).device
        with torch.no_grad():
            found = model.maps({name: one.to(device) for name, one in self.batch.items()})
        return not bool((found[PHASES.index(model.phase)] > 0).any())

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raise where nothing is left."""
        assert isinstance(pl_module, RadioUnet)
        if trainer.current_epoch == 0 and self.dead(pl_module):
            raise NothingLearned


class StepRate(Callback):
    """Lets the learning rate of the settings fall by a factor every so many epochs.

    Args:
        epochs: between falls.
        factor: of a fall.
    """

    def __init__(self, epochs: int, factor: float) -> None:
        self.epochs, self.factor = epochs, factor

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After the rate of the epoch was set by the settings."""
        for group in trainer.optimizers[0].param_groups:
            group["lr"] *= self.factor ** (trainer.current_epoch // self.epochs)
