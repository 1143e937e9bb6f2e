"""Heads: the same numbers of a model as quantiles or as a distribution, against GluonTS, scipy and laws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tsbench.contracts import InputError, JobFailed, TaskShape
from tsbench.training.build import build
from tsbench.training.heads import COMPONENTS, HEADS
from tsbench.training.module import NeuralForecaster
from tsbench.training.weights import weights_hash

LEVELS = (0.025, 0.1, 0.5, 0.75, 0.975)
SHAPE = TaskShape(
    context=24, horizon=7, period=6, channels=("a", "b", "c"), targets=("c", "a"), quantiles=LEVELS
)


def numbers_of(head, seed: int = 0, samples: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers (output, sample, lead_time, target) and spread (sample, 1, target), float64."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(head.outputs, samples, 7, 2, generator=generator, dtype=torch.float64)
    return numbers, 0.5 + torch.rand(samples, 1, 2, generator=generator, dtype=torch.float64)


def cumulative(head, numbers, spread, values) -> np.ndarray:
    """Distribution function by scipy, from torch's parameters."""
    made = head.distribution(numbers, spread)
    if isinstance(made, torch.distributions.StudentT):
        return stats.t.cdf(values, made.df.numpy(), made.loc.numpy(), made.scale.numpy())
    parts = made.component_distribution
    each = stats.norm.cdf(values[..., None], parts.loc.numpy(), parts.scale.numpy())
    return (made.mixture_distribution.probs.numpy() * each).sum(axis=-1)


@pytest.mark.parametrize("loss", HEADS)
def test_a_model_is_built_for_all_numbers_of_all_steps(loss):
    head = HEADS[loss](SHAPE)
    values = torch.arange(2 * head.widened.horizon * 2.0).reshape(2, -1, 2)

    numbers = head.split(values)

    assert head.widened.horizon == 7 * head.outputs
    assert numbers.shape == (head.outputs, 2, 7, 2)
    assert torch.equal(numbers[1], values[:, 7:14])


def test_whole_periods_keep_the_phase_of_each_number():
    head = HEADS["quantile"](SHAPE, whole_periods=True)
    phases = (torch.arange(head.widened.horizon) % SHAPE.period).reshape(1, -1, 1).expand(1, -1, 2)

    numbers = head.split(phases)

    assert head.widened.horizon == 12 * len(LEVELS)
    assert torch.equal(numbers, (torch.arange(7) % 6).reshape(1, 1, 7, 1).expand(len(LEVELS), 1, 7, 2))


@pytest.mark.parametrize("loss", ["student_t", "gaussian_mixture"])
def test_quantiles_of_a_distribution_are_where_its_distribution_function_says(loss):
    head = HEADS[loss](SHAPE)
    numbers, spread = numbers_of(head)

    forecast = head.forecast(numbers, spread)

    assert (forecast.kind, forecast.quantiles) == ("quantiles", LEVELS)
    for level, values in zip(LEVELS, forecast.values, strict=True):
        np.testing.assert_allclose(cumulative(head, numbers, spread, values.numpy()), level, atol=1e-6)


def test_the_likelihood_of_student_t_is_that_of_gluonts():
    from gluonts.torch.distributions import StudentTOutput

    head = HEADS["student_t"](SHAPE)
    numbers, spread = numbers_of(head)
    target = torch.randn(5, 7, 2, dtype=torch.float64)
    made = head.distribution(numbers, spread)

    reference = StudentTOutput().distribution((made.df, made.loc, made.scale)).log_prob(target)

    torch.testing.assert_close(head.loss(numbers, target, spread), -reference, rtol=1e-6, atol=1e-6)


def test_the_likelihood_of_a_mixture_is_that_of_scipy():
    head = HEADS["gaussian_mixture"](SHAPE)
    numbers, spread = numbers_of(head)
    target = torch.randn(5, 7, 2, dtype=torch.float64)
    made = head.distribution(numbers, spread)
    parts = made.component_distribution
    density = (
        made.mixture_distribution.probs.numpy()
        * stats.norm.pdf(target.numpy()[..., None], parts.loc.numpy(), parts.scale.numpy())
    ).sum(axis=-1)

    assert parts.loc.shape[-1] == COMPONENTS
    np.testing.assert_allclose(head.loss(numbers, target, spread).numpy(), -np.log(density), rtol=1e-6)


def test_the_quantile_loss_is_that_of_sklearn():
    from sklearn.metrics import mean_pinball_loss

    head = HEADS["quantile"](SHAPE)
    numbers, spread = numbers_of(head)
    target = torch.randn(5, 7, 2, dtype=torch.float64)

    expected = np.mean(
        [
            2 * mean_pinball_loss(target.numpy().ravel(), numbers[row].numpy().ravel(), alpha=level)
            for row, level in enumerate(LEVELS)
        ]
    )

    assert float(head.loss(numbers, target, spread).mean()) == pytest.approx(expected, rel=1e-9)


@given(
    loss=st.sampled_from(sorted(HEADS)),
    seed=st.integers(0, 99),
    factor=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
)
def test_forecasts_shift_and_scale_with_the_series(loss, seed, factor, shift):
    head = HEADS[loss](SHAPE)
    numbers, spread = numbers_of(head, seed)

    plain = head.forecast(numbers, spread).values
    moved = head.forecast(numbers * factor + shift, spread * factor).values

    torch.testing.assert_close(moved, plain * factor + shift, rtol=1e-6, atol=1e-6 * (factor + abs(shift)))


