"""How the operators' benchmarks measure: all ways of a row in turns, medians, ratios to the first way."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""Processor time of this process tells more on a busy machine, with one thread and without a GPU."""
clock = CLOCKS["wall"]
ROUND_SECONDS = 0.02
"""What one way runs for in a round, at least: calls are repeated until then."""


@dataclass(frozen=True)
class Row:
    """One configuration of an operator.

    Attributes:
        operator: its name.
        configuration: shapes, dtype and direction, in words.
        device: `cpu` or `cuda`.
        ways: median seconds of each way, ours first; empty where the row was not measured.
        ratios: how many times faster ours is than each of the others (above 1: ours is faster).
        lowest, highest: the same of single rounds, of the first of the others.
        figures: more numbers, by name with unit: FLOP/s, bytes/s, share of the copy bandwidth.
    """

    operator: str
    configuration: str
    device: str
    ways: Mapping[str, float] = field(default_factory=dict)
    ratios: Mapping[str, float] = field(default_factory=dict)
    lowest: float | None = None
    highest: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the JSON file."""
        return {**asdict(self), "measured": bool(self.ways)}


def compare(
    operator: str,
    configuration: str,
    device: str,
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    figures: Callable[[float], Mapping[str, float]] | None = None,
) -> Row:
    """Time all ways in turns, each round in another order.

    Args:
        operator: name.
        configuration: in words.
        device: `cpu` or `cuda`, on which the ways run; a GPU is waited for.
        ways: what to run, ours first.
        repeats: rounds.
        figures: more numbers from the seconds of ours, or None.
    """
    names = list(ways)
    calls = {name: _calls(way, device) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds[name].append(_timed(ways[name], calls[name], device))
    medians = {name: statistics.median(all_) for name, all_ in seconds.items()}
    ours, *others = names
    rounds = sorted(b / a for a, b in zip(seconds[ours], seconds[others[0]], strict=True)) if others else []
    return Row(
        operator,
        configuration,
        device,
        medians,
        {name: medians[name] / medians[ours] for name in others},
        rounds[0] if rounds else None,
        rounds[-1] if rounds else None,
        figures(medians[ours]) if figures else {},
    )


def unmeasured(operator: str, configurations: list[str], device: str) -> Iterator[Row]:
    """Rows that say that nothing was measured: there is no such device here."""
    for configuration in configurations:
        yield Row(operator, configuration, device)


def _calls(way: Callable[[], object], device: str) -> int:
    """How often to call a way in a round; warms it up."""
    for _ in range(2):
        way()
    once = _timed(way, 1, device)
    return max(1, round(ROUND_SECONDS / max(once, 1e-6)))


def _timed(way: Callable[[], object], calls: int, device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    for _ in range(calls):
        way()
    if device == "cuda":
        torch.cuda.synchronize()
    return (clock() - start) / calls
