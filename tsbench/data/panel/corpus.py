"""A corpus of inputs without targets: sequences of places and periods that a model learns to complete.

Each variable is normalised by mean and deviation of the training places in the range that is read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from tsbench.contracts import Corpus, InputError, Member, PanelCorpus, TaskShape, TrainedOn, canonical_hash
from tsbench.data import prepare, store
from tsbench.data.batch import Batch
from tsbench.data.cases import Cases
from tsbench.data.corpus import VALIDATION_SEQUENCES, is_held_out
from tsbench.data.normalisation import fit_scale
from tsbench.data.steps import step_seconds

DAY = 86_400 * 10**9


@dataclass(frozen=True)
class Places:
    """What is read of a member.

    Attributes:
        member: the declaration.
        values: float32, shape (place, period, step, channel), in physical units.
        names: of the places.
        numbers: of the periods, int64, shape (period,), each one more than the one before.
        position: coordinates of the places, float32, shape (place, coordinate).
        channels: names.
        step: how far two steps lie apart, in nanoseconds.
        files: hash of the published files, or None.
    """

    member: Member
    values: torch.Tensor
    names: tuple[str, ...]
    numbers: np.ndarray
    position: torch.Tensor
    channels: tuple[str, ...]
    step: int
    files: str | None

    def apart(self, corpus: Corpus) -> list[bool]:
        """Whether each place is held out."""
        return [is_held_out(f"{self.member.dataset}/{name}", self.member, corpus) for name in self.names]

    def trained_on(self, corpus: Corpus) -> TrainedOn:
        """The places and years that are trained on."""
        return TrainedOn(
            dataset=str(self.member.dataset),
            series=tuple(name for name, out in zip(self.names, self.apart(corpus), strict=True) if not out),
            variables=self.channels,
            start=f"{self.numbers[0]:04d}-01-01",
            end=f"{self.numbers[-1]:04d}-12-31",
            files=self.files,
            stage="pretraining",
        )


class PanelSequences(Cases):
    """Sequences of consecutive periods, each beginning with one; nobody scores them.

    Args:
        values: periods of all places, one place after the other, in model space, float32, shape (row, step,
            channel).
        position: coordinates of each row's place, float32, shape (row, coordinate).
        stamps: of each row's steps, nanoseconds since 1970, int64, shape (row, step).
        starts: row of each sequence's first period, int64.
        periods: of a sequence.
        epoch: sequences that an epoch draws with replacement, by `chances`; None: each once, in order.
        chances: of each sequence, float64.
    """

    horizon = 1

    def __init__(
        self,
        values: torch.Tensor,
        position: torch.Tensor,
        stamps: torch.Tensor,
        starts: torch.Tensor,
        periods: int,
        epoch: int | None = None,
        chances: torch.Tensor | None = None,
    ) -> None:
        self.values, self.position, self.stamps, self.starts = values, position, stamps, starts
        self.periods, self.epoch, self.chances = periods, epoch, chances
        self.context = periods * values.shape[1]

    def __len__(self) -> int:
        return self.epoch or len(self.starts)

    def using(self, *names: str) -> "PanelSequences":
        """The same: there are nothing but context, position and stamps."""
        return self

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """Numbers of the sequences of an epoch."""
        if self.epoch is None or self.chances is None:
            return super().order(generator)
        return torch.multinomial(self.chances, self.epoch, replacement=True, generator=generator)

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some sequences, with everything observed; `cases`: as `order` gives them."""
        first = self.starts[cases]
        rows = first[:, None] + torch.arange(self.periods)  # (sample, period)
        return Batch(
            context=self.values[rows].flatten(1, 2),
            position=self.position[first],
            time=self.stamps[rows].flatten(1, 2),
            index=cases,
        )

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """There is none.

        Raises:
            ValueError: always.
        """
        raise ValueError("a corpus of inputs has no targets")


@dataclass(frozen=True)
class PanelCorpusData:
    """A corpus of inputs, opened.

    Attributes:
        corpus: the declaration.
        members: as read.
        train: sequences of the training places.
        validation: sequences of the held-out places.
        held_out: names of the held-out places, DATASET/PLACE.
    """

    corpus: Corpus
    members: tuple[Places, ...]
    train: PanelSequences
    validation: PanelSequences
    held_out: tuple[str, ...]

    @property
    def shape(self) -> TaskShape:
        """What a model is built for: it must make its own targets."""
        first = self.members[0]
        return TaskShape(
            context=self.corpus.length,
            horizon=1,
            period=self.corpus.period,
            channels=first.channels,
            targets=("value",),
            past_covariates=("value",),
        )

    @property
    def points(self) -> int:
        """Values of the training places."""
        return sum(one.apart(self.corpus).count(False) * one.values[0].numel() for one in self.members)

    def trained_on(self) -> tuple[TrainedOn, ...]:
        """Places and years of each member."""
        return tuple(one.trained_on(self.corpus) for one in self.members)


