"""The network of STEM-GNN: channels as nodes of a graph that it finds itself, filtered over graph and time.

Cao et al., "Spectral Temporal Graph Neural Network for Multivariate Time-series Forecasting", NeurIPS 2020
(arXiv 2103.07719), sections 3 and 4, as its authors and CSI-4CAST (arXiv 2510.12996) compute it. Parameter
names are the official ones.
"""

import torch
from torch import nn
from torch.nn import functional

ORDERS = 4
"""Chebyshev terms of a graph filter."""
GAIN = 1.414
"""Of the first weights of the attention."""
SMALL = 1e-7
"""Added to the root of a degree."""


class Predictor(nn.Module):
    """Graph of the nodes, two blocks that filter the series on it, and a network over time.

    Args:
        nodes: series that are forecast together.
        context: look-back in steps.
        horizon: steps to forecast.
        multiple: width of the hidden time axis in look-backs.
        dropout: of the graph's edges in training.
        leak: slope of the attention's rectifier below zero.
        compat: as the published code computes it, see `chebyshev` and `Block`.
    """

    def __init__(
        self,
        nodes: int,
        context: int,
        horizon: int,
        multiple: int,
        dropout: float = 0.5,
        leak: float = 0.2,
        compat: bool = True,
    ) -> None:
        super().__init__()
        self.weight_key = nn.Parameter(torch.empty(nodes, 1))
        self.weight_query = nn.Parameter(torch.empty(nodes, 1))
        for weight in (self.weight_key, self.weight_query):
            nn.init.xavier_uniform_(weight, gain=GAIN)
        # The nodes are read one after the other, each with its look-back as features.
        self.GRU = nn.GRU(context, nodes)
        self.stock_block = nn.ModuleList(Block(context, multiple, first, compat) for first in (True, False))
        self.fc = nn.Sequential(nn.Linear(context, context), nn.LeakyReLU(), nn.Linear(context, horizon))
        self.dropout, self.leak, self.compat = dropout, leak, compat

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, node), of `series`, shape (sample, time, node).

        All samples share one graph, so that a forecast depends on the samples beside it.
        """
        terms = chebyshev(laplacian(self.attention(series)), self.compat)
        image = series.transpose(1, 2)  # (sample, node, time)
        first, image = self.stock_block[0](image, terms)
        second, _ = self.stock_block[1](image, terms)
        return self.fc(first + second).transpose(1, 2)

    def attention(self, series: torch.Tensor) -> torch.Tensor:
        """Weight of each node for each other, mean over the samples, shape (node, node); rows sum to 1."""
        hidden, _ = self.GRU(series.permute(2, 0, 1))  # (node, sample, unit): nodes as steps, units as many
        hidden = hidden.permute(1, 2, 0)  # (sample, unit, node)
        key, query = hidden @ self.weight_key, hidden @ self.weight_query  # (sample, unit, 1)
        scores = functional.leaky_relu(key + query.transpose(1, 2), self.leak)
        weights = functional.dropout(scores.softmax(dim=2), self.dropout, self.training)
        return weights.mean(dim=0)


class Block(nn.Module):
    """Filters over graph and frequency; says its share of the forecast and what it leaves to the next block.

    Args:
        context: look-back in steps.
        multiple: width of the hidden time axis in look-backs.
        first: whether a block follows, to which it leaves something.
        compat: transform over the Chebyshev terms, as the code of CSI-4CAST does, which its published weights
            were trained with; otherwise over time, as in the paper of STEM-GNN.
    """

    def __init__(self, context: int, multiple: int, first: bool, compat: bool = True) -> None:
        super().__init__()
        width = context * multiple
        self.weight = nn.Parameter(torch.empty(1, ORDERS, 1, width, width))
        nn.init.xavier_normal_(self.weight)
        self.forecast = nn.Linear(width, width)
        self.forecast_result = nn.Linear(width, context)
        if first:
            self.backcast = nn.Linear(width, context)
        # The last block has this layer too, and never uses it.
        self.backcast_short_cut = nn.Linear(context, context)
        inputs, outputs = ORDERS * context, ORDERS * width
        # Real and imaginary parts in turn: three layers each.
        self.GLUs = nn.ModuleList(
            GatedLinear(inputs if layer < 2 else outputs, outputs) for layer in range(6)
        )
        self.first, self.compat = first, compat

    def forward(self, series: torch.Tensor, terms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Share of the forecast, and what is left; both of shape (sample, node, time).

        Args:
            series: shape (sample, node, time).
            terms: Chebyshev terms of the graph, shape (term, node, node).
        """
        filtered = torch.einsum("kij,bjt->bkit", terms, series)  # (sample, term, node, time)
        widened = self.over_frequency(filtered)
        hidden = torch.einsum("bkit,kts->bis", widened, self.weight[0, :, 0])  # (sample, node, width)
        forecast = self.forecast_result(torch.sigmoid(self.forecast(hidden)))
        if not self.first:
            return forecast, series
        return forecast, torch.sigmoid(self.backcast(hidden) - self.backcast_short_cut(series))

    def over_frequency(self, filtered: torch.Tensor) -> torch.Tensor:
        """Gated layers on the spectrum of each node, all terms together, and back.

        Args:
            filtered: shape (sample, term, node, time).

        Returns:
            The real part, shape (sample, term, node, time × multiple).
        """
        spectrum = torch.fft.fft(filtered, dim=1 if self.compat else 3).transpose(1, 2)
        real, imaginary = spectrum.real.flatten(2), spectrum.imag.flatten(2)  # (sample, node, term × time)
        for layer in range(0, 6, 2):
            real, imaginary = self.GLUs[layer](real), self.GLUs[layer + 1](imaginary)
        widened = torch.complex(real, imaginary).unflatten(2, (ORDERS, -1)).transpose(1, 2)
        if self.compat:
            return torch.fft.irfft(widened, n=ORDERS, dim=1)
        return torch.fft.ifft(widened).real


class GatedLinear(nn.Module):
    """A linear layer times the sigmoid of another."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear_left = nn.Linear(inputs, outputs)
        self.linear_right = nn.Linear(inputs, outputs)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Shape (..., outputs) from (..., inputs)."""
        return self.linear_left(values) * torch.sigmoid(self.linear_right(values))


def laplacian(attention: torch.Tensor) -> torch.Tensor:
    """Normalised Laplacian of the symmetric part of the attention, shape (node, node).

    The degrees are those of the attention as it is, before it is made symmetric: so the official code.
    """
    degree = attention.sum(dim=1)
    scale = 1 / (degree.sqrt() + SMALL)
    symmetric = (attention + attention.T) / 2
    return scale[:, None] * (torch.diag(degree) - symmetric) * scale


def chebyshev(matrix: torch.Tensor, compat: bool = True) -> torch.Tensor:
    """Four terms of the recursion T_k = 2 L T_(k−1) − T_(k−2) from T_0 and T_1 = L.

    Args:
        matrix: L, shape (node, node).
        compat: begin with zeros, as every published code does; otherwise with the identity, which makes them
            the polynomials of the paper.

    Returns:
        Shape (term, node, node).
    """
    terms = [torch.zeros_like(matrix) if compat else torch.eye(len(matrix)).to(matrix), matrix]
    while len(terms) < ORDERS:
        terms.append(2 * matrix @ terms[-1] - terms[-2])
    return torch.stack(terms)
