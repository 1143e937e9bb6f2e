"""Stores of made radio maps: layout, seeds, taking up again; readers of published folders and of measurements."""

import json
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsbench import registry
from tsbench.contracts import FieldLayout, InputError, Task
from tsbench.data.adapter import BuildRequest
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.datasets.radio_maps import adapter
from tsbench.datasets.radio_maps.draw import draw_scene, scenes_of
from tsbench.datasets.radio_maps.images import images_below, numbers_of, read_frames, split_of
from tsbench.datasets.radio_maps.measurements import block_of, folds_of, raster_shape, rasterise, read_points
from tsbench.datasets.radio_maps.propagation import llvm
from tsbench.datasets.radio_maps.scenes.scene import Scene
from tsbench.datasets.radio_maps.simulate import simulate
from tsbench.radio.path_loss import LIGHT, uma_prior

PIXELS = 32
"""Edge of the made images; the published ones have 256."""


def request(name: str, **changes) -> BuildRequest:
    variant = registry.dataset(name).variant
    return BuildRequest(name, variant, parameters=variant.parameters | changes)


@pytest.fixture(scope="module")
def tiny():
    """The first two scenes of the tiny analytic data set."""
    asked = request("radio_maps-tiny-analytic")
    return [adapter.build_part(asked, part) for part in adapter.parts(asked)[:2]]


# ---- made maps ----


def test_the_layout_of_a_store_of_planes(stores):
    store = open_store(stores("radio_maps-tiny-analytic"))

    assert dict(store.sizes) == {"sample": 16, "y": 32, "x": 32, "coordinate": 3}
    expected = {
        "building_height": ("float32", "m"), "outdoor": ("bool", "1"), "reached": ("bool", "1"),
        "path_gain": ("float32", "dB"), "rss": ("float32", "dBm"), "transmitter_position": ("float32", "m"),
    }  # fmt: skip
    found = {str(name): (str(one.dtype), one.attrs["units"]) for name, one in store.data_vars.items()}
    assert found == expected
    assert store["path_gain"].dims == ("sample", "y", "x")
    assert store["path_gain"].attrs["no_signal"] == -160
    np.testing.assert_allclose(store["x"], np.arange(32) * 8 - 124)
    np.testing.assert_allclose(store["y"], 124 - np.arange(32) * 8)
    assert float(store["z"]) == 1.5
    assert store.attrs["generator"].startswith("analytic")
    assert set(store["split"].values) == {
        "train", "validation", "test-regular", "test-style", "test-carrier",
    }  # fmt: skip
    gain, outdoor = store["path_gain"].values, store["outdoor"].values
    assert (gain[~outdoor] == -160).all()
    np.testing.assert_array_equal(store["reached"].values, gain > -160)
    np.testing.assert_array_equal(outdoor, store["building_height"].values < 1.5)


def test_received_power_is_gain_of_path_and_antenna_and_power(tiny):
    """Within the 30 dB that the sector antenna lets, 8 dBi at most."""
    store = tiny[0]
    reached = store["reached"].values
    antenna = (
        store["rss"].values - store["path_gain"].values - store["transmitter_power"].values[:, None, None]
    )

    assert antenna[reached].max() <= 8 + 1e-3
    assert antenna[reached].min() >= -22 - 1e-3


def test_a_scene_does_not_depend_on_the_others(tiny):
    asked = request("radio_maps-tiny-analytic")
    alone = adapter.build_part(asked, adapter.parts(asked)[1])

    assert alone.equals(tiny[1])
    assert not alone.equals(tiny[0])
    names = dict(scenes_of(asked.parameters))
    assert len(names) == len(adapter.parts(asked)) == 8
    other = draw_scene("train/x", names["train/grid-3640-tr38901-25/0000"], asked.parameters, seed=1)[0]
    assert (
        other != draw_scene("train/x", names["train/grid-3640-tr38901-25/0000"], asked.parameters, seed=0)[0]
    )


