"""Charts as SVG text, made once at build time: nothing is drawn or fetched in the reader's browser.

Colours: text, axes and truth are `currentColor`, so that a page that shows the SVG inline decides, in light
and in dark mode; a file of its own falls back to a grey that is readable on both. Series colours keep a
contrast of at least 3 : 1 on white and on near black, differ under colour blindness, and are doubled by
dashes or shapes.
"""

import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from .labels import CORNERS, label_corners

INK = "#757d89"
"""Stands for the text colour inside a specification; contrast 4.1 on white, 4.6 on the pages' dark ground."""
COLOURS = ("#2f7fd1", "#d9730d", "#1a9a6c", "#c4539f", "#8766d6", "#9a8019", "#d64545", "#0f98a8")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [12, 4], [10, 2, 2, 2], [3, 1])
SHAPES = ("circle", "diamond", "triangle-up", "square", "cross")
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
    frame["front"] = frame["error"] < frame["error"].cummin().shift(fill_value=np.inf)
    short = frame["entry"].map(lambda name: name if len(name) <= LABEL else f"{name[: LABEL - 1]}…")
    frame["label"] = short.where((len(frame) <= MOST_LABELS) | frame["front"], "")
    x_domain, y_domain = _padded(frame["cost"], 0.10), _padded(frame["error"], 0.10)
    frame["corner"] = label_corners(frame, COST_SIZE, x_domain, y_domain)
    x = alt.X("cost:Q", title=cost_title, scale=alt.Scale(type="log", domain=x_domain, nice=False))
    x = x.axis(format=cost_format, values=_decades(x_domain))
    y = alt.Y("error:Q", title=error_title, scale=alt.Scale(type="log", domain=y_domain, nice=False))
    y = y.axis(values=_round_values(y_domain))
    base = alt.Chart(frame).encode(x=x, y=y)
    front = (
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
    return _svg(alt.layer(front, dots, *names).properties(width=COST_SIZE[0], height=COST_SIZE[1]))


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
    return _svg(alt.layer(one, span, dots).properties(width=420, height=alt.Step(26)))


def lead_time_chart(values: pd.DataFrame, entries: Sequence[str], title: str) -> str:
    """Error by lead time, one line per entry.

    Args:
        values: columns entry, lead_time (1 is the first step) and value.
        entries: order of the entries; the place decides colour and dash.
        title: of the vertical axis.

    Returns:
        The SVG.
    """
    colour, dash = _series_scales(entries)
    lines = (
        alt.Chart(values)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("lead_time:Q", title="lead time (steps)", scale=alt.Scale(nice=False)),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=True)),
            color=colour,
            strokeDash=dash,
        )
    )
    return _svg(lines.properties(width=560, height=260))


def forecast_chart(examples: pd.DataFrame, *, entries: Sequence[str] = ("forecast",), panels: int = 3) -> str:
    """Context, truth and forecasts of a few cases on one axis each.

    Args:
        examples: table with the columns `EXAMPLE_COLUMNS`; where it holds several entries, a column `entry`
            says which, otherwise everything belongs to `entries[0]`.
        entries: order of the entries; the place decides colour and dash.
        panels: how many (scenario, case, variable) to draw: different cases first, then different variables.

    Returns:
        The SVG; also an artifact of its own.
    """
    frame = examples if "entry" in examples else examples.assign(entry=entries[0])
    drawn = [_panel(frame, entries, chosen) for chosen in _choose_panels(frame, panels)]
    return _svg(alt.vconcat(*drawn, spacing=22).resolve_scale(x="independent", y="independent"))


def _panel(frame: pd.DataFrame, entries: Sequence[str], chosen: tuple[str, Any, str]) -> Any:
    scenario, case, variable = chosen
    mine = frame[(frame["scenario"] == scenario) & (frame["case"] == case) & (frame["variable"] == variable)]
    observed = mine.drop_duplicates("lead_time").sort_values("lead_time")[["lead_time", "observed"]]
    forecast = mine[mine["lead_time"] > 0].dropna(subset=["forecast"])[["lead_time", "forecast", "entry"]]
    start = mine.loc[mine["lead_time"] == mine.loc[mine["lead_time"] > 0, "lead_time"].min(), "time"]
    origin = f" · from {str(start.iloc[0]).replace('T', ' ')[:16]}" if len(start) else ""
    colour, dash = _series_scales(entries)
    x = alt.X("lead_time:Q", title="steps from the forecast origin", scale=alt.Scale(nice=False))
    scale = alt.Scale(zero=False)
    truth = (
        alt.Chart(observed.dropna())
        .mark_line(color=INK, strokeWidth=1.6)
        .encode(x=x, y=alt.Y("observed:Q", title=None, scale=scale))
    )
    lines = (
        alt.Chart(forecast)
        .mark_line(strokeWidth=1.6)
        .encode(x=x, y=alt.Y("forecast:Q", title=None, scale=scale), color=colour, strokeDash=dash)
    )
    border = alt.Chart(pd.DataFrame({"lead_time": [0.5]})).mark_rule(color=INK, strokeDash=[2, 3]).encode(x=x)
    title = alt.TitleParams(
        f"{variable}{origin} · {scenario}", anchor="start", fontSize=12, fontWeight="normal"
    )
    return alt.layer(border, truth, lines).properties(width=620, height=150, title=title)


