"""What the network of a GluonTS model reads, taken from a whole batch at once.

GluonTS makes the inputs of a network by a chain of transformations, series by series in Python. For most
networks that comes to copying: each column of each input is a column of the series, or a constant (the age of
a step, a feature that is not used). Which it is, is found by sending made series through the model's own
chain; what was found is checked on another one. So a batch costs a few tensor operations, and the inputs are
those of GluonTS by test. Where the chain computes something else, every series goes through the chain itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tsbench.contracts import InputError, TaskShape
from tsbench.data.calendar import PREFIX, calendar_features
from tsbench.data.steps import following

from .sequences import Sequences, known_ahead, known_past

PROBES = ("2021-03-17T05:00", "2022-08-11T14:10", "2023-11-25T19:50")
"""Starts of the made series: no two of their calendar columns agree by chance."""
TOLERANCE = 1e-6

Chain = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Inputs of the network, name → array, of an entry."""


@dataclass(frozen=True)
class Column:
    """A column of an input that is part of a column of the series; `source`: attribute of `Sequences`."""

    source: str
    index: int
    first: int
    length: int

    def of(self, sequences: Sequences) -> torch.Tensor:
        """Values, shape (sequence, length), or (sequence, 1) of a static feature."""
        values = getattr(sequences, self.source)
        column = values[..., self.index] if self.source not in ("past", "observed") else values
        return column[:, None] if column.ndim == 1 else column[:, self.first : self.first + self.length]


@dataclass(frozen=True)
class Input:
    """An input of the network.

    Attributes:
        columns: what each column is: a column of the series, or a constant of shape (length,).
        flat: whether the input has no dimension of columns, shape (sequence, length).
        static: whether it has none of time, shape (sequence, column).
        integer: int64 instead of float32.
    """

    columns: tuple[Column | np.ndarray, ...]
    flat: bool
    static: bool
    integer: bool

    def of(self, sequences: Sequences) -> torch.Tensor:
        """The input of every sequence."""
        parts = [
            column.of(sequences)
            if isinstance(column, Column)
            else torch.from_numpy(column).to(sequences.past.device).expand(len(sequences), -1)
            for column in self.columns
        ]
        made = parts[0] if self.flat else torch.cat(parts, 1) if self.static else torch.stack(parts, -1)
        return made.long() if self.integer else made.float()


@dataclass(frozen=True)
class Feed:
    """Makes the inputs of a network from sequences.

    Attributes:
        chain: the model's own, of one entry.
        names: of the inputs that the chain gives.
        step: nominal time step as an ISO 8601 duration, or None.
        inputs: how each input is copied, or None where the chain computes more than copies.
    """

    chain: Chain
    names: tuple[str, ...]
    step: str | None
    inputs: Mapping[str, Input] | None

    def __call__(self, sequences: Sequences) -> dict[str, torch.Tensor]:
        """Name → tensor, shape (sequence, ...)."""
        if self.inputs is not None:
            return {name: one.of(sequences) for name, one in self.inputs.items()}
        return self.by_chain(sequences)

    def by_chain(self, sequences: Sequences) -> dict[str, torch.Tensor]:
        """The same by the model's own chain, series by series."""
        rows = [self.chain(sequences.entry(row, self.step)) for row in range(len(sequences))]
        device = sequences.past.device
        return {
            name: torch.from_numpy(np.stack([np.asarray(row[name]) for row in rows])).to(device)
            for name in self.names
        }


def find_feed(chain: Chain, names: Sequence[str], shape: TaskShape, fill: float, who: str) -> Feed:
    """Find out how a network's inputs come from a series.

    Args:
        chain: the model's own transformations.
        names: of the inputs that the network takes.
        shape: of the task.
        fill: what the chain writes where a value is missing.
        who: for messages.

    Raises:
        InputError: where the network reads further back than the look-back.
    """
    probes = [_probe(shape, number) for number in range(len(PROBES))]
    made = [chain(probe.entry(0, shape.step)) for probe in probes]
    given = tuple(name for name in names if name in made[0])
    _require_context(made[0], given, shape, who)
    feed = Feed(chain, given, shape.step, None)
    if fill != 0:
        return feed
    inputs = {name: _input(name, [one[name] for one in made[:2]], probes[:2], shape) for name in given}
    found = {name: one for name, one in inputs.items() if one is not None}
    if len(found) < len(given) or not _agrees(found, probes[2], made[2]):
        return feed
    return Feed(chain, given, shape.step, found)


