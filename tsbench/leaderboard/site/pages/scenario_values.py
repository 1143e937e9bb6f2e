"""Values of the primary metric of a task by scenario and by lead time, mean over seeds, of every entry."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from tsbench.contracts.result import SCORES_FILE
from tsbench.evaluation.record import read_table
from tsbench.leaderboard.collect import Stored
from tsbench.leaderboard.entries import Entry
from tsbench.leaderboard.kept import kept
from tsbench.leaderboard.layouts import Layouts, Sums
from tsbench.leaderboard.words import metric_words

from ..view import View

KEYS = ("scenario", "condition", "variable", "lead_time", "metric")


@dataclass(frozen=True)
class ScenarioValues:
    """Means over seeds.

    Attributes:
        scenarios: columns entry, scenario, value.
        leads: columns entry, lead_time, value: mean over the regular scenarios.
    """

    scenarios: pd.DataFrame
    leads: pd.DataFrame


def scenario_values(view: View, task: str, entries: Sequence[Entry], metric: str) -> ScenarioValues:
    """Read scores.parquet of all Results of a task; what was read from the same files before is kept."""
    mine = [(entry.name, view.results(entry.name, task)) for entry in entries]
    inputs = [metric, [[name, [one.fingerprint for one in results]] for name, results in mine]]
    found = json.loads(kept("scenarios", inputs, lambda: json.dumps(_read(mine, metric))))
    return ScenarioValues(
        pd.DataFrame(found["scenarios"], columns=["entry", "scenario", "value"]).astype({"value": float}),
        pd.DataFrame(found["leads"], columns=["entry", "lead_time", "value"]).astype({"value": float}),
    )


def _read(mine: Sequence[tuple[str, Sequence[Stored]]], metric: str) -> dict[str, list]:
    layouts = Layouts(KEYS)
    found: list[tuple[str, Sums]] = [
        (name, layouts.add(read_table(stored.folder, SCORES_FILE)))
        for name, results in mine
        for stored in results
    ]
    if not found:
        return {"scenarios": [], "leads": []}
    wanted = [_wanted(rows, metric) for rows in layouts.known]
    parts = []
    for name, (number, numerator, denominator) in found:
        rows = wanted[number]
        places = rows.index.to_numpy()
        ratio = numerator[places] / denominator[places]
        parts.append(rows.assign(entry=name, value=metric_words(metric).value(ratio)))
    frame = pd.concat(parts, ignore_index=True)
    totals = frame[frame["lead_time"].isna()]
    leads = frame[frame["lead_time"].notna()]
    return {
        "scenarios": _means(totals, ["entry", "scenario"]),
        "leads": _means(leads, ["entry", "lead_time"]),
    }


def _wanted(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Totals of every scenario, and lead times of the regular ones."""
    mine = rows[(rows["metric"] == metric) & rows["variable"].isna()]
    return mine[mine["lead_time"].isna() | (mine["condition"] == "regular")][["scenario", "lead_time"]]


def _means(frame: pd.DataFrame, keys: list[str]) -> list[list]:
    means = frame.groupby(keys, sort=False)["value"].mean().reset_index()
    rows = means[[*keys, "value"]].itertuples(index=False, name=None)
    return [[*map(_plain, key), None if pd.isna(value) else float(value)] for *key, value in rows]


def _plain(key: object) -> object:
    return key if isinstance(key, str) else float(str(key))