def test_an_interrupted_data_set_is_taken_up_again(tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    built, real = [], adapter.build_part

    def failing(asked, part):
        if len(built) == 3:
            raise KeyboardInterrupt
        built.append(part.name)
        return real(asked, part)

    monkeypatch.setattr(adapter, "build_part", failing)
    with pytest.raises(KeyboardInterrupt):
        prepare("radio_maps-tiny-analytic", processes=1, tell=lambda _: None)
    monkeypatch.setattr(
        adapter, "build_part", lambda asked, part: built.append(part.name) or real(asked, part)
    )
    told: list[str] = []
    store = open_store(prepare("radio_maps-tiny-analytic", processes=1, tell=told.append))

    assert store.sizes["sample"] == 16
    assert len(built) == len(set(built)) == 8
    assert any("3 of 8 parts are there" in line for line in told)


def test_a_volume_has_heights_delays_and_directions():
    asked = request("radio_maps-volume-small-analytic", heights=[1.5, 10.0, 22.5], cells=16)
    store = adapter.build_part(asked, adapter.parts(asked)[0])
    position = store["transmitter_position"].values[0].astype(float)
    z, y, x = np.meshgrid(store["z"], store["y"], store["x"], indexing="ij")
    straight = np.sqrt((x - position[0]) ** 2 + (y - position[1]) ** 2 + (z - position[2]) ** 2) / LIGHT * 1e9
    delay, outdoor = store["delay"].values[0], store["outdoor"].values[0]

    assert store["path_gain"].dims == ("sample", "z", "y", "x")
    assert store["building_height"].dims == ("sample", "y", "x")
    np.testing.assert_array_equal(outdoor, z > store["building_height"].values[0])
    np.testing.assert_array_equal(np.isfinite(delay), outdoor)
    assert (delay / straight)[outdoor].min() > 1 - 1e-5
    assert np.mean((delay / straight)[outdoor] < 1 + 1e-5) > 0.3
    zenith = store["arrival_zenith"].values[0][outdoor]
    assert ((zenith >= 0) & (zenith <= 180)).all()


def test_the_traced_data_set_has_the_form_of_the_formula(tiny):
    if llvm.usable_variant() is None:
        pytest.skip("no usable libLLVM (17 or newer): the probe in a child process failed")
    asked = request("radio_maps-tiny", rays=50_000)
    traced = adapter.build_part(asked, adapter.parts(asked)[0])

    assert traced.attrs["generator"].startswith("Sionna RT")
    assert traced.sizes == tiny[0].sizes
    assert set(traced.variables) == set(tiny[0].variables)
    for name in ("building_height", "outdoor", "transmitter_position", "transmitter_azimuth"):
        np.testing.assert_array_equal(traced[name], tiny[0][name])
    both = traced["reached"].values & tiny[0]["reached"].values
    one, other = (store["path_gain"].values[both] for store in (traced, tiny[0]))
    assert np.corrcoef(one, other)[0, 1] > 0.6


def test_what_cannot_be_made_is_refused(monkeypatch):
    asked = request("radio_maps-tiny-analytic")
    cell = next(iter(dict(scenes_of(asked.parameters)).values()))
    grid = adapter.grid_of(asked.parameters)
    with pytest.raises(InputError, match="'nowhere' has no building"):
        simulate(Scene("nowhere", "none", grid.size, ()), [], grid, 3640.0, asked.parameters, {})
    scene, transmitters = draw_scene("x", cell, asked.parameters, 0)
    with pytest.raises(InputError, match="Unknown generator of radio maps 'rays'"):
        simulate(scene, transmitters, grid, 3640.0, asked.parameters | {"generator": "rays"}, {})
    with pytest.raises(InputError, match="has one size"):
        adapter.parts(
            BuildRequest("radio_maps-tiny", asked.variant, parameters=asked.parameters, size="tiny")
        )
    monkeypatch.setattr(llvm, "usable_variant", lambda: None)
    with pytest.raises(InputError, match="libllvm19.*whose name ends with -analytic"):
        adapter.parts(request("radio_maps-tiny"))


def test_a_missing_package_is_one_line_with_the_command(monkeypatch):
    asked = request("radio_maps-tiny-analytic")
    monkeypatch.setitem(sys.modules, "shapely", None)
    monkeypatch.setattr("importlib.import_module", _without("shapely"))

    with pytest.raises(InputError, match=r'needs the package shapely: pip install "tsbench\[maps\]"'):
        adapter.build_part(asked, adapter.parts(asked)[0])


def _without(package: str):
    import importlib

    real = importlib.import_module

    def imported(name, *rest):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)
        return real(name, *rest)

    return imported


