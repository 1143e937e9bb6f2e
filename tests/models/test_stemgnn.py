"""stemgnn against the official implementation and the figures of its sheet (csi_rrg.md)."""

import json

import pytest
import torch
from safetensors import safe_open

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.models.stemgnn.model import Hyperparameters, StemGnn
from tsbench.models.stemgnn.network import Predictor, chebyshev, laplacian
from tsbench.models.stemgnn_small.model import StemGnnSmall
from tsbench.training.cost import count_flops
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, load_weights, read_tensors


class TestTheOfficialFixture:
    @pytest.fixture(scope="class")
    def tensors(self, shared_fixtures):
        return read_tensors(shared_fixtures / "csi_rrg_stemgnn.safetensors")

    @pytest.fixture
    def model(self, shared_fixtures, shape_of):
        path = shared_fixtures / "csi_rrg_stemgnn.safetensors"
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
        shape = shape_of(config["window_size"], config["horizon"], channels=config["embedded_dim"])
        names = {"multi_layer": "multi_layer", "dropout_rate": "dropout", "leaky_rate": "leaky_rate"}
        model = StemGnn(shape, Hyperparameters(**{ours: config[theirs] for theirs, ours in names.items()}))
        load_weights(model, path)
        return model.eval()

    def test_its_output_is_reproduced(self, model, tensors):
        forecast = model({"context": tensors["input/x"]})

        torch.testing.assert_close(forecast, tensors["output/y"], atol=1e-5, rtol=0)

    def test_its_intermediates_are_reproduced(self, model, tensors):
        predictor, series = model.predictor, tensors["input/x"]
        attention = predictor.attention(series)
        terms = chebyshev(laplacian(attention))
        forecast0, rest = predictor.stock_block[0](series.transpose(1, 2), terms)
        forecast1, _ = predictor.stock_block[1](rest, terms)

        found = {
            "attention": (attention + attention.T) / 2,
            "mul_L": terms,
            "forecast0": forecast0,
            "backcast0": rest[:, None],
            "forecast1": forecast1,
        }
        for name, one in found.items():
            torch.testing.assert_close(one, tensors[f"intermediate/{name}"], atol=1e-5, rtol=0, msg=name)

    def test_the_form_of_the_paper_is_another_one(self, model, tensors):
        config = {"nodes": 12, "context": 8, "horizon": 4, "multiple": 2}
        other = Predictor(**config, compat=False).eval()
        other.load_state_dict(model.predictor.state_dict())

        assert (other(tensors["input/x"]) - tensors["output/y"]).abs().max() > 1e-3


@pytest.mark.parametrize(("multiple", "count"), [(4, 2_344_484), (8, 5_753_508), (5, 2_992_452)])
def test_the_published_parameter_counts(shape_of, multiple, count):
    with torch.device("meta"):
        model = StemGnn(shape_of(16, 4, channels=600), Hyperparameters(multi_layer=multiple))

    assert count_parameters(model) == count


@pytest.mark.parametrize(("multiple", "published"), [(4, 91.6e9), (8, 222.3e9)])
def test_the_published_cost(shape_of, multiple, published):  # of a sample of 32 antennas
    with torch.device("meta"):
        model = StemGnn(shape_of(16, 4, channels=600), Hyperparameters(multi_layer=multiple)).eval()
        flops = count_flops(lambda: model({"context": torch.zeros(32, 16, 600)}))

    assert flops is not None
    assert flops == pytest.approx(published, rel=0.03)


def test_the_terms_are_chebyshev_polynomials_unless_compat():
    matrix = torch.rand(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 5
    squared, cubed, identity = matrix @ matrix, matrix @ matrix @ matrix, torch.eye(5, dtype=torch.float64)

    exact = torch.stack([identity, matrix, 2 * squared - identity, 4 * cubed - 3 * matrix])
    published = torch.stack([0 * identity, matrix, 2 * squared, 4 * cubed - matrix])

    torch.testing.assert_close(chebyshev(matrix, compat=False), exact)
    torch.testing.assert_close(chebyshev(matrix), published)


def test_the_laplacian_of_a_symmetric_graph_is_the_textbook_one():
    edges = torch.rand(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    edges = edges + edges.T
    root = torch.diag(edges.sum(dim=1).rsqrt())

    torch.testing.assert_close(
        laplacian(edges), torch.eye(6, dtype=torch.float64) - root @ edges @ root, atol=1e-6, rtol=0
    )


def test_every_node_shares_its_attention_among_all():
    attention = Predictor(nodes=6, context=8, horizon=4, multiple=1).eval().attention(torch.randn(5, 8, 6))

    torch.testing.assert_close(attention.sum(dim=1), torch.ones(6))


def test_the_transform_over_time_mixes_no_terms_before_the_gates(shape_of):
    """Without the gated layers there and back is the identity, whichever axis is transformed."""
    block = Predictor(nodes=6, context=8, horizon=4, multiple=1, compat=False).stock_block[0]
    for index in range(6):
        block.GLUs[index] = torch.nn.Identity()
    filtered = torch.randn(3, 4, 6, 8)

    torch.testing.assert_close(block.over_frequency(filtered), filtered)
    block.compat = True
    torch.testing.assert_close(block.over_frequency(filtered), filtered)


def test_a_forecast_depends_on_its_batch_and_the_model_says_so(shape_of):
    model = StemGnn(shape_of(16, 4, channels=6), Hyperparameters(multi_layer=1)).eval()
    context = torch.randn(3, 16, 6)

    alone = torch.cat([model({"context": one[None]}) for one in context])

    assert model.couples
    assert (model({"context": context}) - alone).abs().max() > 1e-6


def test_the_order_of_a_batch_changes_nothing(shape_of):
    model = StemGnn(shape_of(16, 4, channels=6), Hyperparameters(multi_layer=1)).eval()
    context, order = torch.randn(4, 16, 6), torch.tensor([2, 0, 3, 1])

    torch.testing.assert_close(model({"context": context[order]}), model({"context": context})[order])


def test_some_targets_are_forecast_as_in_the_whole(shape_of):
    chosen = Hyperparameters(multi_layer=1)
    part = StemGnn(shape_of(16, 4, channels=4, targets=(2, 0)), chosen).eval()
    whole = StemGnn(shape_of(16, 4, channels=4), chosen).eval()
    whole.load_state_dict(part.state_dict())
    context = torch.randn(3, 16, 4)

    torch.testing.assert_close(part({"context": context}), whole({"context": context})[..., [2, 0]])


def test_the_small_one_differs_in_its_default_size_alone(shape_of):
    shape = shape_of(16, 4, channels=10)
    small, same = StemGnnSmall(shape).eval(), StemGnn(shape, Hyperparameters(multi_layer=1)).eval()
    same.load_state_dict(small.state_dict())
    context = torch.randn(3, 16, 10)

    assert torch.equal(small({"context": context}), same({"context": context}))


@pytest.mark.parametrize("model", [StemGnn, StemGnnSmall])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"multi_layer": 0}, "multi_layer must be at least 1, not 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(model, wrong, message):
    with pytest.raises(InputError, match=f"card: {message}"):
        fill(model.Hyperparameters, wrong, "card")


def test_the_card_has_the_published_sizes():
    card = registry.model("stemgnn")
    for mode, multiple in (("tdd", 4), ("fdd", 8)):
        settings = card.settings_for(registry.task(f"csi-rrg-{mode}"))
        assert settings is not None
        assert (settings.tuning, settings.hyperparameters) == ("published", {"multi_layer": multiple})
