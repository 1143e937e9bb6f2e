"""A corpus opened: its sequences in one flat tensor, drawn at random for training, fixed for validation.

Each series is normalised by mean and deviation of the range that is read of it. Sequences are windows into
the tensor; where they may begin is found once, so that a batch is one gather.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from tsbench.contracts import Corpus, InputError, Member, TaskShape, TrainedOn
from tsbench.contracts.kinds import corpus_module

from .cases import Cases
from .corpus_cases import FixedSequences, HeldSequences, RandomSequences
from .corpus_members import Line, OpenedMember, read_member

VALIDATION_SEQUENCES = 256
"""Held-out sequences that the validation loss is computed on, at most."""
MOVES = 0.05
"""Deviation of a look-back, as a share of its series', below which a sequence is left out: relative to a
look-back that hardly moves, what follows is of any size."""
SHORTEST = 8
"""Steps of a series that is worth reading."""


class OpenedCorpus(Protocol):
    """What a fit asks of a corpus, whatever its sequences are."""

    @property
    def shape(self) -> TaskShape:
        """What a model is built for."""
        ...

    @property
    def train(self) -> Cases:
        """Sequences to train on, drawn anew in each epoch."""
        ...

    @property
    def validation(self) -> Cases:
        """Sequences that are held out."""
        ...

    @property
    def held_out(self) -> tuple[str, ...]:
        """Names of what is held out, DATASET/SERIES."""
        ...

    @property
    def points(self) -> int:
        """Values that are trained on."""
        ...

    def trained_on(self) -> tuple[TrainedOn, ...]:
        """What a model that is fitted on the corpus has seen."""
        ...


def open_corpus(corpus: Corpus, folder: Path) -> OpenedCorpus:
    """Read a corpus of any kind; relative paths of files count from `folder`.

    Raises:
        InputError: where data are missing or damaged, or nothing is left for training or validation.
    """
    if corpus.kind == "forecast":
        return CorpusData.open(corpus, folder)
    opened: Any = import_module(corpus_module(corpus.kind))
    return opened.open_corpus(corpus, folder)


@dataclass(frozen=True)
class CorpusData:
    """The sequences of a corpus.

    Attributes:
        corpus: the declaration.
        members: as opened, with what of each is trained on.
        train: sequences of the training series.
        validation: sequences of the held-out series.
        held_out: names of the held-out series, DATASET/SERIES.
    """

    corpus: Corpus
    members: tuple[OpenedMember, ...]
    train: RandomSequences
    validation: FixedSequences
    held_out: tuple[str, ...]

    @classmethod
    def open(cls, corpus: Corpus, folder: Path) -> "CorpusData":
        """Read every member; relative paths of files count from `folder`.

        Raises:
            InputError: where data are missing or damaged, a range lies outside of them, or nothing is left
                for training or for validation.
        """
        members, train, held = [], [], []
        for declared in corpus.members:
            opened = read_member(declared, folder)
            names = [line.name for line in opened.lines if is_held_out(line.name, declared, corpus)]
            chosen = set(names)
            members.append(opened.without(chosen))
            train.append([line for line in opened.lines if line.name not in chosen])
            held.append([line for line in opened.lines if line.name in chosen])
        if not any(held):
            raise InputError(
                f"corpus {corpus.name}: no series is held out for the validation; raise `holdout` or name "
                "some in `held_out`"
            )
        weights = [member.weight for member in corpus.members]
        return cls(
            corpus=corpus,
            members=tuple(members),
            train=_random(corpus, train, weights),
            validation=_fixed(corpus, held),
            held_out=tuple(line.name for lines in held for line in lines),
        )

    @property
    def shape(self) -> TaskShape:
        """What a model is built for: one channel, look-back and horizon."""
        return TaskShape(
            context=self.corpus.context,
            horizon=self.corpus.horizon,
            period=self.corpus.period,
            channels=("value",),
            targets=("value",),
        )

    @property
    def points(self) -> int:
        """Values of the training series."""
        return sum(len(line.values) for member in self.members for line in member.lines)

    def trained_on(self) -> tuple[TrainedOn, ...]:
        """What a model that is fitted on the corpus has seen, one range a member."""
        return tuple(member.trained_on() for member in self.members if member.lines)


def is_held_out(name: str, member: Member, corpus: Corpus) -> bool:
    """Whether a series is held out: by a pattern of its name, or by a hash of it."""
    if any(fnmatchcase(name, pattern) for pattern in corpus.held_out):
        return True
    share = corpus.holdout if member.holdout is None else member.holdout
    digest = hashlib.blake2b(f"{corpus.seed}|{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64 < share


def _random(corpus: Corpus, members: Sequence[list[Line]], weights: Sequence[float]) -> RandomSequences:
    blocks = [_blocks(lines, corpus) for lines in members]
    held, starts, origin = _lay_out([block for some in blocks for block in some], corpus), [], 0
    for number, some in enumerate(blocks):
        found = held.starts(origin, origin + len(some), MOVES)
        origin += len(some)
        if len(found) == 0 and members[number]:
            raise InputError(
                f"corpus {corpus.name}: {corpus.members[number].name} has no sequence of {corpus.length} "
                "steps whose look-back moves"
            )
        starts.append(found)
    used = [(one, weight) for one, weight in zip(starts, weights, strict=True) if len(one)]
    if not used:
        raise InputError(f"corpus {corpus.name}: every series is held out, none is left to train on")
    chances = torch.tensor([weight for _, weight in used], dtype=torch.float64)
    return RandomSequences(held, tuple(one for one, _ in used), chances, corpus.epoch)


def _fixed(corpus: Corpus, members: Sequence[list[Line]]) -> FixedSequences:
    """Of every held-out series the sequence at its end; where these are too many, some at equal distances."""
    lines = [line for some in members for line in some]
    held = _lay_out([[line] for line in lines if len(line.values) >= SHORTEST], corpus)
    last = held.ends - corpus.length
    moving = last[held.moving(last, MOVES)]
    if not len(moving):
        raise InputError(
            f"corpus {corpus.name}: the {len(lines)} held-out series end in look-backs that do not move, or "
            f"are shorter than {SHORTEST} steps"
        )
    count = min(len(moving), VALIDATION_SEQUENCES)
    return FixedSequences(held, moving[torch.linspace(0, len(moving) - 1, count).long()])


def _blocks(lines: Sequence[Line], corpus: Corpus) -> list[list[Line]]:
    """Series that share sequences: each that is long enough by itself, the short ones together if packed."""
    lines = [line for line in lines if len(line.values) >= SHORTEST]
    if not corpus.packing:
        return [[line] for line in lines]
    short = [line for line in lines if len(line.values) < corpus.length]
    blocks = [[line] for line in lines if len(line.values) >= corpus.length]
    return [*blocks, short] if short else blocks


def _lay_out(blocks: Sequence[Sequence[Line]], corpus: Corpus) -> HeldSequences:
    """Blocks end to end, each series normalised and filled forward."""
    normalised = [[_normalise(line.values) for line in block] for block in blocks]
    sizes = [sum(len(one) for one in block) for block in normalised]
    flat = [one for block in normalised for one in block]
    values = torch.from_numpy(np.concatenate(flat)) if flat else torch.empty(0)
    observed = ~values.isnan()
    held = HeldSequences(
        values=values,
        observed=None if bool(observed.all()) else observed,
        ends=torch.tensor(sizes, dtype=torch.int64).cumsum(0),
        context=corpus.context,
        horizon=corpus.horizon,
    )
    return replace(held, values=_filled(values, observed))


def _normalise(values: np.ndarray) -> np.ndarray:
    """(x − mean) / std over the observed values, float32; only centred where the series is constant."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.full(len(values), np.nan, np.float32)
    spread = float(known.std())
    return ((values - known.mean()) / (spread if spread > 0 else 1.0)).astype(np.float32)


def _filled(values: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Missing values replaced by the last one before them, 0 at the beginning; the mask keeps them apart."""
    last = torch.where(observed, torch.arange(len(values)), -1)
    last = last.cummax(dim=0).values if len(last) else last
    return torch.where(last < 0, 0.0, values[last.clamp_min(0)]).contiguous()
