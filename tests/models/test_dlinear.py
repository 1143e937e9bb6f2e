"""DLinear against the official implementation, and its parts against formulas."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tsbench.contracts import InputError
from tsbench.models.dlinear.model import DLinear, Hyperparameters, moving_average
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, load_weights, read_tensors


def test_the_fixture_of_the_official_code_is_reproduced(shared_fixtures, shape_of):  # fixtures, `dlinear`
    path = shared_fixtures / "dlinear.safetensors"
    tensors = read_tensors(path)
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    model = DLinear(
        shape_of(config["seq_len"], config["pred_len"], channels=config["enc_in"]),
        Hyperparameters(moving_average=config["moving_avg"]),
    )
    load_weights(model, path)

    forecast = model({"context": tensors["input/x"]})

    torch.testing.assert_close(forecast, tensors["output"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("horizon", "parameters"), [(96, 18_624), (720, 139_680)])
def test_there_are_2h_times_l_plus_1_parameters(shape_of, horizon, parameters):  # ltsf_protocol, DLinear
    assert count_parameters(DLinear(shape_of(96, horizon, channels=7))) == parameters


def test_individual_maps_are_one_pair_for_each_target(shape_of):
    model = DLinear(shape_of(48, 24, channels=3), Hyperparameters(individual=True))

    assert count_parameters(model) == 3 * 2 * 24 * 49
    assert "Linear_Seasonal.2.weight" in model.state_dict()


def test_individual_maps_with_the_same_weights_forecast_as_the_shared_one(shape_of):
    shared, own = (
        DLinear(shape_of(48, 24, channels=3)),
        DLinear(shape_of(48, 24, channels=3), Hyperparameters(individual=True)),
    )
    for index in range(3):
        own.Linear_Seasonal[index].load_state_dict(shared.Linear_Seasonal.state_dict())
        own.Linear_Trend[index].load_state_dict(shared.Linear_Trend.state_dict())
    context = torch.randn(4, 48, 3)

    torch.testing.assert_close(own({"context": context}), shared({"context": context}))


def test_untrained_weights_are_the_mean_of_the_look_back(shape_of):
    """Weights of 1/L make season + trend the window mean, up to the biases."""
    model = DLinear(shape_of(96, 24))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
    context = torch.randn(4, 96, 1)

    torch.testing.assert_close(
        model({"context": context}), context.mean(dim=1, keepdim=True).expand(-1, 24, -1), atol=1e-6, rtol=0
    )


def test_targets_alone_are_forecast(shape_of):
    model = DLinear(shape_of(48, 24, channels=3, targets=(2, 0)))
    context = torch.randn(4, 48, 3)
    whole = DLinear(shape_of(48, 24, channels=3))
    whole.load_state_dict(model.state_dict())

    torch.testing.assert_close(model({"context": context}), whole({"context": context})[..., [2, 0]])


@pytest.mark.parametrize("width", [1, 3, 25])
def test_the_moving_average_equals_a_convolution_over_repeated_edges(width):
    series = np.random.default_rng(0).normal(size=60)
    padded = np.pad(series, width // 2, mode="edge")
    expected = np.convolve(padded, np.full(width, 1 / width), mode="valid")

    found = moving_average(torch.from_numpy(series)[None, None], width)[0, 0]

    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("width", [24, 0, -3])
def test_an_even_moving_average_is_refused(width):  # ltsf_protocol, quirks: the length would shrink by 1
    with pytest.raises(InputError, match=f"card: moving_average must be odd and positive, not {width}"):
        fill(Hyperparameters, {"moving_average": width}, "card")


def test_a_look_back_shorter_than_half_the_average_is_refused(shape_of):
    with pytest.raises(InputError, match="dlinear needs a context above 12, not 12"):
        DLinear(shape_of(12, 4))
