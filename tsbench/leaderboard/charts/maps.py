"""Pictures of a case of maps: buildings, samples, truth and forecasts in the same shades, errors below.

Written as SVG without a renderer: runs of cells of one colour are one outline, and a colour is one path, so
that a dozen maps stay small. A volume is shown as slices, one height after another.
"""

import html
import itertools
import textwrap
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from .drawing import INK
from .shades import PALETTE, Shades

SIZE, GAP, LINE, NAME = 150, 14, 13, 22
"""Pixels of a map's edge, between maps and of a line of text; letters in a line of an entry's name."""
NOTHING = -159.5
"""Maps in dB hold about −160 where no path arrives; it takes the darkest shade."""
STRETCH = 0.25
"""Share of the truth's span by which a forecast may widen the shades at either end."""
DIVERGING = (
    "#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7",
    "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f",
)  # fmt: skip
"""Blue, white, red: too low, right, too high (ColorBrewer RdBu, readable by the colour blind)."""
GREYS = ("#f0f0f0", "#d9d9d9", "#bdbdbd", "#969696", "#737373", "#525252", "#252525")
BUILDINGS, SAMPLES = "building_height", "samples"
Map = npt.NDArray[np.float64]


def map_images(examples: pd.DataFrame, entries: Sequence[str], *, value_title: str) -> str:
    """The maps of the first case: a pair of rows for each variable and height.

    The upper row shows buildings, truth and each entry's forecast, the lower one samples where the context
    held some, and below each forecast its error. All values of the case have one scale, and so have all its
    errors; what lies beyond takes the colour of the end.

    Args:
        examples: columns `EXAMPLE_COLUMNS` and `entry`, cells as `tsbench.data.field.pictures` writes them:
            `time` is the row and `lead_time` the column, from 1 at the north-west corner.
        entries: order of the forecasts.
        value_title: what a value is, for the colour bar.

    Returns:
        The SVG.
    """
    first = examples.iloc[0]
    case = examples[(examples["scenario"] == first["scenario"]) & (examples["case"] == first["case"])]
    truth, forecasts, buildings, samples = _read(case, entries)
    shades, spread = _scales(truth, forecasts)
    parts: list[str] = []
    shown = [entry for entry in entries if entry in forecasts]
    width = (2 + len(shown)) * (SIZE + GAP)
    top = 0.0
    for name, known in truth.items():
        top = _slice(parts, top, name, known, shown, forecasts, buildings, samples, shades, spread)
    parts.append(_bar(0, top, value_title, shades.low, shades.high, PALETTE))
    parts.append(_bar(width / 2, top, "error: forecast − truth", -spread, spread, DIVERGING))
    height = top + 4 * LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" color="{INK}" fill="currentColor" font-family="system-ui, sans-serif" '
        f'font-size="11">{"".join(parts)}</svg>'
    )


def _read(
    case: pd.DataFrame, entries: Sequence[str]
) -> tuple[dict[str, Map], dict[str, dict[str, Map]], Map | None, dict[str, Map]]:
    """Truth by variable, forecasts by entry and variable, the building map, and samples by height."""
    truth: dict[str, Map] = {}
    forecasts: dict[str, dict[str, Map]] = {}
    samples: dict[str, Map] = {}
    buildings = None
    for (entry, variable), cells in case.groupby(["entry", "variable"], sort=False):
        name = str(variable)
        if name == BUILDINGS:
            buildings = _map(cells, "observed")
        elif name.partition("@")[0] == SAMPLES:
            samples[name.partition("@")[2]] = _map(cells, "observed")
        else:
            truth.setdefault(name, _map(cells, "observed"))
            if entry in entries:
                forecasts.setdefault(str(entry), {})[name] = _map(cells, "forecast")
    return truth, forecasts, buildings, samples


def _map(cells: pd.DataFrame, column: str) -> Map:
    row, place = cells["time"].astype(int).to_numpy(), cells["lead_time"].astype(int).to_numpy()
    values = np.full((row.max(), place.max()), np.nan)
    values[row - 1, place - 1] = cells[column].to_numpy(float)
    return values


def _scales(truth: dict[str, Map], forecasts: dict[str, dict[str, Map]]) -> tuple[Shades, float]:
    """Shades of all values, and the largest error that has a colour of its own."""
    known = np.concatenate([one[np.isfinite(one)] for one in truth.values()] or [np.zeros(0)])
    # Cells without a path lie far below all others, and would take most of the shades.
    reached = known[known > NOTHING]
    known = reached if len(reached) else known if len(known) else np.zeros(1)
    low, high = np.percentile(known, 2), known.max()
    room = STRETCH * (high - low)
    said = [one[name][np.isfinite(truth[name])] for one in forecasts.values() for name in one]
    values = np.concatenate([known[known >= low], *[np.clip(one, low - room, high + room) for one in said]])
    errors = [np.abs(one[name] - truth[name]) for one in forecasts.values() for name in one]
    largest = [np.percentile(one[np.isfinite(one)], 95) for one in errors if np.isfinite(one).any()]
    return Shades.of(values.tolist(), log=False), float(max(largest, default=1.0)) or 1.0


