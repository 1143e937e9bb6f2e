"""VITA against the official implementation, and what its sheet asks for."""

import math

import pytest
import torch

from tsbench.contracts import InputError, TaskShape
from tsbench.models.vita.model import Hyperparameters, Vita, hidden_variables
from tsbench.models.vita.network import (
    VARIABLES,
    Gaussian,
    WeatherModel,
    divergence,
    negative_log_likelihood,
    pooled,
)
from tsbench.training.build import build
from tsbench.training.weights import count_parameters, load_weights, read_tensors, save_weights

OBSERVED = ("PRECTOTCORR", "ALLSKY_SFC_SW_DWN", "SNODP", "T2M_MAX", "T2M_MIN", "VAP")
WEEKS = 3 * 52


def shape_of(context: int = WEEKS, channels: tuple[str, ...] = OBSERVED, **changes) -> TaskShape:
    common = {"past_covariates": ("corn_yield",), "step": "P7D"} | changes
    return TaskShape(context, 1, 52, channels, ("corn_yield",), **common)


def model_of(shape: TaskShape | None = None, **chosen) -> Vita:
    return build(Vita, shape or shape_of(), Hyperparameters(**chosen), seed=0)


def batch_of(samples: int = 4, weeks: int = WEEKS, channels: int = 6, target: bool = True) -> dict:
    draw = torch.Generator().manual_seed(1)
    stamps = torch.arange(weeks) * 7 * 86_400 * 10**9 + 946_684_800 * 10**9  # from 2000-01-01
    found = {
        "context": torch.randn(samples, weeks, channels, generator=draw),
        "past_covariates": torch.randn(samples, 3, 1, generator=draw),
        "time": stamps.expand(samples, -1),
        "position": torch.tensor([[41.0, -93.0]]).expand(samples, -1),
        "index": torch.arange(samples),
    }
    return found | ({"target": torch.randn(samples, 1, 1, generator=draw)} if target else {})


@pytest.fixture
def official(shared_fixtures):
    """The model with the fixture's weights, and the fixture's tensors."""
    path = shared_fixtures / "vita.safetensors"
    tensors = read_tensors(path)
    model = model_of(shape_of(40), heads=2, layers=2, width=16, length=60, past=7).eval()
    load_weights(model, path)
    return model, tensors


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


def encoded(model: Vita, tensors: dict[str, torch.Tensor]) -> Gaussian:
    return model.weather_model(
        tensors["input/weather"],
        tensors["input/weather_feature_mask"],
        tensors["input/year"],
        tensors["input/coord"],
    )


def test_encoder_and_prior_are_the_official_ones(official):  # fixtures, `vita`
    model, tensors = official
    found = encoded(model, tensors)
    prior = model.weather_model.prior(40, tensors["input/interval"])
    close(found.mean, tensors["output/mu"])
    close(found.variance, tensors["output/var"])
    close(prior.mean, tensors["output/mu_prior"])
    close(prior.variance, tensors["output/var_prior"])
    # The fixture clamps some variances, and the largest is 1.
    assert float(tensors["intermediate/var_unclamped"].max()) > 1
    assert float(found.variance.detach().max()) == 1


def test_yields_are_the_official_ones(official):
    model, tensors = official
    weather, hidden = tensors["input/weather"], tensors["input/weather_feature_mask"]
    found = encoded(model, tensors)
    batch = {"past_covariates": tensors["input/y_past"][..., None]}
    drawn = found.mean + found.variance.sqrt() * tensors["input/epsilon"]
    close(drawn, tensors["output/z_with_eps"])
    close(model.tell(batch, weather, hidden, found.mean)[:, 0], tensors["output/yield_with_mu"])
    close(model.tell(batch, weather, hidden, drawn)[:, 0], tensors["output/yield_with_eps"])
    completed = torch.where(hidden, found.mean, weather)
    close(completed, tensors["intermediate/x_hat_mu"])
    attention = model.weather_attention(completed).softmax(dim=1)
    close(attention, tensors["intermediate/attention"])
    close(pooled(model.weather_attention, completed), (completed * attention).sum(dim=1))


