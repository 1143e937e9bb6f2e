"""Builds stores of flights: positions at 10 Hz as a contiguous ragged array, with the part of each flight.

Flights are read from files of the form `timestamp, tx, ty, tz`, or simulated. A flight belongs to one part
as a whole, by its number in its kind: windows of one flight share nearly all of their samples.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest

from .flight import INTERVAL, Flight
from .simulation import simulate
from .track_files import read_flight

if TYPE_CHECKING:
    import xarray as xr

FLIGHTS = {"tiny": 20, "small": 60}
"""Simulated flights of the shorter sizes; the full size is the card's."""


def build(request: BuildRequest) -> "xr.Dataset":
    """Read or simulate the flights of a variant.

    Raises:
        InputError: where a file is no track, or there are two flights of one name.
    """
    given = request.parameters
    if "flights" in given:
        count = min(FLIGHTS.get(request.size, given["flights"]), given["flights"])
        flights = simulate(count, np.random.SeedSequence([request.seed, given["stream"]]))
    else:
        flights = [read_flight(path, name) for name, path in request.files.items() if _kept(name, given)]
        if not flights:
            raise InputError(f"'{request.name}': no file's name holds '{given['only']}'")
    flights.sort(key=lambda one: (one.kind, one.number, one.name))
    _require_different_names(flights)
    offset = np.array(given.get("offset", [0, 0, 0]), np.float64)
    return _ragged(flights, offset, given["parts"])


def _kept(name: str, given: dict[str, str]) -> bool:
    return given.get("only", "") in name.rpartition("/")[2]


def _require_different_names(flights: Sequence[Flight]) -> None:
    names = [flight.name for flight in flights]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"Two files hold a flight '{twice}'; name a folder that holds each flight once")


def _ragged(flights: Sequence[Flight], offset: np.ndarray, parts: Sequence[str]) -> "xr.Dataset":
    """The store; `parts`: part of the flights whose number ends with 0, 1, … 9."""
    import xarray as xr

    position = {"units": "m", "long_name": "position", "comment": "x and y are horizontal, z points up"}
    size = {"units": "1", "long_name": "number of positions", "sample_dimension": "observation"}
    labels = {
        "series": ([one.name for one in flights], {"cf_role": "timeseries_id"}),
        "split": (
            [parts[one.number % len(parts)] for one in flights],
            {"long_name": "part that the flight belongs to"},
        ),
        "kind": ([one.kind for one in flights], {"long_name": "kind of track"}),
    }
    return xr.Dataset(
        {
            "value": (
                ("observation", "channel"),
                np.concatenate([one.positions for one in flights]) + offset,
                position,
            ),
            "row_size": ("series", np.array([len(one.positions) for one in flights], np.int64), size),
        },
        coords={
            **{name: ("series", np.array(one, object), about) for name, (one, about) in labels.items()},
            "channel": ("channel", np.array(["x", "y", "z"], object)),
        },
        attrs={"featureType": "timeSeries", "step": f"PT{INTERVAL:g}S"},
    )
