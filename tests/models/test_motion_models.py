"""Constant velocity and the Kalman filter against formulas and made tracks."""

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError, TaskShape
from tsbench.models.constant_velocity.model import ConstantVelocity
from tsbench.models.constant_velocity.model import Hyperparameters as Steps
from tsbench.models.kalman_filter.filtering import Motion, filter_windows
from tsbench.models.kalman_filter.model import Hyperparameters, KalmanFilter
from tsbench.training.settings import fill
from tsbench.training.source import TaskSource

SHAPE = TaskShape(20, 6, 1, ("x", "y"), ("x", "y"), step="PT0.1S")


def line(samples: int = 3, steps: int = 26) -> torch.Tensor:
    start, slope = (
        torch.randn(samples, 1, 2, generator=torch.Generator().manual_seed(one)) for one in (0, 1)
    )
    return start + slope * torch.arange(steps)[:, None]


def test_a_straight_line_goes_on():
    track = line()

    forecast = ConstantVelocity(SHAPE).predict({"context": track[:, :20]}).values

    torch.testing.assert_close(forecast, track[:, 20:], atol=1e-4, rtol=0)


def test_the_velocity_may_be_that_of_several_steps():
    context = torch.tensor([0.0, 5, 1, 6]).reshape(1, 4, 1).expand(1, 4, 2)
    shape = TaskShape(4, 2, 1, ("x", "y"), ("y",))

    forecast = ConstantVelocity(shape, Steps(steps=3)).predict({"context": context}).values

    assert forecast.flatten().tolist() == [8.0, 10.0]


def test_a_look_back_without_a_step_is_refused():
    with pytest.raises(InputError, match="constant_velocity over 3 steps needs a context above 3, not 3"):
        ConstantVelocity(TaskShape(3, 1, 1, ("x",), ("x",)), Steps(steps=3))
    with pytest.raises(InputError, match="steps must be at least 1, not 0"):
        fill(Steps, {"steps": 0}, "card")


@pytest.mark.parametrize("order", [2, 3])
def test_the_motion_is_the_exponential_of_its_chain(order):
    """Van Loan (1978): both matrices from one matrix exponential."""
    from scipy.linalg import expm

    chain, interval = np.diag(np.ones(order - 1), 1), 0.3
    drive = np.zeros((order, order))
    drive[-1, -1] = 1
    block = expm(np.block([[-chain, drive], [np.zeros_like(chain), chain.T]]) * interval)
    transition = block[order:, order:].T

    motion = Motion.of(order, interval)

    np.testing.assert_allclose(motion.transition, transition, atol=1e-12)
    np.testing.assert_allclose(motion.noise, transition @ block[:order, order:], atol=1e-12)


def test_the_filter_is_the_least_squares_estimate():
    """Without driving noise the last state is that of a line through the observed values."""
    random = np.random.default_rng(0)
    values = 2 + 3 * 0.1 * np.arange(20) + 0.2 * random.standard_normal(20)
    observed = random.random(20) > 0.3
    one, none = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)

    filtered = filter_windows(
        Motion.of(2, 0.1),
        torch.from_numpy(np.where(observed, values, 1e3))[None, :, None],
        torch.from_numpy(observed)[None, :, None],
        none,
        0.04 * one,
    )

    time = 0.1 * (np.arange(20) - 19)
    slope, last = np.polyfit(time[observed], values[observed], 1)
    np.testing.assert_allclose(filtered.state[0, 0], [last, slope], rtol=1e-4)


def test_the_likelihood_is_that_of_the_joint_normal_distribution():
    """Of what follows the first two values, given these: a difference of two log-densities."""
    from scipy.stats import multivariate_normal

    motion, process, noise = Motion.of(2, 0.5), 0.7, 0.3
    values = np.array([1.0, 1.4, 1.1, 2.0, 2.9])
    transition, added = motion.transition.numpy(), process * motion.noise.numpy()
    prior = np.diag([1e6 * (np.max((values - 1.0) ** 2) + noise) * scale for scale in (1.0, 4.0)])
    covariances, cross = [prior], np.zeros((5, 5))
    for _ in range(4):
        covariances.append(transition @ covariances[-1] @ transition.T + added)
    for early in range(5):
        for late in range(early, 5):
            moved = np.linalg.matrix_power(transition, late - early) @ covariances[early]
            cross[early, late] = cross[late, early] = moved[0, 0]
    joint = cross + noise * np.eye(5)
    mean = np.ones(5)

    filtered = filter_windows(
        motion,
        torch.from_numpy(values)[None, :, None],
        torch.ones(1, 5, 1, dtype=torch.bool),
        torch.tensor([process], dtype=torch.float64),
        torch.tensor([noise], dtype=torch.float64),
    )

    wanted = multivariate_normal(mean, joint).logpdf(values)
    wanted -= multivariate_normal(mean[:2], joint[:2, :2]).logpdf(values[:2])
    assert float(filtered.likelihood) == pytest.approx(wanted, rel=1e-5)


