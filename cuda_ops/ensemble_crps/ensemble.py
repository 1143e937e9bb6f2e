"""What is scored: an ensemble, its observations, weights and mask, checked and laid out as (member, case)."""

from dataclasses import dataclass

import torch

from tsbench.contracts import InputError

STORED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Ensemble:
    """Checked arguments in the layout of the paths.

    Attributes:
        forecast: members, shape (member, case), for vectors (member, case, channel).
        observed: shape (case,), or (case, channel); the type of `forecast`.
        weights: adding up to 1, in the precision of the scores, shape (member, 1) or (member, case), or None.
        mask: cases that count, shape (case,), or None.
        shape: of the scores.
    """

    forecast: torch.Tensor
    observed: torch.Tensor
    weights: torch.Tensor | None
    mask: torch.Tensor | None
    shape: torch.Size

    def shown(self, score: torch.Tensor) -> torch.Tensor:
        """Scores (..., case) in the shape of the cases; 0 where the mask says that they do not count."""
        if self.mask is not None:
            score = torch.where(self.mask, score, torch.zeros((), dtype=score.dtype, device=score.device))
        return score.reshape((*score.shape[:-1], *self.shape))

    def cleaned(self) -> "Ensemble":
        """The same with zeros in cases that do not count, for formulas that torch differentiates itself."""
        if self.mask is None:
            return self
        hidden = ~self.mask
        if self.forecast.dim() == 3:
            hidden = hidden[:, None]
        forecast, observed = self.forecast.masked_fill(hidden, 0), self.observed.masked_fill(hidden, 0)
        return Ensemble(forecast, observed, self.weights, self.mask, self.shape)


def ensemble(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    weights: torch.Tensor | None,
    mask: torch.Tensor | None,
    *,
    vectors: bool = False,
) -> Ensemble:
    """Check and lay out.

    Args:
        forecast: members, shape (member, ...), of vectors (member, ..., channel).
        observed: shape (...), or (..., channel).
        weights: of members, shape (member,) or (member, ...); scaled to add up to 1.
        mask: cases that count, bool, shape (...).
        vectors: whether the last dimension holds the channels of a vector.

    Raises:
        InputError: names the argument, what it is and what would be right.
    """
    if forecast.dim() < 1 + vectors or not len(forecast):
        layout = "(member, ..., channel)" if vectors else "(member, ...)"
        raise InputError(
            f"forecast has shape {tuple(forecast.shape)}; it must be {layout} with a member or more"
        )
    if forecast.dtype not in STORED:
        raise InputError(f"forecast is of {forecast.dtype}; members must be real floating-point numbers")
    if observed.shape != forecast.shape[1:]:
        raise InputError(
            f"observed has shape {tuple(observed.shape)}; members have {tuple(forecast.shape[1:])}, and the "
            "members' dimension comes first"
        )
    shape = observed.shape[:-1] if vectors else observed.shape
    if mask is not None and (mask.shape != shape or mask.dtype != torch.bool):
        raise InputError(
            f"mask has shape {tuple(mask.shape)} of {mask.dtype}; it must be {tuple(shape)} of bool"
        )
    cases = (shape.numel(), *forecast.shape[-1:]) if vectors else (shape.numel(),)
    return Ensemble(
        forecast=forecast.reshape(len(forecast), *cases),
        observed=observed.to(forecast.dtype).reshape(cases),
        weights=None if weights is None else _weights(weights, forecast, shape),
        mask=None if mask is None else mask.reshape(-1),
        shape=shape,
    )


def _weights(weights: torch.Tensor, forecast: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    members = len(forecast)
    if weights.shape not in ((members,), (members, *shape)):
        raise InputError(
            f"weights has shape {tuple(weights.shape)}; it must be ({members},) or {(members, *shape)}"
        )
    precision = torch.float64 if forecast.dtype == torch.float64 else torch.float32
    weights = weights.detach().to(precision)
    total = weights.sum(dim=0)
    if not bool((weights >= 0).all() & (total > 0).all() & total.isfinite().all()):
        raise InputError("weights must be finite, not negative, and above zero for a member of each case")
    return (weights / total).reshape(members, -1)
