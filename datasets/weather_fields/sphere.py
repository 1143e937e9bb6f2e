"""Spherical harmonics on a Gaussian grid, in plain torch: transforms, and the operators that use them.

Triangular truncation. Coefficients are complex, shape (..., m, l) with m, l = 0 … T, those with l < m are 0;
a field is f(λ, μ) = Σ c_lm P_lm(μ) e^{imλ}, its coefficients with m < 0 being the conjugates. Harmonics are
orthonormal on the unit sphere. Winds are `U = u cos φ` and `V = v cos φ`, which are smooth at the poles.
"""

import math

import numpy as np
import torch

EARTH_RADIUS = 6.37122e6
"""Metres, as in Williamson et al. (1992)."""


class Sphere:
    """A Gaussian grid of `latitudes` × 2 `latitudes` points with triangular truncation.

    Args:
        truncation: largest degree l.
        latitudes: number of rows; from 3 T / 2 on products of two fields are free of aliasing.
        radius: metres.

    Attributes:
        mu: sine of each latitude, from south to north, float64, shape (latitude,).
        latitude, longitude: degrees.
        weights: of the quadrature in mu, sum 2.
        laplacian: eigenvalues −l (l + 1) / a², shape (l,).
    """

    def __init__(self, truncation: int = 21, latitudes: int = 32, radius: float = EARTH_RADIUS) -> None:
        self.truncation, self.radius = truncation, radius
        self.longitudes = 2 * latitudes
        mu, weights = np.polynomial.legendre.leggauss(latitudes)
        self.mu, self.weights = torch.from_numpy(mu), torch.from_numpy(weights)
        self.latitude = np.rad2deg(np.arcsin(mu))
        self.longitude = np.arange(self.longitudes) * 360.0 / self.longitudes
        self.cosine = (1 - self.mu.square()).sqrt()[:, None]  # (latitude, 1)
        degree = torch.arange(truncation + 1, dtype=torch.float64)
        self.degree = degree
        self.laplacian = -degree * (degree + 1) / radius**2
        inverse = torch.zeros_like(degree)
        inverse[1:] = 1 / self.laplacian[1:]
        self.inverse_laplacian = inverse
        self.order = 1j * degree[:, None]  # i m, shape (m, 1)
        self.kept = (degree[None, :] >= degree[:, None]).double()  # (m, l)
        values, slopes = _legendre(truncation, self.mu)
        both = torch.cat([values, slopes], dim=1)  # (m, 2 l, latitude)
        quadrature = 2 * math.pi * self.weights
        self._synthesis, self._synthesis_pair = values, both / radius
        self._analysis = (values * quadrature).mT.contiguous()  # (m, latitude, l)
        self._analysis_pair = (both * quadrature / (1 - self.mu.square()) / radius).mT.contiguous()

    def to_grid(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Field of coefficients (..., m, l), float64, shape (..., latitude, longitude)."""
        return self._inverse(coefficients, self._synthesis)

    def from_grid(self, field: torch.Tensor) -> torch.Tensor:
        """Coefficients of a field (..., latitude, longitude), complex128, shape (..., m, l)."""
        return self._forward(self._fourier(field), self._analysis)

    def winds(self, vorticity: torch.Tensor, divergence: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """U and V on the grid, of coefficients of vorticity and divergence (..., m, l).

        U = (∂χ/∂λ − (1−μ²) ∂ψ/∂μ) / a and V = (∂ψ/∂λ + (1−μ²) ∂χ/∂μ) / a with ψ = ∇⁻²ζ, χ = ∇⁻²δ.
        """
        stream, potential = vorticity * self.inverse_laplacian, divergence * self.inverse_laplacian
        eastward = torch.cat([self.order * potential, -stream], dim=-1)
        northward = torch.cat([self.order * stream, potential], dim=-1)
        both = self._inverse(torch.stack([eastward, northward]), self._synthesis_pair)
        return both[0], both[1]

    def divergence_and_curl(
        self, eastward: torch.Tensor, northward: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Coefficients of ∇·F and k·∇×F of a vector field, whose parts are times cos φ on the grid.

        The derivative in latitude is moved to the Legendre functions by integration by parts.
        """
        pair = self._forward(self._fourier(torch.stack([eastward, northward])), self._analysis_pair)
        values, slopes = pair.split(self.truncation + 1, dim=-1)
        divergence = self.order * values[0] - slopes[1]
        curl = self.order * values[1] + slopes[0]
        return divergence * self.kept, curl * self.kept

    def mean(self, field: torch.Tensor) -> torch.Tensor:
        """Mean over the sphere of a field (..., latitude, longitude)."""
        return (field.mean(dim=-1) * self.weights).sum(dim=-1) / 2

    def _fourier(self, field: torch.Tensor) -> torch.Tensor:
        """Fourier coefficients of each latitude circle, (..., latitude, m)."""
        return torch.fft.rfft(field, norm="forward")[..., : self.truncation + 1]

    def _forward(self, circles: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        """Sums over latitudes: (..., latitude, m) and basis (m, latitude, k) give (..., m, k)."""
        lead, (rows, orders) = circles.shape[:-2], circles.shape[-2:]
        parts = torch.view_as_real(circles.reshape(-1, rows, orders))  # (batch, latitude, m, part)
        sums = torch.bmm(parts.permute(2, 0, 3, 1).reshape(orders, -1, rows), basis)
        sums = sums.view(orders, -1, 2, basis.shape[2]).permute(1, 0, 3, 2).contiguous()
        return torch.view_as_complex(sums).view(*lead, orders, basis.shape[2])

    def _inverse(self, coefficients: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        """Sums over degrees, then Fourier synthesis: (..., m, k) and (m, k, latitude) give a field."""
        lead, (orders, size) = coefficients.shape[:-2], coefficients.shape[-2:]
        parts = torch.view_as_real(coefficients.reshape(-1, orders, size))  # (batch, m, k, part)
        sums = torch.bmm(parts.permute(1, 0, 3, 2).reshape(orders, -1, size), basis)
        sums = sums.view(orders, -1, 2, basis.shape[2]).permute(1, 3, 0, 2).contiguous()
        field = torch.fft.irfft(torch.view_as_complex(sums), n=self.longitudes, norm="forward")
        return field.view(*lead, *field.shape[-2:])


def _legendre(truncation: int, mu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised associated Legendre functions and (1 − μ²) times their derivatives.

    P_l = (μ P_{l−1} − ε_{l−1} P_{l−2}) / ε_l and (1−μ²) P'_l = (l + 1) ε_l P_{l−1} − l ε_{l+1} P_{l+1}, with
    ε_l = sqrt((l² − m²) / (4 l² − 1)).

    Returns:
        Two arrays, float64, shape (m, l, latitude); 0 where l < m.
    """
    size = truncation + 2  # one degree more, for the derivative
    values = torch.zeros(truncation + 1, size, len(mu), dtype=torch.float64)
    slopes = torch.zeros(truncation + 1, truncation + 1, len(mu), dtype=torch.float64)
    sectoral = torch.full_like(mu, math.sqrt(1 / (4 * math.pi)))
    for m in range(truncation + 1):
        if m:
            sectoral = sectoral * (1 - mu.square()).sqrt() * math.sqrt((2 * m + 1) / (2 * m))
        values[m, m] = sectoral
        epsilon = [math.sqrt(max(l * l - m * m, 0) / (4 * l * l - 1)) for l in range(size)]  # noqa: E741
        for degree in range(m + 1, size):
            below = epsilon[degree - 1] * values[m, degree - 2] if degree - 2 >= m else 0.0
            values[m, degree] = (mu * values[m, degree - 1] - below) / epsilon[degree]
        for degree in range(m, truncation + 1):
            lower = (degree + 1) * epsilon[degree] * values[m, degree - 1] if degree > m else 0.0
            slopes[m, degree] = lower - degree * epsilon[degree + 1] * values[m, degree + 1]
    return values[:, :-1].contiguous(), slopes
