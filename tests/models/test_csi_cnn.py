"""csi_cnn against the official implementation and the counts of its sheet (csi_rrg.md)."""

import json
import math

import pytest
import torch
from safetensors import safe_open

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.models.csi_cnn.model import CsiCnn, Hyperparameters, from_image, to_image
from tsbench.models.csi_cnn_small.model import CsiCnnSmall
from tsbench.training.cost import count_flops
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, load_weights, read_tensors


class TestTheOfficialFixture:
    @pytest.fixture(scope="class")
    def tensors(self, shared_fixtures):
        return read_tensors(shared_fixtures / "csi_rrg_cnn.safetensors")

    @pytest.fixture
    def model(self, shared_fixtures, shape_of):
        path = shared_fixtures / "csi_rrg_cnn.safetensors"
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
        shape = shape_of(config["hist_len"], config["pred_len"], channels=2 * config["K"])
        model = CsiCnn(shape, Hyperparameters(filters=config["num_filters"]))
        load_weights(model, path)
        return model

    def test_its_output_is_reproduced(self, model, tensors):
        forecast = model({"context": tensors["input/x"]})

        torch.testing.assert_close(forecast, tensors["output/y"], atol=1e-5, rtol=0)

    def test_its_intermediates_are_reproduced(self, model, tensors):
        image = to_image(tensors["input/x"])
        torch.testing.assert_close(image, tensors["intermediate/image"], atol=0, rtol=0)
        layers = {"enc": model.model.encoder, "dec": model.model.decoder}
        for name, layer in [(f"{part}{i}", one) for part in layers for i, one in enumerate(layers[part])]:
            image = torch.tanh(layer(image))
            torch.testing.assert_close(image, tensors[f"intermediate/{name}"], atol=1e-5, rtol=0, msg=name)


def test_the_published_parameter_count(shape_of):
    assert count_parameters(CsiCnn(shape_of(16, 4, channels=600))) == 197_134


def test_the_published_cost(shape_of):  # 60.45 GFLOP a sample of 32 antennas, activations included
    model = CsiCnn(shape_of(16, 4, channels=600))
    flops = count_flops(lambda: model({"context": torch.zeros(1, 16, 600)}))

    assert flops is not None
    assert 32 * flops == pytest.approx(60.45e9, rel=0.002)


def test_the_small_one_differs_in_its_default_size_alone(shape_of):
    shape = shape_of(16, 4, channels=150)
    small, same = CsiCnnSmall(shape), CsiCnn(shape, Hyperparameters(filters=4))
    same.load_state_dict(small.state_dict())
    context = torch.randn(3, 16, 150)

    assert torch.equal(small({"context": context}), same({"context": context}))


def test_weights_start_uniform_by_the_number_of_inputs_and_biases_at_zero(shape_of):
    for name, parameter in CsiCnn(shape_of(16, 4, channels=4)).model.named_parameters():
        if name.startswith("postprocess"):
            continue
        if name.endswith("bias"):
            assert parameter.abs().max() == 0
        elif parameter.numel() > 1000:
            bound = 1 / math.sqrt(parameter.shape[1])
            assert 0.99 * bound < parameter.abs().max() <= bound


def test_series_and_image_are_inverse():
    series = torch.randn(2, 16, 10)

    assert torch.equal(from_image(to_image(series)), series)


def test_an_odd_number_of_channels_is_refused(shape_of):
    with pytest.raises(InputError, match="the task has 7 context channels, and an even number is needed"):
        CsiCnn(shape_of(16, 4, channels=7))


@pytest.mark.parametrize("model", [CsiCnn, CsiCnnSmall])
def test_no_width_is_refused(model):
    with pytest.raises(InputError, match="card: filters must be at least 1, not 0"):
        fill(model.Hyperparameters, {"filters": 0}, "card")


@pytest.mark.parametrize("name", ["csi_cnn", "csi_cnn_small"])
def test_the_card_has_settings_for_every_size_of_the_benchmark(name):
    card = registry.model(name)

    for task in ("csi-rrg-tdd", "csi-rrg-fdd", "csi-rrg-tdd-small", "csi-rrg-fdd-tiny"):
        settings = card.settings_for(registry.task(task))
        assert settings is not None
        assert settings.context == 16