# ---- images ----


@pytest.fixture
def image():
    """Writes grey values (row, column) or (frame, row, column) as an 8-bit image."""
    from PIL import Image

    def write(path, values, mode="L"):
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = [
            Image.fromarray(np.asarray(one, np.uint8)).convert(mode) for one in np.atleast_3d(values.T).T
        ]
        frames[0].save(path, save_all=len(frames) > 1, append_images=frames[1:])

    return write


def test_grey_values_and_frames_are_read_as_written(image, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (4, 8, 8))
    image(tmp_path / "one.png", values[0])
    image(tmp_path / "all.gif", values)

    np.testing.assert_array_equal(read_frames(tmp_path / "one.png", 8), values[:1])
    np.testing.assert_array_equal(read_frames(tmp_path / "all.gif", 8), values)


def test_images_of_another_size_or_mode_are_refused(image, tmp_path):
    image(tmp_path / "size.png", np.zeros((8, 9)))
    image(tmp_path / "mode.png", np.zeros((8, 8)), "RGB")
    (tmp_path / "words.png").write_text("no image")

    for name, message in (
        ("size.png", "has 9 × 8 pixels, not 8 × 8"),
        ("mode.png", "mode RGB, not of 8-bit grey values"),
        ("words.png", "cannot be read as an image"),
    ):
        with pytest.raises(InputError, match=message) as error:
            read_frames(tmp_path / name, 8)
        assert "\n" not in str(error.value)


def test_folders_are_found_in_any_capitalisation(tmp_path):
    files = {"Data/GAIN/dpm/1_2.png": tmp_path / "a.png", "gain/IRT2/1_2.png": tmp_path / "b.png"}

    assert images_below(files, "gain", "DPM") == {"1_2.png": tmp_path / "a.png"}
    assert numbers_of("3/676_10_254.png", 3, "MAP_X_Y.png") == (676, 10, 254)
    with pytest.raises(InputError, match=r"a_1.png is not named MAP_X_Y.png"):
        numbers_of("a_1.png", 3, "MAP_X_Y.png")


def test_maps_are_split_in_the_order_of_radiounet():
    """501, 100 and 99 maps of numpy's shuffle with seed 42; a map that RadioUNet does not know is for the test."""
    order = np.arange(700)
    np.random.RandomState(42).shuffle(order)
    labels = [split_of(number) for number in range(701)]

    assert [labels.count(one) for one in ("train", "validation", "test-regular")] == [501, 100, 100]
    assert labels[order[500]] == "train"
    assert labels[order[501]] == "validation"
    assert labels[order[601]] == labels[700] == "test-regular"


# ---- published folders ----


@pytest.fixture
def seer_folder(image, tmp_path):
    """Two maps of RadioMapSeer with two transmitters each, 32 × 32."""
    random = np.random.default_rng(0)
    for number in (3, 12):
        buildings = np.zeros((PIXELS, PIXELS))
        buildings[4:10, 20:30] = 255
        image(tmp_path / f"seer/png/buildings_complete/{number}.png", buildings)
        for transmitter in (0, 7):
            antenna = np.zeros((PIXELS, PIXELS))
            antenna[12 + transmitter, 5] = 255
            image(tmp_path / f"seer/png/antennas/{number}_{transmitter}.png", antenna)
            image(
                tmp_path / f"seer/gain/DPM/{number}_{transmitter}.png",
                random.integers(0, 256, (PIXELS, PIXELS)),
            )
    return tmp_path / "seer"


