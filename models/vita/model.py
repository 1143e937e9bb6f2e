"""VITA: variational pretraining of a transformer on weather, then fine-tuning for crop yield.

VITA, arXiv 2508.03589 (AAAI 2026; code Neehan/VITA). Pretraining hides some of 31 weather variables and
learns to tell them, with a divergence from a seasonal prior; there is no decoder. For yields, what the record
lacks is filled in by the encoder, and a small head reads the completed weather and the yields of past years.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.data.steps import step_seconds
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

from .network import (
    SIZES,
    VARIABLES,
    Gaussian,
    WeatherModel,
    adapted,
    divergence,
    negative_log_likelihood,
    pooled,
    weather_attention,
    yield_mlp,
)

YEAR = 365.2425 * 86_400 * 1e9
"""Nanoseconds."""
WEEK = 7.0


@dataclass(frozen=True)
class Hyperparameters:
    """Of VITA.

    Attributes:
        size: heads, layers and width, as published.
        alpha: weight of the divergence in pretraining.
        beta: weight of the divergence in fine-tuning.
        hidden_from: variables that pretraining hides in its first epoch.
        hidden_step, hidden_every: that many more after each so many epochs.
        hidden_to: that it hides at most.
        realizations: draws of the hidden weather that a forecast averages; 0: its mean. The published
            evaluation takes 1.
        keep_prior: take the prior over from the pretrained weights; the published code draws it anew.
        shared_prior: a prior with one sinusoid a variable, instead of one for each week.
        sinusoids: of the prior.
        length: weeks that there are parameters for.
        heads, layers, width: instead of those of `size`.
        attention_dropout: of attention weights.
        past: yields that the head reads; None: one for each year of the look-back.
    """

    size: Literal["mini", "small", "medium", "large"] = "mini"
    alpha: float = 0.5
    beta: float = 1e-4
    hidden_from: int = 10
    hidden_step: int = 2
    hidden_every: int = 5
    hidden_to: int = 25
    realizations: int = 0
    keep_prior: bool = True
    shared_prior: bool = False
    sinusoids: int = 1
    length: int = 365
    heads: int | None = None
    layers: int | None = None
    width: int | None = None
    attention_dropout: float = 0.1
    past: int | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if not 1 <= self.hidden_from <= self.hidden_to < len(VARIABLES):
            raise ValueError(f"hidden_from and hidden_to must be from 1 to {len(VARIABLES) - 1}, in order")
        if not 0 <= self.attention_dropout < 1:
            raise ValueError(f"attention_dropout must be from 0 to below 1, not {self.attention_dropout}")
        if min(self.alpha, self.beta, self.realizations, self.hidden_step) < 0 or self.hidden_every < 1:
            raise ValueError("alpha, beta, realizations and hidden_step must not be negative")


class Vita(NeuralForecaster):
    """The network of `network.py`, its parameters under their official names, and both of its losses.

    Raises:
        InputError: for channels that are none of the 31 variables, a look-back beyond `length`, or a task
            without past yields or calendar.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"context", "observed", "past_covariates", "time", "position"})
    views: ClassVar[tuple[str, ...]] = ("panel",)
    own_loss: ClassVar[bool] = True
    probabilistic: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = self.chosen = hyperparameters or Hyperparameters()
        if unknown := [name for name in shape.channels if name not in VARIABLES]:
            raise InputError(
                f"vita knows the 31 variables of NASA POWER and no '{unknown[0]}'; T2M_MAX is one"
            )
        if shape.context > chosen.length:
            raise InputError(
                f"vita has parameters for {chosen.length} weeks, not {shape.context}; set length"
            )
        if not shape.past_covariates:
            raise InputError("vita reads the targets of past periods, which the task does not give")
        heads, layers, each = SIZES[chosen.size]
        heads, layers = chosen.heads or heads, chosen.layers or layers
        width = chosen.width or heads * each
        past = chosen.past or max(1, -(-shape.context // shape.period))
        self.weather_model = WeatherModel(
            heads,
            layers,
            width,
            chosen.sinusoids,
            chosen.length,
            chosen.shared_prior,
            chosen.attention_dropout,
        )
        self.weather_attention, self.yield_mlp = weather_attention(), yield_mlp(past)
        self.seen = [VARIABLES.index(name) for name in shape.channels]
        self.interval = (step_seconds(shape.step) or WEEK * 86_400) / 86_400
        self.pretrained = False
        self.register_load_state_dict_post_hook(_note_weights)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Yield in model space, shape (sample, 1, 1), from the mean of what is hidden."""
        weather, hidden = self.completed_from(batch)
        found = self.encode(batch, weather, hidden)
        return self.tell(batch, weather, hidden, found.mean)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """The forecast of the mean weather, or the mean of forecasts of drawn weather."""
        if not self.chosen.realizations:
            return Forecast(self(batch))
        weather, hidden = self.completed_from(batch)
        found = self.encode(batch, weather, hidden)
        seed = 0 if generator is None else generator.initial_seed()
        total = torch.zeros_like(batch["context"][:, :1, :1])
        for member in range(self.chosen.realizations):
            noise = _noise(batch["index"], found.mean.shape[1:], seed, member).to(found.mean)
            drawn = found.mean + found.variance.sqrt() * noise
            total = total + self.tell(batch, weather, hidden, drawn)
        return Forecast(total / self.chosen.realizations)

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Pretrain on a corpus, or fit on a task: from pretrained weights where these were loaded before."""
        if isinstance(source, TaskSource) and self.pretrained and not self.chosen.keep_prior:
            self.weather_model.reset_prior(torch.Generator().manual_seed(source.seed))
        return super().fit(source, init)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """Of a corpus the loss of hidden weather; of a task that of yields, in evaluation without prior."""
        if "target" not in batch:
            found = self.pretraining_loss(batch, self.hide(batch))
            return found * len(batch["context"]) if reduction == "sum" else found
        weather, hidden = self.completed_from(batch)
        found = self.encode(batch, weather, hidden)
        filling = found.mean
        if self.training:
            filling = filling + found.variance.sqrt() * torch.randn_like(filling)
        error = (self.tell(batch, weather, hidden, filling) - batch["target"]).square().flatten()
        if self.training and self.chosen.beta:
            prior = self.weather_model.prior(weather.shape[1], self._interval(batch))
            apart = torch.where(hidden, divergence(found, prior), 0.0).sum(dim=(1, 2))  # (sample,)
            error = error + self.chosen.beta * apart
        return error.sum() if reduction == "sum" else error.mean()

    def terms(self, batch: Mapping[str, torch.Tensor]) -> int:
        """How many terms the summed loss of a batch has: one a sample."""
        return len(batch["context"])

    def pretraining_loss(self, batch: Mapping[str, torch.Tensor], hidden: torch.Tensor) -> torch.Tensor:
        """Σ over hidden values of (NLL + α KL), over the mean number of hidden values, mean over samples.

        Args:
            batch: with all variables in its context.
            hidden: mask, shape (sample, week, variable).
        """
        weather, _ = self.completed_from(batch)
        found = self.encode(batch, weather, hidden)
        prior = self.weather_model.prior(weather.shape[1], self._interval(batch))
        each = negative_log_likelihood(weather, found) + self.chosen.alpha * divergence(found, prior)
        total = torch.where(hidden, each, 0.0).sum(dim=(1, 2))
        return total.mean() / hidden.sum(dim=(1, 2)).float().mean()

    def hide(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Which variables of each sample are hidden, in all weeks, (sample, week, variable).

        In training drawn anew, more of them in later epochs; in validation as many as in the last, by case.
        """
        context, size = batch["context"], len(VARIABLES)
        if self.training:
            draws = torch.rand(len(context), size, device=context.device)
            count = hidden_variables(self.chosen, self.current_epoch)
        else:
            draws = _uniform(batch["index"], size).to(context)
            count = self.chosen.hidden_to
        order = draws.argsort(dim=1).argsort(dim=1)
        return (order < count)[:, None].expand(-1, context.shape[1], -1)

    def completed_from(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Weather in the official order, and what of it is not observed, both (sample, week, 31)."""
        context = batch["context"]
        weather = context.new_zeros(*context.shape[:2], len(VARIABLES))
        hidden = torch.ones_like(weather, dtype=torch.bool)
        weather[..., self.seen] = context
        hidden[..., self.seen] = ~batch["observed"] if "observed" in batch else False
        return weather, hidden

    def encode(
        self, batch: Mapping[str, torch.Tensor], weather: torch.Tensor, hidden: torch.Tensor
    ) -> Gaussian:
        """What the encoder makes of weather.

        Raises:
            InputError: where the task has no calendar or no coordinates.
        """
        for name in ("time", "position"):
            if name not in batch:
                raise InputError(f"vita reads `{name}`, which the task does not give")
        # Nanoseconds would lose their weeks in float32.
        year = (1970 + batch["time"].double() / YEAR).to(weather.dtype)
        return self.weather_model(weather, hidden, year, batch["position"].to(weather.dtype))

    def tell(
        self,
        batch: Mapping[str, torch.Tensor],
        weather: torch.Tensor,
        hidden: torch.Tensor,
        filling: torch.Tensor,
    ) -> torch.Tensor:
        """Yield, (sample, 1, 1), of weather whose hidden values are filled in."""
        completed = torch.where(hidden, filling, weather)
        read = torch.cat([pooled(self.weather_attention, completed), batch["past_covariates"][..., 0]], dim=1)
        return self.yield_mlp(read)[:, None]

    def adapted(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Tensors of a file as this model takes them: positions cut to its length."""
        return adapted(tensors, self.chosen.length)

    def _interval(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Days between two steps, shape (sample, 1)."""
        return batch["context"].new_full((len(batch["context"]), 1), self.interval)


def hidden_variables(chosen: Hyperparameters, epoch: int) -> int:
    """Variables that pretraining hides in an epoch, counted from 0.

    Example:
        >>> [hidden_variables(Hyperparameters(), epoch) for epoch in (0, 4, 5, 37, 99)]
        [10, 10, 12, 24, 25]
    """
    return min(chosen.hidden_from + chosen.hidden_step * (epoch // chosen.hidden_every), chosen.hidden_to)


def _note_weights(module: Any, keys: Any) -> None:
    module.pretrained = True


def _noise(index: torch.Tensor, shape: torch.Size, seed: int, member: int) -> torch.Tensor:
    """Normal draws of each case, by its index alone, shape (sample, *shape)."""
    generators = (torch.Generator().manual_seed(_mixed(seed, one, member)) for one in index.tolist())
    return torch.stack([torch.randn(shape, generator=one) for one in generators])


def _uniform(index: torch.Tensor, size: int) -> torch.Tensor:
    """Uniform draws of each case, by its index alone, shape (sample, size)."""
    generators = (torch.Generator().manual_seed(_mixed(0, one, 0)) for one in index.tolist())
    return torch.stack([torch.rand(size, generator=one) for one in generators])


def _mixed(seed: int, case: int, member: int) -> int:
    return (seed * 1_000_003 + case * 8_191 + member * 127 + 7) % 2**63
