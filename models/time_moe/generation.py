"""Generation by the multi-resolution schedule: the longest head that fits, its steps fed back, and on.

Time-MoE paper, section 3.2.3 and algorithm 1; greedy as in the official code. The cache of keys and values
makes each forward pass cost only its own steps.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from .attention import Cache
from .configuration import Configuration
from .network import Backbone

CACHE_BYTES = 2**29


def schedule(horizon: int, lengths: Sequence[int]) -> tuple[int, ...]:
    """Numbers of the heads that forecast `horizon` steps: each time the longest that does not pass its end.

    Where even the shortest passes it, the shortest is taken, and its forecast is cut.

    Args:
        horizon: steps to forecast.
        lengths: of the heads, ascending.

    Example:
        >>> schedule(113, [1, 8, 32, 64])
        (3, 2, 1, 1, 0)
    """
    heads: list[int] = []
    left = horizon
    while left > 0:
        heads.append(max((head for head, length in enumerate(lengths) if length <= left), default=0))
        left -= lengths[heads[-1]]
    return tuple(heads)


@torch.no_grad()
def generate(
    backbone: Backbone,
    heads: nn.ModuleList,
    series: torch.Tensor,
    horizon: int,
    *,
    cached: bool = True,
    attended: torch.Tensor | None = None,
    outputs: int = 1,
    point: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Forecast of sequences.

    Args:
        backbone: the network.
        heads: one for each of its horizon lengths.
        series: shape (sequence, step), in the space of the network.
        horizon: steps to forecast.
        cached: keep keys and values; without, the whole sequence is read at each step of the schedule.
        attended: which steps of `series` hold a value, shape (sequence, step); None where all do.
        outputs: numbers that the heads give for each step.
        point: the value that is fed back, shape (sequence, step), from numbers (output, sequence, step);
            None where there is one number, which is the value.

    Returns:
        Shape (sequence, output × horizon): the steps of the first number, then those of the next.
    """
    configuration = backbone.configuration
    plan = schedule(horizon, configuration.horizon_lengths)
    fed = sum(configuration.horizon_lengths[head] for head in plan[:-1])
    cache = Cache(configuration, len(series), series.shape[1] + fed, series, attended) if cached else None
    made: list[torch.Tensor] = []
    new = whole = series
    for head in plan:
        hidden = backbone(new, cache, None if cached else attended).hidden[:, -1]
        numbers = heads[head](hidden).unflatten(1, (outputs, -1))  # (sequence, output, length of the head)
        made.append(numbers)
        new = numbers[:, 0] if point is None else point(numbers.transpose(0, 1))
        if not cached:
            new = whole = torch.cat([whole, new], dim=1)
    return torch.cat(made, dim=2)[..., :horizon].flatten(1)


def sequences_at_once(configuration: Configuration, steps: int) -> int:
    """How many sequences of so many steps keep the cache below half a gibibyte; at least one."""
    one = 2 * 4 * configuration.num_hidden_layers * configuration.hidden_size * steps
    return max(1, CACHE_BYTES // one)