def test_losses_are_the_official_ones(official):
    model, tensors = official
    weather, hidden = tensors["input/weather"], tensors["input/weather_feature_mask"]
    found, prior = encoded(model, tensors), model.weather_model.prior(40, tensors["input/interval"])
    apart = torch.where(hidden, divergence(found, prior), 0.0).sum(dim=(1, 2))
    likelihood = torch.where(hidden, -negative_log_likelihood(weather, found), 0.0).sum(dim=(1, 2))
    close(apart, tensors["output/kl_per_sample"], 2e-5)
    close(likelihood, tensors["output/loglik_per_sample"], 2e-5)
    count = hidden.sum(dim=(1, 2)).float().mean()
    close(-likelihood.mean() / count, tensors["output/pretrain_reconstruction"])
    total = (-likelihood + 0.5 * apart).mean() / count
    close(total, tensors["output/pretrain_total"])
    error = (tensors["output/yield_with_mu"][:, 0] - tensors["input/target"]).square().mean()
    close(error + 1e-4 * apart.mean(), tensors["output/finetune_total_mu"])


@pytest.mark.parametrize(
    ("size", "alone", "whole"),  # VITA sheet
    [
        ("mini", 106_522, 111_852),
        ("small", 1_995_122, 2_000_452),
        ("medium", 8_232_634, 8_237_964),
        ("large", 32_011_594, 32_016_924),
    ],
)
def test_parameters_are_counted_as_published(size, alone, whole):
    model = model_of(shape_of(364), size=size)
    assert count_parameters(model) == whole
    assert count_parameters(model.weather_model) == alone
    assert model.yield_mlp[0].weight.shape == (120, 38)


def test_equal_gaussians_do_not_diverge_and_a_hand_case_is_right():
    one = Gaussian(torch.tensor([0.3, -1.0]), torch.tensor([0.5, 1e-6]))
    assert divergence(one, one).tolist() == [0, 0]
    # KL(N(1, 0.25) ‖ N(0, 1)) = (0.25 + 1 − 1 − ln 0.25) / 2; −log N(2; 1, 0.25) = (ln(2π · 0.25) + 4) / 2.
    given, standard = (Gaussian(torch.tensor(m), torch.tensor(v)) for m, v in ((1.0, 0.25), (0.0, 1.0)))
    assert float(divergence(given, standard)) == pytest.approx((0.25 - math.log(0.25)) / 2)
    expected = (math.log(2 * math.pi * 0.25) + 4) / 2
    assert float(negative_log_likelihood(torch.tensor(2.0), given)) == pytest.approx(expected)


