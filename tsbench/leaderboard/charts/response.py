"""Pictures of cases with many variables: magnitude over time and variable, truth beside the forecasts."""

import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from .drawing import INK, svg
from .shades import Shades

MOST_VARIABLES = 100
"""With more, only every second, third, … is drawn."""
HEIGHT, STEP, AHEAD = 225, 15, 24
"""Pixels of a picture's height (about), and of one step's width, beside the truth and in a forecast."""
NAME, GAP = 15, 18
"""Letters in a line of an entry's name, and pixels between pictures."""
STRETCH = 1.5
"""How far beyond the largest true value the shades may reach."""


def response_images(
    examples: pd.DataFrame, entries: Sequence[str], *, variable_title: str, value_title: str
) -> str:
    """Context and truth of the first case, and beside it each entry's forecast, all in the same shades.

    Args:
        examples: columns `EXAMPLE_COLUMNS` and `entry`; `lead_time` ≤ 0 is context.
        entries: order of the forecasts.
        variable_title: what a variable is.
        value_title: what a value is, for the colour bar.

    Returns:
        The SVG. The shades span the truth, and forecasts up to `STRETCH` times its largest value; what lies
        beyond takes the colour of the end.
    """
    first = examples.iloc[0]
    case = examples[(examples["scenario"] == first["scenario"]) & (examples["case"] == first["case"])]
    names, every = _drawn(list(dict.fromkeys(case["variable"])))
    place = {name: number for number, name in enumerate(names)}
    case = case[case["variable"].isin(names)]
    case = case.assign(row=case["variable"].map(place), time=case["lead_time"].astype(int))
    truth = case.drop_duplicates(["time", "row"])[["time", "row", "observed"]]
    truth = truth.rename(columns={"observed": "value"}).dropna()
    # A forecast may lie far off: it stretches the shades a little, the truth stays readable.
    beyond = case["forecast"].dropna().clip(upper=STRETCH * truth["value"].max())
    shades = Shades.of([*truth["value"], *beyond], log=False)
    shape = (len(names), max(1, HEIGHT // len(names)), every)
    pictures = [_picture(truth, shades, shape, ["truth"], variable_title)]
    for entry in entries:
        ahead = case[(case["entry"] == entry) & (case["time"] > 0)][["time", "row", "forecast"]]
        ahead = ahead.rename(columns={"forecast": "value"}).dropna()
        if ahead.empty:
            continue  # its Result keeps other cases
        pictures.append(
            _picture(ahead, shades, shape, textwrap.wrap(entry, NAME, max_lines=3, placeholder="…"), None)
        )
    return svg(alt.vconcat(shades.bar(value_title), alt.hconcat(*pictures, spacing=GAP), spacing=14))


def _drawn(variables: Sequence[str]) -> tuple[list[str], int]:
    """Variables in order (by number, where they are numbers), thinned to `MOST_VARIABLES`, and how thinly."""
    ordered = sorted(variables, key=int) if all(name.isdecimal() for name in variables) else list(variables)
    every = -(-len(ordered) // MOST_VARIABLES)
    return ordered[::every], every


def _picture(
    frame: pd.DataFrame, shades: Shades, shape: tuple[int, int, int], title: list[str], y_title: str | None
) -> Any:
    rows, pixels, every = shape
    low, high = int(frame["time"].min()), int(frame["time"].max())
    # Rectangles of one colour follow each other, so that they become one path.
    boxes = pd.DataFrame(
        {
            "x": frame["time"] - 0.5,
            "x2": frame["time"] + 0.5,
            "y": frame["row"] * every,
            "y2": (frame["row"] + 1) * every,
            "colour": shades.colours(frame["value"].to_numpy(float)),
        }
    ).sort_values(["colour", "x", "y"], kind="stable")
    ends = {low, 0, high} if low < 0 else {low, high}
    x_axis = alt.Axis(
        title="steps from the forecast origin" if y_title else None,
        values=sorted(ends),
        grid=False,
        format="d",
    )
    y_axis = alt.Axis(title=y_title, grid=False, ticks=bool(y_title), labels=bool(y_title), domain=False)
    y_scale = alt.Scale(domain=[0, rows * every], nice=False)
    x = alt.X("x:Q", scale=alt.Scale(domain=[low - 0.5, high + 0.5], nice=False), axis=x_axis)
    layers = [
        alt.Chart(boxes)
        .mark_rect(aria=False)
        .encode(
            x=x,
            x2="x2",
            y=alt.Y("y:Q", scale=y_scale, axis=y_axis),
            y2="y2",
            color=alt.Color("colour:N", scale=None),
        )
    ]
    if low < 0:
        border = alt.Chart(pd.DataFrame({"x": [0.5]})).encode(x=x)
        layers += [
            border.mark_rule(color="#000000", strokeWidth=3, aria=False),
            border.mark_rule(color="#ffffff", strokeWidth=1.4, strokeDash=[5, 3], aria=False),
        ]
    heading = alt.TitleParams(title, anchor="start", fontSize=12, fontWeight="normal", offset=5)
    return alt.layer(*layers).properties(
        width=(STEP if low < 0 else AHEAD) * (high - low + 1),
        height=pixels * rows,
        title=heading,
        view=alt.ViewBackground(stroke=INK, strokeOpacity=0.5),
    )
