"""Matrices and ranks of a whole board: who beats whom, and which mean ranks a test tells apart."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from tsbench.leaderboard.aggregate import Floats

from .drawing import COLOURS, INK, svg

NAME = 26
"""Letters of an entry's name that are drawn."""
BETTER, WORSE, EVEN = "#2f7fd1", "#d9730d", "#8b939e"
STEP, TEXT_ROOM = (22, 40), 30
WIDE = 620
AXIS, ROW, GROUP = 560, 19, 9
"""Of the rank diagram, in pixels: its axis, a row of names, from one bar to the next."""


def short(name: str) -> str:
    """A name as charts label it."""
    return name if len(name) <= NAME else f"{name[: NAME - 1]}…"


def win_chart(wins: Floats, entries: Sequence[str], title: str) -> str:
    """Matrix of the share of cells in which the row beats the column.

    Args:
        wins: shape (entry, entry), NaN where two are not compared.
        entries: names in the order of rows and columns.
        title: of the horizontal axis.

    Returns:
        The SVG: blue where the row wins more than half, orange where it loses, with the per cent in it.
    """
    rows = [
        (place, other, float(wins[place, other]))
        for place in range(len(entries))
        for other in range(len(entries))
        if not np.isnan(wins[place, other])
    ]
    frame = pd.DataFrame(rows, columns=["row", "column", "share"])
    frame["said"] = [f"{100 * share:.0f}" for share in frame["share"]]
    frame["far"] = (2 * (frame["share"] - 0.5).abs()).clip(0.04, 1) * 0.72
    frame["colour"] = np.where(frame["share"] == 0.5, EVEN, np.where(frame["share"] > 0.5, BETTER, WORSE))
    step = int(np.clip(WIDE // max(len(entries), 1), *STEP))
    labels = {str(place): f"{place + 1} {short(name)}" for place, name in enumerate(entries)}
    order = list(labels.values())
    frame["name"] = [labels[str(place)] for place in frame["row"]]
    frame["other"] = [str(place + 1) for place in frame["column"]]
    room = min(230, 7.2 * max(map(len, order), default=0) + 12)
    quiet: dict[str, Any] = {"grid": False, "ticks": False, "domain": False}
    y = alt.Y("name:N", sort=order, title=None, scale=alt.Scale(domain=order, padding=0))
    y = y.axis(labelLimit=250, minExtent=room, **quiet)
    columns = [str(place + 1) for place in range(len(entries))]
    x = alt.X("other:N", sort=columns, title=title, scale=alt.Scale(domain=columns, padding=0))
    x = x.axis(labelAngle=0, orient="top", **quiet)
    base = alt.Chart(frame).encode(x=x, y=y)
    boxes = base.mark_rect(aria=False, stroke=None).encode(
        color=alt.Color("colour:N", scale=None), opacity=alt.Opacity("far:Q", scale=None)
    )
    layers = [boxes]
    if step >= TEXT_ROOM:
        layers.append(base.mark_text(aria=False, fontSize=11, color=INK).encode(text="said:N"))
    return svg(alt.layer(*layers).properties(width=step * len(entries), height=alt.Step(min(step, 28))))


def rank_chart(
    mean_ranks: Floats, entries: Sequence[str], groups: Sequence[tuple[int, int]], difference: float | None
) -> str:
    """Mean ranks on one axis, with bars over entries that a test does not tell apart.

    The diagram of Demšar (JMLR 7, 2006, figure 1): the better half is named on the left, the others on the
    right, so that any number of names stays readable.

    Args:
        mean_ranks: shape (entry,), 1 is best.
        entries: names in the same order.
        groups: first and last place, in the order of the mean ranks, of each bar.
        difference: the critical difference, drawn above the axis; None without a test.

    Returns:
        The SVG.
    """
    order = np.argsort(mean_ranks, kind="stable")
    ordered, names = mean_ranks[order], [short(entries[int(place)]) for place in order]
    low, high = int(np.floor(ordered[0])), max(int(np.ceil(ordered[-1])), int(np.floor(ordered[0])) + 1)
    half = -(-len(names) // 2)
    top = 14 + GROUP * len(groups)
    lines, texts = [], []
    for place, (rank, name) in enumerate(zip(ordered, names, strict=True)):
        left = place < half
        row = place if left else len(names) - 1 - place
        y = top + ROW * (row + 1)
        end = low if left else high
        lines += [(rank, 0, rank, y, "ink", 1.0), (rank, y, end, y, "ink", 1.0)]
        texts.append((end, y, f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}", left))
    for number, (first, last) in enumerate(groups):
        y = 12 + GROUP * number
        lines.append((ordered[first], y, ordered[last], y, "bar", 4.0))
    if difference is not None:
        lines.append((low, -34, min(low + difference, high), -34, "mark", 2.0))
        texts.append((min(low + difference, high), -34, f" CD = {difference:.2f}", False))
    height = top + ROW * (half + 1)
    return _drawn(lines, texts, (low, high), height, difference is not None)


def _drawn(lines: list, texts: list, span: tuple[int, int], height: int, tested: bool) -> str:
    colours = {"ink": INK, "bar": COLOURS[0], "mark": COLOURS[1]}
    frame = pd.DataFrame(lines, columns=["x", "y", "x2", "y2", "kind", "width"])
    frame["colour"] = frame["kind"].map(colours)
    above = -44 if tested else -4
    y_scale = alt.Scale(domain=[height, above], nice=False, zero=False)
    every = max(1, (span[1] - span[0]) // 12)
    axis = alt.Axis(
        orient="top",
        values=list(range(span[0], span[1] + 1, every)),
        grid=False,
        offset=above,
        title=None,
        format="d",
    )
    # Names stand beside the axis: room for them as a reader's font may need it.
    room = 7.4 * max((len(said) for _, _, said, _ in texts), default=0) + 10
    scale = alt.Scale(domain=list(span), range=[room, room + AXIS], nice=False, zero=False)
    x = alt.X("x:Q", scale=scale, axis=axis)
    y = alt.Y("y:Q", scale=y_scale, axis=None)
    rules = (
        alt.Chart(frame)
        .mark_rule(aria=False)
        .encode(
            x=x,
            y=y,
            x2="x2:Q",
            y2="y2:Q",
            color=alt.Color("colour:N", scale=None),
            strokeWidth=alt.StrokeWidth("width:Q", scale=None),
        )
    )
    labels = pd.DataFrame(texts, columns=["x", "y", "said", "left"])
    layers = [rules]
    sides: tuple[tuple[bool, Any, int], ...] = ((True, "right", -6), (False, "left", 6))
    for left, align, shift in sides:
        mine = labels[labels["left"] == left]
        layers.append(
            alt.Chart(mine)
            .mark_text(align=align, baseline="middle", dx=shift, fontSize=12, color=INK, clip=False)
            .encode(x=x, y=y, text="said:N")
        )
    return svg(alt.layer(*layers).properties(width=AXIS + 2 * room, height=height - above))
