"""CRPS, quantile losses and their gradients block by block of cases, on any device.

A block of errors x − y is laid case by case, so that a case's members lie together, and stays in the cache
until its scores are known. On a CPU numpy orders it: its vectorised sort takes a hundredth of the time of
torch's at a hundred members. Nothing is kept for the gradient, which orders the members again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from .. import choice

NUMBERS_AT_ONCE = 2**17
"""Errors of a block on a CPU; with their order and their slopes they fit in a cache of 1 MiB."""
NUMBERS_ON_DEVICE = 2**27
IN_NETWORK = 16
"""Most members that are ordered by comparisons of whole rows on a CPU."""


def scores(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    levels: Sequence[float],
    fair: bool,
    weights: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `reference.scores`; in float32 of 16-bit members, without a gradient."""
    real = precision(forecast)
    crps = torch.empty(forecast.shape[1], dtype=real, device=forecast.device)
    losses = torch.empty(len(levels), forecast.shape[1], dtype=real, device=forecast.device)
    slope = _slopes(len(forecast), fair).to(crps)
    places = Places.of(levels, len(forecast), crps) if levels else None
    for part, error in _blocks(forecast, observed):
        if weights is None:
            total = error.abs().sum(dim=0).div_(len(forecast))
            ordered = _ordered(error)
            crps[part] = total - _weighted_sum(ordered, slope)
        else:
            order, ordered = _order(error.t().contiguous())
            weight = _of_block(weights, part, ordered).gather(1, order)
            slopes = weight * (2 * weight.cumsum(dim=1) - weight - 1) * _spread_factor(weight, fair)
            crps[part] = (weight * ordered.abs()).sum(dim=1) - (slopes * ordered).sum(dim=1)
        if places is not None:
            quantile = places.quantiles(ordered)
            loss = (
                quantile * places.side(quantile) + (crps[part] - crps[part])[:, None]
            )  # NaN where the CRPS is
            losses[:, part] = loss.t()
    return crps, losses


def gradient(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    outer: torch.Tensor,
    outer_losses: torch.Tensor,
    levels: Sequence[float],
    fair: bool,
    weights: torch.Tensor | None,
) -> torch.Tensor:
    """Gradient with respect to the members, (member, case), in their type.

    |x − y| has the slope 0 where they are equal; members that are equal keep their order. A case whose outer
    gradient is 0 gets 0, whatever its values are.

    Args:
        forecast: members, shape (member, case).
        observed: shape (case,).
        outer: gradient with respect to the CRPS, shape (case,).
        outer_losses: gradient with respect to the losses, shape (level, case).
        levels: of the quantiles.
        fair: as in the scores.
        weights: as in the scores.
    """
    members = len(forecast)
    found = torch.empty_like(forecast, memory_format=torch.contiguous_format)
    slope = _slopes(members, fair).to(device=forecast.device, dtype=precision(forecast))
    places = Places.of(levels, members, slope) if levels else None
    for part, by_member in _blocks(forecast, observed):
        error = by_member.t().contiguous()
        order, ordered = _order(error)
        wanted = outer[part, None].to(error)
        weight: torch.Tensor | float = 1 / members
        slopes = slope.expand(error.shape)
        if weights is not None:
            weight = _of_block(weights, part, error)
            sorted_weight = weight.gather(1, order)
            slopes = sorted_weight * (2 * sorted_weight.cumsum(dim=1) - sorted_weight - 1)
            slopes = slopes * _spread_factor(sorted_weight, fair)
        by_place = -wanted * slopes
        if places is not None:
            side = places.side(places.quantiles(ordered)) * outer_losses[:, part].t().to(error)
            # Levels may share members, so one after the other: no sum depends on the order of threads.
            for number, (below, above, share) in enumerate(places.rows()):
                by_place[:, below] += (1 - share) * side[:, number]
                by_place[:, above] += share * side[:, number]
        slopes = torch.empty_like(error).scatter_(1, order, by_place)
        slopes += wanted * weight * error.sign()
        unwanted = outer[part] == 0
        if levels:
            unwanted &= (outer_losses[:, part] == 0).all(dim=0)
        slopes += (error - error).sum(dim=1, keepdim=True)  # NaN where the score is
        found[:, part] = slopes.masked_fill_(unwanted[:, None], 0).t().to(found.dtype)
    return found


@dataclass(frozen=True)
class Places:
    """Where quantiles lie among ordered members.

    Attributes:
        below: position of the member below each quantile, int64, shape (level,).
        above: of the one above.
        share: of the one above in the quantile.
        level: of the quantiles.
    """

    below: torch.Tensor
    above: torch.Tensor
    share: torch.Tensor
    level: torch.Tensor

    @classmethod
    def of(cls, levels: Sequence[float], members: int, like: torch.Tensor) -> "Places":
        """Of some levels, with the type and device of `like`."""
        below, share = zip(*(place_of(level, members) for level in levels), strict=True)
        positions = torch.tensor(below, device=like.device)
        above = (positions + 1).clamp_max(members - 1)
        return cls(positions, above, like.new_tensor(share), like.new_tensor(list(levels)))

    def quantiles(self, ordered: torch.Tensor) -> torch.Tensor:
        """Of ordered members (case, member), shape (case, level)."""
        return torch.lerp(
            ordered.index_select(1, self.below), ordered.index_select(1, self.above), self.share
        )

    def side(self, quantile: torch.Tensor) -> torch.Tensor:
        """Slope of the loss of a quantile's error: −τ below the observation, 1 − τ from it on."""
        return torch.where(quantile < 0, -self.level, 1 - self.level)

    def rows(self) -> Iterator[tuple[int, int, float]]:
        """Below, above and share of each level."""
        return zip(self.below.tolist(), self.above.tolist(), self.share.tolist(), strict=True)


