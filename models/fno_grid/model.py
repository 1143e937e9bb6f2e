"""A Fourier neural operator on the sphere, rolled out step by step.

Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", ICLR 2021 (arXiv
2010.08895): a linear map of the lowest Fourier modes beside a pointwise one, as the spherical operators of
Bonev et al. (ICML 2023, arXiv 2306.03838) have it with harmonics. Rows are continued over the poles and
down the other side (the double Fourier sphere of Merilees 1973): a field is periodic in both directions,
and no pole is an edge.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from tsbench.contracts import InputError, TaskShape

from ..layers.grid import GridForecaster, GridHyperparameters, stacked


@dataclass(frozen=True)
class Hyperparameters(GridHyperparameters):
    """Of the Fourier neural operator.

    Attributes:
        width: channels of the latent fields.
        layers: number of layers.
        latitude_modes, longitude_modes: lowest wavenumbers that are mixed, of both signs in latitude.
    """

    width: int = 32
    layers: int = 4
    latitude_modes: int = 10
    longitude_modes: int = 12


class FNOGrid(GridForecaster):
    """Lift, layers that mix modes and points, projection; the output is the change of the state.

    Raises:
        InputError: where the grid has fewer modes than are asked for.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters)
        chosen, channels = self.chosen, len(shape.channels)
        rows, columns = shape.sizes["latitude"], shape.sizes["longitude"]
        if chosen.latitude_modes > rows or chosen.longitude_modes > columns // 2:
            raise InputError(
                f"A grid of {rows} × {columns} points has fewer modes than fno_grid is asked for"
            )
        self.lift = nn.Conv2d(shape.context * channels + len(shape.static), chosen.width, kernel_size=1)
        self.layers = nn.ModuleList(
            Layer(chosen.width, chosen.latitude_modes, chosen.longitude_modes) for _ in range(chosen.layers)
        )
        self.project = nn.Sequential(
            nn.Conv2d(chosen.width, 2 * chosen.width, kernel_size=1),
            nn.GELU(),
            nn.Conv2d(2 * chosen.width, channels, kernel_size=1),
        )

    def increment(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """Change of the state in one step, in units of `spread`."""
        fields = self.lift(stacked(state, static))
        for layer in self.layers:
            fields = layer(fields)
        return self.project(fields)


class Layer(nn.Module):
    """x + W₂ GELU(K x + W₁ x), with K a map of the lowest modes of the doubled sphere.

    Args:
        width: channels.
        rows, columns: lowest wavenumbers in latitude (of both signs) and longitude.
    """

    def __init__(self, width: int, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        size = (2 * rows - 1, columns, width, width)
        # Real and imaginary part last; the start keeps the size of the fields.
        self.modes = nn.Parameter(torch.randn(*size, 2) / (2 * width) ** 0.5)
        self.inner, self.outer = (nn.Conv2d(width, width, kernel_size=1) for _ in range(2))

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Shape (sample, channel, latitude, longitude)."""
        return fields + self.outer(functional.gelu(self._mix(fields) + self.inner(fields)))

    def _mix(self, fields: torch.Tensor) -> torch.Tensor:
        rows, columns = fields.shape[-2:]
        beyond = fields.roll(columns // 2, dims=-1).flip(-2)
        spectrum = torch.fft.rfft2(torch.cat([fields, beyond], dim=-2), norm="ortho")
        # Wavenumbers 0 … r − 1 and −(r − 1) … −1 in latitude.
        kept = torch.cat([spectrum[..., : self.rows, :], spectrum[..., 1 - self.rows :, :]], dim=-2)
        kept = kept[..., : self.columns]
        mixed = torch.einsum("siyx,yxio->soyx", kept, torch.view_as_complex(self.modes))
        whole = torch.zeros_like(spectrum)
        whole[..., : self.rows, : self.columns] = mixed[..., : self.rows, :]
        whole[..., 1 - self.rows :, : self.columns] = mixed[..., self.rows :, :]
        return torch.fft.irfft2(whole, s=(2 * rows, columns), norm="ortho")[..., :rows, :]
