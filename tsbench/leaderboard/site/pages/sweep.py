"""The pages of sweeps: what was tried, what mattered, what it cost, and what came of the best setting."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tsbench import registry
from tsbench.contracts import InputError, parse
from tsbench.contracts.strict import parse_json
from tsbench.contracts.sweep import SWEEP_FILE, SWEEP_LIMIT, SweepRecord, TrialRecord
from tsbench.leaderboard.charts.sweep import TITLES, sweep_charts
from tsbench.leaderboard.entries import shown

from .. import text

FOLDER = "sweeps"
CAPTIONS = {
    "history": (
        "Lowest validation loss of each trial in the order of the trials; the line is the lowest so far. "
        "Pruned trials were stopped early because they looked bad."
    ),
    "importances": (
        "How much of the variation of the error each parameter explains over the whole space "
        "(functional ANOVA of a random forest)."
    ),
    "pareto": "Error against cost of each complete trial; no trial is better than those joined in both.",
}


def find_sweeps(runs: Path | None, suites: Iterable[str] = ()) -> list[SweepRecord]:
    """The sweeps below a runs folder and those checked in with suites, newest study of each name once.

    Args:
        runs: the runs folder.
        suites: names of suites, whose folders may hold `sweeps/STUDY/sweep.json`.

    Returns:
        In the order of model, task and study.
    """
    roots = [registry.suite_folder(name).path / FOLDER for name in suites]
    roots += [runs / FOLDER] if runs is not None else []
    found = {}
    for root in roots:
        for path in sorted(root.glob(f"*/{SWEEP_FILE}")):
            if path.stat().st_size > SWEEP_LIMIT:
                raise InputError(f"{path} is larger than {SWEEP_LIMIT} bytes")
            record = parse(SweepRecord, parse_json(path.read_bytes(), path), path)
            found[record.study] = record
    return sorted(found.values(), key=lambda one: (one.model, one.task, one.study))


def sweep_href(study: str) -> str:
    """Path of a sweep's page."""
    return f"{FOLDER}/{text.slug(study)}.html"


def sweeps_context(records: Sequence[SweepRecord]) -> dict[str, Any]:
    """Everything that the list of sweeps shows."""
    return {"title": "Sweeps", "rows": [_row(record) for record in records]}


def sweep_context(record: SweepRecord) -> dict[str, Any]:
    """Everything that sweep.html shows."""
    names = list(record.space.ranges())
    charts = sweep_charts(record)
    return {
        "title": f"Sweep of {shown(record.model)} on {shown(record.task)}",
        "facts": _facts(record),
        "charts": [
            {"name": name, "svg": Markup(drawn), "caption": CAPTIONS[name]} for name, drawn in charts.items()
        ],
        "objectives": [TITLES[name] for name in record.objectives],
        "names": [name.partition("/")[2] for name in names],
        "trials": [_trial(record, one, names) for one in record.trials],
        "ranges": [_range(name, one) for name, one in record.space.ranges().items()],
        "source": record.space.source,
        "fixed": ", ".join(f"{name.partition('/')[2]} {value}" for name, value in record.fixed.items()),
        "refits": [
            {
                "seed": one.seed,
                "metric": one.metric,
                "regular": text.number(one.regular),
                "validation": text.number(one.validation_loss),
            }
            for one in record.refits
        ],
        "command": record.command,
        "counted": record.counted,
    }


def _row(record: SweepRecord) -> dict[str, Any]:
    best = None if record.best is None else record.trial(record.best).values[0]
    return {
        "href": sweep_href(record.study),
        "model": record.model,
        "task": record.task,
        "trials": record.counted,
        "best": text.number(best),
        "cost": text.duration(record.cost.seconds),
    }


def _facts(record: SweepRecord) -> list[tuple[str, str]]:
    states = [one.state for one in record.trials]
    counts = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(states))
    return [
        ("Trials", counts),
        ("Objectives", ", ".join(record.objectives)),
        ("Sampler", f"{record.sampler}, seed {record.sampler_seed}"),
        ("Pruner", record.pruner),
        ("Context", str(record.context)),
        ("Seed of the fits", str(record.seed)),
        ("Time of all trials", text.duration(record.cost.seconds)),
        ("Compute of all trials", text.prefixed(record.cost.flops, "flop")),
    ]


def _trial(record: SweepRecord, one: TrialRecord, names: Sequence[str]) -> dict[str, Any]:
    notes = {
        "as": f"as trial {one.same_as}" if one.same_as is not None else "",
        "again": f"trial {one.retry_of} again" if one.retry_of is not None else "",
        "reason": one.reason,
    }
    values = one.values or (None,) * len(record.objectives)
    cost = one.cost.seconds if one.cost is not None else None
    return {
        "number": one.number,
        "state": one.state,
        "best": one.number == record.best,
        "front": len(record.objectives) > 1 and one.number in record.front,
        "values": [{"text": text.number(value), "key": "" if value is None else value} for value in values],
        "settings": [_value(one.parameters.get(name)) for name in names],
        "epochs": len(one.validation),
        "seconds": text.duration(cost),
        "seconds_key": "" if cost is None else cost,
        "note": "; ".join(filter(None, notes.values())),
    }


def _range(name: str, one: Any) -> dict[str, str]:
    if one.choices:
        return {"name": name.partition("/")[2], "values": ", ".join(_value(value) for value in one.choices)}
    scale = ", logarithmic" if one.log else f", in steps of {one.step:g}" if one.step else ""
    return {"name": name.partition("/")[2], "values": f"{_value(one.low)} to {_value(one.high)}{scale}"}


def _value(value: Any) -> str:
    if value is None:
        return text.NOTHING
    return f"{value:.3g}" if isinstance(value, float) else str(value)