def _slice(
    parts: list[str],
    top: float,
    name: str,
    truth: Map,
    shown: Sequence[str],
    forecasts: dict[str, dict[str, Map]],
    buildings: Map | None,
    samples: dict[str, Map],
    shades: Shades,
    spread: float,
) -> float:
    """Draw one variable at one height; returns where the next one begins."""
    variable, _, height = name.partition("@")
    said = variable.replace("_", " ") + (f" at {height} m" if height else "")
    parts.append(_text(0, top + LINE, said, bold=True))
    upper = top + 2.6 * LINE + LINE
    lower = upper + SIZE + GAP + LINE
    values = _coloured(shades.colours)
    if buildings is not None:
        parts.append(_picture(0, upper, ["buildings"], buildings, _coloured(_greys(buildings))))
    parts.append(_picture(SIZE + GAP, upper, ["truth"], truth, values))
    if height in samples:
        parts.append(_picture(0, lower, ["samples"], samples[height], values))
    for number, entry in enumerate(shown):
        left = (2 + number) * (SIZE + GAP)
        forecast = np.where(np.isfinite(truth), forecasts[entry][name], np.nan)
        parts.append(_picture(left, upper, _wrapped(entry), forecast, values))
        parts.append(_picture(left, lower, ["error"], forecast - truth, _coloured(_errors(spread))))
    return lower + SIZE + GAP


def _wrapped(entry: str) -> list[str]:
    return textwrap.wrap(entry, NAME, max_lines=2, placeholder="…")


def _greys(buildings: Map) -> Callable[[Map], list[str]]:
    tallest = float(np.nanmax(buildings)) or 1.0

    def colours(heights: Map) -> list[str]:
        steps = np.minimum((heights / tallest * len(GREYS)).astype(int), len(GREYS) - 1)
        return [GREYS[step] for step in steps]

    return colours


def _errors(spread: float) -> Callable[[Map], list[str]]:
    def colours(errors: Map) -> list[str]:
        share = (np.clip(errors / spread, -1, 1) + 1) / 2
        return [
            DIVERGING[step] for step in np.minimum((share * len(DIVERGING)).astype(int), len(DIVERGING) - 1)
        ]

    return colours


def _coloured(colours: Callable[[Map], list[str]]) -> Callable[[Map], npt.NDArray[np.object_]]:
    """Colour of each cell, empty where nothing is known."""

    def of(values: Map) -> npt.NDArray[np.object_]:
        found = np.full(values.shape, "", object)
        known = np.isfinite(values)
        found[known] = np.array(colours(values[known]), object)
        return found

    return of


def _picture(
    left: float,
    top: float,
    title: Sequence[str],
    values: Map,
    colour: Callable[[Map], npt.NDArray[np.object_]],
) -> str:
    rows, columns = values.shape
    scale = SIZE / max(rows, columns)
    paths: dict[str, list[str]] = {}
    for row, colours in enumerate(colour(values)):
        ends = [0, *(np.flatnonzero(colours[1:] != colours[:-1]) + 1), columns]
        for start, end in itertools.pairwise(ends):
            if colours[start]:
                paths.setdefault(colours[start], []).append(f"M{start} {row}h{end - start}v1H{start}z")
    drawn = "".join(f'<path d="{"".join(runs)}" fill="{shade}"/>' for shade, runs in sorted(paths.items()))
    lines = "".join(
        _text(left, top - (len(title) - 1 - number) * LINE - 4, line) for number, line in enumerate(title)
    )
    return (
        f'{lines}<g transform="translate({left:g} {top:g}) scale({scale:g})" shape-rendering="crispEdges">'
        f'<rect width="{columns}" height="{rows}" fill="currentColor" fill-opacity="0.18"/>{drawn}</g>'
    )


def _bar(left: float, top: float, title: str, low: float, high: float, palette: Sequence[str]) -> str:
    """A colour bar with its ends and its middle."""
    length = 1.5 * SIZE
    step = length / len(palette)
    boxes = "".join(
        f'<rect x="{left + number * step:.2f}" y="{top + LINE + 4:g}" width="{step + 0.5:.2f}" height="9" '
        f'fill="{shade}"/>'
        for number, shade in enumerate(palette)
    )
    marks = "".join(
        f'<text x="{left + share * length:g}" y="{top + 2 * LINE + 12:g}" text-anchor="{anchor}">'
        f"{low + share * (high - low):.3g}</text>".replace("-", "−").replace("text−anchor", "text-anchor")
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    return _text(left, top + LINE, title) + boxes + marks


def _text(left: float, top: float, words: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{left:g}" y="{top:g}"{weight}>{html.escape(words)}</text>'