def _probe(shape: TaskShape, number: int) -> Sequences:
    """One series of random values with holes, and true calendar columns."""
    random = np.random.default_rng(number)
    steps = shape.context + shape.horizon
    start = np.datetime64(PROBES[number], "ns")
    time = np.append(start, following(np.array([start]), shape.step or "PT1H", steps - 1))
    calendar = {
        name: calendar_features(time, (name,))[:, 0] for name in known_ahead(shape) if name.startswith(PREFIX)
    }
    ahead = [calendar.get(name, random.standard_normal(steps)) for name in known_ahead(shape)]
    observed = random.random(shape.context) > 0.2
    observed[0] = True
    # A category that is the same in every made series would look like a constant.
    categories = [(1, 0, count - 1)[number] % count for count in shape.categories.values()]
    made = {
        "past": np.where(observed, random.standard_normal(shape.context), 0.0),
        "observed": observed,
        "known": np.array(ahead).reshape(len(ahead), steps).T,
        "past_only": random.standard_normal((shape.context, len(known_past(shape)))),
        "static": random.standard_normal(len(shape.static)),
    }
    return Sequences(
        **{name: torch.tensor(one, dtype=torch.float32)[None] for name, one in made.items()},
        categorical=torch.tensor(categories, dtype=torch.int64)[None],
        start=torch.tensor([start.astype(np.int64)]),
    )


def _require_context(made: Mapping[str, Any], names: Sequence[str], shape: TaskShape, who: str) -> None:
    if "past_target" not in names:
        return
    reads = np.asarray(made["past_target"]).shape[0]
    if reads > shape.context:
        raise InputError(
            f"{who} reads {reads} steps, more than the context {shape.context}; choose a context of {reads}, "
            "or shorter lags"
        )


def _input(name: str, arrays: Sequence[Any], probes: Sequence[Sequences], shape: TaskShape) -> Input | None:
    values = [np.asarray(one) for one in arrays]
    first = values[0]
    if first.ndim not in (1, 2):
        return None
    integer = first.dtype.kind in "iu"
    static = first.ndim == 1 and ("static" in name or name == "scale")
    if static:
        columns = [_static([one[index] for one in values], probes) for index in range(len(first))]
    else:
        tables = [one if one.ndim == 2 else one[:, None] for one in values]
        start = _first_step(name, len(first), shape)
        columns = [
            _column([table[:, index] for table in tables], start, probes)
            for index in range(tables[0].shape[1])
        ]
    if any(column is None for column in columns):
        return None
    return Input(
        tuple(one for one in columns if one is not None), first.ndim == 1 and not static, static, integer
    )


def _first_step(name: str, length: int, shape: TaskShape) -> int:
    """Step of the series at which an input begins: inputs of the past end at the forecast origin."""
    if name.startswith("past_"):
        return shape.context - length
    return shape.context if name.startswith("future_") else shape.context + shape.horizon - length


def _column(
    wanted: Sequence[np.ndarray], first: int, probes: Sequence[Sequences]
) -> Column | np.ndarray | None:
    for source in ("past", "observed", "known", "past_only"):
        tables = [getattr(probe, source)[0].numpy() for probe in probes]
        tables = [table if table.ndim == 2 else table[:, None] for table in tables]
        for index in range(tables[0].shape[1]):
            column = Column(source, index, first, len(wanted[0]))
            parts = [table[first : first + len(wanted[0]), index] for table in tables]
            if first >= 0 and all(map(_same, wanted, parts)):
                return column
    return _constant(wanted)


def _static(wanted: Sequence[Any], probes: Sequence[Sequences]) -> Column | np.ndarray | None:
    for source in ("static", "categorical"):
        for index in range(getattr(probes[0], source).shape[1]):
            if all(
                _same(one, getattr(probe, source)[0, index].numpy())
                for one, probe in zip(wanted, probes, strict=True)
            ):
                return Column(source, index, 0, 1)
    return _constant([np.atleast_1d(one) for one in wanted])


def _constant(wanted: Sequence[np.ndarray]) -> np.ndarray | None:
    return wanted[0].astype(np.float32) if _same(wanted[0], wanted[1]) else None


def _same(one: Any, other: Any) -> bool:
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=0, atol=TOLERANCE)


def _agrees(inputs: Mapping[str, Input], probe: Sequences, made: Mapping[str, Any]) -> bool:
    return all(_same(one.of(probe)[0].numpy(), np.asarray(made[name])) for name, one in inputs.items())
