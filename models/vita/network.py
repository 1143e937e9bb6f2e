"""VITA's network under its official parameter names: weather encoder, seasonal prior, parts of the head.

VITA, arXiv 2508.03589 (code Neehan/VITA). The encoder reads weeks of weather, some of whose 31 variables are
hidden, and gives a Gaussian for every variable and week.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

VARIABLES = (
    "T2M", "T2M_MAX", "T2M_MIN", "WD2M", "WS2M", "PS", "QV2M", "PRECTOTCORR", "ALLSKY_SFC_SW_DWN", "EVPTRNS",
    "GWETPROF", "SNODP", "T2MDEW", "CLOUD_AMT", "EVLAND", "T2MWET", "FRSNO", "ALLSKY_SFC_LW_DWN",
    "ALLSKY_SFC_PAR_TOT", "ALLSKY_SRF_ALB", "PW", "Z0M", "RHOA", "RH2M", "CDD18_3", "HDD18_3", "TO3",
    "AOD_55", "ET0", "VAP", "VPD",
)  # fmt: skip
"""Of NASA POWER, in the order of the weights."""
SIZES = {"mini": (4, 2, 12), "small": (10, 4, 20), "medium": (12, 6, 28), "large": (16, 8, 36)}
"""Heads, layers, and width of a head."""
LOWEST, HIGHEST = 1e-6, 1.0
"""Limits of every variance."""


@dataclass(frozen=True)
class Gaussian:
    """Mean and variance of each variable and week, shape (sample, week, variable)."""

    mean: torch.Tensor
    variance: torch.Tensor


def negative_log_likelihood(values: torch.Tensor, of: Gaussian) -> torch.Tensor:
    """−log N(x; μ, σ²) of each value."""
    return (torch.log(2 * math.pi * of.variance) + (values - of.mean).square() / of.variance) / 2


def divergence(of: Gaussian, prior: Gaussian) -> torch.Tensor:
    """KL(N(μ, σ²) ‖ N(μ_p, σ_p²)) of each value.

    Example:
        >>> one = Gaussian(torch.tensor(0.3), torch.tensor(0.5))
        >>> float(divergence(one, one))
        0.0
    """
    ratio = of.variance / prior.variance
    return (ratio + (of.mean - prior.mean).square() / prior.variance - 1 - torch.log(ratio)) / 2


class PositionalEncoding(nn.Module):
    """The fixed sines and cosines of Vaswani et al. (2017), base 10000."""

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        position = torch.arange(length, dtype=torch.float32)[:, None]
        rate = torch.exp(torch.arange(0, width, 2).float() * (-math.log(10000.0) / width))
        encoding = torch.zeros(length, width)
        encoding[:, 0::2], encoding[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
        self.register_buffer("pos_encoding", encoding)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values (sample, week, width) with their positions added."""
        encoding = self.get_buffer("pos_encoding")
        return values + encoding[: values.shape[1]]


class WeatherModel(nn.Module):
    """Encoder of weeks of weather, and a sinusoidal prior that is learned.

    Args:
        heads, layers: of the encoder.
        width: of its tokens.
        sinusoids: of the prior, for each variable.
        length: weeks that there are parameters for.
        shared: one amplitude, frequency and phase a variable; the published ones are free in every week, so
            that the prior is no sinusoid.
        attention_dropout: of attention weights; elsewhere dropout is the published 0.1. Without it, attention
            takes a fused path, which on a processor halves the time of a step.
    """

    def __init__(
        self,
        heads: int,
        layers: int,
        width: int,
        sinusoids: int,
        length: int,
        shared: bool,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        size = len(VARIABLES)
        self.length = length
        self.in_proj = nn.Linear(size + 3, width)
        self.positional_encoding = PositionalEncoding(width, length)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.1, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        for one in self.transformer_encoder.layers:
            one.self_attn.dropout = attention_dropout  # type: ignore[union-attr]
        self.out_proj = nn.Linear(width, 2 * size)
        weeks = 1 if shared else length
        self.frequency, self.phase, self.amplitude = (
            nn.Parameter(torch.empty(1, sinusoids, weeks, size)) for _ in range(3)
        )
        self.log_var_prior = nn.Parameter(torch.empty(1, weeks, size))
        self.reset_prior()

    @torch.no_grad()
    def reset_prior(self, generator: torch.Generator | None = None) -> None:
        """Draw the prior's parameters anew: 0.1 · N(0, 1), for log-variances less 1."""
        for one in (self.frequency, self.phase, self.amplitude, self.log_var_prior):
            one.copy_(0.1 * torch.randn(one.shape, generator=generator))
        self.log_var_prior.sub_(1)

    def forward(
        self, weather: torch.Tensor, hidden: torch.Tensor, year: torch.Tensor, place: torch.Tensor
    ) -> Gaussian:
        """What each variable is in each week.

        Args:
            weather: normalised, shape (sample, week, variable).
            hidden: mask of what must not be looked at, same shape.
            year: with its fraction, shape (sample, week).
            place: latitude and longitude in degrees, shape (sample, 2).
        """
        weeks = weather.shape[1]
        # Latitude over 360 and longitude over 180: the order of the published code, kept for its weights.
        scaled = place / place.new_tensor([360.0, 180.0])
        token = torch.cat(
            [
                weather.masked_fill(hidden, 0.0),
                ((year - 1970) / 100)[..., None],
                scaled[:, None].expand(-1, weeks, -1),
            ],
            dim=-1,
        )  # (sample, week, 34)
        found = self.transformer_encoder(self.positional_encoding(self.in_proj(token)))
        mean, log_variance = self.out_proj(found).chunk(2, dim=-1)
        return Gaussian(mean, log_variance.exp().clamp(LOWEST, HIGHEST))

    def prior(self, weeks: int, interval: torch.Tensor) -> Gaussian:
        """The prior of the first weeks: Σ A sin(ω s + φ), s = 2π t (interval / 30) / 365.

        Args:
            weeks: how many.
            interval: days between two of them, shape (sample, 1).
        """
        step = torch.arange(weeks, device=interval.device, dtype=interval.dtype)
        season = 2 * math.pi * step * (interval / 30) / 365  # (sample, week)
        angle = self.frequency[:, :, :weeks] * season[:, None, :, None] + self.phase[:, :, :weeks]
        mean = (self.amplitude[:, :, :weeks] * torch.sin(angle)).sum(dim=1)  # (sample, week, variable)
        variance = self.log_var_prior[:, :weeks].exp().clamp(LOWEST, HIGHEST)
        return Gaussian(mean, variance.expand_as(mean))


def weather_attention() -> nn.Sequential:
    """What weighs the weeks."""
    return nn.Sequential(nn.Linear(len(VARIABLES), 16), nn.GELU(), nn.Linear(16, 1))


def yield_mlp(past: int) -> nn.Sequential:
    """What tells the yield, from pooled weather and the yields of that many past years."""
    return nn.Sequential(nn.Linear(len(VARIABLES) + past, 120), nn.GELU(), nn.Linear(120, 1))


def pooled(attention: nn.Module, weather: torch.Tensor) -> torch.Tensor:
    """Weeks of weather (sample, week, variable) weighed by attention, shape (sample, variable)."""
    return (weather * attention(weather).softmax(dim=1)).sum(dim=1)


def adapted(tensors: Mapping[str, torch.Tensor], length: int) -> dict[str, torch.Tensor]:
    """Tensors of a file with the positions of a longer sequence cut to `length`."""
    name = "weather_model.positional_encoding.pos_encoding"
    return {key: one[:length] if key == name else one for key, one in tensors.items()}
