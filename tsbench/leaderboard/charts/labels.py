"""Where the labels of a scatter plot lie, so that they can be read: a greedy choice among a few corners."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

CORNERS: tuple[tuple[Literal["left", "right"], int, int], ...] = (
    ("left", 9, -8), ("left", 9, 9), ("right", -9, -8), ("right", -9, 9), ("left", 9, 24), ("right", -9, 24),
)  # fmt: skip
"""Where a label may lie beside its point: alignment and offsets in pixels."""


def label_corners(
    frame: pd.DataFrame, size: tuple[int, int], x_domain: Sequence[float], y_domain: Sequence[float]
) -> list[int]:
    """For each point the first corner (of `CORNERS`) where its label meets no point and no earlier label.

    Args:
        frame: columns cost, error and label, one row per point.
        size: of the drawing, in pixels.
        x_domain: of the logarithmic cost axis.
        y_domain: of the logarithmic error axis.
    """
    width, height = size
    x = np.log(frame["cost"] / x_domain[0]) / np.log(x_domain[1] / x_domain[0]) * width
    y = height - np.log(frame["error"] / y_domain[0]) / np.log(y_domain[1] / y_domain[0]) * height
    taken = [(px - 5, py - 5, px + 5, py + 5) for px, py in zip(x, y, strict=True)]
    corners = []
    for px, py, label in zip(x, y, frame["label"], strict=True):
        long = 6.8 * len(label)
        boxes = [
            (
                px + dx - (long if align == "right" else 0),
                py + dy - 7,
                px + dx + (long if align == "left" else 0),
                py + dy + 7,
            )
            for align, dx, dy in CORNERS
        ]
        free = [
            n
            for n, box in enumerate(boxes)
            if not any(_meet(box, other) for other in taken) and box[2] < width + 60
        ]
        corners.append(free[0] if free else 0)
        taken.append(boxes[corners[-1]])
    return corners


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
