"""Shades of a quantity: viridis in a fixed number of steps, and the colour bar that says what they mean.

Viridis is perceptually uniform and readable by the colour blind. A fixed number of steps keeps pictures of
thousands of rectangles small, since neighbours of one colour are one path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from .drawing import decades

Floats = npt.NDArray[np.float64]
STEPS = 32
VIRIDIS = (
    "#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c",
    "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725",
)  # fmt: skip
DECADE = 10.0


@dataclass(frozen=True)
class Shades:
    """A scale from values to colours; what lies outside takes the colour of the nearer end."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def of(cls, values: Sequence[float], log: bool = True) -> "Shades":
        """The scale of some values; logarithmic, if that is allowed, where they span more than a decade."""
        known = [value for value in values if np.isfinite(value)] or [0.0]
        low, high = min(known), max(known)
        wide = log and spans_decade(known)
        if low == high:
            return cls(low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1))
        return cls(low, high, wide)

    def steps(self, values: Floats) -> npt.NDArray[np.int64]:
        """Step of each value, 0 to STEPS − 1."""
        low, high = self._scaled(np.array([self.low, self.high]))
        share = (self._scaled(np.clip(values, self.low, self.high)) - low) / (high - low)
        return np.minimum((share * STEPS).astype(np.int64), STEPS - 1)

    def colours(self, values: Floats) -> list[str]:
        """Colour of each value."""
        return [PALETTE[step] for step in self.steps(values)]

    def bar(self, title: str, length: int = 256) -> Any:
        """The colour bar, a chart of its own."""
        ends = self._scaled(np.array([self.low, self.high]))
        borders = np.linspace(ends[0], ends[1], STEPS + 1)
        borders = np.exp(borders) if self.log else borders
        frame = pd.DataFrame({"low": borders[:-1], "high": borders[1:], "colour": PALETTE})
        kind = "log" if self.log else "linear"
        scale = alt.Scale(type=kind, domain=[self.low, self.high], nice=False, zero=False)
        ticks: dict[str, Any] = {"values": decades((self.low, self.high))} if self.log else {"tickCount": 5}
        axis = alt.Axis(title=title, grid=False, ticks=True, format=".6~g", **ticks)
        return (
            alt.Chart(frame)
            .mark_rect(aria=False)
            .encode(
                x=alt.X("low:Q", scale=scale, axis=axis),
                x2="high:Q",
                color=alt.Color("colour:N", scale=None),
            )
            .properties(width=length, height=10)
        )

    def _scaled(self, values: Floats) -> Floats:
        return np.log(values) if self.log else values


def spans_decade(values: Sequence[float]) -> bool:
    """Whether positive values differ by more than a factor of ten."""
    return min(values) > 0 and max(values) / min(values) > DECADE


def text_on(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"


def _palette() -> tuple[str, ...]:
    anchors = np.array([[int(one[at : at + 2], 16) for at in (1, 3, 5)] for one in VIRIDIS])  # (anchor, 3)
    places = np.linspace(0, len(VIRIDIS) - 1, STEPS)
    parts = [np.interp(places, range(len(VIRIDIS)), anchors[:, part]) for part in range(3)]
    return tuple(
        "#{:02x}{:02x}{:02x}".format(*(round(part) for part in one)) for one in zip(*parts, strict=True)
    )


PALETTE = _palette()
