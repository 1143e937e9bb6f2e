"""TimeMixer against the official implementation, and the "must show" lines of its sheet (timemixer.md)."""

import json

import pytest
import torch
from einops import rearrange
from safetensors import safe_open
from torch.nn import functional

from tsbench.contracts import InputError
from tsbench.data.calendar import calendar_names
from tsbench.models.timemixer.model import Hyperparameters, TimeMixer
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource
from tsbench.training.weights import count_parameters, load_weights, read_tensors

DEPENDENT = {"channel_independent": False, "norm": False}


def model_of(shape, **chosen) -> TimeMixer:
    """Small, in evaluation mode, with affine maps that do something."""
    small = {"d_model": 8, "d_ff": 16, "down_sampling_layers": 2}
    model = build(TimeMixer, shape, Hyperparameters(**small | chosen), seed=0).eval()
    generator = torch.Generator().manual_seed(2)
    for norm in model.normalize_layers:
        for parameter in norm.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


def batch_of(
    context: int = 48, channels: int = 3, samples: int = 4, horizon: int = 24
) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "context": torch.randn(samples, context, channels, generator=generator),
        "past_covariates": torch.rand(samples, context, 4, generator=generator) - 0.5,
        "future_covariates": torch.rand(samples, horizon, 4, generator=generator) - 0.5,
    }


class TestTheOfficialFixture:
    @pytest.fixture(scope="class")
    def tensors(self, shared_fixtures):
        return read_tensors(shared_fixtures / "timemixer.safetensors")

    @pytest.fixture
    def loaded(self, shared_fixtures, shape_of):
        path = shared_fixtures / "timemixer.safetensors"
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])

        def load(official_mark_order: bool, marks: bool = True, **shape) -> TimeMixer:
            chosen = Hyperparameters(
                d_model=config["d_model"],
                d_ff=config["d_ff"],
                e_layers=config["e_layers"],
                down_sampling_layers=config["down_sampling_layers"],
                down_sampling_window=config["down_sampling_window"],
                moving_average=config["moving_avg"],
                official_mark_order=official_mark_order,
                marks=marks,
            )
            shape = shape_of(config["seq_len"], config["pred_len"], channels=config["enc_in"], **shape)
            model = TimeMixer(shape, chosen)
            load_weights(model, path)
            return model.eval()

        return load

    def test_its_output_is_reproduced_with_the_official_order_of_marks(self, loaded, tensors):
        batch = {"context": tensors["input/x"], "past_covariates": tensors["input/x_mark"]}

        torch.testing.assert_close(loaded(True)(batch), tensors["output"], atol=1e-5, rtol=0)

    def test_the_right_order_of_marks_gives_another_output(self, loaded, tensors):
        batch = {"context": tensors["input/x"], "past_covariates": tensors["input/x_mark"]}

        assert (loaded(False)(batch) - tensors["output"]).abs().max() > 0.1

    @pytest.mark.parametrize("official", [True, False])
    def test_its_output_with_equal_marks_is_reproduced_in_either_order(self, loaded, tensors, official):
        marks = tensors["input/x_mark"][:1].expand(2, -1, -1)

        forecast = loaded(official)({"context": tensors["input/x"], "past_covariates": marks})

        torch.testing.assert_close(forecast, tensors["output_same_marks"], atol=1e-5, rtol=0)

    def test_its_output_without_marks_is_reproduced_where_they_are_switched_off(self, loaded, tensors):
        batch = {"context": tensors["input/x"], "past_covariates": tensors["input/x_mark"]}

        forecast = loaded(False, marks=False)(batch)

        torch.testing.assert_close(forecast, tensors["output_no_mark"], atol=1e-5, rtol=0)

    @pytest.mark.parametrize("names", [calendar_names("PT1H", dated=True), ()])
    def test_its_output_without_marks_is_reproduced(self, loaded, tensors, names):
        model, context = loaded(False, past_covariates=names), tensors["input/x"]

        for batch in (
            {"context": context},
            {"context": context, "past_covariates": context.new_zeros(2, 48, 4)},
        ):
            torch.testing.assert_close(model(batch), tensors["output_no_mark"], atol=1e-5, rtol=0)


