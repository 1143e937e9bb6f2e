"""iTransformer: its sheet written once more, and its laws (ltsf_protocol.md, baselines)."""

import json

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional

from tsbench.contracts import InputError
from tsbench.data.calendar import calendar_names
from tsbench.models.itransformer.model import Hyperparameters, ITransformer
from tsbench.training.build import build
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, load_weights, read_tensors

SMALL = {"d_model": 16, "d_ff": 32, "n_heads": 4}


def model_of(shape, **chosen) -> ITransformer:
    return build(ITransformer, shape, Hyperparameters(**SMALL | chosen), seed=0).eval()


def batch_of(context: int = 48, channels: int = 3, samples: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "context": torch.randn(samples, context, channels, generator=generator),
        "past_covariates": torch.rand(samples, context, 4, generator=generator) - 0.5,
    }


def test_the_fixture_of_the_official_code_is_reproduced(
    shared_fixtures, shape_of
):  # fixtures, `itransformer`
    path = shared_fixtures / "itransformer.safetensors"
    if not path.is_file():
        pytest.skip(f"{path} is kept for an independent check")
    tensors = read_tensors(path)
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    names = ("d_model", "d_ff", "e_layers", "n_heads", "dropout")
    model = ITransformer(
        shape_of(config["seq_len"], config["pred_len"], channels=config["enc_in"]),
        Hyperparameters(**{name: config[name] for name in names}),
    ).eval()
    load_weights(model, path)

    forecast = model({"context": tensors["input/x"], "past_covariates": tensors["input/x_mark"]})

    torch.testing.assert_close(forecast, tensors["output"], atol=1e-5, rtol=0)


