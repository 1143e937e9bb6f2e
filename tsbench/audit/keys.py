"""Scenario keys, built anew from the declaration: unique, and the same wherever they are written down."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

from tsbench.contracts import Task
from tsbench.published import read_register

from .subject import Finding, Subject

PLAIN = re.compile(r"[\w.=/+-]+")


def keys(subject: Subject) -> Finding:
    """No two scenarios share a key; keys follow from the declaration alone, and it is the published one."""
    task, faults = subject.task, []
    found = [scenario.key for scenario in task.scenarios()]
    twice = sorted({key for key in found if found.count(key) > 1}) if len(set(found)) < len(found) else []
    if twice:
        faults.append(f"{len(twice)} keys name several scenarios, the first {twice[0]}")
    if odd := [key for key in found if not PLAIN.fullmatch(key)]:
        faults.append(f"the key {odd[0]!r} holds signs that no command line takes as they are")
    again = Task.model_validate_json(task.model_dump_json())
    if [scenario.key for scenario in again.scenarios()] != found:
        faults.append("the keys are others after the declaration was written down and read")
    wanted = list(_declared_keys(task))
    if wanted != found:
        missing, added = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
        faults.append(
            f"the declaration spells the keys {missing[:2] or wanted[:2]}, not {added[:2] or found[:2]}"
        )
    published = read_register().get(task.id)
    if published not in (None, task.hash):
        faults.append(f"{task.id} is published and has changed")
    register = "" if published is None else "; the declaration with the register of published tasks"
    return Finding("keys", f"{len(found)} scenario keys with the declaration{register}", tuple(faults))


def _declared_keys(task: Task) -> Iterator[str]:
    """The keys by their rule: condition/dataset/cell…/disturbance/parameter=level."""
    conditions: dict[str, Any] = task.model_dump(mode="json")["conditions"]
    for condition in ("regular", "robustness", "generalisation"):
        grids = conditions[condition]
        for grid in grids if isinstance(grids, list | tuple) else ():
            elsewhere = [f"dataset={grid['dataset']}"] if grid["dataset"] else []
            cells = [[f"{name}={_text(value)}" for value in values] for name, values in grid["cells"].items()]
            for cell in itertools.product(*cells):
                yield from _levels("/".join([condition, *elsewhere, *cell]), grid)


def _levels(place: str, grid: dict[str, Any]) -> Iterator[str]:
    disturbance = grid["disturbance"]
    if disturbance is None:
        yield place
        return
    ending = "-published" if grid["counts"] == "published" else ""
    for level in disturbance["levels"]:
        yield f"{place}/{disturbance['name']}/{disturbance['parameter']}={_text(level)}{ending}"


def _text(value: str | float) -> str:
    """A number in as few digits as tell it apart at six."""
    return value if isinstance(value, str) else f"{value:.6g}"
