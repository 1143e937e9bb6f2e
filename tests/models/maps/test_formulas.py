"""Maps by formula against independent ones: distances, sight by a ray test, levels, and what they refuse."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError
from tsbench.models.free_space.model import FreeSpace
from tsbench.models.layers.formula import Hyperparameters
from tsbench.models.layers.links import Links, in_sight
from tsbench.models.log_distance.model import LogDistance
from tsbench.models.uma_path_loss.model import UMaPathLoss
from tsbench.models.umi_path_loss.model import UMiPathLoss
from tsbench.radio.path_loss import LIGHT, path_loss

KINDS = (FreeSpace, UMaPathLoss, UMiPathLoss)
HEIGHTS = (1.5, 7.5)


def alone(shape, batch, east: float, north: float, up: float):
    """One transmitter over an empty plain."""
    heights = (0.0 - shape.scales["building_height"].shift) / shape.scales["building_height"].factor
    context = batch["context"][:1].clone()
    context[:, shape.channels.index("building_height")] = heights
    return {
        "context": context,
        "position": torch.tensor([[east, north, up]]),
        "environment": torch.tensor([[3640.0]]),
    }


def test_free_space_is_friis(map_shape, map_batch, in_units):
    shape = map_shape(rows=16)
    found = FreeSpace(shape).predict(alone(shape, map_batch(shape), 10.0, -6.0, 25.0)).values
    gain = in_units(found, shape, "path_gain")[0, 0]
    for row, column in ((0, 0), (15, 3), (7, 11)):
        x, y = (column - 7.5) * 4, (7.5 - row) * 4  # the north is above, the west left
        distance = math.dist((x, y, 1.5), (10, -6, 25))
        wanted = 20 * math.log10(LIGHT / (4 * math.pi * distance * 3.64e9))
        assert gain[row, column].item() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(("kind", "environment"), [(UMaPathLoss, "uma"), (UMiPathLoss, "umi")])
def test_the_3gpp_formulas_are_those_of_the_table(map_shape, map_batch, in_units, kind, environment):
    shape = map_shape(rows=16)
    batch = alone(shape, map_batch(shape), 10.0, -6.0, 25.0)
    x, y = np.meshgrid((np.arange(16) - 7.5) * 4, (7.5 - np.arange(16)) * 4)
    clear, hidden = path_loss(np.hypot(x - 10, y + 6), 25.0, 1.5, 3.64e9, environment)

    sighted = in_units(kind(shape).predict(batch).values, shape, "path_gain")[0, 0]
    blind = in_units(kind(shape, Hyperparameters(sight=False)).predict(batch).values, shape, "path_gain")[
        0, 0
    ]

    np.testing.assert_allclose(sighted, -clear, atol=1e-4)
    np.testing.assert_allclose(blind, -hidden, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_transmitter_in_the_centre_of_an_empty_plain_makes_a_symmetric_map(map_shape, map_batch, kind):
    shape = map_shape(rows=17)
    found = kind(shape).predict(alone(shape, map_batch(shape), 0.0, 0.0, 25.0)).values
    for other in (found.flip(2), found.flip(3), found.transpose(2, 3)):
        torch.testing.assert_close(found, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_moves_with_the_transmitter(map_shape, map_batch, kind):
    shape = map_shape(rows=32)
    batch = alone(shape, map_batch(shape), 6.0, 6.0, 25.0)
    still = kind(shape).predict(batch).values
    moved = kind(shape).predict({**batch, "position": torch.tensor([[14.0, -6.0, 25.0]])}).values

    torch.testing.assert_close(moved[..., 3:, 2:], still[..., :-3, :-2], atol=1e-4, rtol=0)


def test_sight_is_that_of_a_ray_in_small_steps(map_shape, map_batch):
    shape = map_shape(rows=24)
    batch = map_batch(shape, samples=3)
    batch["position"][:, 2] = 14.0
    found = in_sight(batch, shape, Links.of(batch, shape))
    heights = batch["context"][:, 0] * 8 + 5
    agree = []
    for case, row, column in np.random.default_rng(0).integers(0, (3, 24, 24), (200, 3)):
        first = batch["position"][case].numpy()
        last = np.array([(column - 11.5) * 4, (11.5 - row) * 4, 1.5])
        points = first + np.linspace(0, 1, 2001)[1:-1, None] * (last - first)
        columns, rows = (
            np.floor(points[:, 0] / 4 + 12).astype(int),
            np.floor(12 - points[:, 1] / 4).astype(int),
        )
        below = heights[case].numpy()[rows.clip(0, 23), columns.clip(0, 23)]
        agree.append(bool(found[case, row, column]) == bool(((below <= 0) | (below < points[:, 2])).all()))

    # Two points a cell miss a corner that is cut now and then.
    assert np.mean(agree) > 0.97


def test_behind_a_wall_uma_loses_what_the_table_says(map_shape, map_batch, in_units):
    shape = map_shape(rows=16)
    batch = alone(shape, map_batch(shape), -22.0, 2.0, 10.0)
    batch["context"][0, 0, :, 8] = (30 - 5) / 8  # a wall of 30 m from north to south
    gain = in_units(UMaPathLoss(shape).predict(batch).values, shape, "path_gain")[0, 0, 7]
    ground = np.abs((np.arange(16) - 7.5) * 4 + 22)
    clear, hidden = path_loss(ground, 10.0, 1.5, 3.64e9)

    np.testing.assert_allclose(gain[:8], -clear[:8], atol=1e-4)
    np.testing.assert_allclose(gain[9:], -hidden[9:], atol=1e-4)


def test_delay_and_direction_are_those_of_the_straight_path(map_shape, map_batch, in_units):
    targets = ("delay", "arrival_east", "arrival_north", "arrival_up")
    shape = map_shape(targets=targets, rows=16, heights=HEIGHTS, volume=True)
    found = FreeSpace(shape).predict(alone(shape, map_batch(shape), 10.0, -6.0, 25.0)).values[0]
    receiver, transmitter = np.array([(3 - 7.5) * 4, (7.5 - 12) * 4, 7.5]), np.array([10, -6, 25.0])
    along = transmitter - receiver

    assert found.shape == (4, 2, 16, 16)
    assert in_units(found[0], shape, "delay")[1, 12, 3].item() == pytest.approx(
        np.linalg.norm(along) / LIGHT * 1e9, rel=1e-5
    )
    np.testing.assert_allclose(found[1:, 1, 12, 3], along / np.linalg.norm(along), atol=1e-6)


class TestTheLevel:
    RSS = ("building_height", "rss")

    def test_path_gain_needs_no_fit_and_received_power_does(self, map_shape):
        assert FreeSpace(map_shape()).fits == "none"
        assert FreeSpace(map_shape(self.RSS, ("rss",))).fits == "task"
        assert FreeSpace(map_shape(self.RSS, ("rss",)), Hyperparameters(level="samples")).fits == "none"

    def test_a_fit_leaves_no_mean_error_on_the_training_maps(self, open_source):
        source = open_source("radio-map-rss-tiny")
        model = UMaPathLoss(source.shape)
        source = replace(source, uses=model.uses)
        before = model.level.clone()
        model.fit(source)
        batch = source.train.gather(torch.arange(len(source.train)))
        rest = (batch["target"] - model(batch))[batch["valid"]]

        assert model.level != before
        assert rest.double().mean().abs() < 1e-4

    def test_the_level_of_samples_is_that_of_each_map(self, map_shape, map_batch, in_units):
        shape = map_shape(self.RSS, ("rss",), rows=16)
        model, batch = FreeSpace(shape, Hyperparameters(level="samples")), map_batch(shape)
        batch["observed"][1] = False
        known = batch["observed"][0, 1]
        found = in_units(model.predict(batch).values, shape, "rss")
        plain = in_units(FreeSpace(shape).predict(batch).values, shape, "rss")
        given = in_units(batch["context"][0, 1], shape, "rss")

        torch.testing.assert_close(found[0, 0][known].mean(), given[known].mean(), atol=1e-3, rtol=0)
        torch.testing.assert_close(found[1], plain[1])

    def test_without_samples_it_is_refused(self, map_shape):
        with pytest.raises(
            InputError, match="level 'samples' needs samples of the map, and the task has none"
        ):
            FreeSpace(map_shape(targets=("rss",)), Hyperparameters(level="samples"))


def test_a_line_over_the_logarithm_of_the_distance_is_found_again(open_source):
    source = open_source("radio-map-path-gain-tiny")
    model = LogDistance(source.shape)
    model.fit(replace(source, uses=model.uses))
    batches = list(source.train.batches(64))
    place = source.shape.channels.index("log_distance")
    distance = torch.cat([one["context"][:, place][one["valid"][:, 0]] for one in batches]).double().numpy()
    target = torch.cat([one["target"][:, 0][one["valid"][:, 0]] for one in batches]).double().numpy()
    slope, intercept = np.polyfit(distance, target, 1)

    np.testing.assert_allclose(model.line[0].numpy(), [intercept, slope], rtol=1e-4)


class TestWhatTheyRefuse:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_task_that_hides_the_carrier(self, map_shape, kind):
        with pytest.raises(
            InputError, match="needs carrier_frequency of each transmitter; the task tells nothing"
        ):
            kind(map_shape(environment=()))

    def test_other_targets(self, map_shape):
        with pytest.raises(InputError, match="free_space forecasts path_gain, rss, delay, .*, not grey"):
            FreeSpace(map_shape(targets=("grey",)))

    def test_a_task_without_distances(self, map_shape):
        with pytest.raises(InputError, match="log_distance reads the channels log_distance; the task has"):
            LogDistance(map_shape(("building_height",)))