def test_the_forecast_equals_the_sheet_step_by_step(shape_of):
    """ltsf_protocol.md, iTransformer, with the convolutions, heads and normalisations spelled out."""
    model, batch = model_of(shape_of(48, 24, channels=3)), batch_of()
    x = batch["context"]
    mean, spread = x.mean(1, keepdim=True), (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    tokens = torch.cat([(x - mean) / spread, batch["past_covariates"]], dim=2).mT
    tokens = model.enc_embedding.value_embedding(tokens)  # (sample, 7, 16)
    for layer in model.encoder.attn_layers:
        attention, heads = layer.attention, []
        query, key, value = (
            getattr(attention, f"{name}_projection")(tokens) for name in ("query", "key", "value")
        )
        for part in torch.arange(16).split(4):
            weights = (query[..., part] @ key[..., part].mT / 2.0).softmax(dim=-1)
            heads.append(weights @ value[..., part])
        tokens = layer.norm1(tokens + attention.out_projection(torch.cat(heads, dim=-1)))
        inner = layer.conv2(functional.gelu(layer.conv1(tokens.mT))).mT
        tokens = layer.norm2(tokens + inner)
    expected = model.projection(model.encoder.norm(tokens)).mT[..., :3] * spread + mean

    torch.testing.assert_close(model(batch), expected, atol=1e-5, rtol=1e-5)


def test_the_parameter_names_are_those_of_the_sheet(shape_of):
    names = set(model_of(shape_of(48, 24), e_layers=1).state_dict())

    attention = {f"{name}_projection" for name in ("query", "key", "value", "out")}
    modules = {f"encoder.attn_layers.0.{one}" for one in ("conv1", "conv2", "norm1", "norm2")}
    modules |= {f"encoder.attn_layers.0.attention.{one}" for one in attention}
    modules |= {"enc_embedding.value_embedding", "encoder.norm", "projection"}
    assert names == {f"{module}.{kind}" for module in modules for kind in ("weight", "bias")}


@pytest.mark.parametrize(("horizon", "parameters"), [(96, 224_224), (720, 304_720)])
def test_the_parameter_counts_of_the_etth2_script(shape_of, horizon, parameters):  # ltsf_protocol.md
    assert count_parameters(ITransformer(shape_of(96, horizon, channels=7))) == parameters


@pytest.mark.parametrize("channels", [1, 7, 300])
def test_the_weights_do_not_depend_on_the_number_of_channels(shape_of, channels):
    assert count_parameters(ITransformer(shape_of(96, 96, channels=channels))) == 224_224


def test_permuted_channels_give_a_permuted_forecast(shape_of):
    model, batch, order = model_of(shape_of(48, 24, channels=3)), batch_of(), [2, 0, 1]

    permuted = model(batch | {"context": batch["context"][..., order]})

    torch.testing.assert_close(permuted, model(batch)[..., order], atol=1e-5, rtol=1e-5)


def test_channels_mix(shape_of):
    model, batch = model_of(shape_of(48, 24, channels=3)), batch_of()
    context = batch["context"].requires_grad_()

    (gradient,) = torch.autograd.grad(model(batch | {"context": context})[..., 0].sum(), context)

    assert all(gradient[..., channel].abs().max() > 0 for channel in range(3))


def test_a_part_of_the_channels_is_forecast_from_all_of_them(shape_of):
    part, whole = (
        model_of(shape_of(48, 24, channels=3, targets=(2, 0))),
        model_of(shape_of(48, 24, channels=3)),
    )

    torch.testing.assert_close(part(batch_of()), whole(batch_of())[..., [2, 0]])


def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(shape_of):
    model, batch = model_of(shape_of(48, 24, channels=3)), batch_of()

    alone = torch.cat([model({name: one[i : i + 1] for name, one in batch.items()}) for i in range(4)])

    torch.testing.assert_close(model(batch), alone, atol=1e-6, rtol=1e-5)


def test_window_normalisation_makes_the_forecast_follow_shift_and_scale_of_each_channel(shape_of):
    batch = batch_of()
    normed, plain = (model_of(shape_of(48, 24, channels=3), norm=norm) for norm in (True, False))
    scale, shift = torch.tensor([4.0, 0.5, 7.0]), torch.tensor([30.0, -2.0, 0.1])

    moved = normed(batch | {"context": scale * batch["context"] + shift})

    torch.testing.assert_close(moved, scale * normed(batch) + shift, atol=1e-3, rtol=1e-4)
    assert (plain(batch | {"context": batch["context"] + 30}) - plain(batch) - 30).abs().max() > 1


def test_marks_are_tokens_that_the_channels_read(shape_of):
    model, batch = model_of(shape_of(48, 24, channels=3)), batch_of()

    assert (model(batch) - model({"context": batch["context"]})).abs().max() > 1e-3


@pytest.mark.parametrize(("minute", "columns"), [(True, [0, 1, 2, 3, 4]), (False, [1, 2, 3, 4])])
def test_the_minute_of_the_hour_is_a_token_or_left_out(shape_of, minute, columns):  # timemixer.md, quirks
    shape = shape_of(48, 24, past_covariates=calendar_names("PT15M", dated=True))

    assert model_of(shape, minute_mark=minute).mark_index == columns


def test_marks_are_left_out_where_the_official_script_reads_none(shape_of):
    model = model_of(shape_of(48, 24, channels=3), marks=False)
    batch = {"context": torch.randn(2, 48, 3), "past_covariates": torch.randn(2, 48, 4)}

    assert torch.equal(model(batch), model({"context": batch["context"]}))


def test_a_very_short_look_back_without_marks_gives_a_forecast(shape_of):
    model = model_of(shape_of(16, 4, channels=6, period=4, past_covariates=()))
    batch = {"context": torch.randn(5, 16, 6), "past_covariates": torch.zeros(5, 16, 0)}

    assert model(batch).shape == (5, 4, 6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        *(
            ({name: 0}, f"{name} must be positive, not 0")
            for name in ("d_model", "d_ff", "e_layers", "n_heads")
        ),
        ({"d_model": 20, "n_heads": 3}, "n_heads must divide d_model; 3 does not divide 20"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), not 1.0"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(values, message):
    with pytest.raises(InputError, match=f"card: {message}"):
        fill(Hyperparameters, values, "card")
