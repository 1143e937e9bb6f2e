"""Batches of maps: channels, masks, samples, symmetries and normalisation, as contracts/field.py says."""

import numpy as np
import pytest
import torch

from tsbench.contracts import NO_SIGNAL, InputError

ALL = ("target", "observed", "position", "environment")


def everything(cases):
    return torch.arange(len(cases))


def test_channels_come_in_the_order_of_the_task_and_are_normalised_by_the_training_part(open_maps):
    data = open_maps()
    cases = data.windows("train", 1).using(*ALL)
    batch = cases.gather(everything(cases))
    store = data.opened.isel(sample=slice(0, 4))

    assert batch.dimensions("context") == ("sample", "channel", "y", "x")
    height = store["building_height"].values
    assert np.allclose(batch["context"][:, 0], (height - height.mean()) / height.std(), atol=1e-5)
    known = store["path_gain"].values[store["reached"].values]
    assert np.allclose(batch["target"][batch["valid"]], (known - known.mean()) / known.std(), atol=1e-4)
    units = cases.to_metric_space(batch["target"], everything(cases))
    assert np.allclose(units[batch["valid"]], known, atol=1e-4)


def test_normalisation_does_not_see_other_parts(open_maps, made_maps):
    changed = made_maps()
    changed["path_gain"].values[4:] -= 50
    changed["building_height"].values[4:] *= 3

    assert open_maps(changed).scale.scales == open_maps().scale.scales


def test_the_transmitter_is_in_its_cell_and_distances_are_those_from_it(open_maps):
    data = open_maps(normalisation="none")
    cases = data.windows("train", 1)
    batch = cases.gather(everything(cases))
    position = data.opened["transmitter_position"].values[:4]
    x, y = data.opened["x"].values, data.opened["y"].values

    for plane, distance, (east, north, up) in zip(
        batch["context"][:, 1].numpy(), batch["context"][:, 2].numpy(), position, strict=True
    ):
        row, column = np.abs(y - north).argmin(), np.abs(x - east).argmin()
        assert plane[row, column] == up == plane.sum()
        squared = (x[None] - east) ** 2 + (y[:, None] - north) ** 2 + (1.5 - up) ** 2
        assert np.allclose(10**distance, np.sqrt(squared), rtol=1e-5)


def test_what_is_learned_is_outdoors_and_reached_and_the_truth_says_what_is_neither(open_maps):
    data = open_maps()
    cases = data.windows("test", 1).using("target")
    index = everything(cases)
    truth, scored = cases.gather_truth(index)
    store = data.opened.isel(sample=cases.rows.numpy())

    assert np.array_equal(cases.gather(index)["valid"][:, 0], store["reached"].values)
    assert np.array_equal(truth[:, 0].isnan(), ~store["outdoor"].values)
    assert np.array_equal(scored[:, 0], store["outdoor"].values)
    unreached = store["outdoor"].values & ~store["reached"].values
    assert (truth[:, 0][unreached] == NO_SIGNAL).all()


def test_a_volume_repeats_planes_over_its_heights_and_knows_what_is_occupied(open_maps, made_maps):
    layout = {"view": "volume", "context": ["building_height", "occupied", "transmitter"]}
    data = open_maps(made_maps(volume=True), layout, normalisation="none")
    cases = data.windows("test", 1)
    context = cases.gather(everything(cases))["context"]
    store = data.opened.isel(sample=cases.rows.numpy())

    assert context.shape == (2, 3, 2, 12, 12)
    assert torch.equal(context[:, 0, 0], context[:, 0, 1])
    assert np.array_equal(context[:, 1].bool(), ~store["outdoor"].values)
    assert data.shape(1).sizes == {"z": 2, "y": 12, "x": 12}
    assert data.shape(1).heights == (1.5, 9.5)


