"""TPGN against the official implementation, and the "must show" lines of its sheet (tpgn.md)."""

import json

import numpy as np
import pytest
import torch
from einops import rearrange, repeat
from safetensors import safe_open

from tsbench.contracts import InputError
from tsbench.models.tpgn.model import TPGN, Hyperparameters
from tsbench.training.weights import count_parameters, load_weights, read_tensors

# tpgn.md, table of chosen values: set → (norm, d_model, parameters) at 168 / 336 / 720 / 1440.
PUBLISHED = {
    "ECL": (False, (32, 32, 32, 32), (22_151, 22_606, 23_646, 25_596)),
    "Traffic": (True, (128, 128, 256, 256), (285_191, 286_990, 1_106_462, 1_121_852)),
    "ETTh1": (True, (2, 2, 2, 8), (431, 466, 546, 3_372)),
    "ETTh2": (False, (8, 8, 8, 8), (2_471, 2_590, 2_862, 3_372)),
    "Weather": (False, (4, 4, 4, 4), (983, 1_046, 1_190, 1_460)),
}
COUNTS = [
    (name, horizon, width, norm, count)
    for name, (norm, widths, counts) in PUBLISHED.items()
    for horizon, width, count in zip((168, 336, 720, 1440), widths, counts, strict=True)
]


def model_of(shape_of, context=168, horizon=168, channels=1, width=4, norm=True, period=24) -> TPGN:
    torch.manual_seed(0)
    shape = shape_of(context, horizon, channels=channels, period=period)
    return TPGN(shape, Hyperparameters(d_model=width, norm=norm))


def batch_of(context: int, channels: int = 1, samples: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "context": torch.randn(samples, context, channels, generator=generator),
        "past_covariates": torch.rand(samples, context, 4, generator=generator) - 0.5,
    }