@pytest.fixture
def small_images(monkeypatch, tmp_path):
    """Stores in a folder of the test, and readers that expect 32 × 32 pixels."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    for name in ("radiomapseer", "urbanradio3d"):
        monkeypatch.setitem(registry.dataset(name).variant.parameters, "pixels", PIXELS)


def test_radiomapseer_is_read_map_by_map(seer_folder, small_images):
    from PIL import Image

    store = open_store(prepare("radiomapseer/dpm", seer_folder, processes=1))

    assert store.sizes == {"sample": 4, "y": PIXELS, "x": PIXELS, "coordinate": 3}
    assert list(store["scene"].values) == ["3", "3", "12", "12"]
    assert list(store["split"].values) == [split_of(3)] * 2 + [split_of(12)] * 2
    grey = np.asarray(Image.open(seer_folder / "gain/DPM/12_7.png"))
    np.testing.assert_allclose(store["grey"].values[3], grey / 255, atol=1e-7)
    # Row 19, column 5 of 32: 3.5 m south and 10.5 m west of the centre.
    np.testing.assert_allclose(store["transmitter_position"].values[3], [-10.5, -3.5, 1.5])
    assert store["building_height"].values.sum() == 4 * 60
    np.testing.assert_array_equal(store["outdoor"].values, store["building_height"].values == 0)


def test_a_damaged_folder_of_radiomapseer_is_refused(seer_folder, small_images, image):
    indoors = np.zeros((PIXELS, PIXELS))
    indoors[5, 25] = 255
    image(seer_folder / "png/antennas/3_0.png", indoors)
    with pytest.raises(InputError, match=r"3_0.png: the transmitter is inside a building"):
        prepare("radiomapseer/dpm", seer_folder, processes=1)
    image(seer_folder / "png/antennas/3_0.png", np.zeros((PIXELS, PIXELS)))
    with pytest.raises(InputError, match="marks 0 pixels"):
        prepare("radiomapseer/dpm", seer_folder, processes=1)
    (seer_folder / "png/antennas/3_0.png").unlink()
    with pytest.raises(InputError, match="holds no png/antennas/3_0.png"):
        prepare("radiomapseer/dpm", seer_folder, processes=1)
    with pytest.raises(InputError, match="no image below gain/IRT2"):
        prepare("radiomapseer/irt2", seer_folder, processes=1)


@pytest.fixture(params=["frames", "folders"])
def urban_folder(request, image, tmp_path):
    """One map of UrbanRadio3D, two transmitters, four heights: as frames of a GIF or in a folder a height."""
    random = np.random.default_rng(1)
    buildings = np.zeros((PIXELS, PIXELS))
    buildings[:8, :8] = 3
    image(tmp_path / "urban/Buildings/5.png", buildings)
    volumes = {}
    for folder in ("pathloss", "ToA", "DoA_Ele", "Doa_Azi"):
        for name in ("5_10_20", "5_0_31"):
            values = random.integers(0, 256, (4, PIXELS, PIXELS))
            volumes[folder, name] = values
            if request.param == "frames":
                image(tmp_path / f"urban/{folder}/{name}.gif", values)
                continue
            for height, plane in enumerate(values, start=1):
                image(tmp_path / f"urban/{folder}/{height}/{name}.png", plane)
    return tmp_path / "urban", volumes


def test_urbanradio3d_is_read_with_its_axes(urban_folder, small_images):
    folder, volumes = urban_folder
    store = open_store(prepare("urbanradio3d/demo", folder, processes=1))

    assert store.sizes == {"sample": 2, "z": 4, "y": PIXELS, "x": PIXELS, "coordinate": 3}
    np.testing.assert_array_equal(store["z"], [1, 2, 3, 4])
    names = {"grey": "pathloss", "toa_grey": "ToA", "azimuth_grey": "Doa_Azi", "elevation_grey": "DoA_Ele"}
    for variable, of in names.items():
        np.testing.assert_allclose(store[variable].values[1], volumes[of, "5_10_20"] / 255, atol=1e-7)
    assert "delay_grey" not in store
    # X = 10 counts rows from the bottom: row 21 of 32; Y = 20 is the column.
    np.testing.assert_allclose(store["transmitter_position"].values[1], [4.5, -5.5, 1.5])
    assert store["outdoor"].values[0, :, 0, 0].tolist() == [False, False, False, True]


def test_a_damaged_folder_of_urbanradio3d_is_refused(urban_folder, small_images, image):
    folder, _ = urban_folder
    for extra, message in (
        ("pathloss/5_40_2.png", "5_40_2: the transmitter is outside of the map of 32 cells"),
        ("pathloss/5_31_2.png", "inside a building"),
        ("pathloss/5_x.png", "is not named MAP_X_Y.png"),
        ("pathloss/6_1_1.png", "holds no buildings/6.png"),
    ):
        image(folder / extra, np.zeros((PIXELS, PIXELS)))
        if "inside" in message or "outside" in message:
            for other in ("ToA", "DoA_Ele", "Doa_Azi"):
                image(folder / extra.replace("pathloss", other), np.zeros((PIXELS, PIXELS)))
        with pytest.raises(InputError, match=message):
            _build_all("urbanradio3d", folder, extra)
        for written in folder.rglob(extra.rpartition("/")[2]):
            written.unlink()


def _build_all(name, folder, extra):
    """Every part of a folder, the transmitter of one file alone where its map has others."""
    from tsbench.datasets.urbanradio3d import adapter as urban

    stem = extra.rpartition("/")[2].rpartition(".")[0]
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*.*"))
        if path.stem == stem or path.parent.name == "Buildings"
    }
    asked = BuildRequest(
        name, registry.dataset(name).variant, files, registry.dataset(name).variant.parameters
    )
    for part in urban.parts(asked):
        urban.build_part(asked, part)


@pytest.fixture
def areas(tmp_path):
    """Eleven areas in Geo2SigMap's form: 600 × 540 pixels of 1 m."""
    for number in range(11):
        heights = np.zeros((600, 540), np.uint8)
        heights[100 + 10 * number : 160 + 10 * number, 200:260] = 20
        folder = tmp_path / f"areas/area_{number:02d}"
        folder.mkdir(parents=True)
        np.save(folder / "2D_Building_Height_Map.npy", heights)
    return tmp_path / "areas"


