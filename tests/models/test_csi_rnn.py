"""csi_rnn against the official implementation and the counts of its sheet (csi_rrg.md)."""

import json

import pytest
import torch
from safetensors import safe_open

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.models.csi_rnn.model import CsiRnn, Hyperparameters
from tsbench.models.csi_rnn_small.model import CsiRnnSmall
from tsbench.training.cost import count_flops
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, load_weights, read_tensors


class TestTheOfficialFixture:
    @pytest.fixture(scope="class")
    def tensors(self, shared_fixtures):
        return read_tensors(shared_fixtures / "csi_rrg_rnn.safetensors")

    @pytest.fixture
    def model(self, shared_fixtures, shape_of):
        path = shared_fixtures / "csi_rrg_rnn.safetensors"
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
        shape = shape_of(config["hist_len"], config["pred_len"], channels=config["dim_data"])
        model = CsiRnn(shape, Hyperparameters(config["rnn_hidden_dim"], config["rnn_num_layers"]))
        load_weights(model, path)
        return model

    def test_its_output_is_reproduced(self, model, tensors):
        forecast = model({"context": tensors["input/x"]})

        torch.testing.assert_close(forecast, tensors["output/y"], atol=1e-5, rtol=0)

    def test_its_intermediates_are_reproduced(self, model, tensors):
        unit = model.model.model
        outputs = [unit(tensors["input/x"][:, :steps])[0] for steps in range(1, 17)]
        _, state = unit(tensors["input/x"])

        expected = tensors["intermediate/hist_outputs"]
        torch.testing.assert_close(torch.cat(outputs, dim=1), expected, atol=1e-5, rtol=0)
        expected = tensors["intermediate/hidden_after_history"]
        torch.testing.assert_close(state, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("hidden", "layers", "count"), [(4096, 5, 156_312_304), (2048, 6, 48_980_720)])
def test_the_published_parameter_counts(shape_of, hidden, layers, count):
    with torch.device("meta"):
        model = CsiRnn(shape_of(16, 4, channels=600), Hyperparameters(hidden, layers))

    assert count_parameters(model) == count


def test_the_cost_is_that_of_19_steps_and_4_decodings(shape_of):
    model = CsiRnn(shape_of(16, 4, channels=6), Hyperparameters(hidden=10, layers=3))
    step = 6 * 6 + (6 + 10) * 10 + 2 * (10 + 10) * 10

    flops = count_flops(lambda: model({"context": torch.zeros(7, 16, 6)}))

    assert flops == 2 * 7 * (19 * step + 4 * 10 * 6)


def test_the_look_back_read_at_once_equals_step_by_step(shape_of):
    unit = CsiRnn(shape_of(16, 4, channels=6), Hyperparameters(hidden=10, layers=3)).model.model
    series = torch.randn(4, 16, 6)
    step, state = unit(series[:, :1])
    for time in range(1, 16):
        step, state = unit(series[:, time : time + 1], state)

    torch.testing.assert_close(unit(series), (step, state))


def test_a_longer_horizon_begins_with_the_shorter_one(shape_of):
    short = CsiRnn(shape_of(16, 2, channels=6), Hyperparameters(hidden=10, layers=2))
    long = CsiRnn(shape_of(16, 5, channels=6), Hyperparameters(hidden=10, layers=2))
    long.load_state_dict(short.state_dict())
    context = torch.randn(3, 16, 6)

    torch.testing.assert_close(long({"context": context})[:, :2], short({"context": context}))


def test_the_small_one_differs_in_its_default_size_alone(shape_of):
    shape = shape_of(16, 4, channels=150)
    small, same = CsiRnnSmall(shape), CsiRnn(shape, Hyperparameters(hidden=256, layers=2))
    same.load_state_dict(small.state_dict())
    context = torch.randn(3, 16, 150)

    assert torch.equal(small({"context": context}), same({"context": context}))


@pytest.mark.parametrize("model", [CsiRnn, CsiRnnSmall])
@pytest.mark.parametrize("name", ["hidden", "layers"])
def test_no_layer_is_refused(model, name):
    with pytest.raises(InputError, match=f"card: {name} must be at least 1, not 0"):
        fill(model.Hyperparameters, {name: 0}, "card")


def test_the_card_has_the_published_sizes():
    card = registry.model("csi_rnn")
    sizes = {}
    for mode in ("tdd", "fdd"):
        settings = card.settings_for(registry.task(f"csi-rrg-{mode}"))
        assert settings is not None
        sizes[mode] = (settings.tuning, settings.hyperparameters)

    assert sizes["tdd"] == ("published", {"hidden": 4096, "layers": 5})
    assert sizes["fdd"] == ("published", {"hidden": 2048, "layers": 6})
