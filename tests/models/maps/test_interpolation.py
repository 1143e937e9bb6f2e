"""Maps from samples by formula: nearest, inverse distance, kriging; against brute force and by their laws."""

import sys
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError
from tsbench.models.inverse_distance.model import Hyperparameters as Power
from tsbench.models.inverse_distance.model import InverseDistance
from tsbench.models.layers import sparse
from tsbench.models.nearest_sample.model import NearestSample
from tsbench.models.ordinary_kriging.model import Hyperparameters as Variogram
from tsbench.models.ordinary_kriging.model import OrdinaryKriging
from tsbench.training.settings import fill

CHANNELS, TARGETS = ("building_height", "rss"), ("rss",)
KINDS = (NearestSample, InverseDistance, OrdinaryKriging)
HEIGHTS = (1.5, 4.5, 10.5)


@pytest.fixture(params=["plane", "volume"])
def shape(request, map_shape):
    if request.param == "plane":
        return map_shape(CHANNELS, TARGETS, rows=13, columns=17)
    return map_shape(CHANNELS, TARGETS, rows=7, columns=9, heights=HEIGHTS, volume=True)


def places_of(shape) -> np.ndarray:
    """Metres of each cell, in the order of the cells."""
    rows, columns = shape.sizes["y"], shape.sizes["x"]
    return np.array(
        [
            ((column - (columns - 1) / 2) * 4, ((rows - 1) / 2 - row) * 4, height)
            for height, row, column in product(shape.heights, range(rows), range(columns))
        ]
    )


def samples_in(batch, shape, case: int) -> tuple[np.ndarray, np.ndarray]:
    mask = batch["observed"][case, 1].flatten().numpy()
    values = batch["context"][case, 1].flatten().double().numpy() * 20 - 80
    return places_of(shape)[mask], values[mask]


def map_of(model, batch, in_units, shape) -> np.ndarray:
    found = model.predict(batch).values
    assert found.shape == batch["target"].shape
    return in_units(found, shape, "rss").flatten(1).double().numpy()


def test_nearest_is_brute_force(shape, map_batch, in_units):
    batch = map_batch(shape)
    found = map_of(NearestSample(shape), batch, in_units, shape)
    for case in range(2):
        places, values = samples_in(batch, shape, case)
        distance = ((places_of(shape)[:, None] - places) ** 2).sum(axis=2)
        np.testing.assert_allclose(found[case], values[distance.argmin(axis=1)], atol=1e-4)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
def test_inverse_distance_is_shepards_formula(shape, map_batch, in_units, power):
    batch = map_batch(shape)
    found = map_of(InverseDistance(shape, Power(power)), batch, in_units, shape)
    for case in range(2):
        places, values = samples_in(batch, shape, case)
        distance = np.sqrt(((places_of(shape)[:, None] - places) ** 2).sum(axis=2))
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = (values / distance**power).sum(axis=1) / (1 / distance**power).sum(axis=1)
        inside = distance.min(axis=1) == 0
        wanted[inside] = values[distance.argmin(axis=1)][inside]
        np.testing.assert_allclose(found[case], wanted, atol=1e-4)


def test_kriging_is_pykriges(shape, map_batch, in_units):
    from pykrige.ok import OrdinaryKriging as Plane
    from pykrige.ok3d import OrdinaryKriging3D as Volume

    batch = map_batch(shape, share=0.2)
    found = map_of(OrdinaryKriging(shape), batch, in_units, shape)
    for case in range(2):
        places, values = samples_in(batch, shape, case)
        kinds: dict[int, Any] = {3: Volume, 2: Plane}
        axes = 3 if "z" in shape.sizes else 2
        made = kinds[axes](*places[:, :axes].T, values, variogram_model="exponential", nlags=12, weight=True)
        wanted, _ = made.execute("points", *places_of(shape)[:, :axes].T)
        np.testing.assert_allclose(found[case], wanted, atol=1e-3)


@pytest.mark.parametrize("variogram", ["exponential", "spherical", "linear"])
def test_kriging_goes_through_its_samples(shape, map_batch, in_units, variogram):
    batch = map_batch(shape, share=0.2)
    found = map_of(OrdinaryKriging(shape, Variogram(variogram)), batch, in_units, shape)
    for case in range(2):
        mask = batch["observed"][case, 1].flatten().numpy()
        np.testing.assert_allclose(found[case][mask], samples_in(batch, shape, case)[1], atol=1e-3)


