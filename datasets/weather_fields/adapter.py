"""Builds the weather of an imaginary planet, some members at a time, in the names of WeatherBench 2.

Data variables are (member, time, latitude, longitude), every 6 hours; latitudes ascend. The coordinate
`split` of a member says to which part it belongs: `train`, `validation`, `test`, `forcing` (a stronger
contrast between equator and poles) or `orography` (the same hills elsewhere). A member depends on its
label, its number there and the seed alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest, Part

if TYPE_CHECKING:
    import xarray as xr

START, STEP_HOURS = np.datetime64("2000-01-01T00", "ns"), 6
TOGETHER = 7
"""Members that are integrated as a batch."""
SOIL_DEPTH = 0.25
"""Metres of soil that hold the water of the ground."""
FIELDS: dict[str, tuple[str, str]] = {
    "geopotential": ("m2 s-2", "geopotential of the depth of the layer"),
    "u_component_of_wind": ("m s-1", "eastward wind"),
    "v_component_of_wind": ("m s-1", "northward wind"),
    "specific_humidity": ("kg kg-1", "mixing ratio of water vapour"),
    "potential_evaporation": ("m", "potential evaporation in the 6 hours before"),
    "total_precipitation_6hr": ("m", "precipitation in the 6 hours before"),
    "volumetric_soil_water": ("m3 m-3", "share of water in the soil; 0 over the sea"),
    "runoff": ("m", "runoff in the 6 hours before; 0 over the sea"),
}


@dataclass(frozen=True)
class Member:
    """One run of the model: the label of its part, its number there, the heating and where the hills are."""

    label: str
    number: int
    heating: float
    shift: float


def members(parameters: dict[str, Any]) -> list[Member]:
    """Every member, part after part."""
    return [
        Member(
            label,
            number,
            parameters["strong_heating"] if label == "forcing" else parameters["heating"],
            parameters["shifted_hills"] if label == "orography" else 0.0,
        )
        for label, count in parameters["members"].items()
        for number in range(count)
    ]


def parts(request: BuildRequest) -> list[Part]:
    """Batches of members.

    Raises:
        InputError: for another size than `full`.
    """
    if request.size != "full":
        raise InputError(
            f"'{request.name}' has one size, full; smaller ones are data sets: weather_fields-tiny, "
            "weather_fields-small"
        )
    count = len(members(request.parameters))
    firsts = range(0, count, TOGETHER)
    return [Part(f"members from {first}", min(TOGETHER, count - first)) for first in firsts]


def build_part(request: BuildRequest, part: Part) -> "xr.Dataset":
    """Integrate some members."""
    first = int(part.name.split()[-1])
    chosen = members(request.parameters)[first : first + part.rows]
    return _dataset(chosen, request.parameters, request.seed)


def _dataset(chosen: list[Member], parameters: dict[str, Any], seed: int) -> "xr.Dataset":
    import torch
    import xarray as xr

    from .moist import MoistModel, hills
    from .shallow_water import GRAVITY
    from .sphere import Sphere

    sphere = Sphere(parameters["truncation"], parameters["latitudes"])
    ground = torch.stack([hills(sphere, one.shift) for one in chosen])
    heating = torch.tensor([one.heating for one in chosen], dtype=torch.float64)
    model = MoistModel(
        sphere, parameters["step_s"], heating, ground, [_generator(one, seed) for one in chosen]
    )
    steps = parameters["days"] * 24 // STEP_HOURS
    shape = (len(chosen), steps, len(sphere.mu), sphere.longitudes)
    values = {name: np.empty(shape, np.float32) for name in FIELDS}
    for step, fields in enumerate(_run(model, parameters["spin_up_days"] * 24 // STEP_HOURS, steps)):
        for name, field in fields.items():
            values[name][:, step] = field.numpy()
    where = ("latitude", "longitude")
    arrays: dict[str, Any] = {
        name: (("member", "time", *where), field, {"units": FIELDS[name][0], "long_name": FIELDS[name][1]})
        for name, field in values.items()
    }
    ground_about = {"units": "m2 s-2", "long_name": "geopotential of the ground"}
    arrays["geopotential_at_surface"] = (
        ("member", *where), (GRAVITY * ground).numpy().astype(np.float32), ground_about
    )  # fmt: skip
    land = model.land.expand(shape[0], -1, -1).numpy().astype(np.float32)
    arrays["land_sea_mask"] = (("member", *where), land, {"units": "1", "long_name": "1 over land"})
    time = START + np.arange(steps) * np.timedelta64(STEP_HOURS, "h")
    coords = {
        "time": time,
        "latitude": ("latitude", sphere.latitude, {"units": "degrees_north"}),
        "longitude": ("longitude", sphere.longitude, {"units": "degrees_east"}),
        "member": ("member", np.array([f"{one.label} {one.number}" for one in chosen], object)),
        "split": ("member", np.array([one.label for one in chosen], object)),
        "heating": ("member", heating.numpy(), {"units": "J kg-1"}),
    }
    return xr.Dataset(arrays, coords)


def _run(model: Any, spin_up: int, steps: int) -> Iterator[dict[str, Any]]:
    """Fields every 6 hours, each shape (member, latitude, longitude), after some 6-hour steps of spin-up."""
    sphere, weather = model.sphere, model.start()
    inner = round(STEP_HOURS * 3600 / model.step)
    for number in range(-spin_up, steps):
        total = None
        for _ in range(inner):
            weather, water = model.advance(weather)
            total = water if total is None else total.plus(water)
        if number < 0 or total is None:
            continue
        flow = weather.flow
        east, north = sphere.winds(flow.vorticity, flow.divergence)
        yield {
            "geopotential": sphere.to_grid(flow.geopotential),
            "u_component_of_wind": east / sphere.cosine,
            "v_component_of_wind": north / sphere.cosine,
            "specific_humidity": sphere.to_grid(weather.humidity).clamp(min=0),
            "potential_evaporation": total.potential_evaporation,
            "total_precipitation_6hr": total.rain,
            "volumetric_soil_water": weather.soil / SOIL_DEPTH,
            "runoff": total.runoff,
        }


def _generator(member: Member, seed: int) -> Any:
    import torch

    key = np.random.SeedSequence([seed, *member.label.encode(), member.number]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(key[0]) << 32 | int(key[1]))