def ordered_members(forecast: torch.Tensor) -> torch.Tensor:
    """Members in ascending order, NaN last: the values of `torch.sort` along the first dimension.

    On a CPU numpy orders them, in a tenth of the time of torch's sort at a hundred members.

    Args:
        forecast: members, shape (member, ...), floating.
    """
    plain = choice.chosen() == "reference"
    choice.note("ordered_members", "reference" if plain else "torch")
    sorted_by_numpy = forecast.device.type == "cpu" and forecast.dtype in (torch.float32, torch.float64)
    if plain or not sorted_by_numpy or forecast.requires_grad:
        return forecast.sort(dim=0).values
    return torch.from_numpy(np.sort(forecast.numpy(), axis=0))


def precision(forecast: torch.Tensor) -> torch.dtype:
    """Type in which members are scored."""
    return torch.float64 if forecast.dtype == torch.float64 else torch.float32


def place_of(level: float, members: int) -> tuple[int, float]:
    """Position of the member below a quantile, and the share of the one above it.

    Definition 7 of Hyndman and Fan (1996).
    """
    place = level * (members - 1)
    below = min(int(place), members - 1)
    return below, place - below


def block_size(members: int, device: torch.device) -> int:
    """Cases of a block."""
    return max(1, (NUMBERS_AT_ONCE if device.type == "cpu" else NUMBERS_ON_DEVICE) // members)


def _blocks(forecast: torch.Tensor, observed: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Cases, and their errors x − y, shape (member, case)."""
    size, real = block_size(len(forecast), forecast.device), precision(forecast)
    for begin in range(0, forecast.shape[1], size):
        part = slice(begin, begin + size)
        yield part, forecast[:, part].to(real) - observed[part].to(real)


def _ordered(error: torch.Tensor) -> torch.Tensor:
    """Errors (member, case) of each case in ascending order, (case, member); changes them on a CPU."""
    if error.device.type != "cpu":
        return error.t().contiguous().sort(dim=1).values
    if len(error) <= IN_NETWORK:
        return _merged(error).t()
    ordered = error.t().contiguous()
    ordered.numpy().sort(axis=1)
    return ordered


def _merged(error: torch.Tensor) -> torch.Tensor:
    """Errors (member, case) in ascending order by Batcher's network; of a case with a NaN all may become NaN.

    Each comparison is one for all cases, where sorting case by case costs more than a few members are worth.
    """
    rows, spare = list(error), torch.empty_like(error[0])
    for low, high in _network(len(rows)):
        torch.minimum(rows[low], rows[high], out=spare)
        torch.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return torch.stack(rows)


@cache
def _network(members: int) -> tuple[tuple[int, int], ...]:
    """Comparisons of Batcher's odd-even merge sort (1968), in order, without those of missing members."""
    size = 1 << (members - 1).bit_length()
    powers = [2**one for one in range(size.bit_length() - 1)]
    return tuple(
        (low, low + apart)
        for run in powers
        for apart in reversed([one for one in powers if one <= run])
        for low in range(apart % run, members - apart)
        if (low - apart % run) % (2 * apart) < apart and low // (2 * run) == (low + apart) // (2 * run)
    )


def _order(error: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Ascending order of each case's members, equal ones as they come, and the ordered errors."""
    if error.device.type != "cpu":
        ordered, order = error.sort(dim=1, stable=True)
        return order, ordered
    order = torch.from_numpy(error.numpy().argsort(axis=1))  # fast, but free to swap equal members
    ordered = error.gather(1, order)
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(dim=1)
    if bool(tied.any()):
        order[tied] = torch.from_numpy(error[tied].numpy().argsort(axis=1, kind="stable"))
    return order, ordered


def _slopes(members: int, fair: bool) -> torch.Tensor:
    """(2 i − M − 1) / M², or / (M (M − 1)), of the i-th ordered member, float64."""
    pairs = members * (members - 1 if fair and members > 1 else members)
    return torch.arange(1 - members, members, 2, dtype=torch.float64) / pairs


def _weighted_sum(ordered: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Of ordered errors (case, member), shape (case,)."""
    if ordered.device.type != "cpu":
        return (ordered * slope).sum(dim=1)
    with np.errstate(invalid="ignore"):  # infinite errors give NaN, as they should
        return torch.from_numpy(ordered.numpy() @ slope.numpy())  # autocast would compute torch's in 16 bits


def _of_block(weights: torch.Tensor, part: slice, error: torch.Tensor) -> torch.Tensor:
    """Weights of a block's cases, shape (case, member)."""
    weights = weights if weights.shape[1] == 1 else weights[:, part]
    return weights.t().to(error).expand(error.shape)


def _spread_factor(weight: torch.Tensor, fair: bool) -> torch.Tensor | float:
    """What makes the mean distance of all pairs one of different members; 0 where there is but one."""
    if not fair:
        return 1.0
    rest = 1 - weight.square().sum(dim=1, keepdim=True)
    return torch.where(rest > 1e-6, 1 / rest.clamp_min(1e-6), 0.0)
