"""Ordinary kriging: the best linear unbiased map from samples, by a variogram that is fitted to each map.

Matheron, "Principles of geostatistics", Economic Geology 1963; variograms by PyKrige. The dual form is
solved: one system a map, and its solution serves every cell.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from scipy.linalg import LinAlgError, solve
from scipy.spatial.distance import cdist

from tsbench.contracts import InputError, TaskShape

from ..layers.maps import cell_centres
from ..layers.sparse import SparseForecaster, samples_of

FEWEST = 4
"""Samples from which a variogram can be fitted."""
BLOCK = 2**22
"""Distances that are held at a time."""
SAME_PLACE = 1e-9
"""Metres."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of the variogram.

    Attributes:
        variogram: its form, as PyKrige names it.
        lags: classes of distance to which it is fitted.
        weight_near: let near pairs count more in the fit.
    """

    variogram: Literal["exponential", "spherical", "gaussian", "linear"] = "exponential"
    lags: int = 12
    weight_near: bool = True

    def __post_init__(self) -> None:
        """A curve of three parameters needs three classes."""
        if self.lags < 3:
            raise ValueError(f"lags must be at least 3, not {self.lags}")


class OrdinaryKriging(SparseForecaster):
    """value = m + Σ wᵢ γ(dᵢ), with w and m such that the map goes through the samples and Σ wᵢ = 0.

    Fewer than four samples, equal ones, or a system without a solution give their mean; this is counted in
    `fallbacks`.

    Raises:
        InputError: where PyKrige is missing, for several targets, or a task without samples.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, "ordinary_kriging")
        self.chosen = hyperparameters or Hyperparameters()
        self.fallbacks: Counter[str] = Counter()
        _kriging()

    def maps(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Maps in units, float64, shape (sample, y, x)."""
        samples = samples_of(batch, self.shape, self.channel)
        centres = cell_centres(self.shape, batch["context"])
        cells = centres.reshape(-1, 3).cpu().numpy()
        found = [
            self.one(cells, places[present].cpu().numpy(), values[present].cpu().numpy())
            for places, values, present in zip(samples.places, samples.values, samples.present, strict=True)
        ]
        return torch.from_numpy(np.stack(found)).reshape(-1, *centres.shape[:-1]).to(centres.device)

    def one(self, cells: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
        """One map.

        Args:
            cells: metres, shape (cell, 3).
            places: of the samples, metres, shape (point, 3).
            values: of the samples, shape (point,).

        Returns:
            Shape (cell,).
        """
        if not len(values):
            return np.full(len(cells), self.mean)
        if len(values) < FEWEST or np.ptp(values) == 0:
            self.fallbacks["too few samples for a variogram, or all equal"] += 1
            return np.full(len(cells), values.mean())
        gamma = fitted_variogram(places, values, self.chosen)
        try:
            weights, mean = dual_weights(gamma, places, values)
        except (LinAlgError, ValueError):
            self.fallbacks["the kriging system has no solution"] += 1
            return np.full(len(cells), values.mean())
        block = max(1, BLOCK // len(values))
        parts = [cells[start : start + block] for start in range(0, len(cells), block)]
        return np.concatenate([mean + gamma(cdist(part, places)) @ weights for part in parts])


def fitted_variogram(places: np.ndarray, values: np.ndarray, chosen: Hyperparameters) -> Any:
    """γ of distances in metres, 0 at 0, fitted to samples by PyKrige.

    Args:
        places: metres, shape (point, 3).
        values: shape (point,).
        chosen: form and fit.
    """
    kinds, options = _kriging(), {"nlags": chosen.lags, "weight": chosen.weight_near}
    # Samples of one height lie in a plane.
    flat = np.ptp(places[:, 2]) == 0
    columns = places[:, :2].T if flat else places.T
    made = kinds[flat](*columns, values, variogram_model=chosen.variogram, **options)

    def gamma(distance: np.ndarray) -> np.ndarray:
        found = made.variogram_function(made.variogram_model_parameters, distance)
        return np.where(distance <= SAME_PLACE, 0.0, found)

    return gamma


def dual_weights(gamma: Any, places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Weight of each sample's γ, and the constant, of the map through the samples.

    Raises:
        LinAlgError: where there is none.
    """
    points = len(values)
    system = np.ones((points + 1, points + 1))
    system[:points, :points] = gamma(cdist(places, places))
    system[points, points] = 0.0
    solution = solve(system, np.append(values, 0.0), assume_a="sym")
    return solution[:points], float(solution[points])


def _kriging() -> dict[bool, Any]:
    """PyKrige's classes: of planes (true) and of volumes.

    Raises:
        InputError: where it is missing.
    """
    try:
        from pykrige.ok import OrdinaryKriging as Plane
        from pykrige.ok3d import OrdinaryKriging3D as Volume
    except ImportError as error:
        raise InputError("ordinary_kriging needs pykrige: pip install 'tsbench[baselines]'") from error
    return {True: Plane, False: Volume}
