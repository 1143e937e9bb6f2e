"""What tasks of each kind read and tell, in words: series, samples, maps, panels and fields in time."""

from collections.abc import Sequence

from tsbench.contracts import Task
from tsbench.leaderboard.words import name_words

SPACES = {"normalised": "on normalised values", "units": "in physical units"}
COMPUTED = {
    "log_distance": "logarithm of the distance from the transmitter",
    "transmitter": "height of the transmitter in its cell",
    "occupied": "cells inside a building",
}


def foretold(task: Task) -> str:
    """What a forecast of the task is."""
    if task.field:
        what = "maps" if task.view == "field" else "volumes"
        return f"{what} of {_named(task.field.target)} from other {what}; no step in time"
    if task.panel:
        what = f"place and {name_words(task.panel.period)}" if task.panel.place else "sample"
        return f"one value of each {what}: {name_words(task.panel.target)}"
    if task.rollout:
        return f"the next {_counted(task.horizon, 'state')} of a field; main season {task.period} steps"
    return f"the next {_counted(task.horizon, 'step')}; main season {task.period} steps"


def seen(task: Task) -> str:
    """What a model may read."""
    if task.field:
        return _maps(task)
    if task.panel:
        return _panel(task)
    if task.rollout:
        variables = "all variables" if task.variables == "all" else _named(task.variables)
        statics = [*map(name_words, task.rollout.statics), "the sine of the latitude"]
        return f"{variables}, {_longest(task, 'state')}; without time: {_listed(statics)}"
    if task.samples:
        return f"the array {task.samples.context} of each sample, {_longest(task, 'step')}"
    variables = "all variables" if task.variables == "all" else ", ".join(task.variables)
    return f"{variables}, {_longest(task, 'step')}"


def scored(task: Task) -> str:
    """What counts."""
    space = SPACES[task.space]
    if task.field:
        return f"{_named(task.field.target)}, every map of the test part, {space}"
    if task.panel:
        return f"{name_words(task.panel.target)}, every sample of the test part that has one, {space}"
    if task.rollout:
        targets = "all variables" if task.targets == "all" else _named(task.targets)
        origins = "every origin" if task.rollout.origin_step == 1 else _apart(task.rollout.origin_step)
        regions = (
            f"; also in {_listed([name_words(one.replace('-', ' ')) for one in task.rollout.regions])}"
            if task.rollout.regions
            else ""
        )
        return f"{targets}, {origins} of the test part, {space}{regions}"
    if task.samples:
        return f"the array {task.samples.target}, every sample of the test part, {space}"
    targets = "all of them" if task.targets == "all" else ", ".join(task.targets)
    return f"{targets}, every window of the test part, {space}"


def _maps(task: Task) -> str:
    layout = task.field
    assert layout is not None
    sampled = {layout.sparse.array} if layout.sparse else set()
    whole = [COMPUTED.get(name, name_words(name)) for name in layout.context if name not in sampled]
    words = [f"maps of {_listed(whole)}"] if whole else []
    if layout.sparse:
        noise = f" with noise of deviation {layout.sparse.noise:g}" if layout.sparse.noise else ""
        words.append(f"{layout.sparse.count} samples of {name_words(layout.sparse.array)}{noise}")
    words.append("where the transmitter is" if layout.position else "not where the transmitter is")
    if layout.environment:
        words.append(_named(layout.environment))
    return "; ".join(words)


def _panel(task: Task) -> str:
    layout = task.panel
    assert layout is not None
    period = name_words(layout.period)
    words = [f"{name_words(layout.context)} of each sample"]
    if layout.place:
        place = name_words(layout.place)
        words = [
            f"{name_words(layout.context)} of a sample's own {period} and of those before at the same {place}"
        ]
    words[0] += f", {_longest(task, 'step')}"
    if layout.past_targets:
        words.append(f"{name_words(layout.target)} of the {period}s before, never its own")
    given = [one for one in (layout.static, layout.categorical, layout.entities, *layout.position) if one]
    if given:
        words.append(_named(given))
    return "; ".join(words)


def _longest(task: Task, unit: str) -> str:
    if task.max_context == 1:
        return f"one {unit}"
    return f"at most {task.max_context} {unit}s; how many is a choice of the entry"


def _apart(steps: int) -> str:
    return f"origins {steps} steps apart"


def _named(names: Sequence[str]) -> str:
    return _listed([name_words(name) for name in names])


def _listed(words: Sequence[str]) -> str:
    """A list as a sentence has it.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
