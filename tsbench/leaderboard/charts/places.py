"""Maps of a quantity by place: a dot at each latitude and longitude, in shades that all maps share."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from .drawing import INK, composed, svg
from .shades import Shades

WIDE, TALL = 320, 190
ROOM = 0.04
"""Share of the extent that is left free around the dots."""


def place_maps(values: pd.DataFrame, entries: Sequence[str], title: str) -> str:
    """A map for each entry, side by side.

    Args:
        values: columns entry, place, latitude and longitude in degrees, and value; a place is there once for
            each entry.
        entries: order of the maps.
        title: of the colour bar.

    Returns:
        The SVG.

    Raises:
        ValueError: where a place has no coordinates, or there is no value.
    """
    if values[["latitude", "longitude"]].isna().any().any():
        raise ValueError("a place without coordinates cannot be drawn")
    if values["value"].isna().all():
        raise ValueError("there is no value to draw")
    known = values.dropna(subset=["value"])
    shades = Shades.of(known["value"].tolist())
    frame = known.assign(colour=shades.colours(known["value"].to_numpy(float)))
    domains = [_around(known[name]) for name in ("longitude", "latitude")]
    maps = [_one_map(frame[frame["entry"] == entry], entry, domains) for entry in entries]
    return svg(composed("vconcat", [composed("hconcat", maps), shades.bar(title)]))


def _one_map(frame: pd.DataFrame, entry: str, domains: Sequence[Sequence[float]]) -> Any:
    axes = [
        alt.Axis(title=name, grid=False, tickCount=5, labelExpr=f"abs(datum.value) + '° {side}'")
        for name, side in (("longitude", "W"), ("latitude", "N"))
    ]
    scales = [alt.Scale(domain=list(domain), nice=False, zero=False) for domain in domains]
    return (
        alt.Chart(frame)
        .mark_circle(size=90, opacity=1, stroke=INK, strokeWidth=0.4, aria=False)
        .encode(
            x=alt.X("longitude:Q", scale=scales[0], axis=axes[0]),
            y=alt.Y("latitude:Q", scale=scales[1], axis=axes[1]),
            color=alt.Color("colour:N", scale=None),
        )
        .properties(width=WIDE, height=TALL, title=entry)
    )


def _around(values: pd.Series) -> list[float]:
    low, high = float(values.min()), float(values.max())
    room = ROOM * (high - low or 1.0)
    return [low - room, high + room]
