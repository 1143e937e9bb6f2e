"""Time-MoE as a forecaster: each target is a sequence, normalised by its window, continued by the network.

Shi et al., "Time-MoE", ICLR 2025 (arXiv 2409.16040). With given weights it forecasts zero-shot or is
fine-tuned on a task; without, it is trained on the task alone. Parameter names are the official ones.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.training.heads import Head
from tsbench.training.module import NeuralForecaster
from tsbench.training.published_folder import read_state

from .checkpoint import read_configuration
from .configuration import SIZES, Configuration
from .generation import generate, sequences_at_once
from .loss import DELTA, Each, huber, objective
from .network import Backbone, heads_of, initialise

BETAS = (0.9, 0.95)
CLIP = 1.0
ROUNDING = 1e-6
SIZE_KEYS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_experts",
    "num_experts_per_tok", "use_dense",
)  # fmt: skip


@dataclass(frozen=True)
class Hyperparameters:
    """Of Time-MoE.

    Attributes:
        size: named configuration.
        zero_shot: forecast with given weights and learn nothing.
        window_norm: normalise each window by its own mean and standard deviation, and undo it on the
            forecast; the official benchmark leaves it out, the official example does it.
        delta: threshold of Huber's loss in training, in the network's units. The published 2 makes it the
            squared error of nearly every value; a small one trains for the absolute error.
    """

    size: Literal["tiny", "small", "base", "large", "ultra"] = "base"
    zero_shot: bool = False
    window_norm: bool = True
    delta: float = DELTA

    def __post_init__(self) -> None:
        """Refuse a threshold that is none."""
        if not (math.isfinite(self.delta) and self.delta > 0):
            raise ValueError(f"delta must be a positive number, not {self.delta}")


class TimeMoE(NeuralForecaster):
    """Decoder of single values with sparse experts and a head for each of several horizons.

    In training the loss is the official objective on look-back and horizon as one sequence; validation, which
    chooses the weights, is the error of the generated forecast in the loss of the settings. With a
    probabilistic loss the heads give several numbers a step, that loss takes the place of Huber's in the
    objective, and generation goes on from the point that the numbers stand for. Steps without a value are
    neither attended to nor normalised by.

    Raises:
        InputError: where look-back and horizon together exceed the positions of the network.
    """

    own_numbers: ClassVar[bool] = True
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or Hyperparameters()
        self.size, self.window_norm, self.delta = chosen.size, chosen.window_norm, chosen.delta
        # Zero-shot and fine-tuned are one model with one card; the job asks the instance.
        self.fits = "none" if chosen.zero_shot else "task"  # type: ignore[misc]
        self.configuration = SIZES[chosen.size]
        steps = shape.context + shape.horizon
        if steps > self.configuration.max_position_embeddings:
            raise InputError(
                f"time_moe reads at most {self.configuration.max_position_embeddings} steps of context and "
                f"horizon together, not {shape.context} + {shape.horizon}"
            )
        self.model = Backbone(self.configuration)
        self.lm_heads = heads_of(self.configuration)
        initialise(self, self.configuration.initializer_range)
        self.outputs = 1
        self.weights_given = False
        self.register_load_state_dict_post_hook(_note_weights)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Generated forecast without gradients, shape (sample, lead_time, target).

        With a head its numbers, shape (sample, output × lead_time, target).

        Raises:
            InputError: zero-shot, where no weights were given.
        """
        if self.fits == "none" and not self.weights_given:
            raise InputError(
                "time_moe forecasts zero-shot with given weights only: add --weights, or drop zero_shot"
            )
        attended = self._attended(batch)
        series, mean, spread = self._sequences(batch, attended)
        unit = self._unit(batch, spread)
        at_once = sequences_at_once(self.configuration, self.shape.context + self.shape.horizon)
        made = [
            generate(
                self.model,
                self.lm_heads,
                series[part],
                self.shape.horizon,
                attended=None if attended is None else attended[part],
                outputs=self.outputs,
                point=None if unit is None else self._point(unit[part]),
            )
            for part in (slice(start, start + at_once) for start in range(0, len(series), at_once))
        ]
        return self._targets(torch.cat(made) * spread + mean)

    def adopt(self, head: Head) -> None:
        """Give each of the horizon lengths the numbers of a probabilistic head."""
        super().adopt(head)
        self.outputs = head.outputs
        self.lm_heads = heads_of(self.configuration, self.outputs)
        initialise(self.lm_heads, self.configuration.initializer_range)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """In training mode the objective of the paper, otherwise the error of the forecast; a scalar."""
        if not self.training:
            return super().loss(batch, reduction)
        context, mean, spread = self._sequences(batch, self._attended(batch))
        target = batch["target"].transpose(1, 2).flatten(0, 1)  # (sequence, lead_time)
        whole = torch.cat([context, (target - mean) / spread], dim=1)
        held = self._observed(batch)
        attended = None if held.all() else held
        # What is missing of the target may be no number, and attention multiplies it by zero.
        inputs = whole if attended is None else whole.where(held, 0.0)
        encoded = self.model(inputs[:, :-1], attended=None if attended is None else attended[:, :-1])
        # (output, sequence, step, length of the head)
        forecasts = [
            head(encoded.hidden).unflatten(-1, (self.outputs, -1)).movedim(-2, 0) for head in self.lm_heads
        ]
        unit = self._unit(batch, spread)
        if unit is None:
            each: Each = lambda forecast, labels: huber(forecast[0], labels, self.delta)  # noqa: E731
        else:
            each = partial(self._negative_score, unit)
        return objective(encoded, forecasts, whole[:, 1:], self.configuration, held[:, 1:], each=each)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW with the betas of the paper; the learning rate of each epoch is set by the fit."""
        rate, decay = self.settings.learning_rate, self.settings.weight_decay
        return torch.optim.AdamW(self.parameters(), lr=rate, betas=BETAS, weight_decay=decay, fused=True)

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Norm of the gradient at most 1, as in the official training."""
        nn.utils.clip_grad_norm_(self.parameters(), CLIP)

    def load_folder(self, folder: Path) -> None:
        """Load a Hugging Face folder (config.json and safetensors) strictly.

        The folder's horizon lengths and constants are taken over; its sizes must be those of `size`.

        Raises:
            InputError: where the folder is damaged or its sizes are others.
        """
        found = read_configuration(folder)
        for key in SIZE_KEYS:
            if getattr(found, key) != getattr(self.configuration, key):
                raise InputError(
                    f"{folder / 'config.json'}: {key} is {getattr(found, key)}, not "
                    f"{getattr(self.configuration, key)} as in the size '{self.size}'{_advice(found)}"
                )
        if self.shape.context + self.shape.horizon > found.max_position_embeddings:
            raise InputError(
                f"{folder / 'config.json'}: max_position_embeddings {found.max_position_embeddings} is less "
                f"than context {self.shape.context} + horizon {self.shape.horizon}"
            )
        device = next(self.parameters()).device
        with torch.device("meta"):
            backbone, heads, published = Backbone(found), heads_of(found, self.outputs), heads_of(found)
        shapes = {name: one.shape for name, one in backbone.state_dict(prefix="model.").items()}
        shapes |= {name: one.shape for name, one in published.state_dict(prefix="lm_heads.").items()}
        state = read_state(folder, shapes)
        self.configuration, self.model, self.lm_heads = found, backbone, heads
        self.load_state_dict(self.adapted(state), strict=True, assign=True)
        self.to(device).train(self.training)

    def adapted(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights of a point forecaster for a probabilistic one: each head starts all its numbers.

        Only to be fine-tuned: a zero-shot forecast of numbers that are all the same has no meaning.
        """
        if self.outputs == 1 or self.fits == "none":
            return state
        own = {name: len(one) for name, one in self.lm_heads.state_dict(prefix="lm_heads.").items()}
        return {
            name: one.repeat(self.outputs, 1) if own.get(name) == self.outputs * len(one) else one
            for name, one in state.items()
        }

    def _sequences(
        self, batch: Mapping[str, torch.Tensor], attended: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | float, torch.Tensor | float]:
        """Normalised look-back of each target (sequence, step), and mean and spread (sequence, 1)."""
        targets = list(self.shape.target_index)
        series = batch["context"][..., targets].transpose(1, 2).flatten(0, 1)
        if not self.window_norm:
            return series, 0.0, 1.0
        held = torch.ones_like(series) if attended is None else attended.to(series)
        count = held.sum(dim=1, keepdim=True)
        mean = (series * held).sum(dim=1, keepdim=True) / count.clamp_min(1)
        # Unbiased, as in the official example; a look-back that changes by rounding alone is only centred.
        centred = (series - mean) * held
        spread = (centred.square().sum(dim=1, keepdim=True) / (count - 1).clamp_min(1)).sqrt()
        spread = torch.where(spread > ROUNDING * mean.abs(), spread, 1.0)
        return centred / spread, mean, spread

    def _attended(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """Which steps of each look-back hold a value, shape (sequence, step); None where all do."""
        observed = batch.get("observed")
        if observed is None:
            return None
        held = observed[..., list(self.shape.target_index)].transpose(1, 2).flatten(0, 1)
        return None if held.all() else held

    def _unit(self, batch: Mapping[str, torch.Tensor], spread: torch.Tensor | float) -> torch.Tensor | None:
        """The head's unit of each look-back in the network's space, shape (sequence, 1); None without."""
        if self.probabilistic_head is None:
            return None
        raw = self.probabilistic_head.spread(batch["context"], batch.get("observed"))  # (sample, 1, target)
        return raw.transpose(1, 2).flatten(0, 1) / spread

    def _point(self, unit: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """What is fed back of the numbers (output, sequence, step), shape (sequence, step)."""
        head = self.probabilistic_head
        assert head is not None
        return lambda numbers: head.point(numbers[..., None], unit[:, :, None])[..., 0]

    def _negative_score(
        self, unit: torch.Tensor, forecast: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Loss of the head: of numbers (output, sequence, step, horizon), shape of the labels."""
        assert self.probabilistic_head is not None
        return self.probabilistic_head.loss(forecast, labels, unit[:, :, None])

    def _targets(self, forecast: torch.Tensor) -> torch.Tensor:
        """Sequences (sequence, lead_time) back as (sample, lead_time, target)."""
        return forecast.unflatten(0, (-1, len(self.shape.targets))).transpose(1, 2)

    def _observed(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Which values of look-back and horizon are real, shape (sequence, step)."""
        target = batch["target"]
        context = batch["context"][..., list(self.shape.target_index)]
        before = torch.ones_like(context, dtype=torch.bool)
        if "observed" in batch:
            before = batch["observed"][..., list(self.shape.target_index)]
        after = batch.get("valid", torch.ones_like(target, dtype=torch.bool))
        return torch.cat([before, after], dim=1).transpose(1, 2).flatten(0, 1)


def _note_weights(model: Any, _: Any) -> None:
    model.weights_given = True


def _advice(found: Configuration) -> str:
    for name, size in SIZES.items():
        if all(getattr(found, key) == getattr(size, key) for key in SIZE_KEYS):
            return f"; choose size={name}"
    return ""
