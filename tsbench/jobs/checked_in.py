"""The Results that a suite keeps in the repository: putting them there, finding stale ones, confirming them.

A Result is stale when the code that it depends on has another hash than when it was made. `confirm` repeats
one (task, seed) for each entry, the cheapest; where the scores of its scenarios are equal, the entry's other
Results count as confirmed at that hash. An entry's folder has the name of its model, and of its overrides
where the suite lists the model more than once or gives it weights.
"""

import glob
import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tsbench import atomic, registry
from tsbench.contracts import InputError, Result, Suite, SuiteEntry
from tsbench.contracts.result import SCORES_FILE
from tsbench.evaluation.record import find_results, read_result, read_table
from tsbench.folders import runs_folder

from .code import code_hash, roots
from .job import Job, adapter_module
from .pretrained import weights_of
from .run import Conduct, Outcome, options_of, run

CONFIRMED = "confirmed.json"
TOLERANCE = 1e-6
SCENARIOS = 32
"""Of a Result with more, evenly spread ones are evaluated again to confirm it."""


@dataclass(frozen=True)
class Stale:
    """A checked-in Result whose code has changed since.

    Attributes:
        folder: of the Result.
        result: the record.
        now: hash of the code as it is.
    """

    folder: Path
    result: Result
    now: str


def results_folder(suite: Suite) -> Path:
    """Where a suite keeps its Results."""
    return registry.suite_folder(suite.name).path / "results"


def publish(suite: Suite, outcomes: Sequence[Outcome], keep: bool = False) -> Path:
    """Replace a suite's Results by these; nothing else is touched.

    Args:
        suite: the suite.
        outcomes: of its jobs.
        keep: keep the checked-in Results of other jobs, with their confirmations.

    Raises:
        InputError: where one of the jobs has no Result.
    """
    target = results_folder(suite)
    with atomic.new_folder(target) as temporary:
        if keep and target.is_dir():
            shutil.copytree(target, temporary, dirs_exist_ok=True)
        for outcome in outcomes:
            if outcome.folder is None:
                raise InputError(f"{outcome.job.label} has no Result to publish")
            place = temporary / _place(suite, outcome.job)
            if place.is_dir():
                shutil.rmtree(place)
            shutil.copytree(outcome.folder, place)
    return target


def held(suite: Suite) -> Callable[[Job], bool]:
    """Whether the Result of a job is checked in and not stale."""
    root = results_folder(suite)
    if not root.is_dir():
        return lambda job: False
    places = {folder.relative_to(root) for folder in find_results(root)}
    places -= {one.folder.relative_to(root) for one in stale(suite)}
    return lambda job: _place(suite, job) in places


def _place(suite: Suite, job: Job) -> Path:
    mine = [entry for entry in suite.models if entry.model == job.model.name and _made_by(entry, job)]
    # An entry without overrides fits every job of its model: the one that says most is the job's own.
    entry = max(mine, key=lambda one: len(one.overrides))
    return Path(job.task.name, _folder(suite, entry), f"seed-{job.seed}")


def _made_by(entry: SuiteEntry, job: Job) -> bool:
    """Whether a job has the settings that an entry asks for."""
    return (
        entry.context in (None, job.options.context)
        and entry.starts_from(job.given.name if job.given else "")
        and entry.fine_tune in (None, job.options.fine_tune)
        and entry.hyperparameters.items() <= job.options.hyperparameters.items()
        and entry.training.items() <= job.options.training.items()
    )


def _folder(suite: Suite, entry: SuiteEntry) -> str:
    """Name of the folder of an entry's Results."""
    if not suite.has_own_name(entry):
        return entry.model
    parts = [f"{name}={value}" for name, value in entry.overrides.items()]
    return re.sub(r"[^A-Za-z0-9_.,=+-]", "-", ",".join([entry.model, *parts]))


def stale(suite: Suite) -> list[Stale]:
    """The suite's Results whose code has changed and that were not confirmed since."""
    root = results_folder(suite)
    if not root.is_dir():
        return []
    confirmed = _read_confirmed(root)
    found, hashes = [], {}
    for folder in find_results(root):
        result = read_result(folder)
        now = current_code(result, hashes)
        known = {result.provenance.code, *confirmed.get(_confirmed_key(folder, result), [])}
        if now not in known:
            found.append(Stale(folder, result, now))
    return found


