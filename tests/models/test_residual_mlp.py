"""The residual MLP: its blocks written once more, and its laws (compositional_reasoning.md)."""

import pytest
import torch

from tsbench.contracts import InputError
from tsbench.models.residual_mlp.model import Hyperparameters, ResidualMLP
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource
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


def test_channels_never_mix(shape_of):
    model, context = model_of(shape_of(48, 24, channels=3)), context_of().requires_grad_()

    for channel in range(3):
        (gradient,) = torch.autograd.grad(model({"context": context})[..., channel].sum(), context)
        assert gradient[..., [other for other in range(3) if other != channel]].abs().max() == 0
        assert gradient[..., channel].abs().max() > 0


def test_a_part_of_the_channels_in_another_order_is_forecast_as_in_the_whole(shape_of):
    part, whole = (
        model_of(shape_of(48, 24, channels=3, targets=(2, 0))),
        model_of(shape_of(48, 24, channels=3)),
    )

    torch.testing.assert_close(part({"context": context_of()}), whole({"context": context_of()})[..., [2, 0]])


def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(shape_of):
    model, context = model_of(shape_of(48, 24, channels=3)), context_of()

    alone = torch.cat([model({"context": one[None]}) for one in context])

    torch.testing.assert_close(model({"context": context}), alone, atol=1e-6, rtol=1e-5)


def test_window_normalisation_makes_the_forecast_follow_shift_and_scale(shape_of):
    context = context_of()
    normed, plain = (model_of(shape_of(48, 24, channels=3), norm=norm) for norm in (True, False))

    moved = normed({"context": 4 * context + 30})

    torch.testing.assert_close(moved, 4 * normed({"context": context}) + 30, atol=1e-3, rtol=1e-4)
    assert (plain({"context": context + 30}) - plain({"context": context}) - 30).abs().max() > 1


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


def test_a_short_fit_lowers_the_loss(open_waves):
    data = open_waves()
    model = build(ResidualMLP, data.shape(48), Hyperparameters(**SMALL), 0)
    settings = TrainingSettings(learning_rate=0.003, batch_size=32, epochs=4)

    report = model.fit(TaskSource(data, 48, 0, settings=settings))

    losses = [epoch["validation_loss"] for epoch in report.detail["history"]]
    assert min(losses) < 0.9 * losses[0]
