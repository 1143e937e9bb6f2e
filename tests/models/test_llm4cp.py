"""llm4cp against the official implementations, and the "must show" lines of its sheet (llm4cp.md)."""

import json

import pytest
import torch
from safetensors import safe_open
from torch import nn

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.models.llm4cp.gpt2 import SIZES, Configuration, Decoder
from tsbench.models.llm4cp.model import Hyperparameters, Llm4Cp
from tsbench.models.llm4cp.network import Network
from tsbench.models.llm4cp_small.model import Hyperparameters as SmallHyperparameters
from tsbench.models.llm4cp_small.model import Llm4CpSmall
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.weights import count_parameters, load_weights, read_tensors

SMALLEST = {"residual_width": 4, "residual_blocks": 1}


def small(shape_of, channels: int = 10, **chosen) -> Llm4CpSmall:
    """A model of two narrow branches on a few subcarriers."""
    torch.manual_seed(0)
    return Llm4CpSmall(shape_of(16, 4, channels=channels), SmallHyperparameters(**SMALLEST | chosen))


def batch_of(samples: int = 4, channels: int = 10) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "context": torch.randn(samples, 16, channels, generator=generator),
        "target": torch.randn(samples, 4, channels, generator=generator),
    }


def fixture_config(path) -> dict:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["config"])


def network_of(config: dict, original: bool, compat: bool = True) -> Network:
    decoder = Configuration(
        config["gpt_dim"], config["n_head"], config["gpt_layers"], config["n_positions"], config["vocab_size"]
    )
    return Network(
        channels=2 * config["K"],
        context=config["prev_len"],
        horizon=config["pred_len"],
        backbone=Decoder(decoder),
        width=config["gpt_dim"],
        residual_width=config["res_dim"],
        residual_blocks=config["res_layers"],
        original=original,
        compat=compat,
    )


