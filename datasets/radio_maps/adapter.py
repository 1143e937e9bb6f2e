"""Builds stores of radio maps over made cities: every scene is a part, its transmitters are samples."""

from typing import TYPE_CHECKING

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest, Part

from .draw import draw_scene, grid_of, scenes_of
from .simulate import simulate

if TYPE_CHECKING:
    import xarray as xr


def parts(request: BuildRequest) -> list[Part]:
    """The scenes of a data set, split after split.

    Raises:
        InputError: for another size than `full`, and where rays are to be traced and cannot be.
    """
    if request.size != "full":
        raise InputError(f"'{request.name}' has one size, full; there are radio_maps-tiny and -small")
    if request.parameters["generator"] == "sionna_rt":
        from .propagation.llvm import require_variant
        from .propagation.raytracing import INSTEAD

        require_variant(INSTEAD)
    return [Part(name, request.parameters["transmitters"]) for name, _ in scenes_of(request.parameters)]


def build_part(request: BuildRequest, part: Part) -> "xr.Dataset":
    """Draw a city and its transmitters, and follow the waves.

    Raises:
        InputError: where a package is missing, or rays cannot be traced.
    """
    cell = dict(scenes_of(request.parameters))[part.name]
    scene, transmitters = draw_scene(part.name, cell, request.parameters, request.seed)
    labels = {"split": cell.split, "cell": cell.name, "mast_height": float(cell.mast)}
    return simulate(
        scene, transmitters, grid_of(request.parameters), cell.carrier, request.parameters, labels
    )
