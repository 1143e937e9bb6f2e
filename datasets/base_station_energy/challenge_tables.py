"""The three tables of the challenge: read, checked, and written in the same form.

BSinfo (one row a cell), CLdata (one row a cell and hour) and ECdata (one row a station and hour). Energy is
in a unit that the publisher hides, on a coarse grid: it means nothing beside other data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tsbench.contracts import InputError

if TYPE_CHECKING:
    import pandas as pd

SAVING_MODES = tuple(f"ESMode{number}" for number in range(1, 7))
PROPERTIES = ("Frequency", "Bandwidth", "Antennas", "TXpower")
SHARES = ("load", *SAVING_MODES)
COLUMNS = {
    "BSinfo.csv": ("BS", "CellName", "RUType", "Mode", *PROPERTIES),
    "CLdata.csv": ("Time", "BS", "CellName", *SHARES),
    "ECdata.csv": ("Time", "BS", "Energy"),
}
TEXT = ("BS", "CellName", "RUType", "Mode")
KEYS = {
    "BSinfo.csv": ["BS", "CellName"],
    "CLdata.csv": ["Time", "BS", "CellName"],
    "ECdata.csv": ["Time", "BS"],
}
TIME_FORMATS = ("ISO8601", "%m/%d/%Y %H:%M")


@dataclass(frozen=True)
class Tables:
    """The tables, with `Time` as time stamps.

    Attributes:
        cells: BSinfo; columns as in `COLUMNS`.
        loads: CLdata.
        energy: ECdata.
    """

    cells: "pd.DataFrame"
    loads: "pd.DataFrame"
    energy: "pd.DataFrame"


def read_tables(files: Mapping[str, Path]) -> Tables:
    """Read and check the tables.

    Args:
        files: published name → path.

    Raises:
        InputError: where a column is missing or holds what it cannot, a row is there twice, or a station or
            cell has no row in BSinfo.
    """
    cells, loads, energy = (_read(files[name], name) for name in COLUMNS)
    _require_between(loads, "CLdata.csv", SHARES, 0.0, 1.0, "a share from 0 to 1")
    _require_between(cells, "BSinfo.csv", PROPERTIES, 0.0, None, "a number that is not negative")
    _require_between(energy, "ECdata.csv", ("Energy",), 0.0, None, "an energy that is not negative")
    known = set(zip(cells["BS"], cells["CellName"], strict=True))
    for station, cell in zip(loads["BS"], loads["CellName"], strict=True):
        if (station, cell) not in known:
            raise InputError(f"CLdata.csv: BSinfo.csv has no row of the cell {cell} of the station {station}")
    stations = set(cells["BS"])
    for station in energy["BS"]:
        if station not in stations:
            raise InputError(f"ECdata.csv: BSinfo.csv has no cell of the station {station}")
    return Tables(cells, loads, energy)


def write_tables(tables: Tables, folder: Path) -> None:
    """Write the tables as the challenge has them, with time stamps in ISO 8601."""
    for name, table in zip(COLUMNS, (tables.cells, tables.loads, tables.energy), strict=True):
        table[list(COLUMNS[name])].to_csv(folder / name, index=False)


def _read(path: Path, name: str) -> "pd.DataFrame":
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), float_precision="round_trip")
    except (ValueError, OSError) as error:
        raise InputError(f"{path} is no table: {str(error).splitlines()[0]}") from error
    missing = [column for column in COLUMNS[name] if column not in table.columns]
    if missing:
        raise InputError(f"{name} has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    if table.empty:
        raise InputError(f"{name} has no row")
    table = table[list(COLUMNS[name])]
    if "Time" in table.columns:
        table = table.assign(Time=_stamps(table["Time"], name))
    for column in table.columns:
        if column in TEXT and table[column].isna().any():
            raise InputError(f"{name}: {column} is empty in row {int(table[column].isna().argmax()) + 2}")
        if column not in (*TEXT, "Time"):
            table = table.assign(**{column: _numbers(table[column], name)})
    twice = table.duplicated(KEYS[name])
    if twice.any():
        raise InputError(f"{name}: row {int(twice.argmax()) + 2} repeats {_where(table, name, twice)}")
    return table


def _stamps(column: "pd.Series", name: str) -> "pd.Series":
    import pandas as pd

    for form in TIME_FORMATS:
        stamps = pd.to_datetime(column, format=form, errors="coerce")
        if not stamps.isna().any():
            return stamps
    raise InputError(
        f"{name}: Time must be stamps like 2023-01-01 05:00:00 or 1/1/2023 5:00, not {column.iloc[0]!r}"
    )


def _numbers(column: "pd.Series", name: str) -> "pd.Series":
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    wrong = numbers.isna() | ~numbers.abs().lt(float("inf"))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{name}: {column.name} is {column.iloc[row]!r} in row {row + 2}, not a number")
    return numbers


def _require_between(
    table: "pd.DataFrame", name: str, columns: tuple[str, ...], low: float, high: float | None, what: str
) -> None:
    for column in columns:
        wrong = (table[column] < low) | (False if high is None else table[column] > high)
        if wrong.any():
            value = table[column].iloc[int(wrong.argmax())]
            raise InputError(f"{name}: {column} of {_where(table, name, wrong)} is {value:g}, not {what}")


def _where(table: "pd.DataFrame", name: str, rows: "pd.Series") -> str:
    """The key of the first of some rows, in words."""
    row = table.iloc[int(rows.argmax())]
    place = " ".join(str(row[key]) for key in KEYS[name] if key != "Time")
    return f"{place} at {row['Time']}" if "Time" in KEYS[name] else place