# timemixer.md, table of parameters: hyper-parameters, channels, horizon → count.
COUNTS = [
    ({}, 7, 96, 75_497),
    ({}, 7, 192, 93_161),
    ({}, 7, 336, 119_657),
    ({}, 7, 720, 190_313),
    ({"d_model": 32}, 7, 96, 77_769),
    ({"d_model": 32}, 7, 720, 192_585),
    ({"e_layers": 3}, 21, 96, 104_433),
    ({"e_layers": 3}, 21, 720, 219_249),
    ({"e_layers": 3}, 321, 96, 106_833),
    ({"d_model": 32, "d_ff": 64, "e_layers": 3}, 862, 96, 120_745),
    (
        {"d_model": 512, "d_ff": 2048, "e_layers": 3, "down_sampling_layers": 2, **DEPENDENT},
        137,
        96,
        13_009_079,
    ),
]


@pytest.mark.parametrize(("chosen", "channels", "horizon", "count"), COUNTS)
def test_the_parameter_counts_of_the_official_code(shape_of, chosen, channels, horizon, count):
    model = TimeMixer(shape_of(96, horizon, channels=channels), Hyperparameters(**chosen))

    assert count_parameters(model) == count


@pytest.mark.parametrize("norm", [True, False])
def test_the_channel_dependent_variant_equals_its_sheet_step_by_step(shape_of, norm):
    """timemixer.md, architecture 1-6 with CI = 0, written once more with the layers' own shapes (sample, time, d)."""
    model = model_of(shape_of(48, 24, channels=3), channel_independent=False, norm=norm, e_layers=2)
    batch = batch_of()

    def average(x):  # (sample, time, d)
        ends = torch.cat([x[:, :1].repeat(1, 12, 1), x, x[:, -1:].repeat(1, 12, 1)], dim=1)
        return ends.unfold(1, 25, 1).mean(dim=-1)

    steps = [batch["context"]]
    for _ in range(2):
        steps.append((steps[-1][:, ::2] + steps[-1][:, 1::2]) / 2)
    marks = [batch["past_covariates"][:, :: 2**index] for index in range(3)]
    first = steps[0]
    if norm:
        steps = [
            (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
            * layer.affine_weight + layer.affine_bias
            for x, layer in zip(steps, model.normalize_layers, strict=True)
        ]  # fmt: skip
    trends = [average(x) for x in steps]
    mixed = []
    for x, trend, mark in zip(steps, trends, marks, strict=True):
        ring = torch.cat([(x - trend)[:, -1:], x - trend, (x - trend)[:, :1]], dim=1)
        value = functional.conv1d(ring.mT, model.enc_embedding.value_embedding["tokenConv"].weight).mT
        mixed.append(value + model.enc_embedding.temporal_embedding["embed"](mark))
    for block in model.pdm_blocks:
        trend_parts = [block.cross_layer(average(x)).mT for x in mixed]
        season_parts = [block.cross_layer(x - average(x)).mT for x in mixed]
        down = block.mixing_multi_scale_season.down_sampling_layers
        up = block.mixing_multi_scale_trend.up_sampling_layers
        season_parts[1] = season_parts[1] + down[0](season_parts[0])
        season_parts[2] = season_parts[2] + down[1](season_parts[1])
        trend_parts[1] = trend_parts[1] + up[0](trend_parts[2])
        trend_parts[0] = trend_parts[0] + up[1](trend_parts[1])
        mixed = [(season + trend).mT for season, trend in zip(season_parts, trend_parts, strict=True)]
    expected = torch.zeros(4, 24, 3)
    for index in range(3):
        expected = expected + model.projection_layer(model.predict_layers[index](mixed[index].mT).mT)
        expected = expected + model.regression_layers[index](model.out_res_layers[index](trends[index].mT)).mT
    if norm:
        layer = model.normalize_layers[0]
        expected = (expected - layer.affine_bias) / (layer.affine_weight + 1e-10)
        expected = expected * (first.var(1, keepdim=True, correction=0) + 1e-5).sqrt() + first.mean(
            1, keepdim=True
        )

    torch.testing.assert_close(model(batch), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chosen", [{}, DEPENDENT, {"future_marks": True}, {"down_sampling_method": "max"}])
def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(shape_of, chosen):  # timemixer.md, must show 3
    model, batch = model_of(shape_of(48, 24, channels=3), **chosen), batch_of()

    together = model(batch)

    for sample in range(4):
        alone = model({name: one[sample : sample + 1] for name, one in batch.items()})
        torch.testing.assert_close(together[sample : sample + 1], alone, atol=1e-6, rtol=1e-6)


def test_in_the_official_order_of_marks_it_does_and_a_batch_of_one_is_the_same(
    shape_of,
):  # timemixer.md, quirks
    shape, batch = shape_of(48, 24, channels=3), batch_of()
    one = {name: tensor[1:2] for name, tensor in batch.items()}
    official, right = (model_of(shape, official_mark_order=order) for order in (True, False))

    assert torch.equal(official(one), right(one))
    assert (official(batch)[1:2] - official(one)).abs().max() > 0.01


def test_channels_never_mix_in_the_channel_independent_form(shape_of):
    model, batch = model_of(shape_of(48, 24, channels=3)), batch_of()
    context = batch["context"].requires_grad_()

    for channel in range(3):
        forecast = model(batch | {"context": context})[..., channel].sum()
        (gradient,) = torch.autograd.grad(forecast, context)
        assert gradient[..., [other for other in range(3) if other != channel]].abs().max() == 0
        assert gradient[..., channel].abs().max() > 0


def test_permuted_channels_give_a_permuted_forecast(shape_of):
    batch, order = batch_of(), [2, 0, 1]
    model = build(
        TimeMixer, shape_of(48, 24, channels=3), Hyperparameters(down_sampling_layers=2), seed=0
    ).eval()

    permuted = model(batch | {"context": batch["context"][..., order]})

    torch.testing.assert_close(permuted, model(batch)[..., order])


@pytest.mark.parametrize("independent", [True, False])
def test_window_normalisation_makes_the_forecast_follow_shift_and_scale(shape_of, independent):
    model, batch = model_of(shape_of(48, 24, channels=3), channel_independent=independent), batch_of()

    moved = model(batch | {"context": 4 * batch["context"] + 30})

    torch.testing.assert_close(moved, 4 * model(batch) + 30, atol=1e-3, rtol=1e-4)


def test_targets_that_are_a_part_of_the_channels_are_forecast_in_their_order(shape_of):
    batch = batch_of()
    whole = model_of(shape_of(48, 24, channels=3))
    part = TimeMixer(shape_of(48, 24, channels=3, targets=(2, 0)), whole.chosen).eval()
    state = whole.state_dict()
    part.load_state_dict({name: one[[2, 0]] if "affine" in name else one for name, one in state.items()})

    torch.testing.assert_close(part(batch), whole(batch)[..., [2, 0]])


@pytest.mark.parametrize("norm", [True, False])
def test_the_channel_dependent_variant_reads_all_channels_for_a_part_of_them(shape_of, norm):
    batch = batch_of()
    whole = model_of(shape_of(48, 24, channels=3), channel_independent=False, norm=norm)
    part = TimeMixer(shape_of(48, 24, channels=3, targets=(2, 0)), whole.chosen).eval()
    state = whole.state_dict()
    part.load_state_dict({name: one[[2, 0]] if "projection" in name else one for name, one in state.items()})

    torch.testing.assert_close(part(batch), whole(batch)[..., [2, 0]])


def test_future_marks_are_added_before_the_projection_for_every_resolution(shape_of):
    shape, batch = shape_of(48, 24, channels=3), batch_of()
    without, with_marks = (model_of(shape, future_marks=future, norm=False) for future in (False, True))
    embedded = with_marks.enc_embedding.temporal_embedding["embed"](batch["future_covariates"])
    added = 3 * embedded @ with_marks.projection_layer.weight[0]  # (sample, lead_time)

    torch.testing.assert_close(with_marks(batch) - without(batch), added[..., None].expand(-1, -1, 3))
    assert "future_covariates" in with_marks.uses
    assert "future_covariates" not in without.uses


@pytest.mark.parametrize(("minute", "columns"), [(True, [0, 1, 2, 3, 4]), (False, [1, 2, 3, 4])])
def test_the_minute_of_the_hour_is_read_or_left_out(shape_of, minute, columns):  # timemixer.md, quirks
    names = calendar_names("PT15M", dated=True)
    model = TimeMixer(shape_of(48, 24, past_covariates=names), Hyperparameters(minute_mark=minute))

    assert model.mark_index == columns
    assert model.enc_embedding.temporal_embedding["embed"].in_features == len(columns)


@pytest.mark.parametrize("independent", [True, False])
def test_marks_are_left_out_where_the_official_script_reads_none(shape_of, independent):
    shape, batch = shape_of(48, 24, channels=3), batch_of()
    model = model_of(shape, marks=False, channel_independent=independent)

    assert torch.equal(model(batch), model({"context": batch["context"]}))
    # Held all the same, as in the official weights.
    assert model.enc_embedding.temporal_embedding["embed"].weight.shape[1] == 4


@pytest.mark.parametrize(
    ("context", "chosen"), [(16, {}), (16, DEPENDENT), (10, {"down_sampling_layers": 0})]
)
def test_a_very_short_look_back_without_marks_gives_a_forecast(shape_of, context, chosen):
    chosen = {"down_sampling_layers": 3} | chosen
    model = model_of(shape_of(context, 4, channels=6, period=4, past_covariates=()), **chosen)

    forecast = model({"context": torch.randn(5, context, 6), "past_covariates": torch.zeros(5, context, 0)})

    assert forecast.shape == (5, 4, 6)
    assert forecast.isfinite().all()


def test_a_look_back_that_the_down_sampling_does_not_divide_is_refused(shape_of):
    with pytest.raises(
        InputError, match=r"timemixer needs a context that is a multiple of 8 steps .*, not 100$"
    ):
        TimeMixer(shape_of(100, 24))


def test_future_marks_that_differ_from_the_past_ones_are_refused(shape_of):
    with pytest.raises(InputError, match="the same covariates of past and future"):
        TimeMixer(shape_of(48, 24, past_covariates=()), Hyperparameters(future_marks=True))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"d_model": 0}, "d_model must be positive, not 0"),
        ({"d_ff": -1}, "d_ff must be positive, not -1"),
        ({"e_layers": 0}, "e_layers must be positive, not 0"),
        ({"down_sampling_layers": -1}, "down_sampling_layers must not be negative, not -1"),
        ({"down_sampling_window": 1}, "down_sampling_window must be at least 2, not 1"),
        ({"down_sampling_method": "conv"}, "down_sampling_method must be one of 'avg', 'max', not 'conv'"),
        ({"moving_average": 24}, "moving_average must be odd and positive, not 24"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), not 1.0"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(values, message):
    with pytest.raises(InputError, match=f"card: {message}"):
        fill(Hyperparameters, values, "card")