def test_areas_of_geo2sigmap_are_cropped_and_thinned(areas, small_images):
    store = open_store(prepare("geo2sigmap/made", areas))
    heights = np.load(areas / "area_03/2D_Building_Height_Map.npy")

    assert store.sizes == {"sample": 11, "y": 128, "x": 128, "coordinate": 3}
    np.testing.assert_array_equal(store["building_height"].values[3], heights[44:556, 14:526][::4, ::4])
    np.testing.assert_allclose(store["path_gain_prior"].values[3], uma_prior(128, 4, 24.0, 3.64e9), rtol=1e-6)
    np.testing.assert_allclose(store["transmitter_position"].values[3], [2, -2, 24])
    assert store.attrs["generator"].startswith("analytic")
    assert store["split"].values.tolist() == ["train"] * 8 + ["validation", "test-regular", "train"]


def test_maps_of_areas_are_read_where_all_have_them(areas, small_images):
    gain = np.random.default_rng(0).uniform(-200, -60, (128, 128)).astype(np.float32)
    np.save(areas / "area_00/path_gain.npy", gain)
    with pytest.raises(InputError, match=r"'area_01' holds no path_gain.npy, which others have"):
        prepare("geo2sigmap/made", areas)
    for folder in areas.iterdir():
        np.save(folder / "path_gain.npy", gain)
    store = open_store(prepare("geo2sigmap/made", areas))

    np.testing.assert_array_equal(store["path_gain"].values[4], np.maximum(gain, -160))
    assert store.attrs["generator"] == "Geo2SigMap's files"
    np.save(areas / "area_02/path_gain.npy", gain[:64])
    with pytest.raises(InputError, match=r"has the shape \(64, 128\), not \(128, 128\)"):
        prepare("geo2sigmap/made", areas)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((600, 600)), "has no building"),
        (np.ones((300, 600)), r"has the shape \(300, 600\); 512 × 512 pixels"),
        (-np.ones((600, 600)), "a negative height, -1 m"),
        (np.full((600, 600), np.nan), "a finite number"),
        (np.ones(600), "for each cell of a plane"),
        (np.array([{}], object), "cannot be read as an array of numbers"),
    ],
)
def test_a_damaged_area_is_refused(areas, small_images, values, message):
    np.save(areas / "area_00/2D_Building_Height_Map.npy", values)

    with pytest.raises(InputError, match=message):
        prepare("geo2sigmap/made", areas)