def test_directions_are_vectors_of_length_one_that_point_at_the_transmitter(open_maps, made_maps):
    names = ["arrival_east", "arrival_north", "arrival_up"]
    data = open_maps(made_maps(volume=True), {"view": "volume", "target": names})
    cases = data.windows("test", 1)
    truth, scored = cases.gather_truth(everything(cases))
    known = truth.movedim(1, -1)[scored.all(dim=1)]

    assert known.norm(dim=-1).numpy() == pytest.approx(1, abs=1e-6)
    x, y = (torch.from_numpy(data.opened[one].values) for one in ("x", "y"))
    z = torch.tensor([1.5, 9.5])
    place = torch.from_numpy(data.opened["transmitter_position"].values[cases.rows.numpy()]).double()
    east, north, up = (one.reshape(-1, 1, 1, 1) for one in place.unbind(1))
    towards = torch.stack(
        torch.broadcast_tensors(east - x, north - y[:, None], up - z[:, None, None]), dim=-1
    )
    expected = (towards / towards.norm(dim=-1, keepdim=True))[scored.all(dim=1)]
    assert torch.allclose(known, expected, atol=1e-5)


def test_a_test_case_has_its_samples_and_they_are_not_scored(open_maps, sparse):
    data = open_maps(layout=sparse)
    cases = data.windows("test", 1).using(*ALL)
    index = everything(cases)
    batch = cases.gather(index)
    truth, scored = cases.gather_truth(index)
    given = batch["observed"][:, 3]
    values = data.scale.to_units(batch["context"])[:, 3]

    assert given.flatten(1).sum(1).tolist() == [20, 20]
    assert batch["observed"][:, :3].all()
    assert torch.allclose(values[~given], torch.tensor(NO_SIGNAL), atol=1e-3)
    assert not (scored[:, 0] & given).any()
    assert torch.equal(batch["valid"][:, 0], scored[:, 0] & (truth[:, 0] > NO_SIGNAL))
    errors = values[given].double() - truth[:, 0][given]
    assert 2 < errors.std() < 4.5
    assert errors.abs().max() < 15


def test_samples_of_a_case_depend_neither_on_the_batch_nor_on_the_scenario(open_maps, sparse):
    data = open_maps(layout=sparse)
    cases = data.windows("test", 1)
    whole, alone = cases.gather(torch.tensor([0, 1])), cases.gather(torch.tensor([1]))

    assert torch.equal(whole["context"][1:], alone["context"])
    scenario = data.task.scenario("regular")
    assert torch.equal(data.test_cases(scenario, 1).gather(torch.tensor([1]))["context"], alone["context"])
    other = open_maps(layout=sparse, name="other-maps").windows("test", 1).gather(torch.tensor([1]))
    assert not torch.equal(other["context"], alone["context"])


def test_training_draws_other_samples_in_each_epoch_and_for_each_seed(open_maps, sparse):
    cases = open_maps(layout=sparse).windows("train", 1).using(*ALL)
    index = everything(cases)

    def given(one):
        return one.gather(index)["observed"][:, 3]

    first, again = cases.drawn(1).at_epoch(0), cases.drawn(1).at_epoch(0)
    assert torch.equal(given(first), given(again))
    assert not torch.equal(given(first), given(first.at_epoch(1)))
    assert not torch.equal(given(first), given(cases.drawn(2).at_epoch(0)))
    counts = torch.cat([given(first.at_epoch(epoch)).flatten(1).sum(1) for epoch in range(30)])
    assert counts.min() == 3
    assert counts.max() == 9


def test_at_most_half_of_the_cells_are_given(open_maps, sparse):
    greedy = sparse | {"sparse": {"array": "rss", "count": 144, "noise": 0}}
    cases = open_maps(layout=greedy).windows("test", 1).using("observed", "target")
    batch = cases.gather(everything(cases))
    given, left = batch["observed"][:, 3].flatten(1).sum(1), batch["valid"].flatten(1).sum(1)

    assert ((given == left) | (given == left - 1)).all()