@pytest.mark.parametrize("kind", [NearestSample, InverseDistance])
def test_sampled_cells_keep_their_sample_and_others_stay_within_the_range(shape, map_batch, in_units, kind):
    batch = map_batch(shape)
    found = map_of(kind(shape), batch, in_units, shape)
    for case in range(2):
        mask, values = batch["observed"][case, 1].flatten().numpy(), samples_in(batch, shape, case)[1]
        np.testing.assert_allclose(found[case][mask], values, atol=1e-4)
        assert found[case].min() >= values.min() - 1e-4
        assert found[case].max() <= values.max() + 1e-4


@pytest.mark.parametrize("kind", [InverseDistance, OrdinaryKriging])
def test_a_map_turns_with_its_samples(map_shape, map_batch, kind):
    shape = map_shape(CHANNELS, TARGETS, rows=12)
    batch = map_batch(shape, share=0.2)
    turned = {name: batch[name].rot90(1, dims=(2, 3)) for name in ("context", "observed")}
    found, other = (kind(shape).predict(one).values for one in (batch, turned))

    torch.testing.assert_close(other, found.rot90(1, dims=(2, 3)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_cases_do_not_mix_whatever_their_number_of_samples(map_shape, map_batch, kind):
    shape = map_shape(CHANNELS, TARGETS, rows=12)
    batch = map_batch(shape, samples=4, share=0.3)
    for case, share in enumerate((1.0, 0.5, 0.2, 0.02)):
        batch["observed"][case, 1] &= (
            torch.rand(12, 12, generator=torch.Generator().manual_seed(case)) < share
        )
    batch["observed"][0, 1, 4, 4] = True
    model = kind(shape)
    alone = torch.cat(
        [model.predict({name: one[[case]] for name, one in batch.items()}).values for case in range(4)]
    )

    torch.testing.assert_close(model.predict(batch).values, alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [NearestSample, InverseDistance])
def test_blocks_of_cells_change_nothing(map_shape, map_batch, monkeypatch, kind):
    shape = map_shape(CHANNELS, TARGETS, rows=12)
    batch, model = map_batch(shape), kind(shape)
    whole = model.predict(batch).values
    monkeypatch.setattr(sparse, "DISTANCES", 100)

    assert torch.equal(model.predict(batch).values, whole)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_sample_they_say_the_mean_of_the_training_maps(map_shape, map_batch, in_units, kind):
    shape = map_shape(CHANNELS, TARGETS, rows=8)
    found = map_of(kind(shape), map_batch(shape, share=0.0), in_units, shape)

    np.testing.assert_allclose(found, -80, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_may_be_larger_than_those_of_the_shape(map_shape, map_batch, kind):
    small, large = (map_shape(CHANNELS, TARGETS, rows=rows) for rows in (8, 21))
    batch = map_batch(large)

    torch.testing.assert_close(kind(small).predict(batch).values, kind(large).predict(batch).values)


class TestWhereKrigingCannot:
    def test_few_or_equal_samples_give_their_mean_and_are_counted(self, map_shape, map_batch, in_units):
        shape = map_shape(CHANNELS, TARGETS, rows=8)
        batch = map_batch(shape, samples=3, share=0.5)
        batch["observed"][:2, 1] = False
        batch["observed"][0, 1, 2, 2:5] = True  # three
        batch["observed"][1, 1, 2] = True  # eight equal ones
        batch["context"][1, 1, 2] = 0.5
        model = OrdinaryKriging(shape)
        found = map_of(model, batch, in_units, shape)

        np.testing.assert_allclose(found[0], samples_in(batch, shape, 0)[1].mean(), atol=1e-4)
        np.testing.assert_allclose(found[1], -70, atol=1e-4)
        assert np.ptp(found[2]) > 1
        assert model.fallbacks == {"too few samples for a variogram, or all equal": 2}

    def test_without_pykrige_it_says_how_to_get_it(self, map_shape, monkeypatch):
        monkeypatch.setitem(sys.modules, "pykrige.ok", None)

        with pytest.raises(InputError, match="ordinary_kriging needs pykrige: pip install"):
            OrdinaryKriging(map_shape(CHANNELS, TARGETS))


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_without_samples_is_refused(map_shape, kind):
    with pytest.raises(
        InputError, match="reads samples of the map; the task has building_height, transmitter"
    ):
        kind(map_shape())


@pytest.mark.parametrize(
    ("record", "wrong", "message"),
    [
        (Power, {"power": 0.0}, "power must be positive, not 0.0"),
        (Variogram, {"lags": 2}, "lags must be at least 3, not 2"),
        (Variogram, {"variogram": "cubic"}, "variogram"),
    ],
)
def test_hyperparameters_outside_their_ranges_are_refused(record, wrong, message):
    with pytest.raises(InputError, match=message):
        fill(record, wrong, "card")