# ---- measurements ----


def table(path, rows, header="PCI,latitude,longitude,device,rsrp"):
    path.write_text("\n".join([header, *rows, ""]))
    return path


def test_two_samples_of_a_cell_are_averaged_as_powers(tmp_path):
    """Geo2SigMap's sheet: -90 and -100 dBm make -92.6 dBm."""
    points = read_points(
        table(
            tmp_path / "a.csv",
            ["A,36.0,-78.9,Pixel,-90", "A,36.0,-78.9,Pixel,-100", "A,36.001,-78.9,Pixel,-80"],
        )
    )
    shape = raster_shape(points, 4)
    made = rasterise(points, np.ones(3, bool), 4, shape)

    assert sorted(made.rss[made.count > 0].round(1)) == [-92.6, -80.0]
    assert made.count.sum() == 3
    assert np.isnan(made.rss[made.count == 0]).all()
    assert (np.array(shape) % 32 == 0).all()
    assert points.zone == "EPSG:32617"
    # 0.001 degrees of latitude are 111 m: 27 or 28 rows of 4 m, the northern point above.
    rows = np.flatnonzero((made.count > 0).any(axis=1))
    assert rows[1] - rows[0] in (27, 28)
    with pytest.raises(InputError, match="outside of the map of 8 × 8 cells"):
        rasterise(points, np.ones(3, bool), 4, (8, 8))


@given(st.integers(10, 120), st.integers(10, 120), st.sampled_from([50, 200]), st.integers(2, 6))
def test_no_block_is_on_both_sides_and_every_cell_is_held_out_once(rows, columns, block, folds):
    random = np.random.default_rng(rows * columns)
    blocks = block_of((rows, columns), 4, block)
    measured = random.random((rows, columns)) < 0.3
    measured[0, 0] = True
    fold = folds_of(blocks, measured, folds, 0)

    assert all(len(set(fold[blocks == number])) == 1 for number in np.unique(blocks))
    assert (fold[measured] >= 0).all()
    assert fold.max() < folds
    dealt = np.array([fold[blocks == number][0] for number in np.unique(blocks[measured])])
    counts = np.bincount(dealt, minlength=folds)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("block", [50, 200])