@pytest.fixture
def noisy_walks():
    """A table of two walks with integrated white acceleration of intensity 0.05, measured with variance 1."""
    from tsbench.data.series import SeriesTable

    random, motion, steps = np.random.default_rng(0), Motion.of(2, 1.0), 3000
    factor = np.linalg.cholesky(0.05 * motion.noise.numpy())
    state, values = np.zeros((2, 2)), np.empty((steps, 2))
    for now in range(steps):
        values[now] = state[:, 0] + random.standard_normal(2)
        state = state @ motion.transition.numpy().T + random.standard_normal((2, 2)) @ factor.T
    time = np.datetime64("2024-01-01", "ns") + np.arange(steps) * np.timedelta64(1, "s")
    return SeriesTable("user-walks", values, ("x", "y"), ("m", "m"), time, "PT1S", "recipe", "content")


def test_the_noise_of_a_track_is_found(open_waves, noisy_walks):
    data = open_waves(noisy_walks, normalisation="none", space="units", horizon=4)
    model = KalmanFilter(data.shape(40))

    report = model.fit(TaskSource(data, 40, 0, uses=model.uses))

    np.testing.assert_allclose(model.process, 0.05, rtol=0.4)
    np.testing.assert_allclose(model.measurement, 1.0, rtol=0.2)
    batch = data.windows("test", 40).using("context", "target").gather(torch.arange(300))
    constant = ConstantVelocity(data.shape(40)).predict(batch).values
    error = (model.predict(batch).values - batch["target"]).square().mean()
    assert error < 0.5 * (constant - batch["target"]).square().mean()
    assert report.validation_loss > 0


def test_a_declared_measurement_is_kept(open_waves, noisy_walks):
    data = open_waves(noisy_walks, normalisation="none", space="units", horizon=4)
    model = KalmanFilter(data.shape(20), Hyperparameters(measurement_std=0.3))

    model.fit(TaskSource(data, 20, 0, uses=model.uses))

    np.testing.assert_allclose(model.measurement, 0.09)


@pytest.mark.parametrize("motion", ["velocity", "acceleration"])
def test_what_is_missing_does_not_matter(motion):
    model, track = KalmanFilter(SHAPE, Hyperparameters(motion=motion)), line()
    observed = torch.rand(3, 20, 2, generator=torch.Generator().manual_seed(2)) > 0.3
    spoilt = torch.where(observed, track[:, :20], 1e4)

    forecast = model.predict({"context": spoilt, "observed": observed}).values

    torch.testing.assert_close(forecast, track[:, 20:], atol=1e-2, rtol=0)


@pytest.mark.parametrize("motion", ["velocity", "acceleration"])
def test_exact_tracks_without_any_noise_are_fitted_too(open_waves, motion):
    from tsbench.data.series import SeriesTable

    values = np.stack([np.arange(600.0), 5 - 2 * np.arange(600.0)], axis=1)
    time = np.datetime64("2024-01-01", "ns") + np.arange(600) * np.timedelta64(1, "s")
    table = SeriesTable("user-lines", values, ("x", "y"), ("m", "m"), time, "PT1S", "recipe", "content")
    data = open_waves(table, normalisation="none", space="units")
    model = KalmanFilter(data.shape(20), Hyperparameters(motion=motion))

    model.fit(TaskSource(data, 20, 0, uses=model.uses))

    batch = data.windows("test", 20).using("context", "target").gather(torch.arange(10))
    torch.testing.assert_close(model.predict(batch).values, batch["target"], atol=1e-1, rtol=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"motion": "jerk"}, "motion"), ({"measurement_std": 0.0}, "measurement_std must be positive, not 0.0")],
)
def test_wrong_hyperparameters_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        fill(Hyperparameters, given, "card")
