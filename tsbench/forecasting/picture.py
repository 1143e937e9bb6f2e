"""The picture of a forecast: the last part of the file, the forecast, and its intervals as bands."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MOST_VARIABLES, SHOWN = 4, 4
"""Variables that are drawn, and how many horizons of the file."""


def draw(
    variables: Sequence[str],
    known_time: np.ndarray,
    known: Floats,
    time: np.ndarray,
    values: Floats,
    bounds: Mapping[float, tuple[Floats, Floats]],
) -> str:
    """Draw a forecast as SVG.

    Args:
        variables: names; the last few are drawn, since the target comes last in most tables.
        known_time: stamps of the file, shape (row,).
        known: values of the file, shape (row, variable).
        time: stamps of the forecast, shape (lead_time,).
        values: shape (lead_time, variable).
        bounds: level → lower and upper, each of the shape of `values`.
    """
    import altair as alt
    import pandas as pd

    from tsbench.leaderboard.charts.drawing import COLOURS, INK, svg

    tail = slice(-SHOWN * len(time), None)
    rows = []
    for column, name in list(enumerate(variables))[-MOST_VARIABLES:]:
        past = pd.DataFrame({"time": known_time[tail], "value": known[tail, column]})
        later = pd.DataFrame({"time": time, "value": values[:, column]})
        x = alt.X("time:T" if time.dtype.kind == "M" else "time:Q", title=None)
        y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
        layers = [
            alt.Chart(pd.DataFrame({"time": time, "low": low[:, column], "high": high[:, column]}))
            .mark_area(color=COLOURS[0], opacity=0.16)
            .encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q")
            for low, high in bounds.values()
        ]
        layers.append(alt.Chart(past).mark_line(color=INK, strokeWidth=1.4).encode(x=x, y=y))
        layers.append(alt.Chart(later).mark_line(color=COLOURS[0], strokeWidth=1.8).encode(x=x, y=y))
        title = alt.TitleParams(name, anchor="start", fontSize=12, fontWeight="normal")
        rows.append(alt.layer(*layers).properties(width=640, height=170, title=title))
    return svg(alt.vconcat(*rows, spacing=18))
