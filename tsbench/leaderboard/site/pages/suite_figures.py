"""Figures of a suite: error against cost with its Pareto front, conditions, mean ranks under test, pairs."""

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from tsbench.leaderboard import aggregate, charts
from tsbench.leaderboard.clusters import cluster_logarithms, cluster_ranks
from tsbench.leaderboard.kept import drawn_once
from tsbench.leaderboard.paired import paired_tests, rank_stability
from tsbench.leaderboard.pairwise import win_matrix
from tsbench.leaderboard.significance import LEVEL, compare

from .. import text
from ..view import View

MOST_ROWS = 30
"""Entries in a figure; the tables have them all."""
COSTS = (
    ("seconds", "time", "seconds to fit and predict, mean per task", "~g"),
    ("flops", "compute", "floating-point operations to fit and predict, mean per task", "~s"),
    ("parameters", "parameters", "learned parameters, mean over tasks", "~s"),
    ("memory", "memory", "peak memory in bytes, mean over tasks", "~s"),
)


def suite_figures(view: View, conditions: list[str]) -> list[dict[str, Any]]:
    """Figures of a suite with Results: error against each cost, and under each condition."""
    if view.standings.table["skill"].isna().all():
        return []
    drawn = [_cost_figure(view, *cost) for cost in COSTS]
    figures = [one for one in drawn if one is not None]
    return [*figures, _condition_figure(view, conditions)]


def pair_figures(view: View) -> list[dict[str, Any]]:
    """Mean ranks with what a test tells apart, and who beats whom; nothing for one entry alone."""
    if len(view.rows) < 2:
        return []
    ranked = _rank_figure(view)
    return [_win_figure(view)] if ranked is None else [ranked, _win_figure(view)]


def order_table(view: View) -> dict[str, Any] | None:
    """How sure the order is: tests against the first entry, and places when one cluster is left out.

    None where fewer than two entries have a value in every cluster, or there is one cluster alone.
    """
    names = [row["entry"] for row in view.rows]
    blocks = cluster_logarithms(view.collection, names, view.standings.missing)
    if len(blocks.columns) < 2 or len(blocks) < 2:
        return None
    found, values = paired_tests(blocks.to_numpy(float)), blocks.to_numpy(float)
    places = rank_stability(values)
    order = sorted(range(len(blocks.columns)), key=lambda at: values[:, at].mean())
    rows = []
    for at in order[:MOST_ROWS]:
        low, high = places[:, at].min(), places[:, at].max()
        tests = {name: matrix[order[0], at] for name, matrix in found.p_values.items()}
        rows.append(
            {
                "entry": str(blocks.columns[at]),
                "ratio": text.number(float(np.exp((values[:, at] - values[:, order[0]]).mean())), 3),
                "places": f"{low:g}" if low == high else f"{low:g}–{high:g}",
                "tests": [
                    "–" if at == order[0] or name not in tests else text.number(float(tests[name]), 2)
                    for name in ("t", "wilcoxon")
                ],
            }
        )
    clusters = f"{len(blocks)} clusters"
    caption = (
        f"Errors relative to those of {blocks.columns[order[0]]}, geometric mean over {clusters}; the places "
        "that an entry takes when each cluster in turn is left out."
    )
    if found.reason:
        caption += f" {found.reason}"
    else:
        caption += (
            " p-values of paired tests against it over clusters (Student's t of the logarithms, Wilcoxon's "
            "signed ranks), adjusted by Holm over all pairs of entries."
        )
    return {"rows": rows, "tested": not found.reason, "caption": caption + _first(view)}


def _win_figure(view: View) -> dict[str, Any]:
    """Who beats whom, among the first entries."""
    names = [row["entry"] for row in view.rows][:MOST_ROWS]
    wins = win_matrix(view.standings.ranked[names].to_numpy(float))
    caption = (
        "Share of cells in per cent in which the row's error is smaller than the column's; ties count half."
    )
    caption += _first(view)
    svg = drawn_once(charts.win_chart, wins, names, "against, by place")
    return figure(svg, caption, f"Pairs of entries: {caption}")


