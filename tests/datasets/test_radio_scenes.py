"""Scenes: cities that are made, and map extracts; their rasters and meshes agree."""

import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.datasets.radio_maps.scenes.city import STYLES, draw_city
from tsbench.datasets.radio_maps.scenes.features import Feature, read_features
from tsbench.datasets.radio_maps.scenes.footprints import height_of, read_extract, utm_zone
from tsbench.datasets.radio_maps.scenes.scene import (
    Building,
    Scene,
    building_mesh,
    buildings_mesh,
    cell_centres,
    cell_heights,
    fine_heights,
    height_at,
)

LATITUDE, LONGITUDE = 36.0, -78.9
METRE_NORTH = 1 / 110_970.0
METRE_EAST = METRE_NORTH / np.cos(np.deg2rad(LATITUDE))
"""Degrees a metre near the place, to a few parts in a thousand."""


def place(x: float, y: float) -> tuple[float, float]:
    return LONGITUDE + x * METRE_EAST, LATITUDE + y * METRE_NORTH


def square(x: float, y: float, edge: float) -> list[tuple[float, float]]:
    return [(x, y), (x + edge, y), (x + edge, y + edge), (x, y + edge), (x, y)]


def osm(buildings, relations=()) -> str:
    """OSM XML: (tags, corners in metres) a way; (tags, outer way number, inner way numbers) a relation."""
    nodes, ways = [], []
    for number, (tags, corners) in enumerate(buildings, start=1):
        refs = []
        for corner in corners:
            longitude, latitude = place(*corner)
            nodes.append(f'<node id="{len(nodes) + 1}" lat="{latitude:.9f}" lon="{longitude:.9f}"/>')
            refs.append(f'<nd ref="{len(nodes)}"/>')
        if corners[0] == corners[-1]:
            refs[-1] = refs[0]
        words = "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())
        ways.append(f'<way id="{number}">{"".join(refs)}{words}</way>')
    members = []
    for number, (tags, outer, inner) in enumerate(relations, start=1):
        roles = f'<member type="way" ref="{outer}" role="outer"/>' + "".join(
            f'<member type="way" ref="{one}" role="inner"/>' for one in inner
        )
        words = "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())
        members.append(f'<relation id="{number}">{roles}<tag k="type" v="multipolygon"/>{words}</relation>')
    return f'<osm version="0.6">{"".join(nodes)}{"".join(ways)}{"".join(members)}</osm>'


@pytest.fixture(scope="module")
def extract_file(tmp_path_factory):
    """22 houses, a courtyard, one polygon that crosses itself, one far away."""
    houses = [
        ({"building": "yes", "height": "9"}, square(-110 + 34 * column, -100 + 40 * row, 20))
        for row in range(4)
        for column in range(6)
    ][:22]
    others = [
        ({}, square(-20, 60, 50)),  # outer ring of the relation: way 23
        ({}, square(-8, 72, 26)),  # its courtyard: way 24
        ({"building": "yes"}, [(60, 60), (90, 90), (90, 60), (60, 90), (60, 60)]),  # way 25 crosses itself
        ({"building": "yes", "building:levels": "3"}, square(-115, 70, 15)),  # way 26
        ({"building": "yes"}, square(-90, 70, 15)),  # way 27: no height
        ({"building": "yes"}, square(900, 900, 20)),  # way 28: outside
    ]
    path = tmp_path_factory.mktemp("extract") / "made.osm"
    path.write_text(osm([*houses, *others], [({"building": "yes", "height": "15 m"}, 23, [24])]))
    return path


def test_an_extract_becomes_a_scene_and_what_is_left_out_is_named(extract_file):
    made = read_extract(extract_file, "made", 256.0, centre=(LONGITUDE, LATITUDE))

    assert made.zone == "EPSG:32617"
    assert len(made.scene.buildings) == 25
    by_name = {one.name: one for one in made.scene.buildings}
    assert "way/25" not in by_name
    assert any(line.startswith("way/25: the polygon is invalid (self-intersection") for line in made.left_out)
    assert any(line == "way/28: outside of the area of 256 m" for line in made.left_out)
    assert len(made.left_out) == 2
    assert by_name["way/26"].height == 10.5
    assert by_name["way/27"].height == 17.5
    assert any(line.startswith("way/26: no height; 3 storeys, taken as 10.5 m") for line in made.assumed)
    assert any(line == "way/27: neither height nor storeys; taken as 17.5 m" for line in made.assumed)
    courtyard = by_name["relation/1"]
    assert courtyard.height == 15
    assert len(courtyard.footprint.interiors) == 1
    assert courtyard.footprint.area == pytest.approx(50**2 - 26**2, rel=0.01)
    fine = fine_heights(made.scene)
    assert height_at(fine, np.array(5.0), np.array(85.0)) == 0  # in the courtyard
    assert height_at(fine, np.array(-15.0), np.array(85.0)) == 15