class Prefixed(nn.Module):
    """The port's checkpoints name the network `model`."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.model = network


class TestTheOfficialFixtures:
    @pytest.fixture(scope="class", params=["llm4cp", "csi_rrg_llm4cp"])
    def loaded(self, request, shared_fixtures):
        path = shared_fixtures / f"{request.param}.safetensors"
        original = request.param == "llm4cp"
        network = network_of(fixture_config(path), original)
        load_weights(network if original else Prefixed(network), path)
        return network.eval(), read_tensors(path), fixture_config(path)

    def test_their_output_is_reproduced(self, loaded):
        network, tensors, _ = loaded

        torch.testing.assert_close(network(tensors["input/x"]), tensors["output/y"], atol=1e-5, rtol=0)

    def test_their_intermediates_are_reproduced(self, loaded):
        network, tensors, _ = loaded
        found = {}
        for name, module in {
            "delay_branch": network.RB_f,
            "freq_branch": network.RB_e,
            "embedding": network.enc_embedding1,
            "gpt2": network.gpt2,
            "out_dim": network.out_layer_dim,
        }.items():
            module.register_forward_hook(lambda *args, name=name: found.update({name: args[2]}))

        network(tensors["input/x"])

        for name in [key.removeprefix("intermediate/") for key in tensors if key.startswith("intermediate/")]:
            expected = tensors[f"intermediate/{name}"]
            torch.testing.assert_close(found[name], expected, atol=1e-5, rtol=0, msg=name)

    def test_their_parameters_are_counted(self, loaded):
        network, _, config = loaded

        assert count_parameters(network) == config["total"]

    def test_the_corrected_reading_of_delays_is_another_one(self, loaded):  # must show 4; quirk 1
        network, tensors, config = loaded
        corrected = network_of(config, network.original, compat=False).eval()
        corrected.load_state_dict(network.state_dict())

        assert (corrected(tensors["input/x"]) - tensors["output/y"]).abs().max() > 0.01

    def test_the_other_form_of_the_code_is_another_one(self, loaded):
        network, tensors, config = loaded
        other = network_of(config, not network.original).eval()
        state = {name: one for name, one in network.state_dict().items() if "tokenConv.bias" not in name}
        other.load_state_dict(state, strict=False)

        assert (other(tensors["input/x"]) - tensors["output/y"]).abs().max() > 1e-4


@pytest.mark.parametrize(  # must show 1: table of the sheet
    ("subcarriers", "chosen", "trainable", "total"),
    [
        (48, {"original": True}, 1_765_984, 82_872_160),
        (300, {"blocks": 7, "residual_blocks": 7}, 3_810_904, 92_001_880),
        (300, {"backbone": "gpt2-medium", "blocks": 7, "residual_blocks": 6}, 4_532_312, 144_140_376),
    ],
)
def test_the_published_parameter_counts(shape_of, subcarriers, chosen, trainable, total):
    with torch.device("meta"):
        model = Llm4Cp(shape_of(16, 4, channels=2 * subcarriers), Hyperparameters(**chosen))

    assert count_parameters(model) == total
    assert sum(one.numel() for one in model.parameters() if one.requires_grad) == trainable


def test_the_card_has_the_published_sizes_and_the_small_one_those_of_the_sheet(shape_of):
    card = registry.model("llm4cp")
    sizes = {
        mode: card.settings_for(registry.task(f"csi-rrg-{mode}")).hyperparameters for mode in ("tdd", "fdd")
    }
    assert sizes["tdd"] == {"backbone": "gpt2-medium", "blocks": 7, "residual_blocks": 6}
    assert sizes["fdd"] == {"backbone": "gpt2", "blocks": 7, "residual_blocks": 7}

    model = Llm4CpSmall(shape_of(16, 4, channels=150))
    assert model.model.gpt2.configuration == SIZES["gpt2-tiny"]
    assert sum(one.numel() for one in model.parameters() if one.requires_grad) == pytest.approx(1e5, rel=0.1)
    assert count_parameters(model) == pytest.approx(5e5, rel=0.01)


@pytest.mark.parametrize(  # must show 2
    ("learned", "parts"),
    [("norms", ("ln", "wpe")), ("norms_and_perceptrons", ("ln", "wpe", "mlp")), ("all", ("",))],
)
def test_a_step_changes_only_what_is_learned_of_the_backbone(shape_of, learned, parts):
    model = small(shape_of, learned=learned)
    model.settings = TrainingSettings(loss="nmse", weight_decay=0.1)
    before = {name: one.clone() for name, one in model.model.gpt2.state_dict().items()}
    optimiser = model.configure_optimizers()

    model.loss(batch_of()).backward()
    optimiser.step()

    for name, parameter in model.model.gpt2.named_parameters():
        wanted = any(part in name for part in parts)
        assert (parameter.grad is not None) == wanted, name
        assert torch.equal(parameter, before[name]) == (not wanted), name


def test_a_state_of_the_backbone_depends_on_earlier_tokens_alone():  # must show 3
    decoder = Decoder(SIZES["gpt2-tiny"]).eval()
    tokens = torch.randn(2, 16, 128)
    changed = tokens.clone()
    changed[:, 9:] = torch.randn(2, 7, 128)

    first, second = decoder(tokens), decoder(changed)

    assert torch.equal(first[:, :9], second[:, :9])
    assert (first[:, 9:] - second[:, 9:]).abs().min(dim=2).values.max() > 0


def test_the_delay_branch_sees_the_inverse_fourier_transform(shape_of):
    """A single delay is a wave over the subcarriers; with `compat` real parts come first, then imaginary."""
    wave = torch.exp(-2j * torch.pi * torch.arange(8) * 3 / 8).to(torch.complex64)
    series = torch.view_as_real(wave).flatten().repeat(1, 16, 1)
    network = small(shape_of, channels=16).model

    pairs = network.to_delay(series)[0, 0].unflatten(0, (8, 2))
    network.compat = True
    halves = network.to_delay(series)[0, 0].unflatten(0, (2, 8))

    assert torch.view_as_complex(pairs).abs().argmax() == 3
    torch.testing.assert_close(halves, pairs.T)


def test_patches_are_mixed_within_themselves(shape_of):
    network = small(shape_of).model
    series = torch.randn(2, 16, 10)

    mixed = network.mixed(series)

    for patch in range(4):
        steps = slice(4 * patch, 4 * patch + 4)
        weight, bias = network.patch_layer.weight, network.patch_layer.bias
        expected = torch.einsum("ij,bjc->bic", weight, series[:, steps]) + bias[:, None]
        torch.testing.assert_close(mixed[:, steps], expected)


@pytest.mark.parametrize("original", [True, False])
def test_a_forecast_follows_shift_and_scale_of_its_batch(shape_of, original):
    model, context = small(shape_of, original=original).eval(), batch_of()["context"]

    moved = model({"context": 3 * context + 5})

    torch.testing.assert_close(moved, 3 * model({"context": context}) + 5, atol=1e-4, rtol=1e-4)


def test_a_forecast_depends_on_its_batch_and_the_model_says_so(shape_of):
    model, context = small(shape_of).eval(), batch_of()["context"]

    alone = torch.cat([model({"context": one[None]}) for one in context])

    assert model.couples
    assert (model({"context": context}) - alone).abs().max() > 1e-4


def test_constant_series_are_forecast_as_constant_by_the_port(shape_of):
    model = small(shape_of).eval()

    forecast = model({"context": torch.full((2, 16, 10), 7.0)})

    torch.testing.assert_close(forecast, torch.full((2, 4, 10), 7.0), atol=1e-4, rtol=0)


def test_narrow_tokens_are_filled_with_zeros_for_the_backbone(shape_of):
    network = small(shape_of, width=32).model.eval()
    tokens = torch.randn(2, 16, 32)

    wide = torch.cat([tokens, torch.zeros(2, 16, 96)], dim=2)

    assert torch.equal(network.states(tokens), network.gpt2(wide)[..., :32])


def test_without_a_backbone_tokens_go_on_as_they_are(shape_of):
    model = small(shape_of, backbone="identity").eval()
    tokens = torch.randn(2, 16, 128)

    assert torch.equal(model.model.states(tokens), tokens)
    assert not [name for name in model.state_dict() if "gpt2" in name]
    assert model({"context": torch.randn(3, 16, 10)}).shape == (3, 4, 10)


def test_the_small_one_differs_in_its_defaults_alone(shape_of):
    shape = shape_of(16, 4, channels=10)
    chosen = Hyperparameters(
        backbone="gpt2-tiny", blocks=2, width=128, residual_width=16, residual_blocks=2, compat=False
    )
    made, same = Llm4CpSmall(shape).eval(), Llm4Cp(shape, chosen).eval()
    same.load_state_dict(made.state_dict())
    context = torch.randn(3, 16, 10)

    assert torch.equal(made({"context": context}), same({"context": context}))


def test_some_targets_are_forecast_as_in_the_whole(shape_of):
    chosen = SmallHyperparameters(**SMALLEST)
    part = Llm4CpSmall(shape_of(16, 4, channels=4, targets=(2, 0)), chosen).eval()
    whole = Llm4CpSmall(shape_of(16, 4, channels=4), chosen).eval()
    whole.load_state_dict(part.state_dict())
    context = torch.randn(3, 16, 4)

    torch.testing.assert_close(part({"context": context}), whole({"context": context})[..., [2, 0]])


class TestThePooledLoss:
    """Squared error of a batch over its power, as the authors train."""

    def losses(self, shape_of, batch, pooled):
        model = small(shape_of, pooled_loss=pooled).eval()
        model.settings = TrainingSettings(loss="nmse")
        forecast = model({"context": batch["context"]}).detach()
        losses = model.loss(batch), model.loss(batch, reduction="sum")
        return model, forecast, *(float(one.detach()) for one in losses)

    def test_it_is_a_ratio_of_two_sums(self, shape_of):
        batch = batch_of()
        batch["target"][0] *= 10
        _, forecast, mean, total = self.losses(shape_of, batch, pooled=True)

        expected = (forecast - batch["target"]).square().sum() / batch["target"].square().sum()
        assert mean == pytest.approx(float(expected))
        assert total == pytest.approx(16 * float(expected))
        assert mean != pytest.approx(self.losses(shape_of, batch, pooled=False)[2], rel=1e-3)

    def test_missing_values_add_to_neither_sum(self, shape_of):
        batch = batch_of()
        valid = torch.rand(batch["target"].shape, generator=torch.Generator().manual_seed(2)) < 0.7
        masked = batch | {"valid": valid, "target": torch.where(valid, batch["target"], torch.nan)}
        _, forecast, mean, _ = self.losses(shape_of, masked, pooled=True)

        expected = (forecast - batch["target"])[valid].square().sum() / batch["target"][valid].square().sum()
        assert mean == pytest.approx(float(expected))

    def test_another_loss_is_left_alone(self, shape_of):
        model, batch = small(shape_of, pooled_loss=True).eval(), batch_of()

        expected = nn.functional.mse_loss(model({"context": batch["context"]}), batch["target"])
        assert model.loss(batch).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blocks": 3}, "blocks must be 1 to 2, not 3"),
        ({"blocks": 0}, "blocks must be 1 to 2, not 0"),
        ({"width": 129}, "width must be 1 to 128, that of gpt2-tiny"),
        ({"residual_width": 0}, "residual_width must be at least 1, not 0"),
        ({"backbone": "identity", "width": 0}, "width must be at least 1, not 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
        ({"backbone": "gpt2"}, "backbone must be one of 'gpt2-tiny', 'identity', not 'gpt2'"),
    ],
)
def test_sizes_that_make_no_network_are_refused(wrong, message):
    with pytest.raises(InputError, match=f"card: {message}"):
        fill(SmallHyperparameters, wrong, "card")


@pytest.mark.parametrize(
    ("context", "channels", "message"),
    [
        (16, 7, "the task has 7 context channels, and an even number is needed"),
        (18, 8, "a context that is a multiple of 4, not 18"),
        (68, 8, "backbone has 64 positions; the context is 68"),
    ],
)
def test_tasks_that_it_cannot_read_are_refused(shape_of, context, channels, message):
    with pytest.raises(InputError, match=message):
        Llm4CpSmall(shape_of(context, 4, channels=channels))
