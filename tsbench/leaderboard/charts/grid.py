"""Charts of a scenario grid: heat maps over two axes, and curves along one. Axes and names are arguments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from .drawing import INK, decades, padded, series_scales, svg
from .shades import Shades, spans_decade, text_on

WIDE, TALL = 1150, 130
"""Most pixels of a row of heat maps, and about how many one is high."""
CELL = (14, 46)
"""Least and most pixels of a cell's width."""
TEXT_ROOM = 34
"""Pixels from which on a cell holds its value as text."""
MOST_TICKS = 8


@dataclass(frozen=True)
class Panel:
    """One panel of curves: columns entry, x and value."""

    title: str
    x_title: str
    frame: pd.DataFrame


def heat_maps(
    values: pd.DataFrame,
    entries: Sequence[str],
    x: tuple[str, Sequence[str]],
    y: tuple[str, Sequence[str]],
    facets: Sequence[str],
    title: str,
) -> str:
    """A heat map for each entry (a row) and facet (a column), all in the same shades.

    Args:
        values: columns entry, facet, x, y (texts of the axes' values) and value; what is missing stays empty.
        entries: order of the rows.
        x: title and values of the horizontal axis.
        y: title and values of the vertical axis, upwards.
        facets: titles of the columns; one empty title without facets.
        title: of the colour bar.

    Returns:
        The SVG.
    """
    shades = Shades.of(values["value"].tolist())
    frame = values.assign(colour=shades.colours(values["value"].to_numpy(float)))
    # Rectangles of one colour follow each other, so that they become one path.
    frame = frame.sort_values(["colour", "entry", "facet", "x", "y"], kind="stable")
    width = max(CELL[0], min(CELL[1], WIDE // max(len(facets), 1) // len(x[1]) - 2))
    size = (width, max(16, min(26, TALL // len(y[1]))))
    rows = []
    for row, entry in enumerate(entries):
        mine = frame[frame["entry"] == entry]
        x_axis = x if row == len(entries) - 1 else ("", x[1])
        maps = [
            _heat_map(mine[mine["facet"] == facet], x_axis, y if at == 0 else ("", y[1]), facet, size)
            for at, facet in enumerate(facets)
        ]
        heading = alt.TitleParams(entry, anchor="start", fontSize=13, fontWeight=600, offset=4)
        rows.append(alt.hconcat(*maps, spacing=14, title=heading))
    return svg(alt.vconcat(shades.bar(title), *rows, spacing=16))


def _heat_map(
    frame: pd.DataFrame,
    x: tuple[str, Sequence[str]],
    y: tuple[str, Sequence[str]],
    facet: str,
    size: tuple[int, int],
) -> Any:
    axis: dict[str, Any] = {"grid": False, "ticks": False, "domain": False, "labelAngle": 0}
    labels: dict[str, Any] = axis | {"labelOverlap": "greedy", "labelSeparation": 5}
    across = alt.X("x:N", sort=list(x[1]), scale=_bands(x[1]), axis=alt.Axis(title=x[0] or None, **labels))
    shown = alt.Axis(title=y[0], **labels) if y[0] else alt.Axis(title=None, labels=False, **axis)
    up = alt.Y("y:N", sort=list(y[1])[::-1], scale=_bands(list(y[1])[::-1]), axis=shown)
    base = alt.Chart(frame).encode(x=across, y=up)
    layers = [base.mark_rect(aria=False).encode(color=alt.Color("colour:N", scale=None))]
    if size[0] >= TEXT_ROOM:
        said = frame.assign(
            said=[f"{value:.3g}".replace("-", "−") for value in frame["value"]],
            ink=[text_on(colour) for colour in frame["colour"]],
        )
        layers.append(
            alt.Chart(said)
            .mark_text(aria=False, fontSize=11)
            .encode(x=across, y=up, text="said:N", color=alt.Color("ink:N", scale=None))
        )
    title = alt.TitleParams(facet, anchor="start", fontSize=12, fontWeight="normal", offset=4)
    return alt.layer(*layers).properties(
        width=size[0] * len(x[1]),
        height=size[1] * len(y[1]),
        title=title,
        view=alt.ViewBackground(stroke=INK, strokeOpacity=0.5),
    )


def _bands(values: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(values), paddingInner=0, paddingOuter=0)


def curve_chart(panels: Sequence[Panel], entries: Sequence[str], title: str, columns: int = 3) -> str:
    """Curves of several entries in panels that share the vertical axis.

    The vertical axis is logarithmic where values are positive and span more than a decade.

    Args:
        panels: in reading order; x and value are numbers.
        entries: order of the entries; the place decides colour and dash.
        title: of the vertical axis.
        columns: panels in a row.

    Returns:
        The SVG.
    """
    values = [float(value) for panel in panels for value in panel.frame["value"]]
    scale, ticks = _value_scale(values)
    drawn = [
        _curves(panel, entries, title if at % columns == 0 else None, scale, ticks)
        for at, panel in enumerate(panels)
    ]
    return svg(alt.concat(*drawn, columns=columns, spacing=26).resolve_scale(x="independent"))


def _curves(
    panel: Panel, entries: Sequence[str], title: str | None, scale: alt.Scale, ticks: list[float] | None
) -> Any:
    colour, dash = series_scales(entries)
    places = sorted(set(panel.frame["x"]))
    few: dict[str, Any] = {"values": places} if len(places) <= MOST_TICKS else {"tickCount": MOST_TICKS}
    x_scale = alt.Scale(nice=False, zero=False, padding=12)
    x = alt.X(
        "x:Q",
        scale=x_scale,
        axis=alt.Axis(title=panel.x_title, format=".6~g", labelOverlap="greedy", labelSeparation=8, **few),
    )
    some: dict[str, Any] = {"values": ticks} if ticks else {}
    y_axis = alt.Axis(title=title, format=".6~g", **some)
    base = alt.Chart(panel.frame).encode(x=x, y=alt.Y("value:Q", scale=scale, axis=y_axis), color=colour)
    lines = base.mark_line(strokeWidth=1.8, aria=False).encode(strokeDash=dash)
    dots = base.mark_point(size=24, filled=True, opacity=1, aria=False)
    heading = alt.TitleParams(panel.title, anchor="start", fontSize=12.5, fontWeight="normal")
    return alt.layer(lines, dots).properties(width=300, height=190, title=heading)


def _value_scale(values: Sequence[float]) -> tuple[alt.Scale, list[float] | None]:
    if not spans_decade(values):
        low, high = min(values), max(values)
        room = 0.06 * ((high - low) or abs(high) or 1)
        # Zero belongs to errors that are near it; decibels lie on both sides of it.
        start = 0.0 if low >= 0 else low - room
        return alt.Scale(domain=[start, high + room], nice=False), None
    domain = padded(pd.Series(values), 0.05)
    return alt.Scale(type="log", domain=domain, nice=False), decades(domain)
