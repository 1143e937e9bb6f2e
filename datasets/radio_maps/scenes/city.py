"""Cities that are made rather than found: a street grid, blocks, courtyards and heights, in several styles.

A city is drawn from one generator, so that a seed gives the same buildings everywhere. Blocks lie on a turned
grid of streets that reaches beyond the area; each block is filled as its style has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.extras import require

from .scene import USER, Building, Scene

if TYPE_CHECKING:
    from shapely import Polygon

STOREY = 3.5
"""Metres a storey."""
REACH = 1.15
"""Edge of the part of the plane in which blocks are drawn, as a multiple of the area's diagonal."""


@dataclass(frozen=True)
class Style:
    """How a city looks. Ranges are drawn uniformly.

    Attributes:
        block: edge of a block in metres, for the city and direction.
        street: width of a street in metres, for the city.
        storeys: of a building.
        vacant: share of blocks without buildings.
        fill: name of the function that fills a block.
    """

    block: tuple[float, float]
    street: tuple[float, float]
    storeys: tuple[int, int]
    vacant: float
    fill: str


STYLES = {
    "grid": Style((50, 80), (14, 22), (3, 9), 0.08, "lots"),
    "courtyard": Style((60, 90), (14, 20), (4, 7), 0.06, "perimeter"),
    "towers": Style((70, 110), (22, 34), (8, 24), 0.12, "towers"),
    "houses": Style((60, 90), (10, 16), (1, 3), 0.1, "houses"),
    "old_town": Style((34, 54), (7, 12), (2, 6), 0.05, "wedges"),
}
"""Name → style. `old_town` has narrow streets and oblique lots, `towers` few high buildings apart."""


def draw_city(name: str, style: str, size: float, random: np.random.Generator) -> Scene:
    """Draw a city.

    Args:
        name: of the scene.
        style: one of STYLES.
        size: edge of the area in metres.
        random: draws it.

    Returns:
        Its scene; buildings that do not reach into the area are left out, footprints do not overlap.

    Raises:
        InputError: for an unknown style.
    """
    if style not in STYLES:
        raise InputError(f"Unknown style '{style}' of a city; there are {', '.join(STYLES)}")
    shapely, affinity = require("shapely", "maps", USER), require("shapely.affinity", "maps", USER)
    kind = STYLES[style]
    area = shapely.box(-size / 2, -size / 2, size / 2, size / 2)
    turn = random.uniform(-45, 45)
    buildings = []
    for block in _blocks(kind, size, random):
        if random.random() < kind.vacant:
            continue
        for footprint, storeys in FILLS[kind.fill](block, kind, random):
            turned = affinity.rotate(footprint, turn, origin=(0, 0))
            if turned.intersects(area):
                number = len(buildings)
                buildings.append(
                    Building(f"building/{number}", turned, STOREY * storeys + random.uniform(0, 1))
                )
    return Scene(name, style, size, tuple(buildings))


def _blocks(kind: Style, size: float, random: np.random.Generator) -> Iterator[np.ndarray]:
    """West, south, east and north edge of each block, before the city is turned."""
    reach = REACH * size / np.sqrt(2)
    street = random.uniform(*kind.street)
    edges = []
    for _ in range(2):
        pitch = random.uniform(*kind.block) + street
        starts = np.arange(-reach - random.uniform(0, pitch), reach, pitch)
        edges.append(np.stack([starts, starts + pitch - street], axis=1))
    for west, east in edges[0]:
        for south, north in edges[1]:
            yield np.array([west, south, east, north])


def _rectangle(west: float, south: float, east: float, north: float) -> "Polygon":
    from shapely import box

    return box(west, south, east, north)


def _storeys(kind: Style, random: np.random.Generator) -> int:
    return int(random.integers(kind.storeys[0], kind.storeys[1] + 1))


Filled = Iterator[tuple["Polygon", int]]
"""Footprints and storeys of a block."""


def _lots(block: np.ndarray, kind: Style, random: np.random.Generator) -> Filled:
    """Lots side by side along the longer edge, some with a yard behind."""
    west, south, east, north = block
    count = int(random.integers(2, 5))
    borders = west + (east - west) * np.sort(
        [0, 1, *((np.arange(1, count) + random.uniform(-0.2, 0.2)) / count)]
    )
    for left, right in pairwise(borders):
        depth = random.uniform(0.6, 1.0) * (north - south)
        yield _rectangle(left, south, right - 0.5, south + depth), _storeys(kind, random)


def _perimeter(block: np.ndarray, kind: Style, random: np.random.Generator) -> Filled:
    """One building around a courtyard, of which a gate may open a side."""
    west, south, east, north = block
    depth = random.uniform(10, 14)
    outer = _rectangle(west, south, east, north)
    ring: Any = outer.difference(_rectangle(west + depth, south + depth, east - depth, north - depth))
    if random.random() < 0.3:
        gate = random.uniform(west + depth + 2, east - depth - 6)
        ring = ring.difference(_rectangle(gate, south - 1, gate + 4, south + depth + 1))
    yield ring, _storeys(kind, random)


def _towers(block: np.ndarray, kind: Style, random: np.random.Generator) -> Filled:
    """One to three towers, each in a strip of the block."""
    west, south, east, north = block
    count = int(random.integers(1, 4))
    strip = (east - west) / count
    for number in range(count):
        wide, deep = random.uniform(14, max(15, min(26, strip - 4))), random.uniform(16, 30)
        wide, deep = min(wide, strip - 2), min(deep, north - south)
        left = west + number * strip + random.uniform(0, strip - wide)
        low = south + random.uniform(0, north - south - deep)
        yield _rectangle(left, low, left + wide, low + deep), _storeys(kind, random)


def _houses(block: np.ndarray, kind: Style, random: np.random.Generator) -> Filled:
    """Detached houses in two rows, each on its lot."""
    west, south, east, north = block
    columns = max(2, int((east - west) // 20))
    wide, deep = (east - west) / columns, (north - south) / 2
    for column in range(columns):
        for row in range(2):
            if random.random() < 0.12:
                continue
            house = np.array([random.uniform(8, 12), random.uniform(8, 14)])
            house = np.minimum(house, [wide - 3, deep - 3])
            left = west + column * wide + random.uniform(1, wide - house[0] - 1)
            low = south + row * deep + random.uniform(1, deep - house[1] - 1)
            yield _rectangle(left, low, left + house[0], low + house[1]), _storeys(kind, random)


def _wedges(block: np.ndarray, kind: Style, random: np.random.Generator) -> Filled:
    """The block cut by two oblique lines through its middle; joints of a metre between the pieces."""
    from shapely import LineString
    from shapely.affinity import rotate

    west, south, east, north = block
    piece: Any = _rectangle(west, south, east, north)
    middle = ((west + east) / 2, (south + north) / 2)
    reach = (east - west) + (north - south)
    first = random.uniform(-20, 20)
    for angle in (first, first + random.uniform(70, 110)):
        line = LineString([(middle[0] - reach, middle[1]), (middle[0] + reach, middle[1])])
        piece = piece.difference(rotate(line, angle, origin=middle).buffer(0.5))
    for part in getattr(piece, "geoms", [piece]):
        if part.area > 30:
            yield part, _storeys(kind, random)


FILLS = {"lots": _lots, "perimeter": _perimeter, "towers": _towers, "houses": _houses, "wedges": _wedges}
