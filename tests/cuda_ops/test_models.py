"""Models with their operators on and off: same forecasts to 1e-5, same losses over 50 steps to 1e-4."""

import pytest
import torch

from tsbench.cuda_ops import ops
from tsbench.models.time_moe.configuration import SIZES
from tsbench.models.time_moe.generation import generate
from tsbench.models.time_moe.loss import objective
from tsbench.models.time_moe.network import Backbone, heads_of, initialise
from tsbench.models.tpgn.model import Network

STEPS = 50


def time_moe():
    torch.manual_seed(0)
    parts = torch.nn.ModuleList([Backbone(SIZES["tiny"]), heads_of(SIZES["tiny"])])
    for part in parts:
        initialise(part, 0.1)
    return parts


def time_moe_losses(choice):
    """Losses of 50 steps of AdamW on waves, and a forecast with the weights after them."""
    backbone, heads = parts = time_moe()
    generator = torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(parts.parameters(), lr=1e-3)
    losses = []
    with ops(choice):
        for _ in range(STEPS):
            phase = torch.rand(4, 1, generator=generator) * 6.3
            series = torch.sin(torch.arange(33) / 4 + phase) + 0.1 * torch.randn(4, 33, generator=generator)
            encoded = backbone(series[:, :-1])
            forecasts = [head(encoded.hidden) for head in heads]
            mask = torch.ones_like(series[:, 1:])
            loss = objective(encoded, forecasts, series[:, 1:], backbone.configuration, mask)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return torch.tensor(losses), parts


def test_time_moe_trains_and_forecasts_the_same():
    found, (backbone, heads) = time_moe_losses("auto")
    expected, _ = time_moe_losses("reference")
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert found[-1] < 0.8 * found[0]

    series = torch.sin(torch.arange(64) / 4)[None]
    forecasts = []
    for choice in ("auto", "reference"):
        with ops(choice), torch.no_grad():
            forecasts.append(generate(backbone, heads, series, 48))
    torch.testing.assert_close(*forecasts, atol=1e-5, rtol=0)


@pytest.mark.parametrize("width", [4, 32])
def test_tpgn_trains_and_forecasts_the_same(width):
    """Below the width from which a gradient of its own pays, and from it on."""
    found, expected = tpgn_losses("auto", width), tpgn_losses("reference", width)
    torch.testing.assert_close(found[0], expected[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(found[1], expected[1], atol=1e-5, rtol=0)
    assert found[0][-1] < 0.8 * found[0][0]


def tpgn_losses(choice, width):
    """Losses of 50 steps of Adam on waves, and a forecast with the weights after them."""
    torch.manual_seed(0)
    model = Network(channels=2, inputs=3, width=width, rows=4, period=6, horizon=6)
    generator = torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    with ops(choice):
        for _ in range(STEPS):
            phase = torch.rand(8, 1, 2, generator=generator) * 6.3
            series = torch.sin(torch.arange(30)[:, None] / 3 + phase)
            marks = torch.randn(8, 24, 2, generator=generator)
            loss = (model(series[:, :24], marks) - series[:, 24:]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        with torch.no_grad():
            return torch.tensor(losses), model(series[:, :24], marks)
