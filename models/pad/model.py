"""PAD: Prony's method with one linear predictor for all angles and delays of a sample.

Yin, Wang, Liu and Gesbert, "Addressing the Curse of Mobility in Massive MIMO with Prony-Based Angular-Delay
Domain Channel Predictions", IEEE JSAC 2020, as the baseline "PAD" of Cheng et al., "CSI-4CAST",
arXiv 2510.12996, has it. There the predictor works on the two-dimensional unitary DFT over subcarriers and
antennas, and its output is transformed back. A predictor that all bins share commutes with that transform,
and a unitary transform leaves its normal equations as they are: the forecast is the same without it, at less
than a thousandth of the published 14.75 GFLOP, so antennas and subcarriers serve as the bins here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from einops import rearrange

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits


@dataclass(frozen=True)
class Hyperparameters:
    """Of PAD.

    Attributes:
        order: steps that the next one is computed from.
        ridge: added to the diagonal of the Gram matrix, as a share of its mean diagonal.
        limit: the last value replaces a forecast that exceeds the peak of its look-back this many times.
    """

    order: int = 8
    ridge: float = 1e-4
    limit: float = 5.0

    def __post_init__(self) -> None:
        """Without a ridge a sample of few tones has no unique predictor."""
        for name in ("order", "ridge", "limit"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


class PAD:
    """Prony predictor of each sample, or its last value where that runs away.

    Raises:
        InputError: where the look-back is not longer than the order.
    """

    fits: ClassVar[Fits] = "none"
    uses: ClassVar[frozenset[str]] = frozenset({"context"})
    views: ClassVar[tuple[str, ...]] = ("csi",)
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        self.shape, self.chosen = shape, hyperparameters or Hyperparameters()
        if shape.context <= self.chosen.order:
            raise InputError(
                f"pad of order {self.chosen.order} needs a context of at least {self.chosen.order + 1}, "
                f"not {shape.context}"
            )

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, complex, shape (sample, antenna, lead_time, subcarrier)."""
        context, horizon = batch["context"], self.shape.horizon
        bins = rearrange(context, "sample antenna time subcarrier -> sample (antenna subcarrier) time")
        continued = prony(bins.to(torch.complex128), horizon, self.chosen.order, self.chosen.ridge)
        forecast = rearrange(
            continued,
            "sample (antenna subcarrier) time -> sample antenna time subcarrier",
            antenna=context.shape[1],
        )
        peak, reached = context.abs().amax(dim=(1, 2, 3)), forecast.abs().amax(dim=(1, 2, 3))
        tame = (reached <= self.chosen.limit * peak)[:, None, None, None]  # false for NaN as well
        return Forecast(torch.where(tame, forecast.to(context.dtype), context[:, :, -1:]))


def prony(bins: torch.Tensor, horizon: int, order: int, ridge: float) -> torch.Tensor:
    """Continue the bins of each sample by one linear predictor, fitted to their last steps.

    Each bin gives one equation: its last step from the `order` steps before, as in the reference.

    Args:
        bins: complex128, shape (sample, bin, time).
        horizon: steps to forecast.
        order: steps that the next one is computed from, fewer than those of `bins`.
        ridge: added to the diagonal of the Gram matrix, as a share of its mean diagonal.

    Returns:
        Shape (sample, bin, lead_time).
    """
    past, last = bins[..., -order - 1 : -1], bins[..., -1:]
    gram = past.mH @ past  # (sample, order, order)
    power = gram.diagonal(dim1=-2, dim2=-1).real.mean(dim=-1)
    # A sample that is all zero has the predictor zero.
    shrunk = ridge * torch.where(power > 0, power, 1.0)[:, None].expand(-1, order)
    predictor = torch.linalg.solve(gram + torch.diag_embed(shrunk), past.mH @ last)  # (sample, order, 1)
    series = bins[..., -order:]
    for _ in range(horizon):
        series = torch.cat([series, series[..., -order:] @ predictor], dim=-1)
    return series[..., order:]