def test_the_three_formats_give_the_same_footprints(extract_file, tmp_path):
    from_osm = read_extract(extract_file, "a", 256.0, centre=(LONGITUDE, LATITUDE)).scene
    features = read_features(extract_file)
    overpass = [
        {
            "type": "way",
            "id": int(one.name.partition("/")[2]),
            "tags": dict(one.tags),
            "geometry": [{"lat": latitude, "lon": longitude} for longitude, latitude in one.shell],
        }
        for one in features
        if not one.holes
    ]
    collection = [
        {
            "type": "Feature",
            "id": one.name,
            "properties": dict(one.tags),
            "geometry": {"type": "Polygon", "coordinates": [one.shell, *one.holes]},
        }
        for one in features
    ]
    (tmp_path / "a.json").write_text(json.dumps({"elements": overpass}))
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": collection}))
    centre = (LONGITUDE, LATITUDE)
    from_overpass = read_extract(tmp_path / "a.json", "a", 256.0, centre).scene
    from_geojson = read_extract(tmp_path / "a.geojson", "a", 256.0, centre).scene

    def areas(scene):
        return sorted((one.name, round(one.footprint.area, 6), one.height) for one in scene.buildings)

    assert areas(from_geojson) == areas(from_osm)
    assert areas(from_overpass) == [one for one in areas(from_osm) if one[0].startswith("way")]


def test_a_degree_of_the_extract_is_a_metre_of_the_scene(tmp_path):
    """Distances agree with the great circle on the ellipsoid, but for UTM's scale (0.9996 to 1.001)."""
    import pyproj

    ring = [place(*corner) for corner in square(0, 0, 100)]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}))
    footprint = read_extract(path, "a", 512.0).scene.buildings[0].footprint
    true = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shapely.Polygon(ring))[0]

    assert footprint.area == pytest.approx(abs(true), rel=2.1e-3)
    assert np.hypot(*footprint.centroid.coords[0]) < 0.1


@pytest.mark.parametrize("style", STYLES)
def test_a_ray_straight_down_meets_the_height_of_the_raster(style):
    """Geo2SigMap's pipeline: raster and mesh agree on 100 random pixels; the mesh is asked triangle by triangle."""
    scene = draw_city("city", style, 128.0, np.random.default_rng(3))
    fine = fine_heights(scene)
    x, y = cell_centres(128, 1.0)
    random = np.random.default_rng(0)
    rows, columns = random.integers(0, 128, 50), random.integers(0, 128, 50)
    built = np.argwhere(fine > 0)
    chosen = built[random.integers(0, len(built), 50)]
    rows, columns = np.concatenate([rows, chosen[:, 0]]), np.concatenate([columns, chosen[:, 1]])
    vertices, faces = buildings_mesh(scene)
    met = np.array([_from_above(vertices[faces], x[c], y[r]) for r, c in zip(rows, columns, strict=True)])

    np.testing.assert_allclose(met, fine[rows, columns], atol=1e-3)


def _from_above(triangles: np.ndarray, x: float, y: float) -> float:
    """Height at which a vertical ray first meets triangles (triangle, corner, 3), by barycentric coordinates."""
    a, b, c = (triangles[:, corner] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    flat = np.abs(area) > 1e-9
    with np.errstate(divide="ignore", invalid="ignore"):
        v = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (y - a[:, 1])) / area
        w = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (x - a[:, 0]) * (b[:, 1] - a[:, 1])) / area
        inside = flat & (v >= 0) & (w >= 0) & (v + w <= 1)
        heights = a[:, 2] + v * (b[:, 2] - a[:, 2]) + w * (c[:, 2] - a[:, 2])
    return float(heights[inside].max(initial=0.0))


@settings(max_examples=20)
@given(st.sampled_from(sorted(STYLES)), st.integers(0, 2**31))
def test_footprints_of_a_city_are_valid_and_do_not_overlap(style, seed):
    scene = draw_city("city", style, 200.0, np.random.default_rng(seed))
    shapes = [one.footprint for one in scene.buildings]

    assert shapes
    assert all(one.is_valid and one.area > 1 for one in shapes)
    assert sum(one.area for one in shapes) == pytest.approx(shapely.union_all(shapes).area, rel=1e-9)
    assert all(1 <= one.height < 100 for one in scene.buildings)


