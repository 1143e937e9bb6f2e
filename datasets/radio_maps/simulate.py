"""The samples of a scene, by the generator that is asked for: one store layout, whatever made the numbers."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError

from .layout import Frame, Samples, field_dataset
from .propagation.antenna import Transmitter
from .propagation.maps import NO_SIGNAL, Arrivals, Grid, Propagation, require_outdoors
from .scenes.scene import Scene, cell_heights, fine_heights, require_buildings

if TYPE_CHECKING:
    import xarray as xr

GENERATORS = ("sionna_rt", "analytic")


def simulate(
    scene: Scene,
    transmitters: Sequence[Transmitter],
    grid: Grid,
    carrier: float,
    parameters: Mapping[str, Any],
    labels: Mapping[str, Any],
) -> "xr.Dataset":
    """Path gain between isotropic antennas and received power of each transmitter; arrivals if asked.

    Args:
        scene: with at least one building.
        transmitters: in the scene.
        grid: of receivers; a volume where it has more than one height.
        carrier: in MHz.
        parameters: `generator`, `depth`, `rays`, `arrivals` (whether delay and direction are wanted).
        labels: coordinates that all samples share.

    Returns:
        The store of these samples.

    Raises:
        InputError: where the scene has no building, a transmitter is inside one, or the generator fails.
    """
    require_buildings(scene)
    fine = fine_heights(scene)
    for transmitter in transmitters:
        require_outdoors(scene, fine, transmitter)
    generator, name = _generator(parameters["generator"])
    propagation = Propagation(carrier * 1e6, parameters["depth"], parameters["rays"])
    gain, received = generator.pairs_of_gains(
        scene, transmitters, grid, propagation
    )  # (sample, z, y, x) each
    power = np.array([one.power for one in transmitters])[:, None, None, None]
    received = np.where(received > NO_SIGNAL, np.maximum(received + power, NO_SIGNAL), NO_SIGNAL)
    heights = cell_heights(fine, grid.cell)
    count, volume = len(transmitters), len(grid.heights) > 1
    maps: dict[str, np.ndarray] = {
        "path_gain": gain,
        "rss": received,
        "reached": gain > NO_SIGNAL,
        "outdoor": np.repeat(grid.outdoor(heights)[None], count, axis=0),
    }
    if parameters["arrivals"]:
        found: list[Arrivals] = [generator.arrivals(scene, one, grid, propagation) for one in transmitters]
        maps["delay"] = np.stack([one.delay for one in found])
        maps["arrival_azimuth"] = np.stack([one.azimuth for one in found])
        maps["arrival_zenith"] = np.stack([one.zenith for one in found])
    if not volume:
        maps = {key: values[:, 0] for key, values in maps.items()}
    maps = {"building_height": np.repeat(heights[None], count, axis=0), **maps}
    traced = parameters["generator"] == "sionna_rt"
    attributes = {
        "generator": name,
        "reflections": parameters["depth"] if traced else 0,
        "rays_a_transmitter": parameters["rays"] if traced else 0,
    }
    frame = Frame(grid.cells, grid.cell, grid.heights, volume)
    samples = Samples(
        maps,
        _labels(scene, transmitters, carrier, labels),
        np.stack([one.position for one in transmitters]),
        attributes,
    )
    return field_dataset(frame, samples)


def _labels(
    scene: Scene, transmitters: Sequence[Transmitter], carrier: float, shared: Mapping[str, Any]
) -> dict[str, list[Any]]:
    labels = {
        "scene": [scene.name] * len(transmitters),
        "style": [scene.style] * len(transmitters),
        "carrier_frequency": [float(carrier)] * len(transmitters),
        "antenna_pattern": [one.pattern for one in transmitters],
        "mast_height": [one.z for one in transmitters],
        "transmitter_azimuth": [one.azimuth for one in transmitters],
        "transmitter_downtilt": [one.downtilt for one in transmitters],
        "transmitter_power": [one.power for one in transmitters],
    }
    return labels | {name: [value] * len(transmitters) for name, value in shared.items()}


def _generator(name: str) -> tuple[ModuleType, str]:
    """The module that makes maps, and what a store says of it."""
    if name == "analytic":
        from .propagation import analytic

        return analytic, analytic.NAME
    if name == "sionna_rt":
        from .propagation import raytracing

        return raytracing, raytracing.version()
    raise InputError(f"Unknown generator of radio maps '{name}'; there are {', '.join(GENERATORS)}")
