"""DeepMIMO: folders of both versions read to the same channels, rays summed by hand, and what is refused."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import check_store, open_store
from tsbench.datasets.deepmimo.folder import QUANTITIES, read_folder
from tsbench.datasets.deepmimo.rays import Rays, delay_spread, direction, panel, responses, synchronised

FREQUENCY = 3.5e9
USERS, PATHS = 60, 5
LIGHT = 299_792_458.0


@pytest.fixture(scope="module")
def quantities() -> dict[str, np.ndarray]:
    """Random rays in the units of the format; user 7 has none, others have one to five."""
    random = np.random.default_rng(0)
    shape = (USERS, PATHS)
    made = {
        "power": random.uniform(-140, -90, shape),
        "phase": random.uniform(-180, 180, shape),
        "delay": random.uniform(1e-7, 2e-6, shape),
        "aod_az": random.uniform(-180, 180, shape),
        "aod_el": random.uniform(60, 120, shape),
        "aoa_az": random.uniform(-180, 180, shape),
        "aoa_el": random.uniform(60, 120, shape),
    }
    number = random.integers(1, PATHS + 1, USERS)
    number[7] = 0
    for values in made.values():
        values[np.arange(PATHS) >= number[:, None]] = np.nan
    return made


def write_fourth(folder, quantities, form="mat", pair="t001_tx000_r000"):
    folder.mkdir(parents=True, exist_ok=True)
    sets = {
        "txrx_set_0": {"id": 0, "is_tx": False, "is_rx": True},
        "txrx_set_1": {"id": 1, "is_tx": True, "is_rx": True},
    }
    (folder / "params.json").write_text(
        json.dumps({"rt_params": {"frequency": FREQUENCY}, "txrx_sets": sets})
    )
    for name, values in quantities.items():
        path = folder / f"{name}_{pair}.{form}"
        if form == "mat":
            savemat(path, {name: values.astype(np.float32)})
        elif form == "npz":
            np.savez_compressed(path, **{name: values.astype(np.float32)})
        else:
            np.save(path, values.astype(np.float32))
    return folder


def write_third(folder, quantities):
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "params.mat", {"carrier_freq": FREQUENCY, "transmit_power": 0.0})
    order = ("phase", "delay", "power", "aoa_az", "aoa_el", "aod_az", "aod_el")
    for first, last in ((0, 40), (40, USERS)):
        cells = np.empty((1, last - first), dtype=object)
        for user in range(first, last):
            there = np.isfinite(quantities["power"][user])
            rows = [quantities[name][user][there] for name in order]
            cells[0, user - first] = {"p": np.stack([*rows, np.zeros(there.sum())])}
        savemat(
            folder / f"BS1_UE_{first}-{last}.mat", {"channels": cells, "rx_locs": np.zeros((last - first, 5))}
        )
    return folder


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def folder(tmp_path, quantities):
    return write_fourth(tmp_path / "street", quantities)


def test_both_versions_and_all_forms_give_the_same_rays(tmp_path, quantities):
    folders = [write_fourth(tmp_path / form, quantities, form) for form in ("mat", "npz", "npy")]
    folders.append(write_third(tmp_path / "third", quantities))

    read = [read_folder(files_of(one)) for one in folders]

    for frequency, rays in read:
        assert frequency == FREQUENCY
        assert rays.power.shape == (USERS - 1, PATHS)  # the user without a ray is left out
        for name, values in vars(rays).items():
            np.testing.assert_allclose(values, getattr(read[0][1], name), rtol=1e-4, atol=1e-6)


def test_rays_have_the_units_of_formulas(quantities, folder):
    _, rays = read_folder(files_of(folder))

    user, path = 3, 0
    known = {name: float(quantities[name][user, path]) for name in QUANTITIES}
    strongest = np.nanmax(quantities["power"][user])
    assert rays.power[user, path] == pytest.approx(10 ** ((known["power"] - strongest) / 10), rel=1e-4)
    assert rays.phase[user, path] == pytest.approx(np.pi * known["phase"] / 180, rel=1e-4)
    assert rays.delay[user, path] == pytest.approx(known["delay"], rel=1e-4)
    np.testing.assert_allclose(np.linalg.norm(rays.arrival, axis=-1)[rays.power > 0], 1, rtol=1e-6)


def test_angles_are_azimuth_from_x_and_zenith_from_z():
    np.testing.assert_allclose(direction(np.array(0), np.array(90)), [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(direction(np.array(90), np.array(90)), [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(direction(np.array(17), np.array(0)), [0, 0, 1], atol=1e-12)


def one_ray(phase=0.3, delay=2e-7, departure=(1, 0, 0), arrival=(1, 0, 0)) -> Rays:
    return Rays(
        np.array([[4.0]]),
        np.array([[phase]]),
        np.array([[delay]]),
        np.array([[departure]], dtype=float),
        np.array([[arrival]], dtype=float),
    )


def test_one_ray_is_the_formula_written_out():
    times, frequencies, wavelength = np.array([0.0, 0.01]), np.array([-1e6, 0.0, 2e6]), 0.1
    velocity, antennas = np.array([[3.0, 4.0, 0.0]]), panel(2, 2)
    ray = one_ray(departure=(0.0, 0.6, 0.8))

    found = responses(ray, antennas, velocity, times, frequencies, wavelength)

    shift = 3.0 / wavelength  # towards +x, where the ray comes from
    for antenna, (y, z) in enumerate([(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)]):
        for step, time in enumerate(times):
            for place, frequency in enumerate(frequencies):
                angle = 0.3 + 2 * np.pi * (0.6 * y + 0.8 * z + shift * time - frequency * 2e-7)
                assert found[0, antenna, step, place] == pytest.approx(2 * np.exp(1j * angle), rel=1e-9)


def test_channels_are_additive_in_rays_and_power_is_that_of_one_ray():
    a, b = one_ray(), one_ray(phase=-1.0, delay=5e-7, departure=(0, 1, 0), arrival=(0, -1, 0))
    both = Rays(
        *(np.concatenate([x, y], axis=1) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))
    )
    asked = (panel(2, 4), np.array([[10.0, 5.0, 0.0]]), np.arange(4) * 2e-3, np.linspace(-1e7, 1e7, 9), 0.1)

    np.testing.assert_allclose(
        responses(both, *asked), responses(a, *asked) + responses(b, *asked), atol=1e-12
    )
    np.testing.assert_allclose(abs(responses(a, *asked)), 2.0)


def test_a_user_that_moves_across_the_ray_has_no_doppler_shift():
    still = responses(
        one_ray(), panel(1, 1), np.array([[0.0, 30.0, 0.0]]), np.arange(5) * 1e-3, np.zeros(1), 0.1
    )

    np.testing.assert_allclose(still, still[:, :, :1].repeat(5, axis=2))


def test_delays_count_from_the_first_ray_and_have_the_known_spread():
    rays = Rays(*(np.repeat(one, 3, axis=1) for one in vars(one_ray()).values()))
    rays = Rays(
        np.array([[1.0, 1.0, 0.0]]), rays.phase, np.array([[3e-7, 1e-7, 0.0]]), rays.departure, rays.arrival
    )

    found = synchronised(rays)

    np.testing.assert_allclose(found.delay, [[2e-7, 0, 0]])
    assert delay_spread(found) == pytest.approx(1e-7)
    assert delay_spread(rays) == pytest.approx(1e-7)


@pytest.fixture
def prepared(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    return prepare("deepmimo/street", folder, tell=lambda line: None)


def test_a_folder_becomes_a_store_and_a_task_in_the_form_of_csi_rrg(prepared):
    opened = open_store(prepared)

    assert dict(opened.sizes) == {"sample": 59, "antenna": 8, "time": 16, "subcarrier": 75, "lead_time": 4}
    assert set(opened["split"].values) == {"train", "validation", "test-regular"}
    assert set(opened["speed"].values) <= {1.0, 10.0, 30.0}
    assert opened.attrs["carrier_frequency_hz"] == FREQUENCY
    power = sum((abs(opened[name].values) ** 2).mean() for name in ("history_uplink", "target_downlink")) / 2
    assert power == pytest.approx(1, rel=0.1)
    check_store(prepared)
    for name, target in (("deepmimo-street", "target_uplink"), ("deepmimo-street-fdd", "target_downlink")):
        task = registry.task(name)
        assert task.samples.target == target
        assert task.dataset == "deepmimo-street"


def test_a_model_runs_on_it(prepared, tsbench_run):
    (outcome,) = tsbench_run("last_value", "deepmimo-street", context=16)

    assert outcome.result.scores["nmse"]["regular"] > 0
    assert outcome.result.scores["beam_gain"]["regular"] < 0


@pytest.fixture
def tsbench_run():
    from tsbench.jobs.job import Options
    from tsbench.jobs.run import Conduct, run

    return lambda model, task, context: run(
        model, task, options=Options(context=context), conduct=Conduct(track=False)
    )


def test_the_same_folder_gives_the_same_data_and_another_name_other_velocities(prepared, folder):
    first = open_store(prepared)["history_uplink"].values
    again = open_store(prepare("deepmimo/street", folder, fresh=True, tell=lambda line: None))
    other = open_store(prepare("deepmimo/lane", folder, tell=lambda line: None))

    np.testing.assert_array_equal(again["history_uplink"].values, first)
    assert not np.allclose(other["history_uplink"].values, first)


def refused(folder, match):
    with pytest.raises(InputError, match=match) as caught:
        read_folder(files_of(folder))
    assert "\n" not in str(caught.value)


def test_a_folder_without_or_with_several_scenarios_is_refused(tmp_path, folder, quantities):
    (tmp_path / "empty").mkdir()
    refused(
        tmp_path / "empty", "no params.json or params.mat among the files; give the folder of one scenario"
    )
    write_fourth(tmp_path / "street" / "scene_2", quantities)
    refused(folder, "2 files of parameters among the files")


def test_a_missing_or_damaged_matrix_is_named(folder):
    path = folder / "aoa_el_t001_tx000_r000.mat"
    path.write_bytes(path.read_bytes()[:200])
    refused(folder, "aoa_el_t001_tx000_r000.mat is no whole MATLAB file")
    path.unlink()
    refused(folder, "street holds no aoa_el_t001_tx000_r000.mat")
    for one in folder.glob("power_*"):
        one.unlink()
    refused(folder, "holds no matrix like power_t001_tx000_r000.mat")


def test_pickles_are_not_opened(tmp_path, quantities):
    folder = write_fourth(tmp_path / "street", quantities, "npy")
    np.save(folder / "delay_t001_tx000_r000.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)

    refused(folder, "delay_t001_tx000_r000.npy is no whole file of numbers")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("delay", lambda one: one[:-1], r"have the shapes .* not one shape \(receiver, path\)"),
        ("delay", lambda one: -one, "path 0 of user 0 has a delay below 0"),
        ("phase", lambda one: np.full_like(one, np.nan), "path 0 of user 0 has a power, but not every other"),
        ("power", lambda one: np.full_like(one, np.nan), "no user has a path"),
    ],
)
def test_matrices_that_cannot_be_are_refused(tmp_path, quantities, name, change, message):
    changed = quantities | {name: change(quantities[name])}

    refused(write_fourth(tmp_path / "street", changed), message)


@pytest.mark.parametrize(
    "text", ['{"rt_params": {}}', '{"rt_params": {"frequency": "high"}, "txrx_sets": {}}', "[]"]
)
def test_parameters_that_say_too_little_are_refused(folder, text):
    (folder / "params.json").write_text(text)

    refused(folder, "params.json must hold rt_params.frequency and txrx_sets")


def test_a_frequency_of_zero_is_refused(folder):
    held = json.loads((folder / "params.json").read_text())
    (folder / "params.json").write_text(json.dumps(held | {"rt_params": {"frequency": 0}}))

    refused(folder, "carrier frequency is 0.0; it must be above 0 Hz")


def test_users_of_the_third_version_that_are_no_matrices_are_refused(tmp_path, quantities):
    folder = write_third(tmp_path / "street", quantities)
    savemat(folder / "BS1_UE_0-40.mat", {"channels": np.zeros((2, 2))})
    refused(folder, "'channels' is no cell array of one matrix for each user")
    savemat(folder / "BS1_UE_0-40.mat", {"other": np.zeros((2, 2))})
    refused(folder, "holds neither 'channels' nor 'channels_VV'")
    for one in folder.glob("BS1_*"):
        one.unlink()
    refused(folder, "holds no file like BS1_UE_0-1024.mat")


def test_too_few_users_are_refused(tmp_path, quantities, monkeypatch):
    folder = write_fourth(tmp_path / "street", {name: one[:10] for name, one in quantities.items()})
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    with pytest.raises(InputError, match="'deepmimo-street' has 9 users with a path; at least 20 are needed"):
        prepare("deepmimo/street", folder, tell=lambda line: None)