def test_a_seed_is_a_city():
    first, again, other = (draw_city("c", "grid", 200.0, np.random.default_rng(seed)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_mesh_is_closed_and_has_the_volume_of_the_building():
    ring = shapely.box(0, 0, 30, 20).difference(shapely.box(10, 5, 20, 15))
    vertices, faces = building_mesh(Building("b", ring, 12.0))
    corners = vertices[faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6

    assert volume == pytest.approx((600 - 100) * 12)  # positive: the normals point outwards
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_row_0_is_north_and_column_0_is_west():
    scene = Scene("s", "map", 8.0, (Building("b", shapely.box(-4, 2, -2, 4), 5.0),))
    expected = np.zeros((8, 8))
    expected[:2, :2] = 5

    np.testing.assert_array_equal(fine_heights(scene), expected)
    assert cell_heights(fine_heights(scene), 2)[0, 0] == 5
    assert cell_heights(fine_heights(scene), 2).sum() == 5


@pytest.mark.parametrize(
    ("tags", "height"),
    [
        ({"height": "12.5"}, 12.5),
        ({"height": "12,5 m"}, 12.5),
        ({"height": "10 ft"}, 3.048),
        ({"building:height": "8", "height": "9"}, 8.0),
        ({"building:levels": "4"}, 14.0),
        ({"height": "high", "building:levels": "2"}, 7.0),
        ({"height": "-3"}, 17.5),
        ({"height": "99999"}, 17.5),
        ({}, 17.5),
    ],
)
def test_heights_are_read_as_the_map_writes_them(tags, height):
    assert height_of(Feature("f", (), (), tags))[0] == pytest.approx(height)


def test_zones_of_both_hemispheres():
    assert utm_zone(-78.9, 36.0) == "EPSG:32617"
    assert utm_zone(151.2, -33.9) == "EPSG:32756"
    assert utm_zone(180.0, 1.0) == "EPSG:32660"
    with pytest.raises(InputError, match="no UTM zone"):
        utm_zone(0.0, 88.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<osm>", "cannot be read"),
        ("<gpx/>", "its root is <gpx>"),
        ('<!DOCTYPE osm [<!ENTITY a "b">]><osm/>', "declares entities"),
        ("{", "cannot be read"),
        ('{"type": "Topology"}', "neither OSM XML nor Overpass JSON nor GeoJSON"),
        ('{"elements": [{"type": "way"}]}', "is not as its format has it"),
        ('<osm><way id="7"><nd ref="1"/><tag k="building" v="yes"/></way></osm>', "way/7 has the node 1"),
        ("<osm/>", "holds no building"),
        ("just words", "cannot be read"),
    ],
)
def test_what_is_no_map_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "a.osm"
    path.write_text(text)

    with pytest.raises(InputError, match=message) as error:
        read_extract(path, "a", 256.0)
    assert "\n" not in str(error.value)


def test_an_extract_whose_footprints_are_all_invalid_is_refused(tmp_path):
    path = tmp_path / "a.osm"
    path.write_text(osm([({"building": "yes"}, [(0, 0), (20, 20), (20, 0), (0, 20), (0, 0)])]))

    with pytest.raises(InputError, match=r"no valid building .* way/1: the polygon is invalid"):
        read_extract(path, "a", 256.0)
    with pytest.raises(InputError, match="at most 5000"):
        read_extract(path, "a", 6000.0)


def test_an_extract_is_a_data_set(extract_file, tmp_path, monkeypatch):
    """From the file to the store; by formula, as where no ray can be traced."""
    from tsbench.datasets.radio_scenes import adapter

    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(adapter, "usable_variant", lambda: None)
    store = open_store(prepare("radio_scenes/town", extract_file))

    assert store.sizes == {"sample": 8, "y": 64, "x": 64, "coordinate": 3}
    assert store.attrs["generator"].startswith("analytic")
    assert any("way/25" in line for line in store.attrs["left_out"])
    assert store.attrs["buildings"] == 25
    outdoor = store["outdoor"].values
    assert (store["path_gain"].values[outdoor] > -160).all()
    assert (store["path_gain"].values[~outdoor] == -160).all()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.txt").write_text("no map")
    with pytest.raises(InputError, match="no file with footprints"):
        prepare("radio_scenes/none", tmp_path / "words")
