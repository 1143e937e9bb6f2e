"""Scenes from map extracts: footprints into local metres, checked one by one; what is left out is named.

Positions are projected to the UTM zone of the area's centre. A footprint is repaired where that needs no
guess (an open ring, repeated corners); one that crosses itself is left out. Its height is the map's, else its
storeys times 3.5 m, else a default, and both last cases are told.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tsbench.contracts import InputError
from tsbench.extras import require

from .city import STOREY
from .features import Feature, read_features
from .scene import USER, Building, Scene

if TYPE_CHECKING:
    from shapely import Polygon

DEFAULT_HEIGHT = 17.5
"""Metres of a building of which the map says nothing: five storeys, the mean that Geo2SigMap draws around."""
HIGHEST = 830.0
"""Metres; no building is higher."""
LARGEST = 5000.0
"""Edge in metres of the largest area."""
SMALLEST = 1.0
"""Square metres of the smallest footprint."""
FEET = 0.3048
_HEIGHT = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*(m|metres|meters|ft|feet|')?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Extract:
    """A scene from a map, and what was done to get it.

    Attributes:
        scene: its buildings.
        centre: longitude and latitude of the origin, degrees.
        zone: EPSG code of the UTM zone, for example `EPSG:32617`.
        left_out: one line a footprint that is not in the scene.
        assumed: one line a building whose height is not the map's.
    """

    scene: Scene
    centre: tuple[float, float]
    zone: str
    left_out: tuple[str, ...]
    assumed: tuple[str, ...]


def read_extract(
    path: Path,
    name: str,
    size: float,
    centre: tuple[float, float] | None = None,
    default_height: float = DEFAULT_HEIGHT,
) -> Extract:
    """A square scene from a file of footprints.

    Args:
        path: OSM XML, Overpass JSON or GeoJSON.
        name: of the scene.
        size: edge of the area in metres.
        centre: longitude and latitude; None for the median of all footprints.
        default_height: metres, where the map gives neither height nor storeys.

    Raises:
        InputError: where the file cannot be read, or no valid footprint lies in the area.
    """
    if not 0 < size <= LARGEST:
        raise InputError(f"An area of {size:g} m: its edge must be positive and at most {LARGEST:g} m")
    features = read_features(path)
    if not features:
        raise InputError(f"{path} holds no building")
    longitude, latitude = centre or _middle(features)
    zone = utm_zone(longitude, latitude)
    projected = _Projection(zone, longitude, latitude)
    shapely = require("shapely", "maps", USER)
    area = shapely.box(-size / 2, -size / 2, size / 2, size / 2)
    buildings, left_out, assumed = [], [], []
    for feature in features:
        footprint, fault = _footprint(projected, feature)
        if footprint is None:
            left_out.append(f"{feature.name}: {fault}")
            continue
        if not footprint.intersects(area):
            left_out.append(f"{feature.name}: outside of the area of {size:g} m")
            continue
        height, note = height_of(feature, default_height)
        if note:
            assumed.append(f"{feature.name}: {note}")
        buildings.append(Building(feature.name, footprint, height))
    if not buildings:
        raise InputError(
            f"{path}: no valid building in the area of {size:g} m; the first fault: {left_out[0]}"
        )
    scene = Scene(name, "map", size, tuple(buildings))
    return Extract(scene, (longitude, latitude), zone, tuple(left_out), tuple(assumed))


def height_of(feature: Feature, default: float = DEFAULT_HEIGHT) -> tuple[float, str]:
    """Height of a building in metres, and where it is not the map's, a note that says so."""
    for tag in ("building:height", "height"):
        height = _metres(feature.tags.get(tag))
        if height is not None:
            return height, ""
    for tag in ("building:levels", "levels"):
        storeys = _metres(feature.tags.get(tag))
        if storeys is not None:
            return STOREY * storeys, f"no height; {storeys:g} storeys, taken as {STOREY * storeys:g} m"
    return default, f"neither height nor storeys; taken as {default:g} m"


def utm_zone(longitude: float, latitude: float) -> str:
    """EPSG code of the UTM zone of a place.

    Raises:
        InputError: where there is none.
    """
    if not (-180 <= longitude <= 180 and -80 <= latitude <= 84):
        raise InputError(f"Longitude {longitude:g}, latitude {latitude:g} lies in no UTM zone")
    number = min(int((longitude + 180) // 6) + 1, 60)
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + number}"


class _Projection:
    """Longitude and latitude to metres east and north of a centre."""

    def __init__(self, zone: str, longitude: float, latitude: float) -> None:
        pyproj = require("pyproj", "maps", USER)
        self._transformer = pyproj.Transformer.from_crs("EPSG:4326", zone, always_xy=True)
        self._east, self._north = self._transformer.transform(longitude, latitude)

    def ring(self, corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """A ring in local metres."""
        east, north = self._transformer.transform(*zip(*corners, strict=True))
        return [(x - self._east, y - self._north) for x, y in zip(east, north, strict=True)]


def _footprint(projection: _Projection, feature: Feature) -> "tuple[Polygon | None, str]":
    """The polygon of a feature in local metres, or None and what is wrong with it."""
    shapely = require("shapely", "maps", USER)
    for ring in (feature.shell, *feature.holes):
        if not all(math.isfinite(value) and abs(value) <= 180 for corner in ring for value in corner):
            return None, "a corner is no longitude and latitude"
        if len(set(ring)) < 3:
            return None, f"a ring has {len(set(ring))} different corners; three are needed"
    rings = [projection.ring(ring) for ring in (feature.shell, *feature.holes)]
    if not all(math.isfinite(value) for ring in rings for corner in ring for value in corner):
        return None, "a corner lies too far from the area"
    polygon: Any = shapely.remove_repeated_points(shapely.Polygon(rings[0], rings[1:]))
    if not polygon.is_valid:
        return None, f"the polygon is invalid ({shapely.is_valid_reason(polygon).partition('[')[0].lower()})"
    if polygon.area < SMALLEST:
        return None, f"its area is {polygon.area:.2f} m²"
    return shapely.orient_polygons(polygon), ""


def _metres(text: str | None) -> float | None:
    found = _HEIGHT.fullmatch(text or "")
    if not found:
        return None
    value = float(found[1].replace(",", "."))
    value *= FEET if (found[2] or "").lower() in ("ft", "feet", "'") else 1.0
    return value if 0 < value <= HIGHEST else None


def _middle(features: Sequence[Feature]) -> tuple[float, float]:
    """Median of the middles of all footprints: one that lies far away moves it little."""
    middles = []
    for feature in features:
        corners = [corner for corner in feature.shell if all(map(math.isfinite, corner))]
        if corners:
            middles.append([(min(axis) + max(axis)) / 2 for axis in zip(*corners, strict=True)])
    if not middles:
        raise InputError("No footprint has a corner with longitude and latitude")
    longitude, latitude = (median(axis) for axis in zip(*middles, strict=True))
    return longitude, latitude