def test_the_loss_of_pretraining_is_its_closed_form():
    model = model_of(shape_of(channels=VARIABLES)).eval()
    batch = batch_of(channels=31, target=False)
    hidden = model.hide(batch)
    found = model.encode(batch, batch["context"], hidden)
    prior = model.weather_model.prior(WEEKS, torch.full((4, 1), 7.0))
    normal = torch.distributions.Normal
    q, p = (normal(one.mean, one.variance.sqrt()) for one in (found, prior))
    each = -q.log_prob(batch["context"]) + 0.5 * torch.distributions.kl_divergence(q, p)
    expected = each[hidden].sum() / hidden.sum()
    assert float(model.loss(batch)) == pytest.approx(float(expected), rel=1e-5)
    assert float(model.loss(batch, "sum")) == pytest.approx(4 * float(expected), rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_pretraining_hides_exactly_m_variables_in_all_weeks(training):
    model = model_of(shape_of(channels=VARIABLES)).train(training)
    batch = batch_of(samples=40, channels=31, target=False)
    hidden = model.hide(batch)
    assert (hidden == hidden[:, :1]).all()
    assert hidden[:, 0].sum(dim=1).tolist() == [10 if training else 25] * 40
    assert len(hidden[:, 0].unique(dim=0)) > 20
    # In validation what is hidden belongs to the case; in training it is drawn anew.
    part = {name: one[7:9] for name, one in batch.items()}
    assert torch.equal(model.hide(part), hidden[7:9]) is not training
    assert [hidden_variables(Hyperparameters(), epoch) for epoch in (4, 5, 40)] == [10, 12, 25]


def test_what_is_hidden_changes_nothing():
    model = model_of(shape_of(channels=VARIABLES)).eval()
    batch = batch_of(channels=31, target=False)
    hidden = model.hide(batch)
    other = torch.where(hidden, batch["context"] + 9, batch["context"])
    assert torch.equal(
        model.encode(batch, batch["context"], hidden).mean, model.encode(batch, other, hidden).mean
    )


def test_lost_weeks_are_filled_in_too():
    model = model_of().eval()
    batch = batch_of()
    batch["observed"] = torch.ones_like(batch["context"], dtype=torch.bool)
    whole = model(batch)
    batch["observed"][:, 10:20] = False
    lost = model(batch)
    batch["context"] = batch["context"].clone()
    batch["context"][:, 10:20] = 77.0
    assert not torch.equal(whole, lost)
    assert torch.equal(model(batch), lost)


def test_training_adds_the_divergence_and_evaluation_does_not():
    batch = batch_of()
    none, some = model_of(beta=0.0).train(), model_of(beta=1e-3).train()
    losses = []
    for model in (none, some):
        torch.manual_seed(3)
        losses.append(float(model.loss(batch).detach()))
    assert losses[1] > losses[0]
    assert float(none.eval().loss(batch)) == float(some.eval().loss(batch))
    expected = (some(batch) - batch["target"]).square().mean()
    assert float(some.loss(batch)) == pytest.approx(float(expected))


def test_drawn_forecasts_do_not_depend_on_the_batch_and_average_to_few():
    model = model_of(realizations=3).eval()
    batch, generator = batch_of(), torch.Generator().manual_seed(5)
    whole = model.predict(batch, generator=generator).values
    part = model.predict({name: one[2:3] for name, one in batch.items()}, generator=generator).values
    torch.testing.assert_close(whole[2:3], part)
    assert not torch.equal(whole, model(batch))
    other = model.predict(batch, generator=torch.Generator().manual_seed(6)).values
    assert not torch.equal(whole, other)


def test_a_shared_prior_is_a_sinusoid():
    model = WeatherModel(4, 2, 48, 1, 365, shared=True)
    prior = model.prior(60, torch.tensor([[7.0]])).mean[0]
    season = 2 * math.pi * torch.arange(60) * (7 / 30) / 365
    a, w, p = (one[0, 0, 0, 5].detach() for one in (model.amplitude, model.frequency, model.phase))
    torch.testing.assert_close(prior[:, 5].detach(), a * torch.sin(w * season + p))


def test_positions_of_longer_files_are_cut(tmp_path):
    save_weights(model_of(length=365), tmp_path / "long.safetensors")
    long = read_tensors(tmp_path / "long.safetensors")
    name = "weather_model.positional_encoding.pos_encoding"
    assert model_of(length=200).adapted(long)[name].shape == (200, 48)


@pytest.mark.parametrize(
    ("shape", "chosen", "message"),
    [
        (shape_of(channels=("rain",)), {}, "no 'rain'"),
        (shape_of(400), {}, "has parameters for 365 weeks, not 400"),
        (shape_of(past_covariates=()), {}, "reads the targets of past periods"),
    ],
)
def test_what_it_cannot_read_is_named(shape, chosen, message):
    with pytest.raises(InputError, match=message):
        model_of(shape, **chosen)


def test_a_task_without_calendar_is_refused():
    batch = batch_of()
    del batch["time"]
    with pytest.raises(InputError, match="vita reads `time`"):
        model_of()(batch)


def test_hiding_all_variables_is_refused():
    with pytest.raises(ValueError, match="from 1 to 30"):
        Hyperparameters(hidden_to=31)