def _choose_panels(frame: pd.DataFrame, panels: int) -> list[tuple[str, Any, str]]:
    """One variable of each case first, moving on through the variables, so that few panels show much."""
    keys = frame[["scenario", "case", "variable"]].drop_duplicates()
    cases = list(keys[["scenario", "case"]].drop_duplicates().itertuples(index=False, name=None))
    variables = list(dict.fromkeys(keys["variable"]))[::-1]  # the target comes last in most tables
    known = set(keys.itertuples(index=False, name=None))
    turns = [
        (scenario, case, variables[(number + turn) % len(variables)])
        for turn in range(len(variables))
        for number, (scenario, case) in enumerate(cases)
    ]
    return [turn for turn in turns if turn in known][:panels]


def _series_scales(entries: Sequence[str]) -> tuple[alt.Color, alt.StrokeDash]:
    names = list(entries)
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(names))]
    dashes = [DASHES[index % len(DASHES)] for index in range(len(names))]
    legend = alt.Legend(
        title=None, orient="top", columns=3, labelLimit=170, columnPadding=28, symbolStrokeWidth=2
    )
    return (
        alt.Color("entry:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
        alt.StrokeDash("entry:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
    )


def _padded(values: pd.Series, share: float) -> list[float]:
    """Domain of a log axis with room for marks and labels."""
    low, high = float(values.min()), float(values.max())
    room = max(high / low, 1.5) ** share
    return [low / room, high * room]


def _decades(domain: Sequence[float]) -> list[float]:
    """Ticks of a log axis: the powers of ten, with 2 and 5 between them where these are few."""
    low, high = (int(np.floor(np.log10(bound))) for bound in domain)
    steps = (1, 2, 5) if high - low < 3 else (1,)
    ticks = [float(f"{step}e{power}") for power in range(low, high + 2) for step in steps]
    return [tick for tick in ticks if domain[0] <= tick <= domain[1]]


def _round_values(domain: Sequence[float]) -> list[float]:
    """Ticks of a log axis over few decades: about six round numbers."""
    steps = [
        0.01,
        0.02,
        0.05,
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
        1,
        1.2,
        1.5,
        2,
        3,
        5,
        10,
        20,
        50,
        100,
    ]
    inside = [step for step in steps if domain[0] <= step <= domain[1]]
    return inside if len(inside) > 2 else [round(float(v), 3) for v in np.geomspace(domain[0], domain[1], 5)]


def _svg(chart: Any) -> str:
    """Render without a browser, with a fixed look and the same bytes for the same chart."""
    import vl_convert

    chart = chart.configure(background="transparent", font="system-ui, sans-serif", padding=4)
    chart = chart.configure_view(stroke=None).configure_axis(
        labelColor=INK, titleColor=INK, gridColor=INK, domainColor=INK, tickColor=INK,
        gridOpacity=0.18, domainOpacity=0.45, tickOpacity=0.45,
        labelFontSize=11.5, titleFontSize=12, titleFontWeight="normal", titlePadding=8,
    )  # fmt: skip
    chart = chart.configure_legend(labelColor=INK, labelFontSize=12).configure_title(color=INK)
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    svg = _numbered_from_zero(svg).replace(f'"{INK}"', '"currentColor"')
    return svg.replace("<svg ", f'<svg color="{INK}" ', 1)


def _numbered_from_zero(svg: str) -> str:
    """The renderer counts clip paths over all charts of the process; count from 0 in each."""
    for number, identifier in enumerate(dict.fromkeys(re.findall(r'id="((?:clip|gradient_?)\d+)"', svg))):
        svg = re.sub(rf'(id="|url\(#){identifier}(?=["\)])', rf"\g<1>part{number}", svg)
    return svg