class TestTheOfficialFixture:
    @pytest.fixture(scope="class")
    def tensors(self, shared_fixtures):
        return read_tensors(shared_fixtures / "tpgn.safetensors")

    @pytest.fixture
    def model(self, shared_fixtures, shape_of):
        path = shared_fixtures / "tpgn.safetensors"
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
        model = TPGN(
            shape_of(
                config["seq_len"], config["pred_len"], channels=config["enc_in"], period=config["TPGN_period"]
            ),
            Hyperparameters(d_model=config["d_model"], norm=bool(config["norm"])),
        )
        load_weights(model, path)
        return model

    def test_its_output_is_reproduced(self, model, tensors):
        batch = {"context": tensors["input/x"], "past_covariates": tensors["input/x_mark"]}

        torch.testing.assert_close(model(batch), tensors["output"], atol=1e-5, rtol=0)

    def test_its_intermediates_are_reproduced(self, model, tensors):
        series = tensors["input/x"]
        mean, spread = series.mean(dim=1, keepdim=True), series.std(dim=1, keepdim=True, correction=0)
        scaled = (series - mean) / (spread.square() + 1e-5).sqrt()
        grid = model.TPGN.fold(scaled, tensors["input/x_mark"])

        history = model.TPGN.LNN_dim.history(grid)
        found = {
            "hie": rearrange(history, "n d row b phase -> b row phase n d"),
            "gated": rearrange(model.TPGN.LNN_dim.mix(grid, history), "n d row b phase -> b row phase n d"),
            "long": rearrange(model.TPGN.LNN_dim(grid), "n d b phase -> b phase n d"),
            "short": repeat(model.TPGN.s_t_p_e(grid), "n d b -> b phase n d", phase=24),
        }

        for name, one in found.items():
            torch.testing.assert_close(one, tensors[f"intermediate/{name}"], atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize(("name", "horizon", "width", "norm", "count"), COUNTS)
def test_the_published_parameter_counts(shape_of, name, horizon, width, norm, count):
    assert count_parameters(model_of(shape_of, horizon=horizon, width=width, norm=norm)) == count


def test_the_parameter_count_of_several_channels_is_a_multiple(shape_of):  # tpgn.md, formula for N channels
    assert count_parameters(model_of(shape_of, channels=3)) == 3 * count_parameters(model_of(shape_of))


@pytest.mark.parametrize("norm", [True, False])
def test_channels_never_mix(shape_of, norm):
    model, batch = model_of(shape_of, channels=3, norm=norm), batch_of(168, channels=3)
    context = batch["context"].requires_grad_()

    for channel in range(3):
        forecast = model(batch | {"context": context})[..., channel].sum()
        (gradient,) = torch.autograd.grad(forecast, context)
        others = [other for other in range(3) if other != channel]
        assert gradient[..., others].abs().max() == 0
        assert gradient[..., channel].abs().max() > 0


def test_history_of_a_row_sees_the_rows_before_it_and_nothing_else(shape_of):
    network = model_of(shape_of).TPGN
    grid = network.fold(torch.randn(2, 168, 1), torch.rand(2, 168, 4)).requires_grad_()

    history = network.LNN_dim.history(grid)  # (channel, width, row, sample, phase)

    for row in range(7):
        if row == 0:
            bias = network.LNN_dim.hidden_MLP.bias
            expected = bias[:, None, None].expand_as(history[0, :, 0])
            torch.testing.assert_close(history[0, :, 0], expected, atol=0, rtol=0)
            continue
        (gradient,) = torch.autograd.grad(history[:, :, row].sum(), grid, retain_graph=True)
        assert gradient[:, :, row:].abs().max() == 0
        assert all(gradient[:, :, earlier].abs().max() > 0 for earlier in range(row))


def test_history_keeps_to_its_phase(shape_of):
    network = model_of(shape_of).TPGN
    grid = network.fold(torch.randn(1, 168, 1), torch.rand(1, 168, 4)).requires_grad_()

    (gradient,) = torch.autograd.grad(network.LNN_dim.history(grid)[:, :, 6, :, 5].sum(), grid)

    assert gradient[..., [phase for phase in range(24) if phase != 5]].abs().max() == 0


def test_row_r_and_phase_c_of_the_grid_hold_step_r_times_the_period_plus_c(shape_of):
    network = model_of(shape_of).TPGN
    steps = torch.arange(168.0)

    grid = network.fold(steps[None, :, None], torch.zeros(1, 168, 4))

    assert grid[0, 0, 3, 0, 5] == 3 * 24 + 5


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("horizon", [1, 25, 100])
def test_a_horizon_that_is_no_multiple_of_the_period_is_cut(shape_of, horizon, norm):  # tpgn.md, quirks
    whole = model_of(shape_of, horizon=-(-horizon // 24) * 24, norm=norm)
    part = model_of(shape_of, horizon=horizon, norm=norm)
    part.load_state_dict(whole.state_dict())

    forecast = part(batch_of(168))

    assert forecast.shape == (2, horizon, 1)
    torch.testing.assert_close(forecast, whole(batch_of(168))[:, :horizon])


def test_window_normalisation_makes_the_forecast_follow_shift_and_scale(shape_of):
    model, batch = model_of(shape_of), batch_of(168)

    moved = model(batch | {"context": 4 * batch["context"] + 30})

    torch.testing.assert_close(moved, 4 * model(batch) + 30, atol=1e-3, rtol=1e-4)


def test_a_target_that_is_a_part_of_the_channels_is_forecast_alone(shape_of):
    batch = batch_of(168, channels=3)
    part = TPGN(shape_of(168, 24, channels=3, targets=(2,)))
    alone = TPGN(shape_of(168, 24, channels=1))
    alone.load_state_dict(part.state_dict())

    torch.testing.assert_close(part(batch), alone(batch | {"context": batch["context"][..., 2:]}))


@pytest.mark.parametrize("context", [24, 167, 12])
def test_a_look_back_that_is_not_two_or_more_whole_periods_is_refused(shape_of, context):
    message = f"tpgn needs a context of at least two whole periods of 24 steps, not {context}"
    with pytest.raises(InputError, match=message):
        model_of(shape_of, context=context)


def test_the_parameter_count_grows_like_the_square_root_of_the_look_back(shape_of):
    """tpgn.md, point 7: P = R = sqrt(L), fixed width; the horizon, which L does not fix, is one period."""
    sides = np.array([12, 16, 24, 32, 48, 64, 96])
    counts = [
        count_parameters(model_of(shape_of, context=side * side, horizon=side, period=side, width=8))
        for side in sides
    ]

    exponent = np.polyfit(np.log(sides**2), np.log(counts), 1)[0]

    assert sides[0] ** 2 == 144
    assert sides[-1] ** 2 == 9216
    assert exponent == pytest.approx(0.5, abs=0.1)
