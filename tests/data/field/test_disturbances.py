"""Disturbances of maps: what changes, by how much, and what stays."""

import numpy as np
import pytest
import torch

from tsbench.contracts import NO_SIGNAL, InputError
from tsbench.data.disturbances import case_generators, disturb
from tsbench.data.field.disturbances import DISTURBANCES, missing_buildings


def grid(name, parameter, levels):
    return {"robustness": [{"disturbance": {"name": name, "parameter": parameter, "levels": levels}}]}


def disturbed(data, batch, level=None):
    """The batch and what the task's robustness scenarios make of it, level by level."""
    scenarios = [one for one in data.task.scenarios() if one.condition == "robustness"]
    return [disturb(batch, one, data.task.id, data.scale) for one in scenarios]


def conditions(name, parameter, levels):
    return {"conditions": grid(name, parameter, levels) | {"generalisation": {"not_applicable": "none"}}}


def whole(data):
    cases = data.windows("test", 1).using("observed", "target", "position")
    return cases.gather(torch.arange(len(cases)))


def test_fewer_samples_keep_some_of_those_that_were_given(open_maps, sparse):
    data = open_maps(layout=sparse, **conditions("fewer_samples", "samples", [30, 20, 7, 0]))
    batch = whole(data)
    before = batch["observed"][:, 3]

    for after, kept in zip(disturbed(data, batch), (20, 20, 7, 0), strict=True):
        given = after["observed"][:, 3]
        assert given.flatten(1).sum(1).tolist() == [kept, kept]
        assert not (given & ~before).any()
        assert torch.allclose(after["context"][:, 3][given], batch["context"][:, 3][given], atol=1e-4)
        values = data.scale.to_units(after["context"])[:, 3]
        assert torch.allclose(values[~given], torch.tensor(NO_SIGNAL), atol=1e-3)
        assert torch.allclose(after["context"][:, :3], batch["context"][:, :3], atol=1e-5)


def test_noisier_samples_move_by_the_level_and_nothing_else_does(open_maps, sparse):
    many = sparse | {"sparse": sparse["sparse"] | {"count": 60}}
    data = open_maps(layout=many, **conditions("noisier_samples", "decibels", [5, 10]))
    batch = whole(data)
    given = batch["observed"][:, 3]

    for after, level in zip(disturbed(data, batch), (5, 10), strict=True):
        moved = data.scale.to_units(after["context"]) - data.scale.to_units(batch["context"])
        assert torch.equal(after["observed"], batch["observed"])
        assert moved[:, 3][~given].abs().max() < 1e-3
        assert moved[:, 3][given].std().item() == pytest.approx(level, rel=0.35)
        assert moved[:, :3].abs().max() < 1e-3


def test_a_position_is_wrong_by_the_level_in_all_that_says_it(open_maps):
    data = open_maps(**conditions("position_error", "metres", [8, 24]))
    batch = whole(data)

    for after, level in zip(disturbed(data, batch), (8, 24), strict=True):
        shift = after["position"] - batch["position"]
        assert shift[:, :2].norm(dim=1).numpy() == pytest.approx(level, rel=1e-4)
        assert (shift[:, 2] == 0).all()
        values = data.scale.to_units(after["context"])
        x, y = (torch.from_numpy(data.opened[one].values) for one in ("x", "y"))
        east, north, up = (one.reshape(-1, 1, 1).double() for one in after["position"].unbind(1))
        distance = ((x - east) ** 2 + (y[:, None] - north) ** 2 + (1.5 - up) ** 2).sqrt()
        assert torch.allclose(10 ** values[:, 2].double(), distance, rtol=1e-4)
        assert (values[:, 1] > 1).flatten(1).sum(1).tolist() == [1, 1]
        assert torch.allclose(values[:, 0], data.scale.to_units(batch["context"])[:, 0], atol=1e-4)


def test_buildings_are_missing_whole(open_maps, made_maps):
    store = made_maps()
    plane = np.zeros((12, 12), np.float32)
    plane[1:3, 1:3], plane[1:3, 3:5], plane[8:11, 8:11], plane[5, 5] = 9, 12, 9, 12
    store["building_height"].values[:] = plane
    data = open_maps(store, **conditions("missing_buildings", "fraction", [0, 0.5, 1]))
    batch = whole(data)
    buildings = [plane == 12, plane == 9]
    patches = [(buildings[0] * (np.arange(12) != 5), 4), (buildings[1] * (np.arange(12) < 7), 4)]

    none, half, all_ = (data.scale.to_units(one["context"])[:, 0].numpy() for one in disturbed(data, batch))
    assert np.allclose(none, plane, atol=1e-4)
    assert np.allclose(all_, 0, atol=1e-4)
    for one in half:
        for mask, cells in patches:
            kept = np.isclose(one[mask], plane[mask], atol=1e-4).sum()
            assert kept in (0, cells)


def test_each_building_is_missing_with_the_probability_of_the_level(open_maps, made_maps):
    store = made_maps()
    plane = np.zeros((12, 12), np.float32)
    plane[::2, ::2] = 7  # 36 buildings of one cell
    store["building_height"].values[:] = plane
    data = open_maps(store, normalisation="none")
    batch = whole(data)
    lost = 0
    for number in range(40):
        generators = case_generators(str(number), "", batch["index"])
        after = missing_buildings(batch, generators, 0.25, {}, data.scale)
        lost += int((after["context"][:, 0] != batch["context"][:, 0]).sum())

    assert lost / (40 * 2 * 36) == pytest.approx(0.25, abs=0.04)


def test_a_missing_building_leaves_its_cells_free_in_a_volume(open_maps, made_maps):
    layout = {"view": "volume", "context": ["building_height", "occupied"]}
    data = open_maps(
        made_maps(volume=True), layout, normalisation="none", **conditions("missing_buildings", "share", [1])
    )
    (after,) = disturbed(data, whole(data))

    assert (after["context"] == 0).all()


def test_a_case_is_disturbed_alike_in_every_batch(open_maps, sparse):
    data = open_maps(layout=sparse, **conditions("fewer_samples", "samples", [5]))
    cases = data.windows("test", 1)
    (together,) = disturbed(data, cases.gather(torch.tensor([0, 1])))
    (alone,) = disturbed(data, cases.gather(torch.tensor([1])))

    assert torch.equal(together["context"][1:], alone["context"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fewer_samples", "holds no sparse samples"),
        ("noisier_samples", "holds no sparse samples"),
        ("position_error", "needs a task that says where the transmitter is"),
        ("missing_buildings", "needs the channel building_height"),
    ],
)
def test_a_disturbance_of_what_the_task_does_not_tell_is_refused(open_maps, made_maps, name, message):
    data = open_maps(layout={"context": ["occupied"], "position": False})
    batch = whole_without_position(data)

    with pytest.raises(InputError, match=message):
        DISTURBANCES[name](batch, case_generators("a", "", batch["index"]), 1, {}, data.scale)


def whole_without_position(data):
    return data.windows("test", 1).gather(torch.arange(2))


def test_maps_are_not_disturbed_in_model_space(open_maps):
    wrong = {"name": "position_error", "parameter": "metres", "levels": [8], "space": "normalised"}
    nowhere = {"not_applicable": "none"}
    data = open_maps(conditions={"robustness": [{"disturbance": wrong}], "generalisation": nowhere})

    with pytest.raises(InputError, match="work in `space: units`"):
        disturbed(data, whole(data))
