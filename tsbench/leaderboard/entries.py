"""What is ranked: a model with its track. Says which entry a Result belongs to, and how the entry is called.

A suite prescribes its models' settings, by its own overrides or by the model's card, and these may differ
from task to task. Results made as prescribed are one entry under the model's plain name. Everything else is
an entry of its own whose name spells out the track, so that two tracks never share a row.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tsbench.contracts import ModelCard, Result, Suite, SuiteEntry, Task, leakage_of

INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: control, format (also direction marks), surrogates, line and paragraph separators."""


@dataclass(frozen=True)
class Entry:
    """A row of a leaderboard.

    Attributes:
        name: unique in the board.
        model: name of the model.
        contexts: look-backs of its Results, ascending; None where a Result does not say.
        tunings: how hyper-parameters were chosen, sorted.
        learnings: `zero-shot`, `fitted` or `unknown`, sorted.
        leakages: whether weights have seen what they were tested on, sorted (see contracts/leakage.py).
        listed: whether its Results were made as the suite prescribes.
    """

    name: str
    model: str
    contexts: tuple[int | None, ...]
    tunings: tuple[str, ...]
    learnings: tuple[str, ...]
    leakages: tuple[str, ...]
    listed: bool

    @property
    def context(self) -> str:
        """Look-backs in words."""
        return ", ".join("unknown" if one is None else str(one) for one in self.contexts)

    @property
    def tuning(self) -> str:
        """Tunings in words."""
        return ", ".join(self.tunings)

    @property
    def learning(self) -> str:
        """Learnings in words."""
        return ", ".join(self.learnings)

    @property
    def leakage(self) -> str:
        """Leakages in words."""
        return ", ".join(self.leakages)


def shown(name: str) -> str:
    """A name from outside with its invisible characters spelled out, so that none turns or hides text.

    >>> shown("a" + chr(0x202E) + "b")
    'a⟨U+202E⟩b'
    """
    if name.isprintable():  # none of them is; nearly every text of a site comes this way
        return name
    return "".join(f"⟨U+{ord(one):04X}⟩" if unicodedata.category(one) in INVISIBLE else one for one in name)


def assign_entries(
    suite: Suite,
    cards: Mapping[str, ModelCard],
    results: Sequence[Result],
    tasks: Mapping[str, Task] | None = None,
) -> tuple[tuple[Entry, ...], list[str]]:
    """Group Results into entries.

    Args:
        suite: prescribes models, contexts and overrides.
        cards: model cards by name; they prescribe what the suite does not.
        results: Results of the suite's tasks.
        tasks: by name; a card's look-back is cut to the longest that a task allows, as runs do it.

    Returns:
        The entries, those that the suite lists first and in its order, then the others by name; and the name
        of the entry of each Result.
    """
    declared = tasks or {}
    prescribed = [
        _prescribed(suite, cards.get(one.model.name), one, declared.get(one.task.name)) for one in results
    ]
    owner = [
        _other_name(result) if entry is None else _listed_name(suite, entry)
        for result, entry in zip(results, prescribed, strict=True)
    ]
    listed = {_listed_name(suite, entry): number for number, entry in enumerate(suite.models)}
    members: dict[str, list[Result]] = {}
    for result, name in zip(results, owner, strict=True):
        members.setdefault(name, []).append(result)
    order = sorted(members, key=lambda name: (listed.get(name, len(listed)), name))
    return tuple(_entry(name, members[name], name in listed) for name in order), owner


def _entry(name: str, results: Sequence[Result], listed: bool) -> Entry:
    contexts = {result.track.context for result in results}
    return Entry(
        name,
        results[0].model.name,
        tuple(sorted(contexts, key=lambda context: (context is None, context or 0))),
        tuple(sorted({result.track.tuning for result in results})),
        tuple(sorted({result.track.learning for result in results})),
        tuple(sorted({leakage_of(result) for result in results})),
        listed,
    )


def _prescribed(suite: Suite, card: ModelCard | None, result: Result, task: Task | None) -> SuiteEntry | None:
    """The entry of the suite whose settings the Result was made with."""
    mine = [entry for entry in suite.models if entry.model == result.model.name]
    if any(entry.start for entry in mine):
        # Weights are told apart where the suite names some; elsewhere they are the user's own affair.
        mine = [entry for entry in mine if entry.starts_from(result.model.start)]
    return next((entry for entry in mine if _made_as(entry, card, result, task)), None)


def _made_as(entry: SuiteEntry, card: ModelCard | None, result: Result, task: Task | None) -> bool:
    settings = card.settings_for(task or result.task.name) if card else None
    if entry.start is not None:
        fine_tune = entry.fine_tune if entry.fine_tune is not None or settings is None else settings.fine_tune
        if fine_tune is not None and fine_tune != (result.track.learning == "fitted"):
            return False
    context = entry.context
    if context is None and settings is not None:
        context = min(settings.context, task.max_context) if task else settings.context
    if context != result.track.context:
        return False
    if entry.hyperparameters or entry.training:
        # What the suite overrides makes the tuning its own: the values decide; zero-shot trained with none.
        untrained = entry.start is not None and result.track.learning == "zero-shot"
        return _within(entry.hyperparameters, result.model.hyperparameters) and _within(
            {} if untrained else entry.training, result.model.training
        )
    return settings is None or settings.tuning == result.track.tuning


def _within(part: Mapping[str, object], whole: Mapping[str, object]) -> bool:
    return all(key in whole and whole[key] == value for key, value in part.items())


def _listed_name(suite: Suite, entry: SuiteEntry) -> str:
    """The plain model name, unless the suite lists the model more than once or with weights."""
    if not suite.has_own_name(entry):
        return entry.model
    parts = [str(value) if key == "learning" else f"{key} {value}" for key, value in entry.overrides.items()]
    return f"{entry.model} ({', '.join(parts)})" if parts else entry.model


def _other_name(result: Result) -> str:
    return shown(result.entry)
