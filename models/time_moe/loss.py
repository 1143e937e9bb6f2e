"""The training objective: Huber loss of every head at every step, and the balance of the experts' load.

Time-MoE paper, section 3.2.3, eqs. 9-12. Masks leave out what padding or missing values put in a window;
windows that are packed from several sequences have none.
"""

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from .configuration import Configuration
from .network import Encoded

DELTA = 2.0

Each = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Loss of each value, shape of the labels, from the forecast of a head and the labels."""


def huber(forecast: torch.Tensor, labels: torch.Tensor, delta: float = DELTA) -> torch.Tensor:
    """Huber loss of each value, by default with the threshold of the paper's eq. 9.

    A threshold below 1 divides it: then it is nearly the absolute error, whatever the threshold, and keeps
    its weight beside the balance of the experts.
    """
    loss = functional.huber_loss(forecast, labels, reduction="none", delta=delta)
    return loss if delta >= 1 else loss / delta


def objective(
    encoded: Encoded,
    forecasts: Sequence[torch.Tensor],
    labels: torch.Tensor,
    configuration: Configuration,
    mask: torch.Tensor | None = None,
    attended: torch.Tensor | None = None,
    each: Each = huber,
) -> torch.Tensor:
    """Mean over the heads of their Huber losses, plus the weighted balance loss; paper, eq. 12.

    Args:
        encoded: states and router logits of the input.
        forecasts: of each head, shape (sequence, step, horizon of the head).
        labels: the input one step later, shape (sequence, step).
        configuration: of the network.
        mask: which labels count, shape (sequence, step); None counts all, and the zeros after the end too,
            as the official code does.
        attended: which tokens the balance counts, shape (sequence, step); None counts all, padding too, as
            the official training does.
        each: loss of each value.

    Returns:
        A scalar.
    """
    losses = torch.stack([horizon_loss(forecast, labels, mask, each) for forecast in forecasts])
    if not configuration.apply_aux_loss or not encoded.router_logits:
        return losses.mean()
    balance = balance_loss(encoded.router_logits, configuration.num_experts_per_tok, attended)
    return losses.mean() + configuration.router_aux_loss_factor * balance


def horizon_loss(
    forecast: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor | None = None, each: Each = huber
) -> torch.Tensor:
    """Loss of one head: from step t it forecasts labels t, …, t + horizon − 1.

    Args:
        forecast: shape (sequence, step, horizon), or (output, sequence, step, horizon) where `each` takes so.
        labels: shape (sequence, step); zeros follow its end.
        mask: which labels count, shape (sequence, step); those after the end then do not.
        each: loss of each value.

    Returns:
        A scalar: the mean over what counts, 0 where nothing does.
    """
    horizon = forecast.shape[-1]
    target = ahead(labels, horizon)
    if mask is None:
        return each(forecast, target).mean()
    counted = ahead(mask.to(forecast.dtype), horizon)
    # A label that does not count may be anything, also no number: it must not reach the gradient.
    loss = each(forecast, target.where(counted > 0, 0.0))
    return (loss * counted).sum() / counted.sum().clamp_min(1)


def ahead(values: torch.Tensor, horizon: int) -> torch.Tensor:
    """Each step with those after it, shape (sequence, step, horizon); zeros follow the end."""
    return functional.pad(values, (0, horizon - 1)).unfold(1, horizon, 1)


def balance_loss(
    router_logits: Sequence[torch.Tensor], choices: int, attended: torch.Tensor | None = None
) -> torch.Tensor:
    """E · Σ_k Σ_e f_{k,e} P_e over the rows of all blocks; `choices` where the load is balanced.

    P_e is the mean probability of expert e, f_{k,e} the share of rows whose k-th choice it is. The paper's
    eq. 11 divides f by the number of choices; the official code, whose scale is kept, does not.

    Args:
        router_logits: of each block, shape (token, expert).
        choices: experts a token.
        attended: which tokens count, shape (sequence, step) with sequence × step = token; all where None.

    Returns:
        A scalar.
    """
    probability = torch.stack(tuple(router_logits)).softmax(dim=-1, dtype=torch.float32)
    chosen = probability.detach().topk(choices, dim=-1).indices  # (block, token, choice)
    if attended is not None:
        counts = attended.flatten() > 0
        probability, chosen = probability[:, counts], chosen[:, counts]
    experts, rows = probability.shape[-1], max(probability.shape[:2].numel(), 1)
    share = chosen.flatten().bincount(minlength=experts) / rows  # Σ_k f_{k,e}
    return experts * (share * probability.sum(dim=(0, 1)) / rows).sum()
