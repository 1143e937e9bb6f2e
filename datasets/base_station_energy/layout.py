"""How station hours lie in a store: a sample is an hour of a station, with its cells and its parts.

Hours whose energy or loads are not complete are left out and counted. Three divisions, one a task: the last
hours of every station; stations of their own; stations that have a bandwidth which no other part has.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError

from .challenge_tables import PROPERTIES, SHARES, Tables

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

KINDS = ("RUType", "Mode")
FEATURES = (*SHARES, *PROPERTIES, *KINDS)
HOURS = {"test": 0.2, "validation": 0.1}
"""Share of each station's hours, its last ones; the validation hours lie before the test hours."""
STATIONS = {"test": 0.1, "validation": 0.1}
DIVISION_SEED = 0
HELD_OUT = 0.1
"""Of the bandwidths, that one is held out whose stations are nearest to this share of all."""
ABOUT = {"units": "1"}


def energy_dataset(tables: Tables, without_noise: np.ndarray | None = None) -> "xr.Dataset":
    """The store of some tables.

    Args:
        tables: checked.
        without_noise: energy of each row of `tables.energy` before any noise, where it is known.

    Raises:
        InputError: where no hour is complete, or there are too few stations to divide.
    """
    import xarray as xr

    cells = _placed(tables.cells)
    hours, lost = _complete_hours(tables, cells, without_noise)
    entity = _entities(hours, tables, cells)
    stations = sorted(set(hours["BS"]), key=_natural)
    if len(stations) < 3:
        raise InputError(f"{len(stations)} stations with complete hours cannot be divided; at least 3")
    code = {name: number for number, name in enumerate(stations, start=1)}
    hour = hours["Time"].dt.hour.to_numpy() + hours["Time"].dt.minute.to_numpy() / 60
    angle = 2 * np.pi * hour / 24
    station = hours["BS"].to_numpy(object)
    held_out = _held_out_bandwidth(cells, stations)
    parts = {
        "part_hours": _by_hours(station, hours["Time"].to_numpy()),
        "part_stations": _by_station(station, _divided(stations, test=STATIONS["test"])),
        "part_configurations": _by_station(station, _by_bandwidth(cells, stations, held_out)),
    }
    arrays: dict[str, Any] = {
        "hour": (
            ("sample", "step", "channel"),
            np.stack([np.sin(angle), np.cos(angle)], axis=-1)[:, None].astype(np.float32),
            ABOUT | {"long_name": "hour of the day as a point of a circle"},
        ),
        "site": (
            ("sample", "attribute"),
            np.array([[code[name]] for name in station], np.int64),
            ABOUT | {"long_name": "number of the station, from 1; 0 stands for an unknown one"},
        ),
        "cells": (
            ("sample", "cell", "feature"),
            entity,
            ABOUT | {"long_name": "load, energy-saving modes and properties of each cell"},
        ),
        "energy": ("sample", hours["Energy"].to_numpy(np.float64), _energy("of the hour")),
    }
    if without_noise is not None:
        values = hours["without_noise"].to_numpy(np.float64)
        arrays["energy_without_noise"] = ("sample", values, _energy("of the hour before any noise"))
    coordinates: dict[str, Any] = {
        "station": ("sample", station, {"long_name": "name of the station"}),
        "stamp": ("sample", hours["Time"].to_numpy("datetime64[ns]"), {"long_name": "begin of the hour"}),
        **{
            name: ("sample", labels, {"long_name": "part that the hour belongs to"})
            for name, labels in parts.items()
        },
        "channel": np.array(["hour_sine", "hour_cosine"], object),
        "attribute": np.array(["station"], object),
        "feature": np.array(FEATURES, object),
    }
    kinds = {f"{kind}_codes": _names(cells, kind) for kind in KINDS}
    return xr.Dataset(arrays, coordinates, {**lost, **kinds, "held_out_bandwidth": float(held_out)})


def _energy(which: str) -> dict[str, str]:
    return {"units": "1", "long_name": f"energy {which}, in a unit that the publisher hides"}


def _placed(cells: "pd.DataFrame") -> "pd.DataFrame":
    """BSinfo with the place of each cell in its station, and how many there are."""
    ordered = cells.iloc[sorted(range(len(cells)), key=lambda row: _natural(cells["CellName"].iloc[row]))]
    by_station = ordered.groupby("BS", sort=False)["CellName"]
    return ordered.assign(place=by_station.cumcount(), cells=by_station.transform("size"))


