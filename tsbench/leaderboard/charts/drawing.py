"""What all charts share: colours, dashes and shapes, the look of axes, and the way to SVG text.

Colours: text, axes and truth are `currentColor`, so that a page that shows the SVG inline decides, in light
and in dark mode; a file of its own falls back to a grey that is readable on both. Series colours keep a
contrast of at least 3 : 1 on white and on near black, differ under colour blindness, and are doubled by
dashes or shapes.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from altair.utils import schemapi

INK = "#757d89"
"""Stands for the text colour inside a specification; contrast 4.1 on white, 4.6 on the pages' dark ground."""
COLOURS = ("#2f7fd1", "#d9730d", "#1a9a6c", "#c4539f", "#8766d6", "#9a8019", "#d64545", "#0f98a8")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [12, 4], [10, 2, 2, 2], [3, 1])
ROUND = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    *(1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000),
)
"""Numbers for the ticks of a log axis."""
LOOK = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "padding": 4,
    "view": {"stroke": None, "continuousWidth": 300, "continuousHeight": 300},
    "axis": {
        "labelColor": INK, "titleColor": INK, "gridColor": INK, "domainColor": INK, "tickColor": INK,
        "gridOpacity": 0.18, "domainOpacity": 0.45, "tickOpacity": 0.45,
        "labelFontSize": 11.5, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 8,
    },
    "legend": {"labelColor": INK, "labelFontSize": 12},
    "title": {"color": INK},
}  # fmt: skip
SHAPES = ("circle", "diamond", "triangle-up", "square", "cross")


def series_scales(entries: Sequence[str]) -> tuple[alt.Color, alt.StrokeDash]:
    """Colour and dash of each entry by its place, with one legend above the chart."""
    names = list(entries)
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(names))]
    dashes = [DASHES[index % len(DASHES)] for index in range(len(names))]
    legend = alt.Legend(
        title=None,
        orient="top",
        symbolType="stroke",
        columns=3,
        labelLimit=170,
        columnPadding=28,
        symbolStrokeWidth=2,
    )
    return (
        alt.Color("entry:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
        alt.StrokeDash("entry:N", scale=alt.Scale(domain=names, range=dashes), legend=legend),
    )


def padded(values: pd.Series, share: float) -> list[float]:
    """Domain of a log axis with room for marks and labels."""
    low, high = float(values.min()), float(values.max())
    room = max(high / low, 1.5) ** share
    return [low / room, high * room]


def decades(domain: Sequence[float]) -> list[float]:
    """Ticks of a log axis: the powers of ten, with 2 and 5 between them where these are few."""
    low, high = (int(np.floor(np.log10(bound))) for bound in domain)
    steps = (1, 2, 5) if high - low < 3 else (1,)
    ticks = [float(f"{step}e{power}") for power in range(low, high + 2) for step in steps]
    return [tick for tick in ticks if domain[0] <= tick <= domain[1]]


def round_ticks(domain: Sequence[float]) -> list[float]:
    """Ticks of a log axis over few decades: about six round numbers."""
    inside = [step for step in ROUND if domain[0] <= step <= domain[1]]
    return inside if len(inside) > 2 else [round(float(v), 3) for v in np.geomspace(domain[0], domain[1], 5)]


@dataclass(frozen=True)
class Composed:
    """Charts put together as altair does it, without its copies of every part in each step.

    Attributes:
        spec: Vega-Lite, without what stands at its top only.
        datasets: values by name.
    """

    spec: dict[str, Any]
    datasets: dict[str, Any]


def composed(how: str, charts: Sequence[Any], **properties: Any) -> Composed:
    """Charts of altair, or such that are composed already, as one.

    Args:
        how: `layer`, `concat`, `hconcat` or `vconcat`.
        charts: from back to front, or in reading order.
        properties: of the whole: sizes, title, spacing, columns, resolve.
    """
    datasets: dict[str, Any] = {}
    specs = []
    for chart in charts:
        part = _part(chart)
        specs.append(part.spec)
        datasets |= part.datasets
    return Composed({how: specs, **properties}, datasets)


@contextmanager
def unchecked() -> Iterator[None]:
    """Charts without a look at each argument in altair's schema: that takes longer than drawing them.

    For a build of pages, whose charts the tests draw with that look.
    """
    with schemapi.debug_mode(False):
        yield


def svg(chart: Any) -> str:
    """Render without a browser, with a fixed look and the same bytes for the same chart."""
    import vl_convert

    part = _part(chart)
    whole = {"$schema": alt.SCHEMA_URL, "config": LOOK, "datasets": part.datasets, **part.spec}
    drawn = _joined(vl_convert.vegalite_to_svg(whole))
    drawn = _own_identifiers(drawn).replace(f'"{INK}"', '"currentColor"')
    return drawn.replace("<svg ", f'<svg color="{INK}" ', 1)


def _part(chart: Any) -> Composed:
    if isinstance(chart, Composed):
        return chart
    datasets: dict[str, Any] = {}
    spec = chart.to_dict(validate=False, context={"top_level": False, "datasets": datasets})
    return Composed(spec, datasets)


def _joined(drawn: str) -> str:
    """Neighbouring rectangles of one colour as one path, with crisp edges: no seams, a third of the bytes."""

    def join(match: re.Match[str]) -> str:
        outlines = "".join(re.findall(r' d="([^"]*)"', match[0]))
        return f'<path d="{outlines}" fill="{match[1]}" shape-rendering="crispEdges"/>'

    return re.sub(r'(?:<path d="[^"]*" fill="(#[0-9a-f]{6})"/>)(?:<path d="[^"]*" fill="\1"/>)*', join, drawn)


def _own_identifiers(drawn: str) -> str:
    """The renderer counts clip paths over all charts of the process; name them by the chart they belong to.

    Several charts stand in one page, where a name that two of them share would mean the first one's.
    """
    found = list(dict.fromkeys(re.findall(r'id="((?:clip|gradient_?)\d+)"', drawn)))
    for number, identifier in enumerate(found):
        drawn = re.sub(rf'(id="|url\(#){identifier}(?=["\)])', rf"\g<1>part{number}", drawn)
    chart = hashlib.blake2b(drawn.encode(), digest_size=4).hexdigest()
    return re.sub(r'(id="|url\(#)(part\d+)(?=["\)])', rf"\g<1>{chart}-\2", drawn)
