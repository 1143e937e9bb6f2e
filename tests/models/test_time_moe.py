"""Time-MoE against the official implementation, and the "must show" lines of its sheet (time_moe.md)."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from tsbench.cuda_ops import moe_ffn
from tsbench.models.time_moe.attention import Cache, rotate, rotation_of
from tsbench.models.time_moe.configuration import SIZES, Configuration
from tsbench.models.time_moe.experts import SparseExperts
from tsbench.models.time_moe.generation import generate, schedule
from tsbench.models.time_moe.loss import balance_loss, horizon_loss, objective
from tsbench.models.time_moe.model import Hyperparameters, TimeMoE
from tsbench.models.time_moe.network import Backbone, heads_of, initialise
from tsbench.training.weights import count_parameters, load_weights, read_tensors

TINY = SIZES["tiny"]
LENGTHS = (1, 8, 32, 64)


class Network(nn.Module):
    """Backbone and heads under the official names, without a forecaster around them."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.model, self.lm_heads = Backbone(configuration), heads_of(configuration)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    made = Network(TINY)
    initialise(made, 0.2)
    return made


def series_of(sequences: int = 3, steps: int = 40) -> torch.Tensor:
    return torch.randn(sequences, steps, generator=torch.Generator().manual_seed(1))


def masked_loop(tokens, weight, chosen, experts):
    """The plain way: each expert is called on the tokens that chose it, one after the other."""
    found = torch.zeros_like(tokens)
    for number, expert in enumerate(experts):
        token, choice = torch.where(chosen == number)
        found.index_add_(0, token, expert(tokens[token]) * weight[token, choice, None])
    return found


class TestTheOfficialFixture:
    @pytest.fixture(scope="class")
    def tensors(self, shared_fixtures):
        return read_tensors(shared_fixtures / "time_moe.safetensors")

    @pytest.fixture(scope="class")
    def loaded(self, shared_fixtures):
        path = shared_fixtures / "time_moe.safetensors"
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
        for name in ("input_size", "num_key_value_heads"):
            config.pop(name)
        made = Network(Configuration(**config | {"horizon_lengths": tuple(config["horizon_lengths"])}))
        load_weights(made, path)
        return made

    def test_states_router_logits_and_every_head_are_reproduced(self, loaded, tensors):
        found = {}
        backbone = loaded.model
        backbone.embed_layer.register_forward_hook(lambda *args: found.update(hidden_embed=args[2]))
        backbone.layers[0].register_forward_hook(lambda *args: found.update(hidden_layer0=args[2][0]))

        encoded = backbone(tensors["input/x"])

        found |= {"hidden_last": encoded.hidden, "router_logits": torch.stack(encoded.router_logits)}
        found |= {f"logits_h{p}": loaded.lm_heads[j](encoded.hidden) for j, p in enumerate(LENGTHS)}
        assert len(found) == 8
        for name, one in found.items():
            torch.testing.assert_close(one, tensors[f"output/{name}"], atol=1e-5, rtol=0, msg=name)

    def test_losses_are_reproduced(self, loaded, tensors):
        encoded = loaded.model(tensors["input/x"])
        forecasts = [head(encoded.hidden) for head in loaded.lm_heads]
        labels, mask = tensors["input/labels"], tensors["input/loss_masks"]
        chosen = loaded.model.configuration

        found = {
            "loss_masked": objective(encoded, forecasts, labels, chosen, mask),
            "loss_unmasked": objective(encoded, forecasts, labels, chosen),
            "aux": balance_loss(encoded.router_logits, 2),
            "aux_with_attention_mask": balance_loss(
                encoded.router_logits, 2, tensors["input/attention_mask_aux"]
            ),
        }
        for length, forecast in zip(LENGTHS, forecasts, strict=True):
            found[f"ar_loss_masked_h{length}"] = horizon_loss(forecast, labels, mask)
            found[f"ar_loss_unmasked_h{length}"] = horizon_loss(forecast, labels)
        for name, one in found.items():
            torch.testing.assert_close(one, tensors[f"output/{name}"], atol=1e-5, rtol=0, msg=name)

    @pytest.mark.parametrize("cached", [True, False])
    @pytest.mark.parametrize("horizon", [6, 96, 113])
    def test_generated_steps_are_reproduced(self, loaded, tensors, horizon, cached):
        context = tensors["input/context"]

        found = generate(loaded.model, loaded.lm_heads, context, horizon, cached=cached)

        expected = tensors[f"output/generate_{horizon}"]
        torch.testing.assert_close(torch.cat([context, found], dim=1), expected, atol=1e-5, rtol=0)

    def test_the_forecaster_loads_the_official_weights(self, shared_fixtures, shape_of, tensors):
        model = TimeMoE(shape_of(40, 96), Hyperparameters(size="tiny", zero_shot=True, window_norm=False))
        load_weights(model, shared_fixtures / "time_moe.safetensors")

        forecast = model.predict({"context": tensors["input/context"][..., None]})

        expected = tensors["output/generate_96"][:, 40:, None]
        torch.testing.assert_close(forecast.values, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("size", "total", "activated"),  # time_moe.md, table of configurations
    [
        ("base", 113_352_192, 49_651_200),
        ("large", 453_196_800, 198_392_832),
        ("ultra", 2_416_545_792, 1_057_591_296),
    ],
)
def test_the_published_sizes_have_the_parameters_of_the_sheet(size, total, activated):
    with torch.device("meta"):
        made = Network(SIZES[size])

    assert count_parameters(made) == total
    assert total - SIZES[size].idle_parameters == activated


