"""Complex affine least squares for CSI: its rows, the sums of its normal equations, and their solution."""

import torch
from einops import rearrange


class NormalEquations:
    """Sums over the rows of affine maps that are fitted side by side, in complex128.

    Args:
        maps: number of maps.
        features: inputs of a map.
        outputs: outputs of a map.
    """

    def __init__(self, maps: int, features: int, outputs: int) -> None:
        # The last row and column belong to the intercept.
        self.gram = torch.zeros(maps, features + 1, features + 1, dtype=torch.complex128)
        self.moment = torch.zeros(maps, features + 1, outputs, dtype=torch.complex128)

    def add(self, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Add rows.

        Args:
            inputs: complex, shape (map, row, feature).
            outputs: complex, shape (map, row, output).
        """
        rows = torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1).to(torch.complex128)
        self.gram += rows.mH @ rows
        self.moment += rows.mH @ outputs.to(torch.complex128)

    def solve(self, ridge: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Solve for the maps.

        Args:
            ridge: added to the diagonal of each Gram matrix, as a share of its mean diagonal. The intercept
                is not shrunk.

        Returns:
            Weight, shape (map, output, feature), and bias, shape (map, output), complex128.
        """
        diagonal = self.gram.diagonal(dim1=-2, dim2=-1).real.clone()
        diagonal[:, :-1] = ridge * diagonal[:, :-1].mean(dim=-1, keepdim=True)
        diagonal[:, -1] = 0
        solution = torch.linalg.solve(self.gram + torch.diag_embed(diagonal), self.moment)
        return solution[:, :-1].mT, solution[:, -1]


def to_rows(response: torch.Tensor, maps: int) -> torch.Tensor:
    """A row for each sample and subcarrier that share a map.

    Args:
        response: shape (sample, antenna, time, subcarrier).
        maps: 1 for one map of all subcarriers, their number for a map of each.

    Returns:
        Shape (map, row, feature); features are the antennas of each step in turn, oldest step first.
    """
    return rearrange(response, "sample antenna time (map part) -> map (part sample) (time antenna)", map=maps)


def from_rows(rows: torch.Tensor, samples: int, antennas: int) -> torch.Tensor:
    """Inverse of `to_rows`: shape (sample, antenna, time, subcarrier)."""
    return rearrange(
        rows,
        "map (part sample) (time antenna) -> sample antenna time (map part)",
        sample=samples,
        antenna=antennas,
    )