def figure(svg: str, caption: str, label: str) -> dict[str, Any]:
    """A figure for the templates. The renderer escapes every text; a test proves it with hostile names."""
    return {"svg": Markup(svg), "caption": caption, "label": label}


def _cost_figure(view: View, name: str, word: str, title: str, form: str) -> dict[str, Any] | None:
    table = view.standings.table
    cost = table[f"fit_{name}"] + table[f"predict_{name}"] if name in ("seconds", "flops") else table[name]
    points = pd.DataFrame({"entry": table["entry"], "cost": cost, "error": 1 - table["skill"]})
    points = points[points["cost"].gt(0) & points["error"].gt(0)]
    if len(points) < 2:
        return None
    left_out = len(table) - len(points)
    caption = f"Error against {word}. Filled: on the Pareto front, nobody is better in both."
    if left_out:
        caption += f" {left_out} without a counted cost {'is' if left_out == 1 else 'are'} not shown."
    axis = f"error relative to {view.collection.suite.baseline}"
    return figure(drawn_once(charts.cost_chart, points, title, axis, form), caption, caption)


def _condition_figure(view: View, conditions: list[str]) -> dict[str, Any]:
    table = view.standings.table.head(MOST_ROWS)
    long = table.melt("entry", [f"skill_{one}" for one in conditions], "condition", "score").dropna()
    long["condition"] = long["condition"].str.removeprefix("skill_")
    # Clipped ratios are at least 0.01 each, so the logarithmic axis is safe.
    frame = long.assign(value=(1 - long["score"]).clip(*aggregate.CLIP))[["entry", "condition", "value"]]
    baseline = view.collection.suite.baseline
    caption = f"Error under each condition relative to {baseline} (dashed line) under the same condition."
    title = "relative error (geometric mean over tasks)"
    svg = drawn_once(charts.condition_chart, frame, list(table["entry"]), title)
    return figure(svg, caption + _first(view), caption)


def _rank_figure(view: View) -> dict[str, Any] | None:
    """Mean ranks with the critical difference; without a test the ranks alone, and why.

    None where fewer than two entries have a value in every cluster, so that there is nothing to compare.
    """
    names = [row["entry"] for row in view.rows]
    blocks = cluster_ranks(view.collection, names, view.standings.missing)
    if len(blocks.columns) < 2:
        return None
    left_out = len(names) - len(blocks.columns)
    # All entries are compared; only the first are drawn.
    found = compare(blocks.to_numpy(float))
    kept = sorted(range(len(blocks.columns)), key=lambda at: found.mean_ranks[at])[:MOST_ROWS]
    clusters = f"{found.clusters} cluster{'' if found.clusters == 1 else 's'}"
    caption = f"Mean rank over {clusters} (data sets, maps or folders that share nothing); 1 is best."
    if found.difference is None:
        caption += f" {found.reason} So no difference is called significant."
    else:
        caption += (
            f" A bar joins entries that Nemenyi's test does not tell apart at {LEVEL:g}: their mean ranks "
            f"differ by less than CD = {found.difference:.2f}. Friedman's test that all are equal: "
            f"p = {text.number(found.p_value, 2)}."
        )
    if left_out:
        caption += (
            f" {left_out} without a value in every cluster {'is' if left_out == 1 else 'are'} not compared."
        )
    caption += _first(view)
    ranks, shown = found.mean_ranks[kept], [str(blocks.columns[at]) for at in kept]
    bars = [(first, min(last, len(kept) - 1)) for first, last in found.groups if first < len(kept) - 1]
    svg = drawn_once(charts.rank_chart, ranks, shown, bars, found.difference)
    return figure(svg, caption, f"Mean ranks: {', '.join(shown)}")


def _first(view: View) -> str:
    return f" The first {MOST_ROWS} entries." if len(view.rows) > MOST_ROWS else ""