def test_the_schedule_covers_every_horizon_exactly():
    for horizon in range(1, 201):
        steps = [LENGTHS[head] for head in schedule(horizon, LENGTHS)]

        assert sum(steps) == horizon
        assert steps == sorted(steps, reverse=True)


@pytest.mark.parametrize(("horizon", "passes"), [(96, 2), (192, 3), (336, 7), (720, 13)])  # point 4
def test_the_schedule_takes_as_many_passes_as_the_sheet_says(horizon, passes):
    assert len(schedule(horizon, LENGTHS)) == passes


def test_a_horizon_below_the_shortest_head_is_cut(network):
    heads = heads_of(replace(TINY, horizon_lengths=(8, 32)))
    backbone = Backbone(replace(TINY, horizon_lengths=(8, 32)))
    series = series_of()

    assert schedule(11, (8, 32)) == (0, 0)
    whole = generate(backbone, heads, series, 16)
    torch.testing.assert_close(generate(backbone, heads, series, 11), whole[:, :11])


@pytest.mark.parametrize("horizon", [1, 7, 64, 113, 200])
def test_generation_with_a_cache_equals_generation_without(network, horizon):
    series = series_of(2, 50)

    cached = generate(network.model, network.lm_heads, series, horizon)

    plain = generate(network.model, network.lm_heads, series, horizon, cached=False)
    torch.testing.assert_close(cached, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cut", [1, 17, 39])
def test_states_after_a_cache_equal_those_of_one_pass(network, cut):
    series = series_of()
    cache = Cache(TINY, 3, 40, series)
    with torch.no_grad():
        parts = [network.model(part, cache).hidden for part in (series[:, :cut], series[:, cut:])]
        whole = network.model(series).hidden

    assert cache.length == 40
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=0)


def test_a_cache_holds_no_more_steps_than_it_was_made_for(network):
    series = series_of()
    with torch.no_grad(), pytest.raises(ValueError, match="the cache holds 39 steps, not 40"):
        network.model(series, Cache(TINY, 3, 39, series))


def test_the_future_changes_nothing_before_it(network):
    series = series_of()
    changed = series.clone()
    changed[:, 25:] += 100 * torch.randn(3, 15)

    before, after = network.model(series), network.model(changed)

    torch.testing.assert_close(after.hidden[:, :25], before.hidden[:, :25], atol=1e-5, rtol=0)
    assert (after.hidden[:, 25:] - before.hidden[:, 25:]).abs().amax(dim=2).min() > 1e-3


def test_the_rotation_keeps_lengths_and_depends_on_distances_alone():
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 8, generator=generator)
    at = {start: rotation_of(start, 1, 8, 10000.0, query) for start in (0, 5, 100, 105)}

    torch.testing.assert_close(rotate(query, at[100]).norm(), query.norm())
    near = (rotate(query, at[5]) * rotate(key, at[0])).sum()
    torch.testing.assert_close((rotate(query, at[105]) * rotate(key, at[100])).sum(), near, atol=1e-4, rtol=0)