def _complete_hours(
    tables: Tables, cells: "pd.DataFrame", without_noise: np.ndarray | None
) -> tuple["pd.DataFrame", dict[str, int]]:
    """Hours with an energy and a load of every cell, by station and time, and how many others there were."""
    energy = tables.energy if without_noise is None else tables.energy.assign(without_noise=without_noise)
    found = tables.loads.groupby(["Time", "BS"], sort=False).size().rename("found").reset_index()
    wanted = cells.groupby("BS", sort=False)["cells"].first()
    joined = energy.merge(found, on=["Time", "BS"], how="left", validate="one_to_one")
    whole = joined["found"].to_numpy() == joined["BS"].map(wanted).to_numpy()
    if not whole.any():
        raise InputError("No hour has both an energy in ECdata.csv and a load of every cell in CLdata.csv")
    hours = joined[whole].drop(columns="found")
    number = {name: place for place, name in enumerate(sorted(set(hours["BS"]), key=_natural))}
    order = np.lexsort([hours["Time"].to_numpy(), hours["BS"].map(number).to_numpy()])
    lost = {
        "hours_without_energy": len(found) - int(joined["found"].notna().sum()),
        "hours_without_all_loads": int((~whole).sum()),
    }
    return hours.iloc[order].reset_index(drop=True), lost


def _entities(hours: "pd.DataFrame", tables: Tables, cells: "pd.DataFrame") -> np.ndarray:
    """Features of each cell, float32, shape (sample, cell, feature); NaN where a station has fewer cells."""
    codes = {kind: {name: code for code, name in enumerate(_names(cells, kind), start=1)} for kind in KINDS}
    coded = cells.assign(**{kind: cells[kind].map(codes[kind]) for kind in KINDS})
    numbered = hours[["Time", "BS"]].assign(sample=np.arange(len(hours)))
    rows = tables.loads.merge(numbered, on=["Time", "BS"]).merge(coded, on=["BS", "CellName"])
    values = np.full((len(hours), int(cells["place"].max()) + 1, len(FEATURES)), np.nan, np.float32)
    values[rows["sample"], rows["place"]] = rows[list(FEATURES)].to_numpy(np.float32)
    return values


def _names(cells: "pd.DataFrame", kind: str) -> list[str]:
    """Names of a kind; their codes count from 1, and 0 stands for an unknown one."""
    return sorted(set(cells[kind]), key=_natural)


def _by_hours(station: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Part of each hour by its place among the hours of its station; rows are in order of time there."""
    labels = np.empty(len(station), object)
    for name in dict.fromkeys(station):
        rows = np.flatnonzero(station == name)
        assert (np.diff(time[rows]) > np.timedelta64(0)).all()
        test = len(rows) - int(HOURS["test"] * len(rows))
        validation = test - int(HOURS["validation"] * len(rows))
        labels[rows[:validation]] = "train"
        labels[rows[validation:test]] = "validation"
        labels[rows[test:]] = "test"
    return labels


def _divided(stations: list[str], test: float) -> dict[str, str]:
    """Part of each station, drawn once and for all."""
    order = np.random.default_rng(DIVISION_SEED).permutation(len(stations))
    tested = max(1, round(test * len(stations))) if test else 0
    validated = max(1, round(STATIONS["validation"] * len(stations)))
    labels = ["test"] * tested + ["validation"] * validated + ["train"] * (len(stations) - tested - validated)
    return {stations[number]: label for number, label in zip(order, labels, strict=True)}


def _held_out_bandwidth(cells: "pd.DataFrame", stations: list[str]) -> float:
    """The bandwidth whose stations are nearest to a tenth of all; of two alike the smaller one."""
    having = cells[cells["BS"].isin(stations)].groupby("Bandwidth")["BS"].nunique()
    shares = zip(having.index.to_numpy(float).tolist(), having / len(stations), strict=True)
    apart = {width: abs(share - HELD_OUT) for width, share in shares}
    return min(apart, key=lambda width: (apart[width], width))


def _by_bandwidth(cells: "pd.DataFrame", stations: list[str], held_out: float) -> dict[str, str]:
    """Stations with the held-out bandwidth are tested on, and a tenth of the others is for validation."""
    having = set(cells.loc[cells["Bandwidth"] == held_out, "BS"])
    rest = [name for name in stations if name not in having]
    return dict.fromkeys(having, "test") | (_divided(rest, test=0.0) if rest else {})


def _by_station(station: np.ndarray, labels: Mapping[str, str]) -> np.ndarray:
    return np.array([labels[name] for name in station], object)


def _natural(name: str) -> tuple[str, int, str]:
    """Sorts B_2 before B_10."""
    text, number, rest = re.fullmatch(r"(\D*)(\d*)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return text, int(number or -1), rest