@pytest.mark.parametrize("loss", HEADS)
def test_quantiles_ascend(loss):
    head = HEADS[loss](SHAPE)

    values = head.forecast(*numbers_of(head)).values

    assert bool((values.diff(dim=0) >= 0).all())


@pytest.mark.parametrize("loss", ["student_t", "gaussian_mixture"])
def test_samples_are_drawn_from_the_distribution_and_the_generator_alone(loss):
    head = HEADS[loss](SHAPE)
    numbers, spread = numbers_of(head, samples=1)
    before = torch.get_rng_state()

    drawn = [head.forecast(numbers, spread, 4000, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]

    assert torch.equal(torch.get_rng_state(), before)
    assert drawn[0].kind == "samples"
    assert torch.equal(drawn[0].values, drawn[1].values)
    assert not torch.equal(drawn[0].values, drawn[2].values)
    below = np.mean(cumulative(head, numbers, spread, drawn[0].values.numpy()) < 0.1, axis=0)
    np.testing.assert_allclose(below, 0.1, atol=0.03)  # six standard errors


def test_the_spread_is_that_of_the_observed_look_back():
    head = HEADS["student_t"](SHAPE)
    context = torch.randn(2, 24, 3, dtype=torch.float64)
    observed = torch.ones(2, 24, 3, dtype=torch.bool)
    observed[:, :9] = False
    padded = context.clone()
    padded[:, :9] = 1e6

    expected = context[:, 9:].var(dim=1, correction=0).sqrt() + 0.01 * context[:, 9:].abs().mean(dim=1)

    torch.testing.assert_close(head.spread(padded, observed)[:, 0], expected[:, [2, 0]])
    assert bool((head.spread(torch.zeros(2, 24, 3), None) > 0).all())


class Drifting(NeuralForecaster):
    """One linear map of the targets' look-back."""

    def __init__(self, shape, hyperparameters=None) -> None:
        super().__init__(shape)
        self.map = torch.nn.Linear(shape.context, shape.horizon)

    def forward(self, batch) -> torch.Tensor:
        return self.map(batch["context"].transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize("loss", HEADS)
def test_a_model_that_knows_nothing_of_heads_learns_quantiles(fit_tiny, open_waves, loss):
    model, report = fit_tiny(kind=Drifting, loss=loss, epochs=12, learning_rate=0.02)
    losses = [epoch["validation_loss"] for epoch in report.detail["history"]]
    cases = open_waves().windows("validation", 24).using("context", "target")
    batch = cases.gather(torch.arange(len(cases)))
    with torch.no_grad():
        forecast = model.eval().predict(batch)

    below = (batch["target"] <= forecast.values).double().mean(dim=(1, 2, 3))

    assert losses[-1] < losses[0]
    assert forecast.kind == "quantiles"
    assert forecast.values.shape == (9, *batch["target"].shape)
    assert float(below[0]) < 0.35 < 0.65 < float(below[-1])


def test_the_numbers_of_the_first_weights_depend_on_the_seed_alone():
    one, again = (build(Drifting, SHAPE, None, 3, "quantile") for _ in range(2))

    assert weights_hash(one) == weights_hash(again)
    assert one.shape.horizon == 7 * len(LEVELS)


def test_a_model_that_ignores_the_number_of_steps_is_named(fit_tiny):
    class Stubborn(Drifting):
        def forward(self, batch) -> torch.Tensor:
            return super().forward(batch)[:, :12]

    with pytest.raises(JobFailed, match=r"Stubborn.forward gave the shape .*shape.horizon is 108"):
        fit_tiny(kind=Stubborn, loss="quantile")


def test_a_model_of_points_refuses_a_probabilistic_loss():
    class PointOnly(Drifting):
        probabilistic = False

    with pytest.raises(
        InputError, match="PointOnly makes point forecasts only; choose one of the losses mse"
    ):
        build(PointOnly, SHAPE, None, 0, "student_t")


def test_a_model_that_reads_its_horizons_covariates_refuses_a_probabilistic_loss():
    class Ahead(Drifting):
        uses = frozenset({"context", "future_covariates"})

    with pytest.raises(InputError, match="Ahead makes point forecasts only where it reads covariates"):
        build(Ahead, SHAPE, None, 0, "quantile")


@pytest.mark.parametrize("loss", HEADS)
def test_the_point_that_a_model_reads_is_the_centre_of_its_forecast(loss):
    head = HEADS[loss](SHAPE)
    numbers, spread = numbers_of(head)

    found = head.point(numbers, spread)

    median = numbers.median(dim=0).values  # five levels, the third is 0.5
    expected = median if loss == "quantile" else head.distribution(numbers, spread).mean
    torch.testing.assert_close(found, expected)


def test_without_a_median_it_lies_between_the_levels_beside_it():
    shape = replace(SHAPE, quantiles=(0.1, 0.4, 0.8))
    numbers = torch.tensor([0.0, 1.0, 5.0]).reshape(3, 1, 1, 1).expand(3, 2, 7, 2)

    found = HEADS["quantile"](shape).point(numbers, torch.ones(2, 1, 2))

    torch.testing.assert_close(found, torch.full((2, 7, 2), 2.0))  # a quarter of the way from 0.4 to 0.8
    upper = replace(SHAPE, quantiles=(0.6, 0.9))
    assert torch.equal(HEADS["quantile"](upper).point(numbers[1:], spread=torch.ones(2, 1, 2)), numbers[1])
