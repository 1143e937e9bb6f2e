"""Kalman filter of each target by itself, driven by white acceleration or white jerk.

Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to Tracking and Navigation" (2001), section 6.2
(models of discretised continuous noise) and section 5.2 (the filter). The intensity of the driving noise and
the variance of the measurements are those that make the training windows most likely, target by target.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits
from tsbench.data.steps import step_seconds
from tsbench.training.source import FitReport, TaskSource

from .filtering import Motion, filter_windows

FIT_WINDOWS = 512
"""Training windows, spread evenly, that the likelihood is summed over: it has two unknowns."""
FIT_BATCH = 512
SMALLEST = 1e-10
"""Least variance of the measurements, as a share of that of the targets' steps: exact positions have none."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of the Kalman filter.

    Attributes:
        motion: what stays constant but for the driving noise.
        measurement_std: standard deviation of the measurements, in units of the model space; None to fit it.
    """

    motion: Literal["velocity", "acceleration"] = "velocity"
    measurement_std: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no model of motion."""
        if self.motion not in ("velocity", "acceleration"):
            raise ValueError(f"motion must be velocity or acceleration, not {self.motion!r}")
        if self.measurement_std is not None and self.measurement_std <= 0:
            raise ValueError(f"measurement_std must be positive, not {self.measurement_std}")


class KalmanFilter(nn.Module):
    """Filters the look-back, its missing values left out, and lets the state run on.

    The noise is kept as buffers: `process`, the intensity of the driving noise, and `measurement`, the
    variance of the measurements, each float64, shape (target,).
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context"})
    process: torch.Tensor
    measurement: torch.Tensor
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        self.shape, self.chosen = shape, hyperparameters or Hyperparameters()
        order = 2 if self.chosen.motion == "velocity" else 3
        self.motion = Motion.of(order, step_seconds(shape.step) or 1.0)
        targets = len(shape.targets)
        self.register_buffer("process", torch.ones(targets, dtype=torch.float64))
        self.register_buffer("measurement", torch.full((targets,), 1e-2, dtype=torch.float64))

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, target)."""
        values, observed = self._windows(batch)
        state = filter_windows(self.motion, values, observed, self.process, self.measurement).state
        steps = []
        for _ in range(self.shape.horizon):
            state = state @ self.motion.transition.T.to(state)
            steps.append(state[..., 0])
        return Forecast(torch.stack(steps, dim=1).to(batch["context"].dtype))

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Maximise the likelihood of training windows over the noise of each target; nothing is random."""
        cases = source.train
        chosen = torch.linspace(0, len(cases) - 1, min(FIT_WINDOWS, len(cases))).long()
        values, observed = self._windows(cases.gather(chosen))
        evaluations = 0
        for target in range(values.shape[-1]):
            one, known = values[..., target : target + 1], observed[..., target : target + 1]
            process, measurement, count = self._most_likely(one, known)
            self.process[target], self.measurement[target] = process, measurement
            evaluations += count
        return FitReport(
            validation_loss=self._validation_loss(source), detail={"likelihoods": float(evaluations)}
        )

    def _most_likely(self, values: torch.Tensor, observed: torch.Tensor) -> tuple[float, float, int]:
        """Process intensity and measurement variance of one target, and how many likelihoods that took."""
        from scipy.optimize import minimize

        derivative = values.diff(dim=1)
        for _ in range(self.motion.order - 2):
            derivative = derivative.diff(dim=1)
        steps = float(values.diff(dim=1).square().mean()) or 1.0
        # What is left of the highest derivative of the state is driven by the noise.
        change = float(derivative.diff(dim=1).square().mean()) or SMALLEST * steps
        start = [np.log(change / self.motion.interval ** (2 * self.motion.order - 1)), np.log(1e-2 * change)]
        fixed = self.chosen.measurement_std

        def loss(logs: np.ndarray) -> float:
            process, measurement = self._of_logs(logs, steps, fixed, values)
            return -float(filter_windows(self.motion, values, observed, process, measurement).likelihood)

        found = minimize(
            loss,
            start[: 1 if fixed else 2],
            method="Nelder-Mead",
            options={"xatol": 1e-2, "fatol": 1e-2, "maxfev": 120},
        )
        process, measurement = self._of_logs(found.x, steps, fixed, values)
        return float(process), float(measurement), int(found.nfev)

    @staticmethod
    def _of_logs(
        logs: np.ndarray, steps: float, fixed: float | None, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        measurement = fixed**2 if fixed else max(np.exp(min(logs[1], 200.0)), SMALLEST * steps)
        return values.new_tensor([np.exp(min(logs[0], 200.0))]), values.new_tensor([measurement])

    def _windows(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Look-back of the targets, float64, and where it was observed."""
        index = list(self.shape.target_index)
        values = batch["context"][..., index].double()
        observed = batch["observed"][..., index] if "observed" in batch else torch.ones_like(values) > 0
        return values, observed

    def _validation_loss(self, source: TaskSource) -> float:
        total, count = 0.0, 0.0
        for batch in source.validation.batches(FIT_BATCH):
            error = (self.predict(batch).values - batch["target"]).double().square()
            valid = batch["valid"] if "valid" in batch else torch.ones_like(error) > 0
            total, count = total + float(error[valid].sum()), count + float(valid.sum())
        return total / count
