"""The plain U-Nets of maps and volumes, and the one that sees samples alone: shapes, laws and short fits."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tsbench.contracts import InputError
from tsbench.models.layers.filling import filled
from tsbench.models.layers.unet import PlainUNet
from tsbench.models.sample_unet.model import Hyperparameters as SampleHyperparameters
from tsbench.models.sample_unet.model import SampleUNet
from tsbench.models.sample_unet_small.model import SampleUNetSmall
from tsbench.models.unet_2d.model import Hyperparameters as PlaneHyperparameters
from tsbench.models.unet_2d_small.model import UNet2dSmall
from tsbench.models.unet_3d.model import Hyperparameters as VolumeHyperparameters
from tsbench.models.unet_3d.model import UNet3d
from tsbench.models.unet_3d_small.model import UNet3dSmall
from tsbench.training.build import build
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters

HEIGHTS = tuple(1.5 + 3 * level for level in range(8))
SAMPLES = ("building_height", "rss")


def convolutions(net: PlainUNet) -> list[tuple[int, int]]:
    kinds = nn.Conv2d | nn.Conv3d
    return [(one.in_channels, one.out_channels) for one in net.modules() if isinstance(one, kinds)]


def test_the_widths_of_the_volume_net(map_shape):  # sheet: 32-64-128-256, small 16-32-64
    shape = map_shape(rows=32, heights=HEIGHTS, volume=True)
    large, small = convolutions(UNet3d(shape).net), convolutions(UNet3dSmall(shape).net)

    down = [(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    assert large[:8] == down
    assert [outputs for _, outputs in small[:6]] == [16, 16, 32, 32, 64, 64]
    # Sheet: about 6 to 8 million; its guess leaves the way up open.
    assert count_parameters(UNet3d(shape)) == pytest.approx(6e6, rel=0.05)


def test_the_first_step_down_leaves_the_heights_as_they_are(map_shape):
    shape, seen = map_shape(rows=32, heights=HEIGHTS, volume=True), []
    net = UNet3d(shape).net
    for level in net.down:
        level.register_forward_hook(lambda module, given, made: seen.append(tuple(made.shape[2:])))
    net(torch.zeros(1, 3, 20, 32, 32))

    assert seen == [(20, 32, 32), (20, 16, 16), (10, 8, 8), (5, 4, 4)]


@pytest.mark.parametrize(
    ("kind", "volume", "targets"),
    [
        (UNet2dSmall, False, ("path_gain",)),
        (UNet2dSmall, False, ("path_gain", "delay")),
        (UNet3dSmall, True, ("path_gain",)),
        (UNet3dSmall, True, ("arrival_east", "arrival_north", "arrival_up")),
    ],
)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (5, 40)])
def test_a_forecast_has_the_shape_of_the_target(map_shape, map_batch, kind, volume, targets, size):
    heights = HEIGHTS if volume else (1.5,)
    shape = map_shape(targets=targets, rows=size[0], columns=size[1], heights=heights, volume=volume)
    batch = map_batch(shape)

    assert kind(shape)(batch).shape == batch["target"].shape


def test_where_nothing_was_sampled_the_code_does_not_reach_the_net(map_shape, map_batch):
    shape = map_shape(SAMPLES, ("rss",), rows=32)
    batch = map_batch(shape)
    other = {**batch, "context": torch.where(batch["observed"], batch["context"], 17.0)}
    unseen = {**batch, "observed": torch.zeros_like(batch["observed"])}
    model = build(UNet2dSmall, shape, None, 0).eval()

    assert torch.equal(model(batch), model(other))
    assert not torch.equal(model(batch), model(unseen))


@pytest.mark.parametrize(
    ("kind", "volume"), [(UNet2dSmall, False), (UNet3dSmall, True), (SampleUNetSmall, False)]
)
def test_samples_of_a_batch_do_not_mix(map_shape, map_batch, kind, volume):
    shape = map_shape(
        ("building_height", "rss"), ("rss",), rows=32, heights=HEIGHTS if volume else (1.5,), volume=volume
    )
    batch, model = map_batch(shape, samples=3), build(kind, shape, None, 0).double().eval()
    batch["context"] = batch["context"].double()
    nn.init.normal_(model.net.head.weight)
    with torch.no_grad():
        alone = torch.cat([model({name: one[[case]] for name, one in batch.items()}) for case in range(3)])
        order = torch.tensor([2, 0, 1])
        moved = model({name: one[order] for name, one in batch.items()})

    torch.testing.assert_close(model(batch).detach(), alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved, alone[order], atol=1e-5, rtol=1e-5)


def test_a_shift_by_whole_steps_shifts_the_map():
    torch.manual_seed(0)
    net, image = PlainUNet(1, 1, (4, 8, 8), [(2, 2)] * 2, norm="batch").eval(), torch.zeros(1, 1, 96, 96)
    image[..., 40:48, 40:48] = torch.randn(8, 8)
    with torch.no_grad():
        moved, still = net(image.roll((4, 8), dims=(2, 3))), net(image)

    torch.testing.assert_close(moved[..., 36:60, 40:64], still[..., 32:56, 32:56], atol=1e-6, rtol=0)


def test_a_sigmoid_keeps_grey_values_between_0_and_1(map_shape, map_batch):
    shape = map_shape(targets=("grey",), rows=16, heights=HEIGHTS, volume=True)
    model = UNet3d(shape, VolumeHyperparameters(8, 2, sigmoid=True))
    nn.init.normal_(model.net.head.weight, std=10)
    found = model(map_batch(shape))

    assert found.min() >= 0
    assert found.max() <= 1
    with pytest.raises(
        InputError, match="a sigmoid forecasts values between 0 and 1; path_gain is normalised"
    ):
        UNet3d(map_shape(heights=HEIGHTS, volume=True), VolumeHyperparameters(sigmoid=True))


@pytest.mark.parametrize(
    ("record", "wrong", "message"),
    [
        (PlaneHyperparameters, {"width": 12}, "width must be a multiple of groups, not 12 of 8"),
        (PlaneHyperparameters, {"levels": 1}, "levels must be at least 2, not 1"),
        (VolumeHyperparameters, {"width": 12}, "width must be a multiple of groups, not 12 of 8"),
        (VolumeHyperparameters, {"levels": 1}, "levels must be at least 2, not 1"),
        (SampleHyperparameters, {"levels": 1}, "width must be at least 1 and levels 2, not 64 and 1"),
        (SampleHyperparameters, {"spread": 0.0}, "spread must be positive, not 0.0"),
    ],
)
def test_what_makes_no_unet_is_refused(record, wrong, message):
    with pytest.raises(InputError, match=message):
        fill(record, wrong, "card")


class TestFilling:
    def map_of(self, share: float = 0.05, size=(40, 56)):
        generator = torch.Generator().manual_seed(0)
        values = torch.randn(3, 1, *size, generator=generator, dtype=torch.float64)
        known = (torch.rand(3, 1, *size, generator=generator) < share).double()
        return torch.where(known > 0, values, 0.0), known

    def test_it_goes_through_the_samples(self):
        values, known = self.map_of()
        found = filled(values, known)

        assert torch.equal(found[known > 0], values[known > 0])

    @pytest.mark.parametrize("share", [0.001, 0.05, 0.5])
    def test_it_stays_within_the_samples(self, share):
        values, known = self.map_of(share)
        for one, value, mask in zip(filled(values, known), values, known, strict=True):
            if mask.any():
                inside = value[mask > 0]
                assert one.min() >= inside.min() - 1e-12
                assert one.max() <= inside.max() + 1e-12

    def test_it_follows_shift_and_scale(self):
        values, known = self.map_of()

        torch.testing.assert_close(filled(3 * values + 5, known), 3 * filled(values, known) + 5)

    def test_what_is_unknown_does_not_count(self):
        values, known = self.map_of()
        other = torch.where(known > 0, values, 1e6)

        torch.testing.assert_close(filled(other, known), filled(values, known))

    def test_one_sample_fills_the_whole_map_and_none_gives_0(self):
        values, known = torch.zeros(2, 1, 37, 20), torch.zeros(2, 1, 37, 20)
        values[0, 0, 30, 3], known[0, 0, 30, 3] = 4.0, 1.0
        found = filled(values, known)

        torch.testing.assert_close(found[0], torch.full((1, 37, 20), 4.0))
        assert found[1].abs().max() == 0


class TestTheUNetOfSamples:
    @pytest.fixture
    def model(self, map_shape):
        model = build(SampleUNetSmall, map_shape(SAMPLES, ("rss",), rows=32), None, 0).eval()
        nn.init.normal_(model.net.head.weight)
        return model

    def shifted(self, batch, shape, decibels: float):
        place = shape.channels.index("rss")
        context = batch["context"].clone()
        context[:, place][batch["observed"][:, place]] += decibels / shape.scales["rss"].factor
        return {**batch, "context": context}

    @torch.no_grad()
    def test_more_power_gives_a_map_that_is_higher_by_as_much(self, model, map_batch, in_units):
        batch = map_batch(model.shape)
        found, moved = model(batch), model(self.shifted(batch, model.shape, 12.0))

        difference = in_units(moved, model.shape, "rss") - in_units(found, model.shape, "rss")
        torch.testing.assert_close(difference, torch.full_like(found, 12.0), atol=1e-3, rtol=0)

    @torch.no_grad()
    def test_it_sees_samples_and_nothing_else(self, model, map_batch):
        batch = map_batch(model.shape)
        other = {**batch, "context": batch["context"].clone()}
        other["context"][:, 0] = 3.0
        other["context"][:, 1] = torch.where(batch["observed"][:, 1], other["context"][:, 1], -9.0)

        assert torch.equal(model(batch), model(other))

    @torch.no_grad()
    def test_without_a_sample_a_fresh_one_says_the_mean_of_the_training_maps(
        self, map_shape, map_batch, in_units
    ):
        shape = map_shape(SAMPLES, ("rss",), rows=32)
        model = SampleUNetSmall(shape).eval()
        found = in_units(model(map_batch(shape, share=0.0)), shape, "rss")

        torch.testing.assert_close(found, torch.full_like(found, -80.0))

    @torch.no_grad()
    def test_maps_of_another_size_are_forecast_with_the_same_weights(self, model, map_shape, map_batch):
        larger = map_batch(map_shape(SAMPLES, ("rss",), rows=75, columns=131))

        assert model(larger).shape == (2, 1, 75, 131)

    def test_a_task_without_samples_is_refused(self, map_shape):
        with pytest.raises(
            InputError, match="sample_unet reads samples of the map; the task has building_height"
        ):
            SampleUNet(map_shape())


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        (UNet2dSmall, "radio-map-path-gain-tiny"),
        (UNet2dSmall, "radio-map-rss-tiny"),
        (SampleUNetSmall, "radio-map-rss-tiny"),
    ],
)
def test_they_learn_maps_by_heart(open_source, kind, task):
    source = open_source(task)
    model = build(kind, source.shape, None, seed=0)
    batch = replace(source, uses=model.uses).train.gather(torch.arange(4))
    optimiser, losses = torch.optim.Adam(model.parameters(), lr=0.003), []
    for _ in range(20):
        optimiser.zero_grad()
        losses.append(model.loss(batch))
        losses[-1].backward()
        optimiser.step()

    assert losses[-1] < 0.7 * losses[0]


def test_a_fit_keeps_the_weights_of_its_best_epoch(open_source):
    source = open_source("radio-map-rss-tiny", epochs=2, learning_rate=0.003)
    model = build(SampleUNetSmall, source.shape, None, seed=0)
    report = model.fit(replace(source, uses=model.uses))

    assert report.validation_loss == min(epoch["validation_loss"] for epoch in report.detail["history"])


def test_cells_that_are_not_valid_do_not_train(map_shape, map_batch):
    shape = map_shape(rows=16)
    model, batch = build(UNet2dSmall, shape, PlaneHyperparameters(8, 2), 0), map_batch(shape)
    other = {**batch, "target": torch.where(batch["valid"], batch["target"], 99.0)}

    assert torch.equal(model.loss(batch), model.loss(other))
    assert model.terms(batch) == batch["valid"].sum()
