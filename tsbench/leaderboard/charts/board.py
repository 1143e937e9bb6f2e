"""Charts of a whole board: error against cost, and error under each condition."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from tsbench.leaderboard.pareto import front

from .drawing import COLOURS, INK, SHAPES, composed, decades, padded, round_ticks, svg
from .labels import CORNERS, label_corners

MOST_LABELS, LABEL = 14, 26
COST_SIZE = (430, 270)


def cost_chart(points: pd.DataFrame, cost_title: str, error_title: str, cost_format: str = "~g") -> str:
    """Error against cost: who is on the Pareto front is filled and joined.

    Args:
        points: columns entry, cost (> 0) and error; one row per entry.
        cost_title: what the cost is, with its unit.
        error_title: what the error is.
        cost_format: of the axis, in d3's notation.

    Returns:
        The SVG. Entries are labelled where they are few; with many, those on the front are.
    """
    frame = points.sort_values(["cost", "error", "entry"]).reset_index(drop=True)
    frame["front"] = front(frame[["cost", "error"]].to_numpy(float))
    short = frame["entry"].map(lambda name: name if len(name) <= LABEL else f"{name[: LABEL - 1]}…")
    frame["label"] = short.where((len(frame) <= MOST_LABELS) | frame["front"], "")
    x_domain, y_domain = padded(frame["cost"], 0.10), padded(frame["error"], 0.10)
    frame["corner"] = label_corners(frame, COST_SIZE, x_domain, y_domain)
    x = alt.X("cost:Q", title=cost_title, scale=alt.Scale(type="log", domain=x_domain, nice=False))
    x = x.axis(format=cost_format, values=decades(x_domain))
    y = alt.Y("error:Q", title=error_title, scale=alt.Scale(type="log", domain=y_domain, nice=False))
    y = y.axis(values=round_ticks(y_domain))
    base = alt.Chart(frame).encode(x=x, y=y)
    line = (
        alt.Chart(frame[frame["front"]])
        .mark_line(
            color=COLOURS[0], strokeDash=[4, 4], strokeWidth=1.2, interpolate="step-after", opacity=0.8
        )
        .encode(x=x, y=y)
    )
    dots = base.mark_point(size=70, strokeWidth=1.6, opacity=1).encode(
        stroke=alt.condition("datum.front", alt.value(COLOURS[0]), alt.value(INK)),
        fill=alt.condition("datum.front", alt.value(COLOURS[0]), alt.value("transparent")),
    )
    names = [
        base.transform_filter(alt.datum.corner == corner)
        .mark_text(align=align, dx=dx, dy=dy, color=INK, fontSize=12)
        .encode(text="label:N")
        for corner, (align, dx, dy) in enumerate(CORNERS)
    ]
    return svg(composed("layer", [line, dots, *names], width=COST_SIZE[0], height=COST_SIZE[1]))


def condition_chart(values: pd.DataFrame, entries: Sequence[str], title: str) -> str:
    """Dots of each entry under each condition, on one axis.

    Args:
        values: columns entry, condition and value.
        entries: order of the rows, best first.
        title: of the axis; 1 is the baseline.

    Returns:
        The SVG.
    """
    conditions = list(dict.fromkeys(values["condition"]))
    # Readers' fonts may be wider than the one that the renderer measures with: keep room for the names.
    room = min(260, 7.2 * max((len(entry) for entry in entries), default=0) + 12)
    axis = alt.Axis(labelLimit=250, grid=True, minExtent=room)
    row = alt.Y("entry:N", sort=list(entries), title=None, axis=axis)
    x = alt.X(
        "value:Q",
        title=title,
        scale=alt.Scale(type="log", padding=12, nice=False),
        axis=alt.Axis(tickCount=6),
    )
    order = alt.Legend(title=None, orient="top")
    span = (
        alt.Chart(values)
        .mark_rule(color=INK, opacity=0.5)
        .encode(y=row, x=alt.X("min(value):Q", title=title), x2="max(value):Q")
    )
    dots = (
        alt.Chart(values)
        .mark_point(size=80, filled=True, opacity=1)
        .encode(
            x=x,
            y=row,
            color=alt.Color("condition:N", scale=alt.Scale(domain=conditions, range=COLOURS), legend=order),
            shape=alt.Shape("condition:N", scale=alt.Scale(domain=conditions, range=SHAPES), legend=order),
        )
    )
    one = (
        alt.Chart(pd.DataFrame({"value": [1.0]})).mark_rule(color=INK, strokeDash=[3, 3]).encode(x="value:Q")
    )
    return svg(composed("layer", [one, span, dots], width=420, height={"step": 26}))
