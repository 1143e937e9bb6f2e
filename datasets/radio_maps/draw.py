"""What a made data set holds: which scenes, and which transmitters in them, drawn from seeds of their own."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from .propagation.antenna import Pattern, Transmitter
from .propagation.maps import Grid
from .scenes.city import draw_city
from .scenes.scene import Scene, fine_heights, height_at

INNER_SHARE = 0.7
"""Of the area's edge: transmitters stand in this middle part."""
ROOF_MAST = 3.0
"""Metres of a mast on a roof."""
DOWNTILT = (2.0, 12.0)
POWER = (20.0, 40.0)
"""Ranges of the antenna's tilt in degrees and of the power in dBm, drawn uniformly."""


@dataclass(frozen=True)
class Cell:
    """A combination of what generalisation is tested over.

    Attributes:
        split: part of the data.
        style: of the city.
        carrier: in MHz.
        pattern: of the transmitter's antenna.
        mast: nominal height of the transmitter in metres.
    """

    split: str
    style: str
    carrier: float
    pattern: Pattern
    mast: float

    @property
    def name(self) -> str:
        """In names of parts and in the coordinate `cell`."""
        return f"{self.style}-{self.carrier:g}-{self.pattern}-{self.mast:g}"


def grid_of(parameters: Mapping[str, Any]) -> Grid:
    """Receivers of a variant."""
    return Grid(parameters["cells"], parameters["cell"], tuple(map(float, parameters["heights"])))


def scenes_of(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    """Name and cell of every scene of a variant, split after split."""
    for split, given in parameters["groups"].items():
        axes = product(given["styles"], given["carriers"], given["patterns"], given["masts"])
        for style, carrier, pattern, mast in axes:
            cell = Cell(split, style, carrier, pattern, mast)
            for number in range(given["scenes"]):
                yield f"{split}/{cell.name}/{number:04d}", cell


def draw_scene(
    name: str, cell: Cell, parameters: Mapping[str, Any], seed: int
) -> tuple[Scene, list[Transmitter]]:
    """The city of a scene and the transmitters in it; the same for any order in which scenes are drawn."""
    random = np.random.default_rng([scene_seed(name, seed), 0])
    scene = draw_city(name, cell.style, grid_of(parameters).size, random)
    count = parameters["transmitters"]
    return scene, draw_transmitters(scene, cell.mast, cell.pattern, count, name, seed)


def draw_transmitters(
    scene: Scene, mast: float, pattern: Pattern, count: int, name: str, seed: int
) -> list[Transmitter]:
    """Transmitters anywhere in the middle of a scene, at a nominal height or on a mast on the roof below.

    Args:
        scene: they stand in.
        mast: nominal height in metres.
        pattern: of the antennas.
        count: how many.
        name: of what is drawn.
        seed: of the data set.
    """
    random = np.random.default_rng([scene_seed(name, seed), 1])
    fine = fine_heights(scene)
    reach = INNER_SHARE * scene.size / 2
    transmitters = []
    for _ in range(count):
        x, y = random.uniform(-reach, reach, 2)
        roof = float(height_at(fine, np.array(x), np.array(y)))
        azimuth, tilt, power = random.uniform(0, 360), random.uniform(*DOWNTILT), random.uniform(*POWER)
        height = max(float(mast), roof + ROOF_MAST) if roof else float(mast)
        transmitters.append(Transmitter(x, y, height, azimuth, tilt, pattern, power))
    return transmitters


def scene_seed(name: str, seed: int) -> int:
    """Seed of a scene's own generator."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "little") >> 1
