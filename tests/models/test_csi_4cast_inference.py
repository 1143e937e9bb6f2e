"""The fast form of csi_4cast: equal to the plain one to 1e-5, and never one of weights that have changed."""

import pytest
import torch
from torch import nn

from tsbench.models.csi_4cast import inference
from tsbench.models.csi_4cast import model as model_module
from tsbench.models.csi_4cast.inference import FoldedBranch, in_pieces
from tsbench.models.csi_4cast.model import Csi4Cast, Hyperparameters
from tsbench.training.cost import count_flops

SMALL = {
    "dim_model": 16,
    "arl_temporal_proj_hidden_dim": 6,
    "arl_subcarrier_proj_hidden_dim": 6,
    "embedding_num_res_layers": 2,
    "embedding_res_dim": 12,
    "embedding_res_groups": 3,
    "embedding_mlp_hidden_dim": 6,
    "embedding_mobilenet_base_channels": 4,
    "transformer_num_layers": 1,
    "transformer_num_heads": 2,
    "transformer_hidden_dim": 12,
}
FDD = {"arl_is_U2D": True, "embedding_attention": "average_and_maximum"}
FORMS = {
    "TDD": {},
    "FDD": FDD,
    "one group": {"embedding_res_groups": 1},
    "groups of one map": {"embedding_res_groups": 12},
    "each sequence scaled": {"statistics": "sequence"},
    "no delay path": {"delay_path": False},
    "no correction": {"arl": "none"},
    "batch normalisation": {"arl": "batch_norm"},
    "perceptron embedding": {"embedding": "mlp"},
    "MobileNet embedding": {"embedding": "mobilenet"},
}


def model_of(shape_of, channels: int = 14, **changes) -> Csi4Cast:
    """A model whose normalisations have seen data: other statistics, scales and shifts than at the start."""
    torch.manual_seed(0)
    model = Csi4Cast(shape_of(16, 4, channels=channels), Hyperparameters(**(SMALL | changes)))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            part.running_mean.normal_(0, 0.5)
            part.running_var.uniform_(0.3, 3)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias, 0, 0.5)
    return model.eval()


def noise(samples: int = 5, channels: int = 14) -> torch.Tensor:
    return torch.randn(samples, 16, channels, generator=torch.Generator().manual_seed(1))


def fast(model: Csi4Cast, series: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model.forecast(series)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("piece", [1, 2**12, 2**30])
def test_both_forms_agree_whatever_the_pieces(shape_of, monkeypatch, name, piece):
    monkeypatch.setattr(inference, "IMAGE_BYTES", piece)
    monkeypatch.setattr(inference, "ROWS_BYTES", piece)
    model = model_of(shape_of, **FORMS[name])

    torch.testing.assert_close(fast(model, noise()), model.plain(noise()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", ["TDD", "FDD"])
def test_a_folded_branch_is_the_branch(shape_of, mode):
    branch = model_of(shape_of, **FORMS[mode]).embedding.RB_freq
    image = torch.randn(3, 2, 16, 7, generator=torch.Generator().manual_seed(2))

    with torch.no_grad():
        found = FoldedBranch.of(branch)(image.permute(0, 2, 3, 1).flatten(2))
        expected = branch(image).permute(0, 2, 3, 1).flatten(2)

    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_both_forms_cost_the_same_operations(shape_of):
    model, series = model_of(shape_of, **FDD), noise()

    assert count_flops(lambda: fast(model, series)) == count_flops(lambda: model.plain(series))


def test_the_look_back_is_left_as_it_is(shape_of):
    series = noise()
    fast(model_of(shape_of, denoiser_num_filters_2d=1, arl="none"), series)

    assert torch.equal(series, noise())


class TestTheFastFormIsTaken:
    @pytest.fixture
    def called(self, monkeypatch):
        """Counts the calls of the fast form."""
        calls: list[int] = []

        def counting(*arguments):
            calls.append(1)
            return inference.fast_forecast(*arguments)

        monkeypatch.setattr(model_module, "fast_forecast", counting)
        return calls

    def test_in_evaluation_without_gradients(self, shape_of, called):
        model = model_of(shape_of)
        with torch.no_grad():
            model({"context": noise()})

        assert called == [1]

    def test_and_neither_in_training_nor_with_gradients_nor_where_switched_off(self, shape_of, called):
        model, off = model_of(shape_of), model_of(shape_of, fast_inference=False)
        model({"context": noise()})
        with torch.no_grad():
            model.train()({"context": noise()})
            off({"context": noise()})

        assert called == []


class TestWeightsThatChange:
    @pytest.fixture
    def model(self, shape_of):
        model = model_of(shape_of)
        fast(model, noise())
        return model

    def check(self, model):
        torch.testing.assert_close(fast(model, noise()), model.plain(noise()), atol=1e-5, rtol=0)

    @pytest.mark.parametrize("fused", [False, True])
    def test_by_a_step_of_the_optimiser(self, model, fused):
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
        model.plain(noise()).square().sum().backward()
        optimiser.step()

        self.check(model)

    def test_by_loading(self, model, shape_of):
        other = model_of(shape_of)
        nn.init.normal_(other.embedding.RB_freq[1].dw_conv.weight)
        model.load_state_dict(other.state_dict())

        self.check(model)

    def test_by_the_statistics_of_a_batch(self, model):
        model.train()({"context": 3 * noise() + 1})
        model.eval()

        self.check(model)


@pytest.mark.parametrize(("most", "sizes"), [(1, [1] * 5), (20, [2, 2, 1]), (1000, [5])])
def test_pieces_hold_no_more_than_they_may(most, sizes):
    seen = []

    def layer(rows: torch.Tensor) -> torch.Tensor:
        seen.append(len(rows))
        return 2 * rows

    assert torch.equal(in_pieces(layer, noise(), 10, most), 2 * noise())
    assert seen == sizes
