"""radiounet against the official network and the points of its sheet (radiodiff_3d.md)."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from tsbench.contracts import InputError, JobFailed
from tsbench.models.radiounet.model import DeadStart, Hyperparameters, RadioUnet, StepRate
from tsbench.models.radiounet.network import DOWN, SECOND, RadioWNet, Widths, both, choose_phase, first_widths
from tsbench.models.radiounet_small.model import RadioUnetSmall
from tsbench.training.build import build
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, read_tensors

NARROW = Widths((2, 3, 3, 4, 3, 4, 4, 5, 5), 3)


def fixture_of(folder, name):
    path = folder / f"{name}.safetensors"
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["config"]), read_tensors(path)


class TestTheOfficialFixture:
    @pytest.fixture(scope="class")
    def official(self, shared_fixtures):
        config, tensors = fixture_of(shared_fixtures, "radiounet")
        first, second = (
            Widths(tuple(config[name][:-1]), config[name][-1]) for name in ("widths_first", "widths_second")
        )
        net = RadioWNet(config["inputs"], "firstU", first, second)
        state = {n.removeprefix("state_dict/"): one for n, one in tensors.items() if "state_dict" in n}
        net.load_state_dict(state, strict=True)
        return net, tensors

    @torch.no_grad()
    def test_both_maps_are_reproduced(self, official):
        net, tensors = official
        first, second = net(tensors["input/x"])

        torch.testing.assert_close(first, tensors["output/out1"], atol=1e-5, rtol=0)
        torch.testing.assert_close(second, tensors["output/out2"], atol=1e-5, rtol=0)

    @torch.no_grad()
    def test_its_intermediates_are_reproduced(self, official):
        net, tensors = official
        image = tensors["input/x"]
        for name in DOWN:
            image = getattr(net, name)(image)
            torch.testing.assert_close(image, tensors[f"intermediate/{name}"], atol=1e-5, rtol=0, msg=name)

    @torch.no_grad()
    def test_the_published_widths_are_reproduced(self, shared_fixtures, recipe):
        config, tensors = fixture_of(shared_fixtures, "radiounet_full")
        net = RadioWNet(config["inputs"])
        state = recipe.fill(net.state_dict(), **config["recipe"])
        net.load_state_dict(state | {n: torch.tensor(v) for n, v in config["recipe_overrides"].items()})
        first, second = net(tensors["input/x"])

        torch.testing.assert_close(first, tensors["output/out1"], atol=1e-5, rtol=0)
        torch.testing.assert_close(second, tensors["output/out2"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("inputs", "count"), [(2, 13_274_031), (3, 13_275_315), (4, 13_282_747)])
def test_the_published_parameter_counts(inputs, count):  # sheet, RadioUNet, point 6
    net = RadioWNet(inputs)
    second = sum(one.numel() for name, one in net.named_parameters() if name.startswith("W"))

    assert count_parameters(net) == count
    if inputs == 2:
        assert (count - second, second) == (10_921_405, 2_352_626)


def test_the_published_names(map_shape):
    names = {
        name.removesuffix(".0.weight")
        for name in RadioUnetSmall(map_shape()).state_dict()
        if "weight" in name
    }
    first = {*DOWN, *(f"conv_up{one}" for one in ("5", "4", "3", "20", "2", "10", "1", "0", "00", "000"))}

    assert names == first | {f"W{name}" for name in first}


def test_the_forecaster_has_the_published_size(map_shape):
    samples = map_shape(("building_height", "transmitter", "rss"), ("rss",))

    assert count_parameters(RadioUnet(map_shape())) == 13_274_031
    assert count_parameters(RadioUnet(samples)) == 13_275_315


def test_both_maps_have_the_size_of_the_image():
    first, second = RadioWNet(2)(torch.rand(2, 2, 256, 256))

    assert first.shape == second.shape == (2, 1, 256, 256)
    assert first.min() >= 0
    assert second.min() >= 0


@pytest.mark.parametrize(("phase", "learns"), [("firstU", 0), ("secondU", 1)])
def test_a_phase_leaves_no_gradient_on_the_other_unet(phase, learns):
    torch.manual_seed(0)
    net = RadioWNet(2, phase, NARROW, NARROW)
    with torch.no_grad():
        for name in ("conv_up000", "Wconv_up000"):
            getattr(net, name)[0].bias.fill_(1.0)
    net(torch.rand(2, 2, 64, 64))[learns].sum().backward()

    for name, parameter in net.named_parameters():
        if name.startswith("W") == (phase == "secondU"):
            assert parameter.grad is not None, name
        else:
            assert parameter.grad is None, name


def test_no_gradient_flows_from_the_second_map_into_the_first_unet_even_if_it_could_learn():
    net = RadioWNet(2, "secondU", NARROW, NARROW).requires_grad_(True)
    with torch.no_grad():
        net.Wconv_up000[0].bias.fill_(1.0)
    net(torch.rand(2, 2, 64, 64))[1].sum().backward()

    assert all(one.grad is None for name, one in net.named_parameters() if not name.startswith("W"))


def test_what_was_upsampled_comes_first_in_a_concatenation():
    torch.manual_seed(0)
    net, image, seen = RadioWNet(2, "firstU", NARROW, NARROW), torch.rand(1, 2, 64, 64), {}

    def note(name, what):
        def hook(module, given, made):
            seen[name] = given[0] if what == "given" else made

        getattr(net, name).register_forward_hook(hook)

    for name in ("conv_up5", "layer4"):
        note(name, "made")
    for name in ("conv_up4", "conv_up000"):
        note(name, "given")
    with torch.no_grad():
        net(image)

    assert torch.equal(seen["conv_up4"], torch.cat([seen["conv_up5"], seen["layer4"]], dim=1))
    assert torch.equal(seen["conv_up000"][:, NARROW.last :], image)


def test_a_shift_by_sixty_four_cells_shifts_the_map():
    torch.manual_seed(0)
    net, image = RadioWNet(2, "firstU", NARROW, NARROW), torch.zeros(1, 2, 64, 576)
    image[..., 256:320] = torch.rand(1, 2, 64, 64)
    with torch.no_grad():
        (moved, _), (still, _) = both(net, image.roll(64, dims=3)), both(net, image)

    torch.testing.assert_close(moved[..., 320:384], still[..., 256:320], atol=1e-5, rtol=0)


class TestWhatItReads:
    def test_buildings_and_transmitter_are_1_256_where_they_are(self, map_shape, map_batch):
        shape = map_shape()
        batch = map_batch(shape)
        image = build(RadioUnet, shape, Hyperparameters(divisor=8), 0).image(batch)

        assert set(image[:, 0].unique().tolist()) == {0, 1 / 256}
        assert image[:, 1].sum().item() == pytest.approx(2 / 256)

    def test_samples_are_grey_and_0_where_there_are_none(self, map_shape, map_batch):
        shape = map_shape(("building_height", "transmitter", "rss"), ("rss",))
        batch = map_batch(shape)
        image = RadioUnetSmall(shape, Hyperparameters(floor=-150, ceiling=-50, divisor=8)).image(batch)
        known = batch["observed"][:, 2]
        wanted = ((batch["target"][:, 0] * 20 - 80 + 150) / 100).clamp_min(0)

        assert image.shape[1] == 3
        torch.testing.assert_close(image[:, 2][known], wanted[known], atol=1e-5, rtol=0)
        assert image[:, 2][~known].abs().max() == 0

    def test_the_forecast_is_never_below_the_floor(self, map_shape, map_batch, in_units):
        shape = map_shape()
        model = RadioUnetSmall(shape, Hyperparameters(floor=-150, ceiling=-50, divisor=8))

        assert in_units(model(map_batch(shape)), shape, "path_gain").min() >= -150 - 1e-4

    def test_maps_of_other_sizes_are_padded_and_cut(self, map_shape, map_batch):
        shape = map_shape(rows=32, columns=80)
        model = RadioUnetSmall(shape, Hyperparameters(floor=-150, ceiling=-50, divisor=8))

        assert model(map_batch(shape)).shape == (2, 1, 32, 80)

    def test_grey_maps_are_cut_off_at_the_published_threshold(self, map_shape, map_batch):  # point 2
        shape = map_shape(targets=("grey",))
        model = RadioUnet(shape, Hyperparameters(divisor=8))
        model.phase, batch = "firstU", map_batch(shape)
        grey = torch.linspace(0, 1, 64 * 64).expand(2, -1).reshape(2, 1, 64, 64)
        batch |= {"target": grey, "valid": torch.ones(2, 1, 64, 64, dtype=torch.bool)}
        wanted = (grey.clamp_min(0.2) - 0.2) / 0.8

        found = model.loss(batch)

        ours = (model.maps(batch)[0] - wanted).square().mean()
        torch.testing.assert_close(found, 0.8**2 * ours, atol=1e-6, rtol=1e-5)


class TestTheFit:
    SMALL = Hyperparameters(floor=-160, ceiling=-40, input_scale=1.0, divisor=8)

    def test_goes_through_both_phases_and_leaves_the_first_unet_alone_in_the_second(self, open_source):
        source = open_source("radio-map-path-gain-tiny", epochs=2, learning_rate=0.002)
        model = build(RadioUnet, source.shape, self.SMALL, seed=0)
        seen = []

        def note():
            seen.append({name: one.detach().clone() for name, one in model.named_parameters()})

        report = model.fit(replace(source, uses=model.uses, on_epoch=note))

        assert report.epochs == 4
        assert list(report.detail["phases"]) == ["firstU", "secondU"]
        for name in seen[0]:
            if name.startswith("W"):
                assert torch.equal(seen[0][name], seen[1][name]), name
            else:
                assert torch.equal(seen[2][name], seen[3][name]), name
        assert any(not torch.equal(seen[2][name], seen[3][name]) for name in seen[0] if name.startswith("W"))
        assert model.phase == "secondU"

    def test_a_killed_fit_goes_on_and_ends_with_the_same_bits(self, open_source):
        def fitted(folder, stop_after=None):
            source = open_source("radio-map-path-gain-tiny", folder, epochs=2)
            model = build(RadioUnet, source.shape, self.SMALL, seed=0)
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

        assert epochs == 1
        for name, one in whole.state_dict().items():
            assert torch.equal(one, resumed.state_dict()[name]), name

    def test_a_dead_start_is_drawn_again(self, open_source):  # quirk 4
        source = open_source("radio-map-path-gain-tiny", epochs=1)
        model = build(RadioUnet, source.shape, self.SMALL, seed=0)
        with torch.no_grad():
            for name in ("conv_up000", "Wconv_up000"):
                getattr(model, name)[0].weight.zero_()
                getattr(model, name)[0].bias.fill_(-1.0)
        probe = source.train.gather(torch.arange(4))
        choose_phase(model, "secondU")
        assert DeadStart(probe).dead(model)

        model.fit(replace(source, uses=model.uses))

        assert not DeadStart(probe).dead(model)
        assert model.conv_up000[0].weight.abs().max() > 0

    def test_a_phase_that_dies_in_its_first_epoch_is_drawn_again(self, open_source, monkeypatch):
        source = open_source("radio-map-path-gain-tiny", "run", epochs=1)
        model = build(RadioUnet, source.shape, self.SMALL, seed=0)
        answers = iter([False, True, False, False, False, False])
        monkeypatch.setattr(DeadStart, "dead", lambda self, model: next(answers))
        starts = []
        again = RadioUnet._draw_again

        def noted(self, phase, seed, start):
            starts.append((phase, start))
            again(self, phase, seed, start)

        monkeypatch.setattr(RadioUnet, "_draw_again", noted)
        model.fit(replace(source, uses=model.uses))

        assert starts == [("firstU", 1)]

    def test_where_every_start_is_dead_the_fit_says_so(self, open_source, monkeypatch):
        source = open_source("radio-map-path-gain-tiny", epochs=1)
        model = build(RadioUnet, source.shape, replace(self.SMALL, restarts=2), seed=0)
        monkeypatch.setattr(DeadStart, "dead", lambda self, model: True)

        with pytest.raises(JobFailed, match="firstU gave 0 everywhere from 3 starts: its last ReLU is dead"):
            model.fit(replace(source, uses=model.uses))

    def test_new_weights_depend_on_seed_and_start_alone(self, map_shape):
        models = [RadioUnetSmall(map_shape(), Hyperparameters(divisor=8)) for _ in range(2)]
        for model in models:
            model._draw_again("firstU", 3, 1)
        first, second = (model.state_dict() for model in models)

        assert torch.equal(first["layer5.0.weight"], second["layer5.0.weight"])
        assert not torch.equal(first["Wlayer5.0.weight"], second["Wlayer5.0.weight"])

    def test_the_rate_falls_by_a_tenth_every_thirty_epochs(self):  # point 7
        class Trainer:
            current_epoch = 0
            optimizers: tuple[torch.optim.Optimizer, ...] = ()

        trainer, rates = Trainer(), []
        for trainer.current_epoch in (0, 29, 30, 59, 60):
            optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-4)
            trainer.optimizers = (optimiser,)
            StepRate(30, 0.1).on_train_epoch_start(trainer, nn.Module())
            rates.append(optimiser.param_groups[0]["lr"])

        assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6])


class TestWhatItRefuses:
    def test_a_task_without_a_transmitter(self, map_shape):
        with pytest.raises(InputError, match="radiounet reads the channels building_height, transmitter"):
            RadioUnet(map_shape(("building_height",)))

    def test_sizes_that_cannot_be_halved_six_times(self):
        with pytest.raises(InputError, match=r"must be multiples of 64; this one has 64 × 96"):
            RadioWNet(2, "firstU", NARROW, NARROW)(torch.zeros(1, 2, 64, 96))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"floor": 1.0}, "ceiling, 1.0, must be above floor, 1.0"),
            ({"divisor": 0}, "divisor must be positive, not 0"),
            ({"restarts": -1}, "restarts must not be negative, not -1"),
        ],
    )
    def test_hyperparameters_outside_their_ranges(self, wrong, message):
        with pytest.raises(InputError, match=message):
            fill(Hyperparameters, wrong, "card")


def test_the_small_one_has_a_quarter_of_the_maps(map_shape):
    small = dict(RadioUnetSmall(map_shape()).named_children())
    for prefix, widths in (("", first_widths(2)), ("W", SECOND)):
        for name, width in zip(DOWN, widths.down, strict=True):
            assert small[prefix + name][0].out_channels == max(2, width // 4)