def test_symmetries_turn_everything_that_has_a_direction(open_maps, made_maps):  # radiodiff_3d, must show 5
    names = ["arrival_east", "arrival_north", "arrival_up"]
    layout = {"view": "volume", "target": names, "turned": True, "environment": ["transmitter_azimuth"]}
    data = open_maps(made_maps(volume=True), layout, normalisation="none")
    cases = data.windows("train", 1).using(*ALL).drawn(0)
    x, y, z = (torch.from_numpy(np.atleast_1d(data.opened[one].values)) for one in ("x", "y", "z"))
    positions = set()
    for epoch in range(20):
        batch = cases.at_epoch(epoch).gather(everything(cases))
        east, north, up = (one.reshape(-1, 1, 1, 1).double() for one in batch["position"].unbind(1))
        towards = torch.stack(
            torch.broadcast_tensors(east - x, north - y[:, None], up - z[:, None, None]), dim=1
        )
        expected = towards / towards.norm(dim=1, keepdim=True)
        assert torch.allclose(
            torch.where(batch["valid"], expected - batch["target"], 0.0).max(),
            torch.zeros(()).double(),
            atol=1e-5,
        )
        assert torch.allclose(10 ** batch["context"][:, 2].double(), towards.norm(dim=1), rtol=1e-5)
        positions.add(tuple(batch["position"][0, :2].tolist()))
    assert len(positions) == 8


def test_a_sector_turns_with_its_map(open_maps):
    layout = {"turned": True, "environment": ["transmitter_azimuth"]}
    data = open_maps(layout=layout)
    cases = data.windows("train", 1).drawn(0)
    before = data.opened["transmitter_azimuth"].values[:4]
    place = data.opened["transmitter_position"].values[:4].astype(float)
    aim = np.radians(before)
    ahead = place[:, :2] + np.stack([np.cos(aim), np.sin(aim)], axis=1)
    for epoch in range(10):
        batch = cases.at_epoch(epoch).gather(everything(cases))
        now, turned = (
            batch["position"][:, :2].double().numpy(),
            np.radians(batch["environment"][:, 0].double()),
        )
        # The angle between the sector and the way to the centre stays what it was, up to a mirror.
        first = np.cross(ahead - place[:, :2], -place[:, :2]), ((ahead - place[:, :2]) * -place[:, :2]).sum(1)
        vector = np.stack([np.cos(turned), np.sin(turned)], axis=1)
        second = np.cross(vector, -now), (vector * -now).sum(1)
        assert np.allclose(np.abs(first[0]), np.abs(second[0]), atol=1e-3)
        assert np.allclose(first[1], second[1], atol=1e-3)


def test_training_without_draws_sees_the_maps_as_they_are(open_maps):
    cases = open_maps().windows("train", 1)

    assert not cases.seeded
    assert cases.drawn(3) is cases


def test_given_are_the_measured_cells_that_are_not_held_out(open_maps, made_maps, monkeypatch):
    layout = {
        "context": ["rss"],
        "target": ["rss"],
        "sparse": {"array": "rss", "count": 5, "noise": 3},
        "position": False,
    }
    measured = made_maps()[["rss", "reached", "transmitter_position"]]
    held = measured["reached"].values & (np.arange(12) < 4)
    measured["held_out"] = (("sample", "y", "x"), held)
    measured["transmitter_position"].values[:] = np.nan
    cases = open_maps(measured, layout).windows("test", 1).using("observed", "target")
    batch = cases.gather(everything(cases))
    truth, scored = cases.gather_truth(everything(cases))
    rows = cases.rows.numpy()

    assert np.array_equal(batch["observed"][:, 0], (measured["reached"].values & ~held)[rows])
    assert np.array_equal(scored[:, 0], held[rows])
    assert np.array_equal(truth[:, 0].isnan(), ~measured["reached"].values[rows])
    assert "position" not in batch