def open_corpus(corpus: Corpus, folder: Path) -> PanelCorpusData:
    """Read every member.

    Raises:
        InputError: where data are missing, members differ in their variables, a range lies outside of them,
            or nothing is left for training or for validation.
    """
    assert corpus.panel is not None
    members = [_read(declared, corpus.panel) for declared in corpus.members]
    if any(one.channels != members[0].channels for one in members):
        raise InputError(f"corpus {corpus.name}: its members have different variables")
    steps = members[0].values.shape[2]
    if corpus.length % steps or corpus.period != steps:
        raise InputError(
            f"corpus {corpus.name}: `length` {corpus.length} must be a multiple of the {steps} steps of a "
            "period, and `period` be that number"
        )
    periods, row = corpus.length // steps, 0
    train, held, chances, names = [], [], [], []
    for one in members:
        apart = one.apart(corpus)
        firsts = len(one.numbers) - periods + 1
        if firsts < 1 or all(apart):
            raise InputError(
                f"corpus {corpus.name}: {one.member.dataset} has no place to train on with {periods} "
                f"periods in a row; it has {len(one.names)} places and {len(one.numbers)} periods"
            )
        for name, out in zip(one.names, apart, strict=True):
            (held if out else train).append(torch.arange(row, row + firsts))
            names += [f"{one.member.dataset}/{name}"] if out else []
            row += len(one.numbers)
        places = apart.count(False)
        chances += [torch.full((places * firsts,), one.member.weight / (places * firsts))]
    if not held:
        raise InputError(f"corpus {corpus.name}: no place is held out for the validation; raise `holdout`")
    values, positions, stamps = map(torch.cat, zip(*(_laid_out(one, corpus) for one in members), strict=True))
    starts = torch.cat(held)
    chosen = torch.linspace(0, len(starts) - 1, min(len(starts), VALIDATION_SEQUENCES)).long()
    return PanelCorpusData(
        corpus=corpus,
        members=tuple(members),
        train=PanelSequences(
            values, positions, stamps, torch.cat(train), periods, corpus.epoch, torch.cat(chances).double()
        ),
        validation=PanelSequences(values, positions, stamps, starts[chosen], periods),
        held_out=tuple(names),
    )


def _laid_out(one: Places, corpus: Corpus) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values in model space, positions and stamps of the periods of all places, place after place."""
    assert corpus.panel is not None
    seen = one.values[[not out for out in one.apart(corpus)]].flatten(0, -2).double().numpy()
    years = np.array([f"{number:04d}-01-01" for number in one.numbers], "datetime64[ns]").astype(np.int64)
    begin = years + (corpus.panel.begin - 1) * DAY
    stamps = torch.from_numpy(begin[:, None] + np.arange(one.values.shape[2]) * one.step)
    return (
        fit_scale(seen, "zscore").to_model(one.values).flatten(0, 1),
        one.position.repeat_interleave(len(one.numbers), dim=0),
        stamps.repeat(len(one.names), 1),
    )


def _read(member: Member, layout: PanelCorpus) -> Places:
    assert member.dataset is not None
    path = prepare.ensure(member.dataset, member.size)
    opened, hashes = store.open_lazily(path), store.read_provenance(path).files
    array = _array(opened, layout, member.dataset)
    names = tuple(str(one) for one in opened[layout.place].values)
    rows = list(range(len(names)))
    if member.series != "all":
        if unknown := [name for name in member.series if name not in names]:
            raise InputError(f"'{member.dataset}' has no place '{unknown[0]}'")
        rows = [names.index(name) for name in member.series]
    numbers = opened[layout.period].values.astype(np.int64)
    span = _span(numbers, member)
    values = array.values[rows][:, span].astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"'{layout.array}' of '{member.dataset}' lacks values, and a model is to learn them")
    seconds = step_seconds(opened.attrs.get("step"))
    if seconds is None:
        raise InputError(f"'{member.dataset}' has no attribute `step`")
    position = [np.asarray(opened[name].values, np.float32)[rows] for name in layout.position]
    return Places(
        member=member,
        values=torch.from_numpy(values),
        names=tuple(names[row] for row in rows),
        numbers=numbers[span],
        position=torch.from_numpy(
            np.stack(position, axis=1) if position else np.zeros((len(rows), 0), np.float32)
        ),
        channels=tuple(str(one) for one in opened[array.dims[-1]].values),
        step=round(seconds * 1e9),
        files=canonical_hash(sorted(hashes.values())) if hashes else None,
    )


def _array(opened: xr.Dataset, layout: PanelCorpus, name: str) -> xr.DataArray:
    found: Any = opened.get(layout.array)
    if found is None or found.dims[:2] != (layout.place, layout.period) or found.ndim != 4:
        has = ", ".join(f"{label} {one.dims}" for label, one in opened.data_vars.items())
        raise InputError(
            f"'{name}' has no array '{layout.array}' ({layout.place}, {layout.period}, step, channel); it "
            f"has {has}"
        )
    if lacking := [
        one for one in (layout.place, layout.period, *layout.position) if one not in opened.coords
    ]:
        raise InputError(f"'{name}' has no coordinate '{lacking[0]}'")
    return found


def _span(numbers: np.ndarray, member: Member) -> slice:
    """Periods from `start` to `end`, both included."""
    if len(numbers) > 1 and not (np.diff(numbers) == 1).all():
        raise InputError(f"'{member.dataset}': its periods do not follow each other without a gap")
    if isinstance(member.start, str) or isinstance(member.end, str):
        raise InputError(f"'{member.dataset}': give periods as numbers, 0 the first and -1 the last")
    first = numbers[0] if member.start == 0 else member.start
    last = numbers[-1] if member.end == -1 else member.end
    if not numbers[0] <= first <= last <= numbers[-1]:
        raise InputError(
            f"'{member.dataset}' has the periods {numbers[0]} to {numbers[-1]}; {member.start} to "
            f"{member.end} is no range of them"
        )
    return slice(int(first - numbers[0]), int(last - numbers[0]) + 1)
