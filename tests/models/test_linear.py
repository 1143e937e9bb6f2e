"""The least-squares map against numpy's solver."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.task_data import TaskData
from tsbench.models.linear.model import Hyperparameters, Linear
from tsbench.training.source import TaskSource


def windows_as_rows(data, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the system, one a training window and target, by numpy's own sliding windows."""
    rows = data.values[: data.borders[0]].double().numpy()
    horizon = data.task.horizon
    windows = np.lib.stride_tricks.sliding_window_view(
        rows, context + horizon, axis=0
    )  # (case, channel, time)
    flat = windows.reshape(-1, context + horizon)
    return np.column_stack([flat[:, :context], np.ones(len(flat))]), flat[:, context:]


def test_the_map_equals_numpy_lstsq(open_waves):
    data = open_waves()
    model = Linear(data.shape(24), Hyperparameters(ridge=0.0))

    model.fit(TaskSource(data=data, context=24, seed=0))

    inputs, outputs = windows_as_rows(data, 24)
    solution = np.linalg.lstsq(inputs, outputs, rcond=None)[0]
    np.testing.assert_allclose(model.map.weight.T.numpy(), solution[:-1], atol=1e-5)
    np.testing.assert_allclose(model.map.bias.numpy(), solution[-1], atol=1e-5)


def test_the_validation_loss_is_the_mean_squared_error_on_the_validation_windows(open_waves):
    data = open_waves()
    model = Linear(data.shape(24))

    report = model.fit(TaskSource(data=data, context=24, seed=0))

    windows = data.windows("validation", 24).using("context", "target")
    batch = windows.gather(torch.arange(len(windows)))
    error = model.predict(batch).values - batch["target"]
    assert report.validation_loss == pytest.approx(float(error.square().mean()), rel=1e-5)


def test_the_ridge_shrinks_the_map_but_not_the_intercept(open_waves):
    data = open_waves(normalisation="none", space="units")
    model = Linear(data.shape(24), Hyperparameters(ridge=1e9))

    model.fit(TaskSource(data=data, context=24, seed=0))

    _, outputs = windows_as_rows(data, 24)
    assert model.map.weight.abs().max() < 1e-6
    np.testing.assert_allclose(model.map.bias.numpy(), outputs.mean(axis=0), rtol=1e-4)


def test_a_series_that_follows_a_recurrence_is_forecast_without_error(open_waves, waves):
    hours = np.arange(600.0)
    sine = np.column_stack([np.sin(2 * np.pi * hours / 24 + shift) for shift in (0, 1)])
    data = open_waves(replace(waves(), values=sine))
    model = Linear(data.shape(24))

    assert model.fit(TaskSource(data=data, context=24, seed=0)).validation_loss < 1e-6


def test_windows_with_missing_targets_do_not_enter_the_system(open_waves, waves):
    table = waves()
    values = table.values.copy()
    values[100:110, 0] = np.nan
    data = open_waves(replace(table, values=values), missing="mask")
    model = Linear(data.shape(24), Hyperparameters(ridge=0.0))

    model.fit(TaskSource(data=data, context=24, seed=0))

    inputs, outputs = windows_as_rows(data, 24)
    touched = np.zeros(values.shape, bool)
    touched[100:110, 0] = True
    lost = np.lib.stride_tricks.sliding_window_view(touched[: data.borders[0]], 36, axis=0)[..., 24:].any(
        axis=-1
    )
    kept = ~lost.reshape(-1)
    solution = np.linalg.lstsq(inputs[kept], outputs[kept], rcond=None)[0]
    np.testing.assert_allclose(model.map.weight.T.numpy(), solution[:-1], atol=1e-5)


def test_windows_that_all_lack_a_target_are_refused(open_ragged, ragged):
    made = ragged()
    made["value"][::3] = float("nan")
    data = open_ragged(made, missing="mask")
    model = Linear(data.shape(8))

    with pytest.raises(InputError, match="windows whose targets are all observed; there are none"):
        model.fit(TaskSource(data, 8, 0, uses=model.uses))


def test_a_look_back_that_nobody_observes_leaves_the_mean(stores):
    """The fifth of the sensors that is there holds none of the targets."""
    stores("sensors")
    data = TaskData.open(registry.task("sensors-hidden-12"))
    source = TaskSource(data, 24, seed=0)
    model = Linear(data.shape(24))

    model.fit(source)

    target = torch.cat([batch["target"] for batch in source.train.batches(512)])
    forecast = model.predict(source.train.gather(torch.arange(3))).values
    expected = target.mean(dim=(0, 2))[:, None].expand(forecast.shape)
    torch.testing.assert_close(forecast, expected, atol=1e-5, rtol=0)