def test_the_convolution_starts_with_the_spread_of_the_official_code(shape_of):
    """Kaiming normal, fan in, for a leaky ReLU of slope 0.01: variance 2 / (1 + 1e-4) / fan in."""
    model = build(
        TimeMixer, shape_of(48, 24, channels=16), Hyperparameters(d_model=256, channel_independent=False), 0
    )

    weight = model.enc_embedding.value_embedding["tokenConv"].weight

    assert weight.shape == (256, 16, 3)
    assert weight.std().item() == pytest.approx((2 / 1.0001 / 48) ** 0.5, rel=0.02)


@pytest.mark.parametrize("independent", [True, False])
def test_a_short_fit_lowers_the_loss(open_waves, independent):
    data = open_waves()
    chosen = Hyperparameters(down_sampling_layers=2, channel_independent=independent)
    model = build(TimeMixer, data.shape(48), chosen, 0)
    settings = TrainingSettings(learning_rate=0.01, batch_size=32, epochs=4)

    report = model.fit(TaskSource(data, 48, 0, settings=settings, uses=model.uses))

    losses = [epoch["validation_loss"] for epoch in report.detail["history"]]
    assert min(losses) < 0.8 * losses[0]


def test_the_rows_of_a_sample_are_its_channels(shape_of):
    """The scales hold the means of neighbouring steps."""
    model, series = model_of(shape_of(48, 24, channels=3)), batch_of()["context"]

    scales = model.scales(series)

    assert [one.shape for one in scales] == [(4, 48, 3), (4, 24, 3), (4, 12, 3)]
    torch.testing.assert_close(scales[2], rearrange(series, "b (t w) n -> b t n w", w=4).mean(dim=-1))


def test_marks_of_the_horizon_need_marks_of_the_past():
    with pytest.raises(ValueError, match="future_marks needs marks"):
        Hyperparameters(marks=False, future_marks=True)
