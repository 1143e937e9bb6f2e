"""Time-MoE: generation with cache against without; training with grouped experts against the masked loop.

    python benchmarks/time_moe.py [--part cache|experts|all] [--size base] [--context 512] [--horizon 720]
        [--sizes tiny base] [--tokens 1 8 64 512 2048] [--repeats 5] [--threads 2] [--out FILE.json]

Both ways run in turns on the same random weights and series; the ratio is that of the medians, with the ratio
of the fastest runs and those of single rounds beside it. Numbers that differ by more than 1e-4 (generation)
or 1e-5 (experts: output and every gradient, as a share of the largest where that is above 1) end the run.
Writes JSON.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tsbench.cuda_ops import ops
from tsbench.models.time_moe.configuration import SIZES
from tsbench.models.time_moe.generation import generate, schedule
from tsbench.models.time_moe.loss import objective
from tsbench.models.time_moe.network import Backbone, heads_of, initialise


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=["cache", "experts", "all"], default="all")
    parser.add_argument("--size", choices=list(SIZES), default="base", help="of the generation")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--horizon", type=int, default=720)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["tiny", "base"])
    parser.add_argument("--tokens", nargs="+", type=int, default=[1, 8, 64, 512, 2048])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/time_moe.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measured: dict = {"torch": torch.__version__, "threads": arguments.threads, "cores": os.cpu_count()}
    measured["load_before"] = os.getloadavg()[0]
    if arguments.part != "experts":
        measured["cache"] = cache(arguments.size, arguments.context, arguments.horizon, arguments.repeats)
    if arguments.part != "cache":
        measured["experts"] = [
            training(size, tokens, arguments.repeats)
            for size in arguments.sizes
            for tokens in arguments.tokens
        ]
    measured["load_after"] = os.getloadavg()[0]
    print(json.dumps(measured, indent=1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))


def cache(size: str, context: int, horizon: int, repeats: int) -> dict:
    """Seconds to generate one sequence both ways."""
    backbone, heads = network(size)
    series = torch.randn(1, context, generator=torch.Generator().manual_seed(1))
    made = {way: generate(backbone, heads, series, horizon, cached=way) for way in (True, False)}
    difference = (made[True] - made[False]).abs().max().item()
    if difference > 1e-4:
        raise SystemExit(f"with and without cache differ by {difference}")
    return {
        "size": size,
        "context": context,
        "horizon": horizon,
        "passes": len(schedule(horizon, backbone.configuration.horizon_lengths)),
        "difference": difference,
        **in_turns(
            {
                "cached": lambda: generate(backbone, heads, series, horizon),
                "uncached": lambda: generate(backbone, heads, series, horizon, cached=False),
            },
            repeats,
        ),
    }


def training(size: str, tokens: int, repeats: int) -> dict:
    """Seconds of a training step (forward, backward) both ways, on one sequence of so many tokens."""
    backbone, heads = network(size)
    series = torch.randn(1, tokens + 1, generator=torch.Generator().manual_seed(1))
    learned = [*backbone.parameters(), *heads.parameters()]

    def step() -> list[torch.Tensor]:
        encoded = backbone(series[:, :-1])
        forecasts = [head(encoded.hidden) for head in heads]
        mask = torch.ones_like(series[:, 1:])
        loss = objective(encoded, forecasts, series[:, 1:], backbone.configuration, mask)
        gradients = torch.autograd.grad(loss, learned, materialize_grads=True)
        return [loss.detach(), encoded.hidden.detach(), *gradients]

    def loop_step() -> list[torch.Tensor]:
        with ops("reference"):
            return step()

    pairs = zip(step(), loop_step(), strict=True)
    difference = max(
        ((one - other).abs().max() / other.abs().max().clamp_min(1)).item() for one, other in pairs
    )
    if difference > 1e-5:
        raise SystemExit(f"grouped experts and masked loop differ by {difference}")
    times = in_turns({"grouped": step, "loop": loop_step}, repeats)
    return {"size": size, "tokens": tokens, "difference": difference, **times}


def network(size: str) -> tuple:
    """Backbone and heads with random weights, spread enough that experts get unequal loads."""
    torch.manual_seed(0)
    backbone, heads = Backbone(SIZES[size]), heads_of(SIZES[size])
    for part in (backbone, heads):
        initialise(part, 0.02)
    return backbone, heads


def in_turns(ways: dict[str, Callable], repeats: int) -> dict:
    """Median seconds of two ways, and how many times faster the first is."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats):
        for name in ways if turn % 2 == 0 else reversed(ways):
            start = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - start)
    fast, slow = seconds.values()
    rounds = sorted(b / a for a, b in zip(fast, slow, strict=True))
    return {
        **{f"{name}_seconds": statistics.median(one) for name, one in seconds.items()},
        "ratio": statistics.median(slow) / statistics.median(fast),
        "ratio_of_fastest": min(slow) / min(fast),
        "ratio_lowest_round": rounds[0],
        "ratio_highest_round": rounds[-1],
    }


if __name__ == "__main__":
    main()
