"""Charts of forecasts as lines: error by lead time, and cases with their context, truth and forecasts."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from tsbench.contracts.result import EXAMPLE_BOUNDS
from tsbench.leaderboard.words import scenario_words

from .drawing import COLOURS, INK, Composed, composed, series_scales, svg

APART = {"scale": {"x": "independent", "y": "independent"}}
HEADING = {"anchor": "start", "fontSize": 12, "fontWeight": "normal"}


def lead_time_chart(values: pd.DataFrame, entries: Sequence[str], title: str) -> str:
    """Error by lead time, one line per entry.

    Args:
        values: columns entry, lead_time (1 is the first step) and value.
        entries: order of the entries; the place decides colour and dash.
        title: of the vertical axis.

    Returns:
        The SVG.
    """
    colour, dash = series_scales(entries)
    steps = alt.Axis(title="lead time (steps)", tickMinStep=1)
    lines = (
        alt.Chart(values)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("lead_time:Q", scale=alt.Scale(nice=False), axis=steps),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=True)),
            color=colour,
            strokeDash=dash,
        )
    )
    return svg(lines.properties(width=560, height=260))


def forecast_chart(
    examples: pd.DataFrame,
    *,
    entries: Sequence[str] = ("forecast",),
    panels: int = 3,
    chosen: Sequence[tuple[str, int, str, str]] = (),
) -> str:
    """Context, truth and forecasts of a few cases on one axis each, with intervals where there are such.

    Args:
        examples: table with the columns `EXAMPLE_COLUMNS`, perhaps `EXAMPLE_BOUNDS`; where it holds several
            entries, a column `entry` says which, otherwise everything belongs to `entries[0]`.
        entries: order of the entries; the place decides colour and dash.
        panels: how many (scenario, case, variable) to draw: different cases first, then different variables.
        chosen: instead, which (scenario, case, variable) to draw, each with a word for its title.

    Returns:
        The SVG; also an artifact of its own.
    """
    frame = examples if "entry" in examples else examples.assign(entry=entries[0])
    turns = [(*turn, "") for turn in _choose_panels(frame, panels)] if not chosen else list(chosen)
    drawn = [_panel(frame, entries, turn) for turn in turns]
    return svg(composed("vconcat", drawn, spacing=22, resolve=APART))


def data_chart(examples: pd.DataFrame, most: int = 8) -> str:
    """What the data look like: context and truth of one case, a panel for each variable.

    Args:
        examples: table with the columns `EXAMPLE_COLUMNS`; the first case is drawn.
        most: variables that are drawn, the first ones.

    Returns:
        The SVG.
    """
    first = examples.iloc[0]
    case = examples[(examples["scenario"] == first["scenario"]) & (examples["case"] == first["case"])]
    names = list(dict.fromkeys(case["variable"]))[:most]
    rows = case.drop_duplicates(["variable", "lead_time"]).dropna(subset=["observed"])
    columns = 1 if len(names) == 1 else 2
    panels = []
    for name in names:
        mine = rows[rows["variable"] == name][["lead_time", "observed"]].sort_values("lead_time")
        x = alt.X("lead_time:Q", title=None, scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=6))
        y = alt.Y("observed:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=3))
        line = alt.Chart(mine).mark_line(color=COLOURS[0], strokeWidth=1.4).encode(x=x, y=y)
        border = alt.Chart(pd.DataFrame({"lead_time": [0.5]})).mark_rule(color=INK, strokeDash=[2, 3])
        title = {"text": name, **HEADING, "offset": 3}
        width = 620 if columns == 1 else 285
        panels.append(composed("layer", [line, border.encode(x=x)], width=width, height=70, title=title))
    return svg(composed("concat", panels, columns=columns, spacing=14, resolve=APART))


def _panel(frame: pd.DataFrame, entries: Sequence[str], chosen: tuple[str, Any, str, str]) -> Composed:
    scenario, case, variable, word = chosen
    mine = frame[(frame["scenario"] == scenario) & (frame["case"] == case) & (frame["variable"] == variable)]
    observed = mine.drop_duplicates("lead_time").sort_values("lead_time")[["lead_time", "observed"]]
    forecast = mine[mine["lead_time"] > 0].dropna(subset=["forecast"])[["lead_time", "forecast", "entry"]]
    start = mine.loc[mine["lead_time"] == mine.loc[mine["lead_time"] > 0, "lead_time"].min(), "time"]
    origin = f" · from {str(start.iloc[0]).replace('T', ' ')[:16]}" if len(start) else ""
    colour, dash = series_scales(entries)
    x = alt.X("lead_time:Q", title="steps from the forecast origin", scale=alt.Scale(nice=False))
    scale = alt.Scale(zero=False)
    truth = (
        alt.Chart(observed.dropna())
        .mark_line(color=INK, strokeWidth=1.6)
        .encode(x=x, y=alt.Y("observed:Q", title=None, scale=scale))
    )
    lines = (
        alt.Chart(forecast)
        # A single step is no line.
        .mark_line(strokeWidth=1.6, point=forecast["lead_time"].nunique() == 1)
        .encode(x=x, y=alt.Y("forecast:Q", title=None, scale=scale), color=colour, strokeDash=dash)
    )
    border = alt.Chart(pd.DataFrame({"lead_time": [0.5]})).mark_rule(color=INK, strokeDash=[2, 3]).encode(x=x)
    bands = _bands(mine, x, scale, colour)
    title = f"{word}{': ' if word else ''}{variable}{origin} · {scenario_words(scenario)}"
    layers = [*bands, border, truth, lines]
    return composed("layer", layers, width=620, height=150, title={"text": title, **HEADING})


def _bands(mine: pd.DataFrame, x: alt.X, scale: alt.Scale, colour: alt.Color) -> list[Any]:
    """An area between the bounds of each entry that has them."""
    if not set(EXAMPLE_BOUNDS) <= set(mine):
        return []
    bounds = mine.dropna(subset=list(EXAMPLE_BOUNDS))[["lead_time", "entry", *EXAMPLE_BOUNDS]]
    if bounds.empty:
        return []
    area = alt.Chart(bounds).mark_area(opacity=0.16)
    return [area.encode(x=x, y=alt.Y("lower:Q", title=None, scale=scale), y2="upper:Q", color=colour)]


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
