"""PatchTST against the official implementation, and its laws (ltsf_protocol.md, baselines)."""

import json

import pytest
import torch
from safetensors import safe_open

from tsbench.contracts import InputError
from tsbench.models.layers.positions import sinusoids
from tsbench.models.patchtst.model import Hyperparameters, PatchTST
from tsbench.training.build import build
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, load_weights, read_tensors

SMALL = {"d_model": 16, "d_ff": 32, "n_heads": 4}


def model_of(shape, **chosen) -> PatchTST:
    return build(PatchTST, shape, Hyperparameters(**SMALL | chosen), seed=0).eval()


def context_of(context: int = 48, channels: int = 3, samples: int = 4) -> torch.Tensor:
    return torch.randn(samples, context, channels, generator=torch.Generator().manual_seed(1))


def test_the_fixture_of_the_official_code_is_reproduced(shared_fixtures, shape_of):  # fixtures, `patchtst`
    path = shared_fixtures / "patchtst.safetensors"
    tensors = read_tensors(path)
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    names = ("d_model", "d_ff", "e_layers", "n_heads", "dropout")
    model = PatchTST(
        shape_of(config["seq_len"], config["pred_len"], channels=config["enc_in"]),
        Hyperparameters(**{name: config[name] for name in names}),
    ).eval()
    own = model.patch_embedding.position_embedding.pe.clone()
    load_weights(model, path)

    forecast = model({"context": tensors["input/x"]})

    torch.testing.assert_close(forecast, tensors["output"], atol=1e-5, rtol=0)
    torch.testing.assert_close(own, model.patch_embedding.position_embedding.pe, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("horizon", "layers", "heads", "parameters"),
    [(96, 1, 2, 3_751_520), (720, 1, 16, 7_586_000), (96, 3, 4, 10_056_288)],
)
def test_the_parameter_counts_of_the_library_scripts(shape_of, horizon, layers, heads, parameters):
    """ltsf_protocol.md: ETTh1-96, ETTh1-720 and ETTh2-96."""
    chosen = Hyperparameters(e_layers=layers, n_heads=heads)

    assert count_parameters(PatchTST(shape_of(96, horizon, channels=7), chosen)) == parameters


@pytest.mark.parametrize(
    ("context", "patch", "stride"),
    [(96, 16, 8), (48, 16, 16), (50, 16, 8), (16, 16, 8), (16, 4, 2), (7, 3, 1)],
)
def test_the_number_of_patches(
    shape_of, context, patch, stride
):  # ltsf_protocol.md: int((L − patch) / stride + 2)
    model = model_of(shape_of(context, 4), patch=patch, stride=stride)

    tokens = model.patch_embedding(torch.randn(2, context))

    assert tokens.shape == (2, int((context - patch) / stride + 2), 16)
    assert model.head.linear.in_features == tokens.shape[1] * 16


def test_the_last_patch_is_filled_up_with_the_last_value(shape_of):
    embedding = model_of(shape_of(48, 4)).patch_embedding
    rows = context_of(channels=1)[..., 0]
    last = torch.cat([rows[:, -8:], rows[:, -1:].expand(-1, 8)], dim=1)

    tokens = embedding(rows)

    torch.testing.assert_close(tokens[:, -1], embedding.value_embedding(last) + sinusoids(6, 16)[5])


def test_a_layer_equals_torchs_own_encoder_layer(shape_of):
    """Post-norm, GELU, multi-head attention: nn.TransformerEncoderLayer with the same weights."""
    layer = model_of(shape_of(48, 4)).encoder.attn_layers[0]
    official = torch.nn.TransformerEncoderLayer(
        16, 4, 32, dropout=0.0, activation="gelu", batch_first=True
    ).eval()
    attention = layer.attention
    inputs = (attention.query_projection, attention.key_projection, attention.value_projection)
    official.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([one.weight for one in inputs]),
            "self_attn.in_proj_bias": torch.cat([one.bias for one in inputs]),
            "self_attn.out_proj.weight": attention.out_projection.weight,
            "self_attn.out_proj.bias": attention.out_projection.bias,
            "linear1.weight": layer.conv1.weight[..., 0],
            "linear1.bias": layer.conv1.bias,
            "linear2.weight": layer.conv2.weight[..., 0],
            "linear2.bias": layer.conv2.bias,
            **{
                f"norm{i}.{name}": one
                for i in (1, 2)
                for name, one in getattr(layer, f"norm{i}").state_dict().items()
            },
        }
    )
    tokens = torch.randn(5, 6, 16)

    torch.testing.assert_close(layer(tokens), official(tokens), atol=1e-5, rtol=1e-5)


def test_a_row_of_positions_turns_into_the_next_by_a_rotation():
    """Sine and cosine of p + 1 are a rotation of those of p, by an angle that does not depend on p."""
    table = sinusoids(100, 8).double()
    pairs = torch.complex(table[:, 1::2], table[:, 0::2])

    turns = pairs[1:] / pairs[:-1]

    torch.testing.assert_close(turns, turns[:1].expand_as(turns), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        turns[0].angle(), 10000.0 ** (-torch.arange(0, 8, 2).double() / 8), atol=1e-6, rtol=0
    )


def test_an_odd_width_of_positions_ends_with_a_sine():
    table = sinusoids(10, 5)

    assert table.shape == (10, 5)
    torch.testing.assert_close(table[:, 4], (torch.arange(10) * 10000.0 ** (-4 / 5)).sin())


@pytest.mark.parametrize(("head", "share"), [(None, 0.3), (0.0, 0.0), (0.5, 0.5)])
def test_the_head_drops_as_much_as_the_layers_unless_told(shape_of, head, share):
    assert model_of(shape_of(48, 24), dropout=0.3, head_dropout=head).head.dropout.p == share


def test_a_very_short_look_back_gives_a_forecast(shape_of):
    model = model_of(shape_of(16, 4, channels=6, period=4, past_covariates=()), patch=4, stride=2)

    assert model({"context": context_of(16, 6)}).shape == (4, 4, 6)


def test_a_patch_longer_than_the_look_back_is_refused(shape_of):
    with pytest.raises(
        InputError, match="patchtst needs a context of at least one patch of 16 steps, not 15"
    ):
        PatchTST(shape_of(15, 4))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        *(
            ({name: 0}, f"{name} must be positive, not 0")
            for name in ("patch", "stride", "d_ff", "e_layers", "n_heads")
        ),
        ({"stride": 17}, r"stride must be at most patch \(16\), not 17"),
        ({"d_model": 20, "n_heads": 3}, "n_heads must divide d_model; 3 does not divide 20"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\), not -0.1"),
        ({"head_dropout": 1.0}, r"head_dropout must be in \[0, 1\), not 1.0"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(values, message):
    with pytest.raises(InputError, match=f"card: {message}"):
        fill(Hyperparameters, values, "card")