def current_code(result: Result, known: dict[tuple[str, ...], str] | None = None) -> str:
    """Hash of the code that would make this Result now.

    Args:
        result: the record.
        known: hashes found before, by modules; a Result of the same modules takes its hash from there, and a
            new one is added.
    """
    adapters = [adapter_module(name) for name in result.task.recipe]
    model = f"{registry.model_folder(result.model.name).package}.model"
    modules = (*roots(registry.task(result.task.name).kind), *adapters, model)
    known = {} if known is None else known
    if modules not in known:
        known[modules] = code_hash(modules, cache_file=runs_folder() / ".code.json")
    return known[modules]


def confirmed_at(folder: Path, result: Result) -> str | None:
    """The last code hash at which a checked-in Result was confirmed; None where it never was."""
    # Task, entry and seed are folders below the one that holds the confirmations.
    hashes = _read_confirmed(folder.parents[2]).get(_confirmed_key(folder, result), [])
    return hashes[-1] if hashes else None


def confirm(suite: Suite, say: Callable[[str], None]) -> list[str]:
    """Repeat the cheapest stale Result of each entry; equal scores confirm the entry's other Results.

    Args:
        suite: the suite.
        say: takes one line an entry.

    Returns:
        Names of the entries whose scores differ: these are to be run again.
    """
    root = results_folder(suite)
    waiting = stale(suite)
    different: list[str] = []
    for name in sorted({one.folder.parent.name for one in waiting}):
        mine = [one for one in waiting if one.folder.parent.name == name]
        entry = next((entry for entry in suite.models if _folder(suite, entry) == name), None)
        if entry is None:
            different.append(name)
            say(f"{name}: no longer in the suite")
            continue
        cheapest = min(mine, key=_cost)
        task, seed = cheapest.result.task.name, cheapest.result.seed
        worst = _largest_difference(suite, entry, cheapest)
        if worst > TOLERANCE:
            different.append(name)
            say(f"{name}: differs by {worst:.2g} on {task}; run the suite again")
            continue
        confirmed = _read_confirmed(root)
        for one in mine:
            hashes = confirmed.setdefault(_confirmed_key(one.folder, one.result), [])
            if one.now not in hashes:
                hashes.append(one.now)
        atomic.write_text(root / CONFIRMED, json.dumps(confirmed, indent=1, sort_keys=True) + "\n")
        say(f"{name}: confirmed {len(mine)} Results by {task}, seed {seed}")
    return different


def _largest_difference(suite: Suite, entry: SuiteEntry, old: Stale) -> float:
    """Largest difference of any score between a Result and its repetition, scenario by scenario.

    The model is fitted anew. Of many scenarios some are evaluated: a score of each is compared, where an
    average would be one of them all. Absolute for scores up to 1, relative above: scores in physical units
    have any size.
    """
    result, conduct = old.result, Conduct(track=False)
    known = _scores(old.folder)
    keys = list(dict.fromkeys(scenario for scenario, _ in known))
    chosen = keys[:: -(-len(keys) // SCENARIOS)]
    options = replace(
        options_of(suite, entry, weights_of(suite, entry, result.seed, conduct)),
        threads=result.provenance.threads,
        scenarios=() if chosen == keys else tuple(map(glob.escape, chosen)),
    )
    with tempfile.TemporaryDirectory() as runs:
        (again,) = run(
            entry.model,
            result.task.name,
            seeds=(result.seed,),
            options=options,
            conduct=conduct,
            runs=Path(runs),
        )
        assert again.folder is not None
        now = _scores(again.folder)
    wanted = {key: value for key, value in known.items() if key[0] in chosen}
    if now.keys() != wanted.keys():
        return float("inf")
    return max((_difference(value, now[key]) for key, value in wanted.items()), default=0.0)


def _scores(folder: Path) -> dict[tuple[str, str], float]:
    """(scenario, metric) → mean of its statistic in the whole scenario; NaN where nothing was counted."""
    table = read_table(folder, SCORES_FILE)
    whole = table[table[["variable", "level", "region", "lead_time"]].isna().all(axis=1)]
    # No weight means no value: 0 / 0.
    values = (whole["numerator"] / whole["denominator"]).tolist()
    return dict(zip(zip(whole["scenario"], whole["metric"], strict=True), values, strict=True))


def _difference(old: float, new: float) -> float:
    if math.isnan(old) or math.isnan(new):
        return 0.0 if math.isnan(old) and math.isnan(new) else math.inf
    return abs(old - new) / max(1.0, abs(old))


def _cost(one: Stale) -> float:
    """Seconds that a Result took."""
    return sum(stage.seconds or 0.0 for stage in one.result.cost.values())


def _confirmed_key(folder: Path, result: Result) -> str:
    return f"{folder.parent.name}@{result.provenance.code}"


def _read_confirmed(root: Path) -> dict[str, list[str]]:
    path = root / CONFIRMED
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
