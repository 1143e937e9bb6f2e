"""Published matrices of like variables: the same quantity of many clients, sensors or plants.

They are passed around in two forms that give the same store: as the long-horizon literature packs them, with
a header `date,0,1,…,OT`, and as they were first published, numbers without a header or time stamps.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError

from .adapter import BuildRequest
from .steps import step_seconds
from .tables import (
    Column,
    RawTable,
    check_regular,
    numbers,
    read_table,
    time_attributes,
    time_stamps,
)

if TYPE_CHECKING:
    import xarray as xr

TIME_COLUMN = "date"
TARGET_COLUMN = "OT"
"""What the header calls the last variable, the target of the univariate long-horizon literature."""


@dataclass(frozen=True)
class Panel:
    """What a matrix of like variables holds.

    Attributes:
        quantity: that all of them measure.
        member: what a column stands for, in one word: channels are `client_0`, `client_1`, …, numbered as in
            the header of the long-horizon files.
        start: time of the first row of a file without time stamps.
    """

    quantity: Column
    member: str
    start: np.datetime64


def read_panel(request: BuildRequest, panel: Panel) -> "xr.Dataset":
    """Read either form of the one file of a data set.

    The card says how many variables there are, and the step from row to row.

    Returns:
        `<quantity>(time, channel)`, float64.

    Raises:
        InputError: where the file has other columns, a cell is empty or not a finite number, or the time
            stamps do not go on by the step.
    """
    import xarray as xr

    (path,) = request.files.values()
    count, step = request.variant.variables, request.variant.time.step
    assert count is not None, "the card of a panel says how many variables it has"
    assert step is not None, "the card of a panel says its step"
    channels = [f"{panel.member}_{number}" for number in range(count)]
    table = read_table(path, channels, header_start=TIME_COLUMN)
    if TIME_COLUMN in table.frame.columns:
        names = _named_in_header(table, count)
        time = time_stamps(table, TIME_COLUMN)
        if time.dtype.kind != "M":
            raise InputError(f"{table.name}: column '{TIME_COLUMN}' holds numbers, not time stamps")
        check_regular(table, time, step)
    else:
        names = channels
        time = _counted(panel.start, step, len(table.frame))
    values = np.empty((len(table.frame), count))
    for position, name in enumerate(names):
        values[:, position] = numbers(table, name, allow_missing=False)
    dataset = xr.Dataset(
        {panel.quantity.name: (("time", "channel"), values, panel.quantity.attributes)},
        coords={"time": ("time", time), "channel": ("channel", np.array(channels, object))},
    )
    dataset["time"].attrs = time_attributes(step)
    return dataset


def _named_in_header(table: RawTable, count: int) -> list[str]:
    """Names of the columns of numbers, which the header must have in the published order."""
    names = [*map(str, range(count - 1)), TARGET_COLUMN]
    given, published = list(table.frame.columns), [TIME_COLUMN, *names]
    if len(given) != len(published):
        raise InputError(
            f"{table.name} has {len(given)} columns, not {len(published)}: {TIME_COLUMN}, "
            f"{count} variables, the last of them {TARGET_COLUMN}"
        )
    for position, (name, expected) in enumerate(zip(given, published, strict=True), start=1):
        if name != expected:
            raise InputError(
                f"{table.name}, column {position}: '{name}'; the published file has '{expected}' there"
            )
    return names


def _counted(start: np.datetime64, step: str, rows: int) -> np.ndarray:
    """Time stamps, shape (row,), one step apart."""
    width = np.timedelta64(int(step_seconds(step) or 0), "s")
    return start.astype("datetime64[ns]") + np.arange(rows) * width
