"""Charts of a sweep: its history, which parameters matter, and the front of several objectives."""

from typing import Any

import altair as alt
import pandas as pd

from tsbench.contracts.sweep import SweepRecord

from .board import cost_chart
from .drawing import COLOURS, INK, SHAPES, padded, round_ticks, svg

SIZE = (520, 230)
STATES = ("complete", "pruned")
TITLES = {"error": "Lowest validation loss", "flops": "FLOPs of the fit", "parameters": "Learned parameters"}


def sweep_charts(record: SweepRecord) -> dict[str, str]:
    """The charts that a sweep has: name (`history`, `importances`, `pareto`) → SVG."""
    drawn = {}
    points = _points(record)
    if len(points):
        drawn["history"] = history_chart(points)
    if record.importances:
        drawn["importances"] = importance_chart(record.importances)
    if len(record.objectives) > 1 and record.front:
        drawn["pareto"] = pareto_chart(record)
    return drawn


def history_chart(points: pd.DataFrame) -> str:
    """Each trial's lowest validation loss in the order of the trials, and the lowest so far.

    Args:
        points: columns number, loss, state and best.

    Returns:
        The SVG.
    """
    x = alt.X("number:Q", title="Trial", scale=alt.Scale(nice=False, padding=10))
    x = x.axis(format="d", tickMinStep=1)
    positive = bool((points["loss"] > 0).all())
    if positive:
        domain = padded(points["loss"], 0.08)
        scale = alt.Scale(type="log", domain=domain, nice=False)
        axis = alt.Axis(values=round_ticks(domain), format=".4~g")
    else:
        scale, axis = alt.Scale(zero=False, padding=10), alt.Axis(format=".4~g")
    y = alt.Y("loss:Q", title=TITLES["error"], scale=scale, axis=axis)
    legend = alt.Legend(title=None, orient="top")
    dots = (
        alt.Chart(points)
        .mark_point(size=60, filled=True, opacity=1)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "state:N", scale=alt.Scale(domain=STATES, range=[COLOURS[0], INK]), legend=legend
            ),
            shape=alt.Shape("state:N", scale=alt.Scale(domain=STATES, range=SHAPES[:2]), legend=legend),
        )
    )
    lowest = alt.Chart(points[points["best"].notna()])
    line = lowest.mark_line(color=COLOURS[1], strokeWidth=1.6, interpolate="step-after")
    return svg(
        alt.layer(line.encode(x=x, y=alt.Y("best:Q", title=TITLES["error"], scale=scale)), dots).properties(
            width=SIZE[0], height=SIZE[1]
        )
    )


def importance_chart(importances: dict[str, float]) -> str:
    """Bars: how much of the variation of the error each parameter explains."""
    rows = [{"name": name.partition("/")[2], "share": share} for name, share in importances.items()]
    frame = pd.DataFrame(rows)
    room = min(260, 7.2 * frame["name"].str.len().max() + 12)
    y = alt.Y("name:N", sort=list(frame["name"]), title=None, axis=alt.Axis(labelLimit=250, minExtent=room))
    x = alt.X("share:Q", title="Share of the variation of the error", scale=alt.Scale(domain=[0, 1]))
    bars = alt.Chart(frame).mark_bar(color=COLOURS[0], height=14).encode(x=x.axis(format="%"), y=y)
    return svg(bars.properties(width=SIZE[0], height=alt.Step(26)))


def pareto_chart(record: SweepRecord) -> str:
    """Error of each complete trial against the second objective; the front is filled and joined."""
    rows = [
        {"entry": f"trial {one.number}", "error": one.values[0], "cost": one.values[1]}
        for one in record.trials
        if one.state == "complete" and one.same_as is None and min(one.values[:2]) > 0
    ]
    return cost_chart(pd.DataFrame(rows), TITLES[record.objectives[1]], TITLES["error"], ".2~s")


def _points(record: SweepRecord) -> pd.DataFrame:
    """Trials that have a loss, with the lowest of the complete ones so far."""
    rows: list[dict[str, Any]] = []
    best = None
    for trial in record.trials:
        if trial.state not in STATES or not trial.validation:
            continue
        loss = min(trial.validation)
        if trial.state == "complete":
            best = loss if best is None else min(best, loss)
        rows.append({"number": trial.number, "loss": loss, "state": trial.state, "best": best})
    return pd.DataFrame(rows, columns=["number", "loss", "state", "best"])
