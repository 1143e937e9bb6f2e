"""Other channel models than those of CSI-RRG: their store, their laws, and tasks that are tested on them."""

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.sample_data import SampleData
from tsbench.data.store import check_store, open_lazily
from tsbench.datasets.csi_channels import channel
from tsbench.datasets.csi_channels.adapter import cells, link_of
from tsbench.datasets.csi_rrg.grid import Array, Cell, Link

LIGHT = 299792458.0
SMALL = Link(Array(2, 2), every=4)
TASKS = [f"csi-rrg-{mode}-{size}-channels" for mode in ("tdd", "fdd") for size in ("small", "tiny")]


def parameters(size: str) -> dict:
    return registry.dataset(f"csi_channels-{size}").variant.parameters


def drawn(model="TDL-A", delay_spread=100, speed=10, samples=10, seed=0, correlation=0.3):
    cell = Cell("test-generalisation", model, delay_spread, speed)
    return channel.draw_cell(SMALL, cell, samples, correlation, seed)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The store of csi_channels-tiny, made once in this process."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSBENCH_DATA", str(folder))
        return prepare("csi_channels-tiny", processes=1, tell=lambda line: None)


def test_the_store_is_that_of_csi_rrg_with_a_test_part_alone(tiny):
    opened = open_lazily(tiny)

    assert dict(opened.sizes) == {"sample": 32, "antenna": 8, "time": 16, "subcarrier": 75, "lead_time": 4}
    assert set(opened["split"].values) == {"test-generalisation"}
    models = opened["channel_model"].values.tolist()
    assert list(dict.fromkeys(models)) == ["TDL-A", "TDL-D", "UMi", "UMa"]
    assert set(opened["speed"].values) == {10.0}
    assert opened.attrs["snapshot_interval_s"] == pytest.approx(2.352e-3)
    check_store(tiny)


def test_an_urban_delay_spread_is_that_of_the_drop(tiny):
    opened = open_lazily(tiny)
    by_model = {
        name: opened["delay_spread"].values[opened["channel_model"].values == name]
        for name in ("TDL-A", "UMi", "UMa")
    }
    assert set(by_model["TDL-A"]) == {100.0}
    for name in ("UMi", "UMa"):
        # TR 38.901, table 7.5-6: medians of some 60 to 400 ns at 2.4 GHz, from drop to drop.
        assert len(set(by_model[name])) == 8
        assert ((by_model[name] > 1) & (by_model[name] < 5000)).all()


@pytest.mark.parametrize("model", ["TDL-A", "TDL-E", "UMi", "UMa"])
def test_samples_have_unit_power_a_bounded_doppler_shift_and_a_seed(model):
    delay_spread = 100 if model.startswith("TDL") else 0
    speed = 10
    values, _ = drawn(model, delay_spread, speed)

    assert values.dtype == np.complex64
    assert values.shape == (10, 8, 20, 150)
    assert (abs(values) ** 2).mean() == pytest.approx(1, rel=0.1)
    spectrum = abs(np.fft.fft(values * np.hanning(20)[:, None], 256, axis=2)) ** 2
    frequency = np.fft.fftfreq(256, SMALL.interval)
    beyond = abs(frequency) > speed * SMALL.carrier / LIGHT + 2.5 / (20 * SMALL.interval)
    assert spectrum[:, :, beyond].sum() / spectrum.sum() < 0.01
    np.testing.assert_array_equal(values, drawn(model, delay_spread, speed)[0])
    assert not np.allclose(values, drawn(model, delay_spread, speed, seed=1)[0])


@pytest.mark.parametrize("model", ["TDL-B", "UMi"])
def test_a_standing_terminal_has_a_static_channel(model):
    still, _ = drawn(model, 100 if model == "TDL-B" else 0, speed=0, samples=3)

    np.testing.assert_allclose(still, np.broadcast_to(still[:, :, :1], still.shape), atol=1e-5)


def test_the_delay_spread_of_a_tapped_delay_line_is_the_one_that_is_asked_for():
    for spread in (30, 300):
        _, found = drawn("TDL-C", spread, samples=200)
        power_weighted = np.sqrt((found**2).mean())
        assert power_weighted == pytest.approx(spread * 1e-9, rel=0.2)


def test_antennas_of_a_tapped_delay_line_are_correlated_as_declared():
    wanted = channel.antenna_correlation(SMALL.array, 0.3)
    # Near the carrier at one instant each: the antennas of many samples.
    values, _ = drawn("TDL-A", 300, samples=400)
    flat = values[:, :, 0, ::15].transpose(1, 0, 2).reshape(8, -1)

    found = np.corrcoef(flat)

    np.testing.assert_allclose(found, wanted.numpy(), atol=0.12)
    assert wanted[0, 3].real == pytest.approx(0.3)
    assert wanted[0, 4] == 0  # the other polarisation at the same place
    assert torch.linalg.eigvalsh(wanted).min() > 0


def test_drawing_leaves_the_generators_of_sionna_and_torch_alone():
    from sionna.phy import config

    torch.manual_seed(3)
    before = torch.get_rng_state(), config.torch_rng("cpu").get_state()
    for model, spread in (("TDL-A", 100), ("UMa", 0)):
        drawn(model, spread, samples=1)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.equal(config.torch_rng("cpu").get_state(), before[1])


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match="has one size, full"):
        prepare("csi_channels-tiny", size="small", processes=1)


@pytest.mark.parametrize("name", TASKS)
def test_every_scenario_is_a_cell_of_its_store(name):
    task = registry.task(name)
    size = name.split("-")[3]
    unseen = [one for one in task.scenarios() if one.condition == "generalisation"]
    stored = {(cell.model, cell.delay_spread, cell.speed) for cell in cells(parameters(size))}
    asked = {
        (one.cell["channel_model"], one.cell.get("delay_spread", 0), one.cell["speed"]) for one in unseen
    }

    assert {one.dataset for one in unseen} == {f"csi_channels-{size}"}
    assert asked == stored
    assert len(unseen) == 6 * len(stored)


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_link_is_that_of_the_data_that_models_are_trained_on(size):
    from tsbench.datasets.csi_rrg.grid import Profile

    trained = Profile.of_parameters(registry.dataset(f"csi_rrg-{size}").variant.parameters)

    assert link_of(parameters(size)) == trained.link


def test_a_store_without_a_training_part_has_the_scale_of_the_task_s_own(
    open_responses, responses, response_task, monkeypatch
):
    whole = responses()
    own = open_responses(whole)
    unseen = (whole * 5).isel(sample=np.flatnonzero(whole["split"].values == "test-unseen"))
    monkeypatch.setattr(SampleData, "open", classmethod(lambda cls, task, dataset=None: own))

    other = SampleData.of(response_task(), "elsewhere", unseen, own.provenance)

    assert torch.equal(other.scale.shift, own.scale.shift)
    assert torch.equal(other.scale.factor, own.scale.factor)
