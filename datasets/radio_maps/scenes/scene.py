"""A scene: buildings on flat ground in local metres, as a height raster and as triangle meshes.

Coordinates are metres, x to the east, y to the north, z up; the origin is the centre of the square area at
the level of the ground. Rasters and maps have row 0 at the north edge and column 0 at the west edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.extras import require

if TYPE_CHECKING:
    from shapely import Polygon

FINE = 1.0
"""Edge of a pixel of the fine raster, in metres."""
GROUND_SHARE = 1.5
"""Edge of the ground as a multiple of the area's, so that reflections near the border are there."""
USER = "Scenes"


@dataclass(frozen=True)
class Building:
    """A prism on the ground.

    Attributes:
        name: in messages; of a map extract, where it comes from (`way/12`).
        footprint: valid polygon in local metres; holes are courtyards.
        height: in metres.
    """

    name: str
    footprint: "Polygon"
    height: float


@dataclass(frozen=True)
class Scene:
    """Buildings in and at the border of a square area.

    Attributes:
        name: of the scene.
        style: of the city, or `map` for a map extract.
        size: edge of the area in metres.
        buildings: they may reach over the border.
    """

    name: str
    style: str
    size: float
    buildings: tuple[Building, ...]

    @property
    def ground(self) -> float:
        """Edge of the ground in metres."""
        reach = [2 * abs(edge) for one in self.buildings for edge in one.footprint.bounds]
        return max(GROUND_SHARE * self.size, 1.02 * max(reach, default=0.0))


def require_buildings(scene: Scene) -> Scene:
    """The scene itself.

    Raises:
        InputError: where it has no building.
    """
    if not scene.buildings:
        raise InputError(f"The scene '{scene.name}' has no building in its area of {scene.size:g} m")
    return scene


def cell_centres(cells: int, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """X of the columns (ascending) and y of the rows (descending) of a square map, metres, float64."""
    offsets = (np.arange(cells) + 0.5) * cell - cells * cell / 2
    return offsets, -offsets


def fine_heights(scene: Scene) -> np.ndarray:
    """Height of the highest building at the centre of each pixel of 1 m, (row, column), float32, metres."""
    return heights_on(scene.buildings, *cell_centres(round(scene.size / FINE), FINE))


def heights_on(buildings: Sequence[Building], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of the highest building at each point of a raster, shape (row, column), float32, metres.

    Args:
        buildings: prisms.
        x: of the columns, ascending, metres.
        y: of the rows, descending, metres.
    """
    shapely = require("shapely", "maps", USER)
    raster = np.zeros((len(y), len(x)), np.float32)
    for one in buildings:
        west, south, east, north = one.footprint.bounds
        columns = slice(*np.searchsorted(x, [west, east]))
        rows = slice(*np.searchsorted(-y, [-north, -south]))
        inside = shapely.contains_xy(one.footprint, x[None, columns], y[rows, None])
        raster[rows, columns] = np.maximum(raster[rows, columns], np.float32(one.height) * inside)
    return raster


def cell_heights(fine: np.ndarray, cell: int) -> np.ndarray:
    """Heights of cells of `cell` metres: the pixel nearest to the centre of each, without averaging.

    Args:
        fine: raster with pixels of 1 m, shape (row, column).
        cell: edge of a cell, a whole number of metres.

    Returns:
        Shape (row / cell, column / cell), same dtype and units.
    """
    return fine[cell // 2 :: cell, cell // 2 :: cell]


def height_at(fine: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Heights of a raster of 1 m at positions; those outside are taken at the border."""
    rows, columns = fine.shape
    column = np.clip(np.floor(x + columns / 2), 0, columns - 1).astype(np.int64)
    row = np.clip(np.floor(rows / 2 - y), 0, rows - 1).astype(np.int64)
    return fine[row, column]


def building_mesh(building: Building) -> tuple[np.ndarray, np.ndarray]:
    """Closed surface of a building.

    Returns:
        Vertices, shape (vertex, 3), float64, metres; faces, shape (face, 3), int64, normals outwards.
    """
    require("mapbox_earcut", "maps", USER)
    trimesh = require("trimesh", "maps", USER)
    mesh = trimesh.creation.extrude_polygon(building.footprint, building.height, engine="earcut")
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def buildings_mesh(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """All buildings as one mesh: they share a material, and few large meshes are traced faster than many."""
    parts = [building_mesh(one) for one in scene.buildings]
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts[:-1])])
    faces = [one + start for (_, one), start in zip(parts, starts, strict=True)]
    return np.concatenate([one for one, _ in parts]), np.concatenate(faces)


def ground_mesh(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """The ground as two triangles at height 0, normals up."""
    edge = scene.ground / 2
    corners = np.array([[-edge, -edge, 0], [edge, -edge, 0], [edge, edge, 0], [-edge, edge, 0]])
    return corners, np.array([[0, 1, 2], [0, 2, 3]])