def test_the_measurements_are_held_out_by_whole_blocks(shared_data, monkeypatch, tmp_path, block):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    store = open_store(prepare(f"duke_cbrs-blocks{block}", shared_data))
    held, reached = store["held_out"].values, store["reached"].values
    blocks = block_of(held.shape[1:], 4, block)
    names = store["scene"].values

    assert (held <= reached).all()
    for sample in range(len(held)):
        of_target = set(blocks[held[sample]])
        of_given = set(blocks[reached[sample] & ~held[sample]])
        assert of_target
        assert of_given
        assert not of_target & of_given
    for name in set(names):  # devices apart, every measured cell the target of exactly one fold
        mine = names == name
        np.testing.assert_array_equal(held[mine].sum(axis=0), reached[mine][0])
    assert len(set(names)) == 12
    first = [int(np.flatnonzero(names == name)[0]) for name in sorted(set(names))]
    assert store["observed_count"].values[first].sum() == 46_655
    rss = store["rss"].values
    assert (rss[~reached] == -160).all()
    assert -140.01 <= rss[reached].min() <= rss[reached].max() <= -62


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["A,36,-78.9,Pixel,-90"], "PCI,lat,longitude,device,rsrp", "has no column latitude"),
        ([], "PCI,latitude,longitude,device,rsrp", "holds no measurement"),
        (
            ["A,36,-78.9,Pixel,-90", "A,36,x,Pixel,-90"],
            None,
            "line 3: longitude is 'x', not between -180 and 180",
        ),
        (["A,91,-78.9,Pixel,-90"], None, "line 2: latitude is '91', not between -80 and 84"),
        (["A,36,-78.9,Pixel,10"], None, "line 2: rsrp is '10', not between -160.0 and -20.0"),
        (["A,36,-78.9,P,-90"] * 3 + ["A,37,-78.9,P,-90"], None, "line 5: the point is outside of the map"),
    ],
)
def test_a_table_with_a_mistake_is_refused_with_its_line(tmp_path, rows, header, message):
    path = table(tmp_path / "a.csv", rows, header or "PCI,latitude,longitude,device,rsrp")

    with pytest.raises(InputError, match=message) as error:
        read_points(path)
    assert "\n" not in str(error.value)


@pytest.fixture
def campus(tmp_path):
    """A folder with 400 measurements of two base stations on 300 × 300 m, a building, and the antennas."""
    random = np.random.default_rng(0)
    latitude, longitude = 36 + random.uniform(0, 0.0027, 400), -78.9 + random.uniform(0, 0.0033, 400)
    latitude[:2], longitude[:2] = (36, 36.0027), (-78.9, -78.8967)
    rows = [
        f"{'AB'[number % 2]},{latitude[number]:.8f},{longitude[number]:.8f},Pixel,{-80 - number % 40}"
        for number in range(400)
    ]
    folder = tmp_path / "campus"
    folder.mkdir()
    table(folder / "drive.csv", rows)
    ring = [
        [-78.8985, 36.001],
        [-78.8975, 36.001],
        [-78.8975, 36.002],
        [-78.8985, 36.002],
        [-78.8985, 36.001],
    ]
    (folder / "buildings.geojson").write_text(
        json.dumps(
            {
                "type": "Feature",
                "properties": {"height": "12"},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    )
    table(
        folder / "antennas.csv",
        ["A,36.0015,-78.8980,24", "B,36.0001,-78.8999,30"],
        "PCI,latitude,longitude,height",
    )
    return folder


def test_measurements_take_buildings_and_antennas_along(campus, small_images):
    store = open_store(prepare("radio_measurements/campus", campus))
    outdoor, reached = store["outdoor"].values, store["reached"].values

    assert store["building_height"].values.max() == 12
    # The building is 90 × 111 m in cells of 16 m².
    assert (~outdoor[0]).sum() * 16 == pytest.approx(90.2 * 111, rel=0.03)
    assert not (reached & ~outdoor).any()
    position = store["transmitter_position"].values
    rows, columns = (
        np.searchsorted(-store["y"].values, -position[:, 1]),
        np.searchsorted(store["x"].values, position[:, 0]),
    )
    on_roof = store["building_height"].values[np.arange(len(rows)), rows, columns] > 0
    np.testing.assert_array_equal(on_roof, store["base_station"].values == "A")
    assert set(position[:, 2]) == {24, 30}
    plain = campus / "antennas.csv"
    plain.unlink()
    (campus / "buildings.geojson").unlink()
    without = open_store(prepare("radio_measurements/campus-blocks200", campus))
    assert "building_height" not in without
    assert np.isnan(without["transmitter_position"].values).all()
    assert without.attrs["block_m"] == 200


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["A,36.0015,-78.8980,24"], "PCI,latitude,longitude,height", "no antenna of the base station 'B'"),
        (
            ["A,36.0015,-78.8980"],
            "PCI,latitude,longitude",
            "must have the columns PCI, latitude, longitude, height",
        ),
        (
            ["A,36.1,-78.8980,24"],
            "PCI,latitude,longitude,height",
            "line 2: the antenna is outside of the map",
        ),
        (["A,36.0015,-78.8980,0"], "PCI,latitude,longitude,height", "or not above the ground"),
    ],
)
def test_antennas_with_a_mistake_are_refused(campus, small_images, rows, header, message):
    table(campus / "antennas.csv", rows, header)

    with pytest.raises(InputError, match=message):
        prepare("radio_measurements/campus", campus)


