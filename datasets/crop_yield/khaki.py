"""Reads and writes the table of Khaki et al.: one row a county and year, a column a variable and week.

Columns: loc_ID, year, State, County, lat, lng, corn_yield, soybean_yield, W_1_1 … W_6_52, P_1 … P_14, and
eleven properties of the soil at six depths. Tables differ in their units; those that are known are told apart
by their range.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.data.tables import RawTable, numbers, read_table, require_columns

from .counties import PLANTING, SOIL, Counties
from .variables import OBSERVED, WEEKS

PLACE = ("loc_ID", "year", "State", "County", "lat", "lng")
YIELDS = ("corn_yield", "soybean_yield")
WEATHER = tuple(f"W_{variable}_{week}" for variable in range(1, 7) for week in range(1, WEEKS + 1))


@dataclass(frozen=True)
class Known:
    """Units that a quantity comes in, each with the range of its upper values (99th percentile).

    Attributes:
        what: in words.
        taken: unit → range, of those that are read.
        others: unit → range, of those that are refused by name.
    """

    what: str
    taken: dict[str, tuple[float, float]]
    others: dict[str, tuple[float, float]]


UNITS = (
    Known("precipitation", {"mm/day": (2, 80)}, {"inch/day": (0.05, 2), "mm/week": (80, 600)}),
    Known("solar radiation", {"MJ/m2/day": (14, 45), "W/m2": (150, 1100)}, {"kWh/m2/day": (3, 14)}),
    Known("snow", {"cm or kg/m2": (0, 2000)}, {}),
    Known("maximum temperature", {"degC": (15, 55)}, {"degF": (55, 140), "K": (270, 340)}),
    Known("minimum temperature", {"degC": (-5, 35)}, {"degF": (35, 100), "K": (260, 320)}),
    Known("vapour pressure", {"kPa": (0.8, 6), "Pa": (800, 6000)}, {"hPa": (8, 60)}),
)
"""Of W_1 to W_6."""
YIELD_UNITS = {
    "corn_yield": Known("corn", {"bu/acre": (50, 400)}, {"t/ha": (3, 25), "kg/ha": (3000, 25_000)}),
    "soybean_yield": Known("soybean", {"bu/acre": (18, 120)}, {"t/ha": (1, 9), "kg/ha": (1000, 9000)}),
}


def read(path: Path) -> Counties:
    """Read a table.

    Rows of a county may be missing; a year that no county has, a week that has no column, and a county
    without coordinates are refused.

    Raises:
        InputError: with the column or county and what is wrong.
    """
    table = read_table(path)
    _require_weeks(table)
    require_columns(table, (*PLACE, *YIELDS, *PLANTING, *SOIL))
    year = numbers(table, "year", allow_missing=False).astype(np.int64)
    county = _text(table, "loc_ID")
    order = np.lexsort((year, county))
    _require_rows_once(table, county, year)
    _require_years(table, year)
    latitude, longitude = (_coordinate(table, name, county) for name in ("lat", "lng"))
    weather = np.stack([numbers(table, name) for name in WEATHER], axis=1).reshape(-1, len(UNITS), WEEKS)
    units = tuple(
        recognised(table.name, f"W_{number}", known, weather[:, number - 1])
        for number, known in enumerate(UNITS, start=1)
    )
    yields = {name: numbers(table, name) for name in YIELDS}
    for name, known in YIELD_UNITS.items():
        if np.isfinite(yields[name]).any():
            recognised(table.name, name, known, yields[name])
    return Counties(
        county=county[order],
        state=_text(table, "State")[order],
        year=year[order],
        latitude=latitude[order],
        longitude=longitude[order],
        weather=weather.transpose(0, 2, 1)[order].astype(np.float32),
        units=units,
        soil=_columns(table, SOIL)[order],
        planting=_columns(table, PLANTING)[order],
        corn=yields["corn_yield"][order],
        soybean=yields["soybean_yield"][order],
    )


def write(path: Path, table: Counties) -> None:
    """Write a table, with the seven digits of float32 for the weather."""
    import pandas as pd

    weather = table.weather.transpose(0, 2, 1).reshape(len(table.year), -1)
    frame = pd.concat(
        [
            pd.DataFrame(
                {
                    "loc_ID": table.county,
                    "year": table.year,
                    "State": table.state,
                    "County": table.county,
                    "lat": table.latitude,
                    "lng": table.longitude,
                    "corn_yield": table.corn,
                    "soybean_yield": table.soybean,
                }
            ),
            pd.DataFrame(weather, columns=list(WEATHER)),
            pd.DataFrame(table.planting, columns=list(PLANTING)),
            pd.DataFrame(table.soil, columns=list(SOIL)),
        ],
        axis=1,
    )
    with atomic.new_file(path) as temporary:
        frame.to_csv(temporary, index=False)


def recognised(table: str, column: str, known: Known, values: np.ndarray) -> str:
    """The unit that values come in, by the range of their upper ones.

    Raises:
        InputError: where that is none of those that are read.

    Example:
        >>> recognised("a.csv", "W_4", UNITS[3], np.array([11.0, 30.0]))
        'degC'
    """
    high = float(np.nanpercentile(values, 99))
    for unit, (low, most) in known.taken.items():
        if low <= high < most:
            return unit
    taken = " or ".join(known.taken)
    for unit, (low, most) in known.others.items():
        if low <= high < most:
            raise InputError(
                f"{table}, {column} ({known.what}): values reach {high:.4g}, which is {unit}; "
                f"{taken} is expected"
            )
    raise InputError(f"{table}, {column} ({known.what}): values reach {high:.4g}, which is no {taken}")


def _require_weeks(table: RawTable) -> None:
    held = set(table.frame.columns)
    missing = [name for name in WEATHER if name not in held]
    if missing:
        variable, week = missing[0].split("_")[1:]
        name = OBSERVED[int(variable) - 1]
        raise InputError(
            f"{table.name}: week {week} of W_{variable} ({name}) has no column; {len(missing)} of "
            f"{len(WEATHER)} are missing"
        )


def _require_rows_once(table: RawTable, county: np.ndarray, year: np.ndarray) -> None:
    pairs = [f"{one}, {when}" for one, when in zip(county, year, strict=True)]
    unique, first = np.unique(pairs, return_index=True)
    if len(unique) < len(pairs):
        row = int(np.setdiff1d(np.arange(len(pairs)), first)[0])
        raise InputError(f"{table.name}, {table.at(row)}: county and year {pairs[row]} are there twice")


def _require_years(table: RawTable, year: np.ndarray) -> None:
    missing = sorted(set(range(int(year.min()), int(year.max()) + 1)) - set(year.tolist()))
    if missing:
        raise InputError(
            f"{table.name} has no row of {missing[0]}, between {year.min()} and {year.max()}: histories need "
            "years that follow each other"
        )


def _coordinate(table: RawTable, column: str, county: np.ndarray) -> np.ndarray:
    values = numbers(table, column)
    unknown = np.flatnonzero(np.isnan(values))
    if len(unknown):
        row = unknown[0]
        raise InputError(f"{table.name}, {table.at(row)}: county {county[row]} has no coordinates ({column})")
    low, high = (24, 50) if column == "lat" else (-130, -60)
    outside = np.flatnonzero((values < low) | (values > high))
    if len(outside):
        row = outside[0]
        raise InputError(
            f"{table.name}, {table.at(row)}: county {county[row]} lies at {column} {values[row]:g}, outside "
            f"of {low} to {high} degrees"
        )
    return values


def _text(table: RawTable, column: str) -> np.ndarray:
    values = table.frame[column]
    if values.isna().any():
        raise InputError(
            f"{table.name}, {table.at(int(np.flatnonzero(values.isna())[0]))}: '{column}' is empty"
        )
    return values.astype(str).to_numpy(object)


def _columns(table: RawTable, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([numbers(table, name) for name in names], axis=1).astype(np.float32)
