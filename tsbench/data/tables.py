"""Published and users' tables: reading CSV and Parquet, and one clear line for every mistake in them.

Owns the checks of columns, numbers and time stamps that every adapter of a table needs. What the columns mean
is the adapter's business.
"""

import bz2
import gzip
import itertools
import lzma
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError

from .steps import infer_step, irregularities

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

LINE_LIMIT = 2**24
"""Bytes of a header line: a table of a million columns is a mistake, and would fill the memory."""
_OPEN = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@dataclass(frozen=True)
class RawTable:
    """A table as it was read, with what is needed to say where a mistake is.

    Attributes:
        frame: the columns; text where a column holds anything that is not a number.
        name: file name.
        header: lines of the file before the first row; None where the file has no lines (Parquet).
        path: the file.
        rows: position of each row in the file, shape (row,); None where the table holds all of them in order.
    """

    frame: "pd.DataFrame"
    name: str
    header: int | None
    path: Path
    rows: np.ndarray | None = None

    def at(self, row: int) -> str:
        """Where a row is, in words: its line in the file, or its number counted from 1."""
        number = int(row if self.rows is None else self.rows[row]) + 1
        if self.header is None:
            return f"row {number}"
        return f"line {_line_number(self.path, number + self.header)}"

    def take(self, rows: np.ndarray, name: str) -> "RawTable":
        """Some rows of a whole table under another name; `at` still says where they are in the file."""
        return RawTable(self.frame.iloc[rows], name, self.header, self.path, rows)


def read_table(path: Path, columns: Sequence[str] | None = None, header_start: str | None = None) -> RawTable:
    """Read a CSV file (also compressed) or a Parquet file.

    Args:
        path: the file; `.parquet` is Parquet, anything else CSV, in UTF-8 or else in Latin-1.
        columns: names of the columns of a file without a header line; None where the first line names them.
        header_start: first name of the header line, where a file may have one although `columns` are given;
            a file that begins with it is read as one with a header.

    Raises:
        InputError: where there is no such file, it cannot be read, or it holds no rows.
    """
    import pandas as pd

    if not path.is_file():
        raise InputError(f"There is no file {path}")
    parquet = path.suffix == ".parquet"
    try:
        if columns is not None and header_start is not None and _starts_with(path, header_start):
            columns = None
        frame = pd.read_parquet(path) if parquet else _read_csv(path, columns)
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{path.name} is empty") from error
    except Exception as error:  # readers of tables and of compressed files raise almost anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise InputError(f"{path.name} cannot be read as a table: {reason[:300]}") from error
    if frame.empty:
        raise InputError(f"{path.name} holds no rows")
    if columns is not None and frame.shape[1] != len(columns):
        raise InputError(f"{path.name} has {frame.shape[1]} columns, not {len(columns)}")
    frame.columns = list(columns) if columns is not None else [str(name).strip() for name in frame.columns]
    twice = pd.Index(frame.columns)[pd.Index(frame.columns).duplicated()]
    if len(twice):
        raise InputError(f"{path.name} has two columns named '{twice[0]}'")
    return RawTable(frame, path.name, None if parquet else int(columns is None), path)


def require_columns(table: RawTable, names: Sequence[str]) -> None:
    """Check that a table has the columns of these names.

    Raises:
        InputError: with the first that is missing.
    """
    for name in names:
        if name not in table.frame.columns:
            raise InputError(f"{table.name} has no column '{name}'; it has {_listed(table.frame.columns)}")


def numbers(table: RawTable, column: str, allow_missing: bool = True) -> np.ndarray:
    """A column as float64, shape (row,); NaN where the cell is empty.

    Raises:
        InputError: where a cell holds text or an infinite value, or is empty although that is not allowed.
    """
    import pandas as pd

    cells = table.frame[column]
    if pd.api.types.is_datetime64_any_dtype(cells):
        raise InputError(f"{table.name}, column '{column}' holds time stamps where numbers belong")
    if not pd.api.types.is_numeric_dtype(cells):
        cells = pd.to_numeric(cells, errors="coerce")
        wrong = np.flatnonzero(cells.isna() & table.frame[column].notna())
        if len(wrong):
            text = str(table.frame[column].iloc[wrong[0]])
            raise InputError(
                f"{table.name}, {table.at(wrong[0])}, column '{column}': '{text}' is not a number"
            )
    values = cells.to_numpy(np.float64, na_value=np.nan)
    bad = np.isinf(values) if allow_missing else ~np.isfinite(values)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{table.name}, {table.at(row)}, column '{column}': {_shown(values[row])}")
    return values


def time_stamps(table: RawTable, column: str) -> np.ndarray:
    """A column as time stamps: datetime64[ns] in UTC where zones are given, or int64 for an integer index.

    Raises:
        InputError: where a cell is empty or is not a time stamp.
    """
    import pandas as pd

    cells = table.frame[column]
    if pd.api.types.is_integer_dtype(cells):
        return cells.to_numpy(np.int64)
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        raise InputError(
            f"{table.name}: the time column '{column}' holds numbers with a fraction or empty cells"
        )
    stamps = pd.to_datetime(cells, errors="coerce", utc=True, format="ISO8601")
    if stamps.isna().any():
        stamps = _other_stamps(table, column)
    wrong = np.flatnonzero(stamps.isna())
    if len(wrong):
        cell = table.frame[column].iloc[wrong[0]]
        text = "the cell is empty" if pd.isna(cell) else f"'{cell}' is not a time stamp"
        raise InputError(f"{table.name}, {table.at(wrong[0])}, column '{column}': {text}")
    return stamps.dt.tz_localize(None).to_numpy("datetime64[ns]")