@pytest.mark.parametrize(
    ("layout", "changes", "message"),
    [
        ({"target": ["gain"]}, {}, "no array 'gain', which maps@1 needs; it has path_gain"),
        ({"context": ["roof"]}, {}, "no array 'roof'"),
        ({"view": "volume"}, {}, "holds planes, and maps@1 reads volumes"),
        ({"environment": ["tilt"]}, {}, "no coordinate 'tilt'"),
        ({"environment": ["style"]}, {}, "'style' of 'user-maps' is .*, not numbers"),
        ({}, {"space": "normalised"}, "scored in `space: units`"),
        ({}, {"horizon": 2}, "horizon, period and max_context of a task on maps are 1"),
        ({}, {"normalisation": "zscore_parts"}, "`none` or `zscore`"),
        ({}, {"split": {"kind": "labels", "test": "x", "train": "y"}}, "no sample with split = y"),
    ],
)
def test_a_store_that_does_not_fit_the_task_is_refused(open_maps, layout, changes, message):
    with pytest.raises(InputError, match=message):
        open_maps(None, layout, **changes)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"sparse": {"array": "rss", "count": 3}}, "which is no channel of `context`"),
        ({"position": False}, "say the position, which `position` hides"),
        ({"context": ["path_gain"]}, "holds the target"),
        ({"context": ["building_height", "building_height"]}, "names an array twice"),
        ({"sparse": {"array": "rss", "count": 3, "least": 9, "most": 2}}, "`least` is 9"),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(map_task, layout, message):
    with pytest.raises(ValueError, match=message):
        map_task(layout)


def test_an_unknown_position_is_refused_where_it_is_needed(open_maps, made_maps):
    store = made_maps()
    store["transmitter_position"].values[7] = np.nan

    with pytest.raises(InputError, match="where the transmitter of sample 7 is"):
        open_maps(store)


def test_a_position_that_the_task_hides_is_not_told(open_maps, sparse):
    layout = sparse | {"context": ["rss"], "position": False}
    cases = open_maps(layout=layout).windows("test", 1)

    assert "position" not in cases.gather(torch.tensor([0]))
    with pytest.raises(InputError, match="does not say where the transmitter is"):
        cases.using("position")


def test_maps_that_are_turned_are_square(open_maps, made_maps):
    with pytest.raises(InputError, match="turned, and those of 'user-maps' have 12 × 8 cells"):
        open_maps(made_maps().isel(x=slice(0, 8)), {"turned": True})


def test_nan_in_a_context_is_refused(open_maps, made_maps):
    store = made_maps()
    store["building_height"].values[2, 3, 3] = np.nan

    with pytest.raises(InputError, match="cannot be normalised: .* of 'building_height'"):
        open_maps(store)


def test_a_table_is_no_store_of_maps(open_maps, made_maps):
    with pytest.raises(InputError, match="is no store of maps"):
        open_maps(made_maps().drop_vars("transmitter_position"))


def test_clusters_are_the_scenes_of_the_cases(open_maps):
    data = open_maps()

    assert data.cluster(data.task.scenario("regular")) == ["scene3", "scene3"]
    assert open_maps(cluster="dataset").cluster(data.task.scenario("regular")) == "user-maps"


def test_rows_from_disk_equal_rows_in_memory(open_maps, made_maps, sparse, monkeypatch):
    from tsbench.data.field import data as module

    store = made_maps()
    for name in store.data_vars:
        store[name].encoding["chunks"] = (3, 12, 12)
    expected = open_maps(store, sparse).windows("train", 1)
    monkeypatch.setattr(module, "MEMORY_LIMIT", 10)
    read = open_maps(store, sparse).windows("train", 1)
    index = torch.tensor([3, 0, 2])

    assert torch.equal(read.gather(index)["context"], expected.gather(index)["context"])
    order = read.order(torch.Generator().manual_seed(0))
    assert order.sort().values.tolist() == [0, 1, 2, 3]
