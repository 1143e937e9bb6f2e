"""geo2sigmap_unet and its cascade against the official network and the points of their sheet (geo2sigmap.md)."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from tsbench.contracts import InputError
from tsbench.models.geo2sigmap_cascade.model import Geo2SigMapCascade
from tsbench.models.geo2sigmap_cascade.model import Hyperparameters as CascadeHyperparameters
from tsbench.models.geo2sigmap_cascade_small.model import Geo2SigMapCascadeSmall
from tsbench.models.geo2sigmap_unet import inference
from tsbench.models.geo2sigmap_unet.inference import fast
from tsbench.models.geo2sigmap_unet.model import Geo2SigMapUnet, Hyperparameters
from tsbench.models.geo2sigmap_unet.network import UNet, plain
from tsbench.models.geo2sigmap_unet_small.model import Geo2SigMapUnetSmall
from tsbench.models.layers.links import uma_prior_gain
from tsbench.radio.path_loss import uma_prior
from tsbench.training.build import build
from tsbench.training.cost import count_flops
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, read_tensors

PUBLISHED = ("building_height", "transmitter", "path_gain_prior")
SECOND = ("building_height", "transmitter", "path_gain_prior", "rss")


def fixture_of(folder, name):
    path = folder / f"{name}.safetensors"
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["config"]), read_tensors(path)


def stage_of(tensors, stage: int) -> dict[str, torch.Tensor]:
    start = f"state_dict/stage{stage}."
    return {name.removeprefix(start): one for name, one in tensors.items() if name.startswith(start)}


class TestTheOfficialFixture:
    @pytest.fixture(scope="class")
    def official(self, shared_fixtures):
        return fixture_of(shared_fixtures, "geo2sigmap_unet")

    @torch.no_grad()
    def test_the_first_stage_is_reproduced(self, official, map_shape):
        config, tensors = official
        shape = map_shape(PUBLISHED, rows=32, normalised=False)
        model = Geo2SigMapUnet(shape, Hyperparameters(config["base_width"])).eval()
        model.load_state_dict(stage_of(tensors, 1), strict=True)

        found = model({"context": tensors["input/stage1_input"]})

        torch.testing.assert_close(found, tensors["output/stage1"], atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_its_intermediates_are_reproduced(self, official):
        config, tensors = official
        net = UNet(2, config["base_width"]).eval()
        net.load_state_dict(stage_of(tensors, 1))
        image = net.inc(tensors["input/stage1_input"][:, :2])
        found = [image]
        for level in range(1, 5):
            found.append(getattr(net, f"down{level}")(found[-1]))

        for number, one in enumerate(found, 1):
            torch.testing.assert_close(one, tensors[f"intermediate/stage1_x{number}"], atol=1e-5, rtol=0)
        up = net.up1(found[4], found[3])
        torch.testing.assert_close(up, tensors["intermediate/stage1_up1"], atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_the_cascade_is_reproduced_from_one_state_dict(self, official, map_shape):
        config, tensors = official
        shape = map_shape(SECOND, ("rss",), rows=32, normalised=False)
        model = Geo2SigMapCascade(shape, CascadeHyperparameters(config["base_width"])).eval()
        state = {
            name.removeprefix("state_dict/"): one for name, one in tensors.items() if "state_dict" in name
        }
        model.load_state_dict(state, strict=True)
        first, second = tensors["input/stage1_input"], tensors["input/stage2_input"]
        batch = {"context": torch.cat([first, second[:, 1:2]], dim=1)}

        torch.testing.assert_close(model.isotropic(batch), tensors["output/stage1"], atol=1e-5, rtol=0)
        torch.testing.assert_close(model(batch), tensors["output/stage2"], atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_the_published_widths_are_reproduced(self, shared_fixtures, recipe):
        config, tensors = fixture_of(shared_fixtures, "geo2sigmap_unet_full")
        for stage, inputs in ((1, 2), (2, 3)):
            net = UNet(inputs, config["base_width"]).eval()
            net.load_state_dict(recipe.fill(net.state_dict(), **config["recipe"]))
            image, wanted = tensors[f"input/stage{stage}_input"], tensors[f"output/stage{stage}"]
            for form in (plain, fast):
                found = form(net, image[:, :inputs]) + (image[:, 2:] if stage == 1 else 0)
                # Values up to 1,005 dB: 1e-5 of them is what single precision holds.
                torch.testing.assert_close(found, wanted, atol=1e-5 * float(wanted.abs().max()), rtol=0)


def test_the_published_parameter_counts(map_shape):  # sheet, architecture
    first = Geo2SigMapUnet(map_shape())
    cascade = Geo2SigMapCascade(map_shape((*PUBLISHED, "rss"), ("rss",)))

    assert count_parameters(first) == 31_037_057
    assert count_parameters(cascade.stage1) == 31_037_057
    assert count_parameters(cascade.stage2) == 31_037_633


def test_the_published_names(map_shape):
    names = set(Geo2SigMapUnet(map_shape(), Hyperparameters(2)).state_dict())

    for name in (
        "inc.double_conv.0.weight",
        "down4.maxpool_conv.1.double_conv.4.running_var",
        "up1.up.bias",
        "up4.conv.double_conv.3.weight",
        "outc.conv.bias",
    ):
        assert name in names
    assert all(
        name.split(".")[0] in {"inc", "outc"} or name[:-1].split(".")[0][:2] in {"do", "up"} for name in names
    )


class TestThePrior:
    @pytest.mark.parametrize("channels", [PUBLISHED, ("building_height", "transmitter")])
    def test_without_its_last_layer_the_first_stage_is_the_prior(
        self, map_shape, map_batch, in_units, channels
    ):
        shape = map_shape(channels, rows=32)
        model, batch = Geo2SigMapUnetSmall(shape).eval(), map_batch(shape)
        nn.init.zeros_(model.outc.conv.weight)
        nn.init.zeros_(model.outc.conv.bias)
        with torch.no_grad():
            found = in_units(model(batch), shape, "path_gain")[:, 0]
        if "path_gain_prior" in channels:
            wanted = in_units(batch["context"][:, 2], shape, "path_gain_prior")
        else:
            wanted = uma_prior_gain(batch, shape, "test").float()

        torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)

    def test_it_is_exact_in_units(self, map_shape, map_batch):
        shape = map_shape(PUBLISHED, rows=32, normalised=False)
        model, batch = Geo2SigMapUnetSmall(shape).eval(), map_batch(shape)
        nn.init.zeros_(model.outc.conv.weight)
        nn.init.zeros_(model.outc.conv.bias)

        assert torch.equal(model(batch)[:, 0], batch["context"][:, 2])

    def test_from_positions_it_is_the_published_table(self, map_shape):  # quirk 4: truncated distances
        shape = map_shape(("building_height", "transmitter"), rows=64)
        # Geo2SigMap's transmitter stands in the pixel (32, 32): 2 m east and south of the centre of the map.
        batch = {
            "context": torch.zeros(1, 2, 64, 64),
            "position": torch.tensor([[2.0, -2.0, 24.0]]),
            "environment": torch.tensor([[3640.0]]),
        }

        found = uma_prior_gain(batch, shape, "test")[0]

        torch.testing.assert_close(found, torch.from_numpy(uma_prior(64, 4, 24, 3.64e9)), atol=1e-5, rtol=0)
        torch.testing.assert_close(found[:, 33:], found[:, :32].flip(1)[:, :31], atol=1e-9, rtol=0)

    def test_the_figure_of_the_sheet(self, map_shape):  # 103.023 dB at 100 m, 3.64 GHz, 24 m and 2 m
        shape = map_shape(("building_height", "transmitter"), rows=64)
        batch = {
            "context": torch.zeros(1, 2, 64, 64),
            "position": torch.tensor([[2.0, -2.0, 24.0]]),
            "environment": torch.tensor([[3640.0]]),
        }

        assert uma_prior_gain(batch, shape, "test")[0, 32, 57].item() == pytest.approx(-103.023, abs=5e-4)


class TestTheFastForm:
    def trained(self, inputs: int = 3, width: int = 8) -> UNet:
        torch.manual_seed(0)
        net = UNet(inputs, width)
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                assert part.running_mean is not None
                assert part.running_var is not None
                part.running_mean.normal_(0, 0.5)
                part.running_var.uniform_(0.3, 3)
                nn.init.uniform_(part.weight, 0.5, 2)
                nn.init.normal_(part.bias, 0, 0.5)
        return net.eval()

    @pytest.mark.parametrize("packed", [True, False])
    @pytest.mark.parametrize("size", [(32, 48), (37, 50), (16, 16)])
    @torch.no_grad()
    def test_it_agrees_with_the_plain_one(self, size, packed, monkeypatch):
        if not packed:
            monkeypatch.setattr(inference, "can_pack", lambda image: False)
        net, image = self.trained(), torch.randn(3, 3, *size)

        torch.testing.assert_close(fast(net, image), plain(net, image), atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_both_forms_cost_the_same_operations(self):
        net, image = self.trained(), torch.randn(2, 3, 32, 48)

        assert count_flops(lambda: fast(net, image)) == count_flops(lambda: plain(net, image))

    @torch.no_grad()
    def test_images_of_several_sizes_may_take_turns(self):
        net = self.trained()
        for size in ((1, 32, 32), (4, 48, 64), (1, 32, 32), (2, 17, 33)):
            image = torch.randn(size[0], 3, *size[1:])
            torch.testing.assert_close(fast(net, image), plain(net, image), atol=1e-5, rtol=0)

    def test_weights_of_inference_mode_are_folded_in_every_call(self):
        with torch.inference_mode():
            net, image = self.trained(), torch.randn(1, 3, 32, 32)
            fast(net, image)
            nn.init.normal_(net.inc.double_conv[0].weight)
            torch.testing.assert_close(fast(net, image), plain(net, image), atol=1e-4, rtol=1e-5)

    @pytest.mark.parametrize("change", ["set", "one weight", "fused", "statistics", "loaded", "other dtype"])
    def test_it_never_uses_weights_that_have_changed(self, change):
        net, image = self.trained(), torch.randn(1, 3, 32, 32)
        with torch.no_grad():
            fast(net, image)
        layer = net.down1.maxpool_conv[1].double_conv[0]
        with torch.no_grad():
            if change == "set":
                nn.init.normal_(layer.weight)
            if change == "one weight":
                layer.weight[1, 1, 1, 1] = 3.0
            if change == "loaded":
                net.load_state_dict(UNet(3, 8).state_dict())
            if change == "other dtype":
                net, image = net.double(), image.double()
        if change == "fused":
            optimiser = torch.optim.Adam(net.parameters(), lr=0.1, fused=True)
            plain(net, image).square().sum().backward()
            optimiser.step()
        if change == "statistics":
            net.train()(3 * image)
            net.eval()
        with torch.no_grad():
            found, wanted = fast(net, image), plain(net, image)

        torch.testing.assert_close(found, wanted, atol=1e-5 * max(1.0, float(wanted.abs().max())), rtol=0)

    @torch.no_grad()
    def test_weights_are_folded_once(self, monkeypatch):
        net, image, folds = self.trained(), torch.randn(1, 3, 32, 32), []
        fold = inference.folded
        monkeypatch.setattr(inference, "folded", lambda *given: folds.append(1) or fold(*given))
        for _ in range(3):
            fast(net, image)

        assert len(folds) == 18

    def test_it_is_taken_where_nothing_is_learned(self, map_shape, map_batch, monkeypatch):
        from tsbench.models.geo2sigmap_unet import model as module

        calls = []
        monkeypatch.setattr(module, "fast", lambda *given: calls.append(1) or plain(*given))
        shape = map_shape(rows=16)
        batch, model = map_batch(shape), Geo2SigMapUnet(shape, Hyperparameters(2))
        off = Geo2SigMapUnet(shape, Hyperparameters(2, fast_inference=False)).eval()
        model(batch)
        model.eval()(batch)
        with torch.no_grad():
            off(batch)
            model.train()(batch)
            assert calls == []
            model.eval()(batch)

        assert calls == [1]


def test_a_shift_by_sixteen_cells_shifts_the_map():
    torch.manual_seed(0)
    net, image = UNet(2, 4).eval(), torch.zeros(1, 2, 224, 224)
    image[..., 96:112, 96:112] = torch.randn(1, 2, 16, 16)

    with torch.no_grad():
        moved, still = net(image.roll(16, dims=3)), net(image)

    # Away from the edges, whose zeros are not those of the inner layers.
    torch.testing.assert_close(moved[..., 92:132, 108:148], still[..., 92:132, 92:132], atol=1e-5, rtol=0)


class TestTheCascadeLearns:
    def test_stage_by_stage_and_leaves_the_first_one_as_it_was(self, open_source):
        source = open_source("radio-map-rss-tiny", epochs=2, learning_rate=0.002)
        chosen = CascadeHyperparameters(base_width=4, first_epochs=1)
        model = build(Geo2SigMapCascade, source.shape, chosen, seed=0)
        before = {name: one.clone() for name, one in model.state_dict().items()}
        seen = {}

        def watch():
            seen.setdefault("first", {name: one.clone() for name, one in model.stage1.state_dict().items()})

        report = model.fit(replace(source, uses=model.uses, on_epoch=lambda: None))
        watch()

        assert report.epochs == 3
        assert [epoch["epoch"] for epoch in report.detail["history"]] == [1, 2, 3]
        assert report.detail["phases"]["first-stage"]["epochs"] == 1
        assert any(
            not torch.equal(before[name], one)
            for name, one in model.stage2.state_dict(prefix="stage2.").items()
        )
        assert all(one.grad is None for one in model.stage1.parameters())

    def test_the_second_stage_changes_no_weight_or_statistic_of_the_first(self, open_source):
        source = open_source("radio-map-rss-tiny", epochs=1)
        model = build(Geo2SigMapCascade, source.shape, CascadeHyperparameters(base_width=4), seed=0)
        model.load_state_dict(
            build(Geo2SigMapCascade, source.shape, CascadeHyperparameters(4), seed=1).state_dict()
        )
        before = {name: one.clone() for name, one in model.stage1.state_dict().items()}

        model.fit(replace(source, uses=model.uses), init=model.state_dict())

        for name, one in model.stage1.state_dict().items():
            assert torch.equal(one, before[name]), name

    def test_a_killed_fit_goes_on_and_ends_with_the_same_bits(self, open_source):
        chosen = CascadeHyperparameters(base_width=4)

        def fitted(folder, stop_after=None):
            source = open_source("radio-map-rss-tiny", folder, epochs=2)
            model = build(Geo2SigMapCascade, source.shape, chosen, seed=0)
            epochs = []

            def count():
                epochs.append(1)
                if len(epochs) == stop_after:
                    raise KeyboardInterrupt

            model.fit(replace(source, uses=model.uses, on_epoch=count))
            return model, len(epochs), source.folder

        whole, epochs, folder = fitted("whole")
        assert epochs == 4
        assert not list(folder.iterdir())
        with pytest.raises(KeyboardInterrupt):
            fitted("killed", stop_after=4)
        resumed, epochs, _ = fitted("killed")

        assert epochs == 1  # the second of the second stage alone
        for name, one in whole.state_dict().items():
            assert torch.equal(one, resumed.state_dict()[name]), name


class TestWhatItRefuses:
    def test_a_task_without_buildings(self, map_shape):
        with pytest.raises(
            InputError, match="reads the channels building_height, transmitter; the task has log"
        ):
            Geo2SigMapUnet(map_shape(("log_distance",)))

    def test_a_task_that_hides_the_carrier(self, map_shape):
        with pytest.raises(
            InputError, match="needs carrier_frequency of each transmitter; the task tells nothing"
        ):
            Geo2SigMapUnet(map_shape(environment=()))

    def test_several_targets(self, map_shape):
        with pytest.raises(InputError, match="forecasts one map a case; the task has path_gain, rss"):
            Geo2SigMapUnet(map_shape(targets=("path_gain", "rss")))

    def test_a_cascade_without_samples(self, map_shape):
        with pytest.raises(InputError, match="geo2sigmap_cascade reads samples of the map"):
            Geo2SigMapCascade(map_shape(targets=("rss",)))

    def test_no_width(self):
        with pytest.raises(InputError, match="base_width must be at least 1, not 0"):
            fill(Hyperparameters, {"base_width": 0}, "card")


def test_the_small_ones_differ_in_width_alone(map_shape, map_batch):
    shape = map_shape((*PUBLISHED, "rss"), ("rss",), rows=32)
    batch = map_batch(shape)
    for small, large, chosen in (
        (Geo2SigMapUnetSmall, Geo2SigMapUnet, Hyperparameters(16)),
        (Geo2SigMapCascadeSmall, Geo2SigMapCascade, CascadeHyperparameters(16)),
    ):
        one, other = small(shape).eval(), large(shape, chosen).eval()
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(batch), other(batch))


def test_a_mask_channel_tells_a_sample_of_160_from_none(map_shape, map_batch):  # quirk 6
    shape = map_shape(SECOND, ("rss",), rows=16)
    batch = map_batch(shape)
    other = {**batch, "observed": batch["observed"].clone()}
    other["observed"][:, 3] = False
    for mask_channel in (False, True):
        model = Geo2SigMapCascade(shape, CascadeHyperparameters(2, mask_channel=mask_channel)).eval()
        assert torch.equal(model(batch), model(other)) != mask_channel
