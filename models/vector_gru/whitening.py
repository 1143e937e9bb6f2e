"""Normalisation of vectors: by the largest magnitude, or by mean and covariance."""

import torch


class Moments:
    """Sums over vectors, batch by batch, in double precision.

    Args:
        size: numbers in a vector.
    """

    def __init__(self, size: int) -> None:
        self.count = 0
        self.total = torch.zeros(size, dtype=torch.float64)
        self.products = torch.zeros(size, size, dtype=torch.float64)
        self.largest = 0.0

    def add(self, vectors: torch.Tensor) -> None:
        """Count some vectors, shape (..., size)."""
        rows = vectors.detach().cpu().double().flatten(0, -2)
        self.count += len(rows)
        self.total += rows.sum(dim=0)
        self.products += rows.T @ rows
        self.largest = max(self.largest, float(torch.linalg.vector_norm(rows, dim=1).max()))


def map_of(moments: Moments, norm: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and matrix of a normalisation, float64, shapes (size,) and (size, size).

    Args:
        moments: of the training part.
        norm: `max` (mean 0, divided by the largest Euclidean norm) or `white` (mean and inverse Cholesky
            factor of the population covariance).
    """
    mean, size = moments.total / moments.count, len(moments.total)
    identity = torch.eye(size, dtype=torch.float64)
    if norm == "max":
        return torch.zeros_like(mean), identity / (moments.largest or 1.0)
    covariance = moments.products / moments.count - torch.outer(mean, mean)
    # A direction without spread is left as it is.
    covariance = covariance + identity * (1e-12 * covariance.diagonal().mean() or 1.0)
    return mean, torch.linalg.inv(torch.linalg.cholesky(covariance))


def from_units(values: torch.Tensor, mean: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """(x - mean) Lᵀ of vectors (..., size)."""
    return (values - mean) @ matrix.T


def to_units(values: torch.Tensor, mean: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """The inverse of `from_units`."""
    return values @ torch.linalg.inv(matrix).T + mean


def smoothing_matrix(steps: int, window: int) -> torch.Tensor:
    """A quadratic Savitzky-Golay filter as a matrix, float32, shape (steps, steps)."""
    import numpy as np
    from scipy.signal import savgol_filter

    return torch.from_numpy(savgol_filter(np.eye(steps), window, 2, axis=0)).float()