class TestExperts:
    @pytest.mark.parametrize("tokens", [1, 2, 7, 300])
    @pytest.mark.parametrize("choices", [1, 2, 3])
    def test_grouped_experts_equal_the_masked_loop(self, tokens, choices):
        torch.manual_seed(tokens)
        layer = SparseExperts(replace(TINY, num_experts_per_tok=choices))
        flat = torch.randn(tokens, TINY.hidden_size, requires_grad=True)
        weight, chosen = layer.gate(flat).softmax(dim=-1).topk(choices, dim=-1)

        results = [
            moe_ffn(flat, *layer.matrices(), chosen, weight),
            masked_loop(flat, weight, chosen, layer.experts),
        ]

        torch.testing.assert_close(*results, atol=1e-5, rtol=0)
        learned = [flat, layer.gate.weight, *layer.experts.parameters()]
        gradients = [
            torch.autograd.grad(one.square().sum(), learned, retain_graph=True, materialize_grads=True)
            for one in results
        ]
        for found, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)

    def test_experts_without_tokens_are_passed_over(self):
        layer = SparseExperts(TINY)
        flat, weight = torch.randn(9, TINY.hidden_size), torch.rand(9, 2)
        chosen = torch.tensor([[3, 1]]).expand(9, 2)  # none goes to 0 and 2
        for number in (0, 2):  # any use would show
            layer.experts[number].requires_grad_(False).down_proj.weight.fill_(torch.nan)

        found = moe_ffn(flat, *layer.matrices(), chosen, weight)

        one, other = layer.experts[3](flat), layer.experts[1](flat)
        torch.testing.assert_close(found, weight[:, :1] * one + weight[:, 1:] * other, atol=1e-6, rtol=0)

    def test_a_token_is_mixed_the_same_whatever_its_neighbours(self):
        torch.manual_seed(0)
        layer, tokens = SparseExperts(TINY), torch.randn(2, 30, TINY.hidden_size)
        order = torch.randperm(30)

        mixed, logits = layer(tokens)

        again, moved = layer(tokens[:, order])
        torch.testing.assert_close(again, mixed[:, order], atol=1e-6, rtol=0)
        torch.testing.assert_close(moved.view(2, 30, -1), logits.view(2, 30, -1)[:, order], atol=1e-6, rtol=0)

    def test_the_dense_variant_has_one_layer_and_no_router(self):
        network = Network(replace(TINY, use_dense=True))

        encoded = network.model(series_of())

        assert encoded.router_logits == ()
        assert "model.layers.0.ffn_layer.gate_proj.weight" in network.state_dict()
        forecasts = [head(encoded.hidden) for head in network.lm_heads]
        losses = [horizon_loss(one, series_of()) for one in forecasts]
        found = objective(encoded, forecasts, series_of(), replace(TINY, use_dense=True))
        torch.testing.assert_close(found, torch.stack(losses).mean())


class TestLosses:
    def test_the_balance_is_the_number_of_choices_where_the_router_is_indifferent(self):  # point 5
        for choices in (1, 2, 3):
            logits = [torch.zeros(50, 8)] * 3
            torch.testing.assert_close(balance_loss(logits, choices), torch.tensor(float(choices)))

    def test_the_balance_nears_the_number_of_experts_where_all_tokens_go_to_one(self):  # point 5
        logits = torch.zeros(50, 8)
        logits[:, 3] = 50

        torch.testing.assert_close(balance_loss([logits], 1), torch.tensor(8.0), atol=1e-3, rtol=0)

    def test_the_balance_over_a_mask_is_that_of_the_tokens_it_keeps(self):
        logits = [torch.randn(12, 4, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
        mask = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]])

        found = balance_loss(logits, 3, mask)

        kept = [one[mask.flatten() > 0] for one in logits]
        torch.testing.assert_close(found, balance_loss(kept, 3))

    def test_padding_with_anything_adds_nothing_to_a_masked_loss(self):
        forecast = torch.randn(2, 10, 8, requires_grad=True)
        labels, mask = torch.randn(2, 10), torch.ones(2, 10)
        labels[:, 6:], mask[:, 6:] = torch.nan, 0

        loss = horizon_loss(forecast, labels, mask)

        short = torch.stack([horizon_loss(forecast[:, :6], labels[:, :6], mask[:, :6])])
        torch.testing.assert_close(loss, short[0])
        loss.backward()
        assert forecast.grad.isfinite().all()
        assert forecast.grad[:, 6:].abs().max() == 0

    def test_the_loss_is_quadratic_up_to_two_and_then_linear(self):  # time_moe.md, loss
        forecast, labels = torch.tensor([[[1.0], [2.0], [5.0]]]), torch.zeros(1, 3)

        assert horizon_loss(forecast, labels).item() == pytest.approx((0.5 + 2 + 2 * 4) / 3)

    def test_a_window_without_labels_has_no_loss(self):
        assert horizon_loss(torch.randn(1, 4, 8), torch.randn(1, 4), torch.zeros(1, 4)) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 30}, "hidden_size 30 must be a multiple of twice num_attention_heads 4"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be positive, not 0"),
        ({"num_experts_per_tok": 5}, "num_experts_per_tok 5 must not exceed num_experts 4 or"),
        ({"horizon_lengths": (8, 1)}, r"horizon_lengths must be positive and ascending, not \[8, 1\]"),
        ({"horizon_lengths": ()}, r"horizon_lengths must be positive and ascending, not \[\]"),
        ({"rope_theta": float("nan")}, "rope_theta must be positive, not nan"),
        ({"router_aux_loss_factor": -1.0}, "router_aux_loss_factor must not be negative, not -1.0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)
