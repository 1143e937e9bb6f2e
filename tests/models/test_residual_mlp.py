"""The residual MLP: its blocks written once more, and its laws (compositional_reasoning.md)."""

import pytest
import torch

from tsbench.contracts import InputError
from tsbench.models.residual_mlp.model import Hyperparameters, ResidualMLP
from tsbench.training.build import build
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters

SMALL = {"stacks": 2, "blocks": 2, "layers": 2, "width": 16}


def model_of(shape, **chosen) -> ResidualMLP:
    return build(ResidualMLP, shape, Hyperparameters(**SMALL | chosen), seed=0).eval()


def context_of(context: int = 48, channels: int = 3, samples: int = 4) -> torch.Tensor:
    return torch.randn(samples, context, channels, generator=torch.Generator().manual_seed(1))


def test_the_default_sizes_have_about_nine_hundred_thousand_parameters(shape_of):
    """compositional_reasoning.md: 3 stacks of 3 blocks of 4 layers of 128, look-back 192, horizon 48."""
    block = (192 + 1) * 128 + 3 * (128 + 1) * 128 + (128 + 1) * (192 + 48)

    assert count_parameters(ResidualMLP(shape_of(192, 48))) == 9 * block == 946_800


def test_blocks_see_what_those_before_them_left_and_forecasts_add_up(shape_of):  # N-BEATS, section 3.2
    model, rows = model_of(shape_of(48, 24), norm=False), context_of(channels=1)[..., 0]
    left, expected = rows, torch.zeros(4, 24)
    for stack in model.stacks:
        for block in stack:
            hidden = left
            for layer in (block.layers[0], block.layers[2]):
                hidden = (hidden @ layer.weight.mT + layer.bias).clamp_min(0)
            left = left - (hidden @ block.backcast.weight.mT + block.backcast.bias)
            expected = expected + hidden @ block.forecast.weight.mT + block.forecast.bias

    torch.testing.assert_close(model({"context": rows[..., None]})[..., 0], expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(sum(model.of_stacks(rows)), expected, atol=1e-6, rtol=1e-5)
    assert len(model.of_stacks(rows)) == 2


def test_a_block_whose_maps_are_zero_changes_nothing(shape_of):
    model = model_of(shape_of(48, 24), norm=False)
    before = model({"context": context_of(channels=1)})
    longer = model_of(shape_of(48, 24), stacks=3, norm=False)
    longer.load_state_dict(model.state_dict(), strict=False)
    for block in longer.stacks[2]:
        for layer in (block.backcast, block.forecast):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)

    torch.testing.assert_close(longer({"context": context_of(channels=1)}), before)


@pytest.mark.parametrize("norm", [True, False])
def test_a_very_short_or_constant_look_back_gives_a_forecast(shape_of, norm):
    model = model_of(shape_of(16, 4, channels=6, period=4, past_covariates=()), norm=norm)

    for context in (context_of(16, 6), torch.full((4, 16, 6), 3.0)):
        forecast = model({"context": context})
        assert forecast.shape == (4, 4, 6)
        assert forecast.isfinite().all()


@pytest.mark.parametrize("name", ["stacks", "blocks", "layers", "width"])
def test_counts_that_are_not_positive_are_refused(name):
    with pytest.raises(InputError, match=f"card: {name} must be positive, not 0"):
        fill(Hyperparameters, {name: 0}, "card")
