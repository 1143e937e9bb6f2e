"""Disturbances: drawn from task, scenario and case alone, of the stated size, and only where declared."""

from collections.abc import Iterator

import torch

from tsbench.contracts import Scenario
from tsbench.data.batch import Batch
from tsbench.data.disturbances import disturb
from tsbench.data.task_data import TaskData

from .excerpt import spread_with_ends
from .levels import level_fault
from .subject import Finding, Subject

CASES = 24
LOOKED_AT = ("context", "observed", "entity", "entity_mask")
NOT_DRAWN = frozenset({"hidden_channels", "coarse"})
"""Disturbances that are the same in every case by definition."""


def disturbances(subject: Subject) -> Finding:
    """Disturb the same cases in other batches, orders and under other keys, and measure the level."""
    data, faults = subject.small, []
    at_hand = subject.of_small()
    disturbed = [one for one in at_hand if one.disturbance is not None]
    clean = [one for one in at_hand if one.disturbance is None]
    for scenario in clean:
        cases = _cases(subject, scenario)
        if not _same(_apply(data, scenario, cases), cases):
            faults.append(f"scenario {scenario.key} declares no disturbance, and its context is disturbed")
    declared = any(grid.disturbance for grid in subject.task.grids("regular"))
    if not declared and any(one.condition == "regular" for one in disturbed):
        faults.append("the regular condition is disturbed, and the task declares none")
    chosen = list(_one_of_each_level(disturbed))
    for scenario in chosen:
        found = _faults(data, scenario, _cases(subject, scenario))
        faults += [f"scenario {scenario.key}: {fault}" for fault in found]
    compared = "bits in other batches, orders and seeds; other keys, cases and versions; realised levels"
    if not chosen:
        compared = "the task declares none, and none is applied"
    else:
        compared += f" of {len(chosen)} scenarios; {len(clean)} undisturbed ones"
    return Finding("disturbances", compared, tuple(faults))


def _one_of_each_level(scenarios: list[Scenario]) -> Iterator[Scenario]:
    """The first scenario of every condition, disturbance, level and options: cells share them."""
    seen = set()
    for one in scenarios:
        kind = (one.condition, one.disturbance, one.level, str(sorted(one.options.items())))
        if kind not in seen:
            seen.add(kind)
            yield one


def _faults(data: TaskData, scenario: Scenario, clean: Batch) -> Iterator[str]:
    whole = _apply(data, scenario, clean)
    order = torch.arange(clean.size).flip(0)
    single = torch.arange(clean.size).split(1)
    if not all(_same(_apply(data, scenario, clean.take(case)), whole.take(case)) for case in single):
        yield "a case alone is disturbed in another way than in a batch"
    if not _same(_apply(data, scenario, clean.take(order)), whole.take(order)):
        yield "the disturbance depends on the order of the cases"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7654321)
        if not _same(_apply(data, scenario, clean), whole):
            yield "the disturbance is not the same when it is drawn again"
    if _same(whole, clean):
        # A rare loss may hit none of so few cases; then there is nothing to compare with other keys.
        if level_fault(data, scenario, clean, whole):
            yield "nothing is disturbed"
        return
    if scenario.disturbance not in NOT_DRAWN:
        yield from _drawn_alike(data, scenario, clean, whole)
    if fault := level_fault(data, scenario, clean, whole):
        yield fault


def _drawn_alike(data: TaskData, scenario: Scenario, clean: Batch, whole: Batch) -> Iterator[str]:
    """Where another key, another case or another version of the task comes to the same draws."""
    other_key = scenario.model_copy(update={"key": f"{scenario.key}-other"})
    if _same(_apply(data, other_key, clean), whole):
        yield "another scenario key draws the same"
    if _same(_apply(data, scenario, clean.replace(index=clean["index"] + clean.size + 1)), whole):
        yield "other cases draw the same"
    version = f"{data.task.name}@{data.task.version + 1}"
    if _same(disturb(clean, scenario, version, data.scale), whole):
        yield "another version of the task draws the same"


def _cases(subject: Subject, scenario: Scenario) -> Batch:
    cases = subject.small.test_cases(scenario, subject.context)
    names = LOOKED_AT if subject.task.kind == "panel" else ("context",)
    return cases.using(*names).gather(spread_with_ends(len(cases), CASES))


def _apply(data: TaskData, scenario: Scenario, batch: Batch) -> Batch:
    return disturb(batch, scenario, data.task.id, data.scale)


def _same(one: Batch, other: Batch) -> bool:
    """Whether all that a model may look at is equal to the last bit."""
    names = [name for name in LOOKED_AT if name in one]
    return set(names) == {name for name in LOOKED_AT if name in other} and all(
        torch.equal(one[name], other[name]) for name in names
    )
