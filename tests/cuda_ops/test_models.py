"""Models with their operators on and off: same forecasts to 1e-5, same losses over 50 steps to 1e-4."""

import torch

from tsbench.cuda_ops import ops
from tsbench.models.time_moe.configuration import SIZES
from tsbench.models.time_moe.generation import generate
from tsbench.models.time_moe.loss import objective
from tsbench.models.time_moe.network import Backbone, heads_of, initialise

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
