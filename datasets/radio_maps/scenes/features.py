"""Building footprints as they come out of files: OSM XML, Overpass JSON or GeoJSON; longitude and latitude.

Only the file is read here; whether a polygon is valid and how high it is, is decided by `footprints`. A
relation of type multipolygon is joined from its ways: outer rings with the inner ones as holes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tsbench.contracts import InputError

Ring = tuple[tuple[float, float], ...]
"""Longitude and latitude of the corners, degrees."""
MEGABYTES = 200
"""Largest file that is read."""


@dataclass(frozen=True)
class Feature:
    """A footprint with what the map says of it.

    Attributes:
        name: kind and number in the file, `way/12`.
        shell: outer ring.
        holes: inner rings.
        tags: of the map.
    """

    name: str
    shell: Ring
    holes: tuple[Ring, ...]
    tags: Mapping[str, str]


def read_features(path: Path) -> list[Feature]:
    """Every feature of a file with the tag `building`; of GeoJSON, every polygon.

    Raises:
        InputError: where the file is none of the three, or is damaged.
    """
    if path.stat().st_size > MEGABYTES * 2**20:
        raise InputError(f"{path} is larger than {MEGABYTES} MB; cut it to the area")
    content = path.read_bytes()
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    try:
        if start == b"<":
            return list(_of_elements(path, _elements_of_xml(path, content)))
        document = json.loads(content)
        if isinstance(document, dict) and isinstance(document.get("elements"), list):
            return list(_of_elements(path, document["elements"]))
        if isinstance(document, dict) and document.get("type") in ("FeatureCollection", "Feature"):
            return list(_of_geojson(document))
    except InputError:
        raise
    except (ValueError, ElementTree.ParseError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {str(error)[:200]}") from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path} is not as its format has it ({type(error).__name__}: {str(error)[:100]})"
        ) from error
    raise InputError(f"{path} is neither OSM XML nor Overpass JSON nor GeoJSON")


def _elements_of_xml(path: Path, content: bytes) -> list[dict[str, Any]]:
    """Nodes, ways and relations of OSM XML in the form of Overpass JSON."""
    if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
        raise InputError(f"{path} declares entities, as no map extract does")
    root = ElementTree.fromstring(content)
    if root.tag != "osm":
        raise InputError(f"{path} is XML, but not of OpenStreetMap: its root is <{root.tag[:40]}>")
    elements = []
    for one in root:
        if one.tag not in ("node", "way", "relation"):
            continue
        element: dict[str, Any] = {"type": one.tag, "id": one.attrib["id"]}
        if one.tag == "node":
            element |= {"lat": one.attrib["lat"], "lon": one.attrib["lon"]}
        element["nodes"] = [node.attrib["ref"] for node in one.findall("nd")]
        element["members"] = [dict(member.attrib) for member in one.findall("member")]
        element["tags"] = {tag.attrib["k"]: tag.attrib["v"] for tag in one.findall("tag")}
        elements.append(element)
    return elements


def _of_elements(path: Path, elements: Sequence[Mapping[str, Any]]) -> Iterator[Feature]:
    nodes = {
        str(one["id"]): (float(one["lon"]), float(one["lat"])) for one in elements if one["type"] == "node"
    }
    ways = {str(one["id"]): _corners(path, one, nodes) for one in elements if one["type"] == "way"}
    in_relations: set[str] = set()
    relations = [one for one in elements if one["type"] == "relation" and "building" in one.get("tags", {})]
    for one in relations:
        members = [member for member in one["members"] if member.get("type") == "way"]
        in_relations |= {str(member["ref"]) for member in members}
        rings: dict[bool, list[Ring]] = {}
        for inner in (False, True):
            pieces = [
                _member(path, member, nodes, ways)
                for member in members
                if (member.get("role") == "inner") == inner
            ]
            rings[inner] = _joined([piece for piece in pieces if piece])
        for number, shell in enumerate(rings[False]):
            name = f"relation/{one['id']}" + (f"#{number + 1}" if len(rings[False]) > 1 else "")
            yield Feature(name, shell, tuple(_within(shell, rings[True])), dict(one["tags"]))
    for one in elements:
        number = str(one["id"])
        if one["type"] == "way" and "building" in one.get("tags", {}) and number not in in_relations:
            yield Feature(f"way/{number}", ways[number], (), dict(one["tags"]))


def _corners(path: Path, way: Mapping[str, Any], nodes: Mapping[str, tuple[float, float]]) -> Ring:
    if way.get("geometry"):  # of Overpass's `out geom`
        return tuple((float(point["lon"]), float(point["lat"])) for point in way["geometry"])
    try:
        return tuple(nodes[str(node)] for node in way.get("nodes", ()))
    except KeyError as error:
        raise InputError(
            f"{path}: way/{way['id']} has the node {error.args[0]}, which is not in the file; it must be"
        ) from error


def _member(
    path: Path,
    member: Mapping[str, Any],
    nodes: Mapping[str, tuple[float, float]],
    ways: Mapping[str, Ring],
) -> Ring:
    if member.get("geometry"):
        return _corners(path, {"id": member["ref"], "geometry": member["geometry"]}, nodes)
    return ways.get(str(member["ref"]), ())


def _joined(pieces: list[Ring]) -> list[Ring]:
    """Closed rings from pieces that meet end to end; a piece that nothing continues is left as it is."""
    rings, open_ = [], [list(piece) for piece in pieces]
    while open_:
        ring = open_.pop(0)
        while ring[0] != ring[-1]:
            following = next((one for one in open_ if ring[-1] in (one[0], one[-1])), None)
            if following is None:
                break
            open_.remove(following)
            ring += following[1:] if following[0] == ring[-1] else following[-2::-1]
        rings.append(tuple(ring))
    return rings


def _within(shell: Ring, holes: list[Ring]) -> Iterator[Ring]:
    """The holes whose first corner lies in a shell."""
    from shapely import Point, Polygon

    if len(set(shell)) < 3:
        return
    outline = Polygon(shell).buffer(0)
    for hole in holes:
        if outline.contains(Point(hole[0])):
            yield hole


def _of_geojson(document: Mapping[str, Any]) -> Iterator[Feature]:
    features = document["features"] if document["type"] == "FeatureCollection" else [document]
    for number, one in enumerate(features):
        geometry, tags = one.get("geometry") or {}, one.get("properties") or {}
        if geometry.get("type") not in ("Polygon", "MultiPolygon"):
            continue
        several = geometry["type"] == "MultiPolygon"
        name = str(one.get("id") or tags.get("@id") or tags.get("id") or f"feature/{number + 1}")[:60]
        for part, rings in enumerate(geometry["coordinates"] if several else [geometry["coordinates"]]):
            shell, *holes = [tuple((float(point[0]), float(point[1])) for point in ring) for ring in rings]
            words = {str(key): str(value) for key, value in tags.items() if value is not None}
            yield Feature(f"{name}#{part + 1}" if several else name, shell, tuple(holes), words)