def test_a_folder_needs_one_table(campus, small_images):
    table(campus / "second.csv", ["A,36,-78.9,Pixel,-90"])

    with pytest.raises(InputError, match="holds 2 tables of measurements"):
        prepare("radio_measurements/campus", campus)


# ---- tasks of families ----


def layout(task: Task) -> FieldLayout:
    assert task.field is not None
    return task.field


def test_published_grey_values_are_a_task_of_their_own(seer_folder, urban_folder, small_images):
    prepare("radiomapseer/dpm", seer_folder, processes=1)
    plane = registry.task("radiomapseer/dpm")
    prepare("urbanradio3d/demo", urban_folder[0], processes=1)
    volume = registry.task("urbanradio3d/demo")

    assert (plane.name, plane.dataset, plane.view) == ("radiomapseer-dpm", "radiomapseer-dpm", "field")
    assert layout(plane).target == layout(volume).target == ("grey",)
    assert plane.normalisation == "none"
    assert "ssim_grey" in plane.metrics
    assert volume.view == "volume"
    moved = plane.grids("robustness")[0].disturbance
    assert moved is not None
    assert moved.levels == (1, 3, 6)  # cells of 1 m


def test_areas_of_geo2sigmap_are_a_task_in_decibels(areas, small_images):
    prepare("geo2sigmap/made", areas)
    task = registry.task("geo2sigmap/made")

    assert layout(task).target == ("path_gain",)
    assert layout(task).environment == ("carrier_frequency", "mast_height")
    assert task.normalisation == "zscore"


def test_a_member_that_is_not_prepared_has_no_task(small_images):
    for family in ("radio_scenes", "radiomapseer", "urbanradio3d", "geo2sigmap", "radio_measurements"):
        with pytest.raises(InputError):
            registry.task(f"{family}/mine")


def test_measurements_are_a_task_that_is_told_what_the_folder_knows(campus, small_images, monkeypatch):
    monkeypatch.setattr("tsbench.datasets.radio_maps.family.LEARNED_ON", "radio_maps-tiny-analytic")
    prepare("radio_maps-tiny-analytic", processes=1)
    prepare("radio_measurements/campus", campus)
    task = registry.task("radio_measurements/campus")
    data = TaskData.open(task, "radio_measurements-campus")
    cases = data.test_cases(task.scenario("regular/dataset=radio_measurements-campus"), 1).using(
        "target", "observed"
    )
    batch = cases.gather(torch.arange(len(cases)))

    assert task.dataset == "radio_maps-tiny-analytic"
    assert layout(task).context == ("building_height", "transmitter", "log_distance", "rss")
    assert sorted(set(batch["position"][:, 2].tolist())) == [24, 30]
    assert set(batch["environment"][:, 0].tolist()) == {3640}
    assert not (batch["observed"][:, 3] & batch["valid"][:, 0]).any()
    assert batch["valid"].any()
    table(
        campus / "antennas.csv",
        ["A,36.0015,-78.8980,24,3600", "B,36.0001,-78.8999,30,3690"],
        "PCI,latitude,longitude,height,frequency",
    )
    again = open_store(prepare("radio_measurements/campus", campus, fresh=True))
    assert set(again["carrier_frequency"].values) == {3600, 3690}

    (campus / "buildings.geojson").unlink()
    prepare("radio_measurements/campus", campus, fresh=True)
    unaware = registry.task("radio_measurements/campus")
    assert layout(unaware).context == ("rss",)
    assert not layout(unaware).position
