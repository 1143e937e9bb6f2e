"""Maps of a few cases as rows of examples.parquet, small enough to be kept with a Result.

A row of the table is a cell: `variable` names the array, with the height in a volume (`path_gain@7.5`),
`time` is the row and `lead_time` the column of the cell, counted from 1 at the north-west corner. Buildings
and samples are rows without a forecast. Values are rounded to a few hundred steps; NaN is null.
"""

import math

import torch

from tsbench.data.task_data import Example

from .cases import FieldCases

EXAMPLES = 2
"""Cases that are shown."""
LARGEST = 64
"""Cells of an edge that are kept; of a larger map every second, third, ... row and column."""
LEVELS = 4
"""Heights of a volume that are kept."""
STEP = 0.25
"""To which values are rounded: metres, dB, ns, degrees; components of a direction and grey values are not
larger than 1, and rounded to a hundredth of it."""
FINE = STEP / 100
SMALL = 1.5


def picture(cases: FieldCases, case: int, forecast: torch.Tensor) -> list[Example]:
    """The maps of a case.

    Args:
        cases: of a scenario.
        case: which of them.
        forecast: in units, shape (channel, y, x) or (channel, z, y, x).
    """
    index, frame = torch.tensor([case]), cases.scale.frame
    truth, _ = cases.gather_truth(index)
    maps, found = cases.maps(index), []
    if "building_height" in maps.arrays:
        found.append(_example("building_height", maps.arrays["building_height"][0].float(), None))
    levels = _levels(len(frame.heights)) if frame.volume else [None]
    if cases.layout.sparse is not None:
        batch = cases.using("observed").gather(index)
        place = cases.layout.context.index(cases.layout.sparse.array)
        values = cases.scale.to_units(batch["context"])[0, place]
        samples = torch.where(batch["observed"][0, place], values, torch.nan)
        found += [
            _example(_named("samples", level, frame.heights), _plane(samples, level), None)
            for level in levels
        ]
    for channel, name in enumerate(cases.layout.target):
        for level in levels:
            told = _plane(truth[0, channel], level), _plane(forecast[channel], level)
            found.append(_example(_named(name, level, frame.heights), *told))
    return found


def _levels(heights: int) -> list[int]:
    kept = min(LEVELS, heights)
    return sorted({round(number * (heights - 1) / max(1, kept - 1)) for number in range(kept)})


def _plane(values: torch.Tensor, level: int | None) -> torch.Tensor:
    return values if level is None else values[level]


def _named(name: str, level: int | None, heights: tuple[float, ...]) -> str:
    return name if level is None else f"{name}@{heights[level]:g}"


def _example(name: str, truth: torch.Tensor, forecast: torch.Tensor | None) -> Example:
    stride = math.ceil(max(truth.shape) / LARGEST)
    kept = truth[::stride, ::stride]
    rows, columns = kept.shape
    return Example(
        variable=name,
        stamps=[str(row + 1) for row in range(rows) for _ in range(columns)],
        lead_times=[column + 1 for _ in range(rows) for column in range(columns)],
        observed=_rounded(kept),
        forecast=[] if forecast is None else _rounded(forecast[::stride, ::stride]),
    )


def _rounded(values: torch.Tensor) -> list[float]:
    known = values[values.isfinite()]
    step = FINE if len(known) and float(known.abs().max()) <= SMALL else STEP
    whole = (values.double() / step).round() * step
    return [None if math.isnan(one) else round(one, 6) for one in whole.flatten().tolist()]  # type: ignore[misc]