def check_regular(table: RawTable, time: np.ndarray, step: str | None = None) -> str | None:
    """Check that a time axis goes on by one step from row to row.

    Args:
        table: where the stamps come from, for messages.
        time: datetime64 or integers, shape (row,).
        step: the step as an ISO 8601 duration; None to take the most frequent one.

    Returns:
        The step; None for an integer index.

    Raises:
        InputError: with the line and the stamp of the first gap, repeated or unsorted time stamp.
    """
    dated = time.dtype.kind == "M"
    axis = time if dated else time.astype("datetime64[s]")  # any unit serves an integer index
    expected = step if dated and step else infer_step(axis)
    found = irregularities(axis, expected)
    if found:
        first = found[0]
        text = first.text if dated else f"{first.kind} in the index: {time[first.row]}"
        known = f"the step is {expected}" if dated and expected else "the step is not clear"
        more = f"irregular rows: {len(found)}; {known}"
        raise InputError(f"{table.name}, {table.at(first.row)}: {text} ({more})")
    return expected if dated else None


def require_rows(table: RawTable, rows: int) -> None:
    """Check that a table has at least that many rows.

    Raises:
        InputError: where it is shorter.
    """
    if len(table.frame) < rows:
        raise InputError(f"{table.name} is too short: {len(table.frame)} rows, at least {rows} are needed")


@dataclass(frozen=True)
class Column:
    """How a column is described in a store.

    Attributes:
        name: of the variable.
        units: in CF notation (UDUNITS); `1` where there are none or the publisher does not say.
        long_name: in words.
        standard_name: CF standard name, where there is one.
        comment: what a reader must know.
    """

    name: str
    units: str
    long_name: str
    standard_name: str = ""
    comment: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """As attributes of the variable; empty ones are left out."""
        given = {
            "units": self.units,
            "long_name": self.long_name,
            "standard_name": self.standard_name,
            "comment": self.comment,
        }
        return {key: text for key, text in given.items() if text}


def series_dataset(time: np.ndarray, step: str | None, columns: dict[Column, np.ndarray]) -> "xr.Dataset":
    """Time series in the form in which adapters return them.

    Args:
        time: datetime64[ns] or int64, shape (row,).
        step: ISO 8601 duration, or None.
        columns: description → values, shape (row,).
    """
    import xarray as xr

    dataset = xr.Dataset(
        {column.name: ("time", values, column.attributes) for column, values in columns.items()},
        coords={"time": ("time", time)},
    )
    dataset["time"].attrs = time_attributes(step)
    return dataset


def time_attributes(step: str | None) -> dict[str, str]:
    """Attributes of a time coordinate."""
    return {"long_name": "time", "standard_name": "time"} | ({"step": step} if step else {})


def _starts_with(path: Path, name: str) -> bool:
    """Whether the first cell of a table holds that text."""
    import pandas as pd

    if path.suffix == ".parquet":
        return True
    first = pd.read_csv(path, header=None, nrows=1, dtype=str, encoding="latin-1", skipinitialspace=True)
    return str(first.iat[0, 0]).removeprefix("\u00ef\u00bb\u00bf").strip() == name


def _read_csv(path: Path, columns: Sequence[str] | None) -> "pd.DataFrame":
    import pandas as pd

    if path.suffix not in (".zip", ".zst"):
        with _OPEN.get(path.suffix, open)(path, "rb") as lines:
            if len(lines.readline(LINE_LIMIT + 1)) > LINE_LIMIT:
                raise ValueError(f"its first line is longer than {LINE_LIMIT} bytes")
    options = {
        "header": None if columns is not None else 0,
        # Exactly the nearest float to the printed number, on every platform.
        "float_precision": "round_trip",
        "low_memory": False,
        "skipinitialspace": True,
    }
    try:
        return pd.read_csv(path, encoding="utf-8", **options)
    except UnicodeDecodeError:
        return pd.read_csv(path, encoding="latin-1", **options)


def _other_stamps(table: RawTable, column: str) -> "pd.Series":
    """Time stamps that are not ISO 8601, by the one order of day and month that fits every cell."""
    import pandas as pd

    cells = table.frame[column]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        # The format of the first cell counts for all: cells in mixed formats are a mistake, not a guess.
        month_first, day_first = (
            pd.to_datetime(cells, errors="coerce", utc=True, dayfirst=day) for day in (False, True)
        )
    if cells.astype(str).str.match(r"\s*\d{4}").any():
        return month_first  # after a year comes the month
    if month_first.isna().any() or day_first.isna().any():
        return day_first if day_first.isna().sum() < month_first.isna().sum() else month_first
    different = np.flatnonzero(month_first != day_first)
    if len(different):
        row = int(different[0])
        raise InputError(
            f"{table.name}, {table.at(row)}, column '{column}': '{cells.iloc[row]}' may be "
            f"{month_first.iloc[row]:%Y-%m-%d} or {day_first.iloc[row]:%Y-%m-%d}; write dates as YYYY-MM-DD"
        )
    return month_first


def _line_number(path: Path, filled: int) -> int:
    """Number of the `filled`-th line of a file that is not blank; readers of tables skip blank lines."""
    if path.suffix in (".zip", ".zst"):
        return filled
    with _OPEN.get(path.suffix, open)(path, "rb") as lines:
        numbers_of_filled = (number for number, line in enumerate(lines, start=1) if line.strip())
        return next(itertools.islice(numbers_of_filled, filled - 1, None), filled)


def _listed(names: Iterable[str], most: int = 10) -> str:
    every = [str(name) for name in names]
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown}, … ({len(every)} in all)"


def _shown(value: float) -> str:
    return "the cell is empty" if np.isnan(value) else f"{value} is not a finite number"
