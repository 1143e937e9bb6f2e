"""Light decoders on a frozen weather model against fine-tuning all of it: time, memory, skill, correlation.

    python benchmarks/weather_decoders.py [--task weather-hydrology-small] [--pretraining-steps 1000]
        [--steps 500] [--backbone WEIGHTS.safetensors] [--out FILE.json]

Pretrains a `weather_transformer` on the task's context (or takes weights of one), then learns the task's
targets twice: by decoders on the frozen latent state, and by a model that is widened to all variables and
trained whole. What is written: time and saved bytes of a step of both, and of decoders on latent states
that were kept; error of each variable over the test windows; how well a linear map of the 3 × 3 points
around explains each variable; and whether the backbone's own forecasts are the same to the last bit, beat
persistence and climatology, and stay bounded over 40 steps.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tsbench import registry
from tsbench.contracts import Task
from tsbench.data.rollout.data import RolloutData
from tsbench.data.rollout.windows import GridWindows
from tsbench.data.task_data import TaskData
from tsbench.models.layers.grid import area_loss, pad_sphere, spread_of_increments
from tsbench.models.weather_transformer.model import WeatherTransformer
from tsbench.models.weather_transformer.widening import widen
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings
from tsbench.training.weights import load_weights, read_tensors, save_weights

CONTEXT, BATCH, LOSS = 2, 16, "mae"
LONG_ROLL_OUT, LONG_CASES = 40, 4
PUBLISHED = {"time": 0.50, "memory": 0.65}
"""Ratios of the abstract: half the training time and 35 % less memory."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="weather-hydrology-small")
    parser.add_argument("--pretraining-steps", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--backbone", type=Path, help="weights of a weather_transformer on the same context")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/weather_decoders.json"))
    given = parser.parse_args()
    found = study(given)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))
    print(f"written to {given.out}")


def study(given: argparse.Namespace) -> dict[str, Any]:
    """Run all of it."""
    wanted = registry.task(given.task)
    known, new = tuple(wanted.variables), tuple(wanted.targets)
    states = opened(wanted, targets="all", logarithm={})
    hydrology = opened(wanted)
    everything = opened(wanted, variables=(*known, *new), targets=(*known, *new))
    generator = torch.Generator().manual_seed(given.seed)

    backbone = build(WeatherTransformer, states.shape(CONTEXT), None, given.seed)
    if given.backbone:
        load_weights(backbone, given.backbone)
    else:
        train_cases = cases_of(states, "train")
        backbone.spread.copy_(spread_of_increments(Source(train_cases)))  # type: ignore[arg-type]
        rates = [({"params": list(backbone.parameters())}, 1e-3)]
        train(
            lambda batch: loss_of(backbone, batch),
            rates,
            train_cases,
            given.pretraining_steps,
            given.batch,
            generator,
        )
    weights = given.out.with_suffix(".safetensors")
    weights.parent.mkdir(parents=True, exist_ok=True)
    save_weights(backbone, weights)

    decoders = build(WeatherTransformer, hydrology.shape(CONTEXT), None, given.seed)
    load_weights(decoders, weights)
    decoders.add_decoders(given.seed)
    full = build(WeatherTransformer, everything.shape(CONTEXT), None, given.seed)
    full.spread.copy_(spread_of_increments(Source(cases_of(everything, "train"))))  # type: ignore[arg-type]
    widen(full, read_tensors(weights), known)

    costs = cost_of_steps(decoders, full, hydrology, everything, given.batch)
    test = cases_of(states, "test")
    sample = test.gather(torch.arange(min(LONG_CASES, len(test))))
    before = rolled(backbone, sample, LONG_ROLL_OUT)
    trained = [one for one in decoders.parameters() if one.requires_grad]
    train(
        lambda batch: loss_of(decoders, batch),
        [({"params": trained}, 1e-3)],
        cases_of(hydrology, "train"),
        given.steps,
        given.batch,
        generator,
    )
    after = rolled(decoders, sample, LONG_ROLL_OUT)
    # What reads and writes new variables learns faster than what was learned before.
    edges = [*full.backbone.embed.parameters(), *full.head.parameters()]
    inner = [one for one in full.parameters() if all(one is not edge for edge in edges)]
    train(
        lambda batch: loss_of(full, batch),
        [({"params": edges}, 1e-3), ({"params": inner}, 1e-4)],
        cases_of(everything, "train"),
        given.steps,
        given.batch,
        generator,
    )

    errors = {
        "decoders": relative_errors(decoders, hydrology, new),
        "full": relative_errors(full, everything, new),
    }
    explained = dict(zip(new, linear_fit(everything, len(known)), strict=True))
    skill = {name: 1 - errors["decoders"][name]["mean"] for name in new}
    return {
        "task": wanted.id,
        "steps": {"pretraining": given.pretraining_steps, "each": given.steps, "batch": given.batch},
        "step": costs,
        "published_ratios": PUBLISHED,
        "relative_rmse": errors,
        "worse_than_full": {
            name: errors["decoders"][name]["mean"] / errors["full"][name]["mean"] - 1 for name in new
        },
        "linear_r2": explained,
        "rank_correlation": rank_correlation([skill[one] for one in new], [explained[one] for one in new]),
        "backbone": {
            "same_bits_after_decoders": bool(torch.equal(before, after)),
            "std_of_40_steps": bounded(before, states),
            "geopotential_rmse": geopotential_errors(backbone, states),
        },
    }


class Source:
    """What `spread_of_increments` asks of a source."""

    def __init__(self, cases: GridWindows) -> None:
        self.train = cases


def opened(task: Task, logarithm: dict[str, float] | None = None, **changes: Any) -> RolloutData:
    """The data of the task with other variables."""
    layout = task.rollout
    if logarithm is not None and layout is not None:
        changes["rollout"] = layout.model_copy(update={"logarithm": logarithm})
    data = TaskData.open(task.model_copy(update=changes))
    assert isinstance(data, RolloutData)
    return data


def cases_of(data: RolloutData, part: Any) -> GridWindows:
    """Windows with all that the models read."""
    return data.windows(part, CONTEXT).using("context", "target", "static")


def loss_of(model: Any, batch: Any) -> torch.Tensor:
    """The model's own training loss, a mean absolute error."""
    model.settings = TrainingSettings(loss=LOSS)
    return model.loss(batch)


def train(
    loss: Callable[[Any], torch.Tensor],
    groups: list[tuple[dict[str, Any], float]],
    cases: GridWindows,
    steps: int,
    batch: int,
    generator: torch.Generator,
) -> None:
    """AdamW with a warm-up and half a cosine, as the sheet has it."""
    optimiser = torch.optim.AdamW(
        [{**group, "lr": rate} for group, rate in groups], betas=(0.9, 0.95), weight_decay=0.05
    )
    schedule = TrainingSettings(schedule="cosine", warm_up=0.1, learning_rate=1.0)
    for step, index in zip(range(steps), orders(len(cases), batch, generator), strict=False):
        share, _ = schedule.at_step(step, steps)
        for group, (_, rate) in zip(optimiser.param_groups, groups, strict=True):
            group["lr"] = rate * share
        optimiser.zero_grad()
        loss(cases.gather(index)).backward()
        for group in optimiser.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
        optimiser.step()


def orders(count: int, batch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Batches of shuffled cases without end."""
    while True:
        shuffled = torch.randperm(count, generator=generator).split(batch)
        yield from (one for one in shuffled if len(one) == min(batch, count))


def cost_of_steps(
    decoders: WeatherTransformer,
    full: WeatherTransformer,
    hydrology: RolloutData,
    everything: RolloutData,
    batch: int,
) -> dict[str, Any]:
    """Seconds, saved bytes and trained parameters of a step, for each route and as ratios to all of it."""
    index = torch.arange(min(batch, len(cases_of(hydrology, "train"))))
    few, many = (cases_of(data, "train").gather(index) for data in (hydrology, everything))
    kept = decoders.latent(few["context"], few["static"])
    units = torch.ones(len(hydrology.targets))

    def of_kept() -> torch.Tensor:
        return area_loss(decoders.decode(kept)[:, None], few["target"][:, :1], units, few["static"], LOSS)

    measured = {
        "decoders": cost_of(decoders, lambda: loss_of(decoders, few)),
        "decoders, latent states kept": cost_of(decoders, of_kept),
        "full": cost_of(full, lambda: loss_of(full, many)),
    }
    whole = measured["full"]
    for one in measured.values():
        one["time_ratio"] = one["seconds"] / whole["seconds"]
        # Weights, gradients and the two moments of what is trained count as well as what autograd keeps.
        one["memory_ratio"] = one["bytes"] / whole["bytes"]
    return measured


def cost_of(model: torch.nn.Module, loss: Callable[[], torch.Tensor], repeats: int = 7) -> dict[str, float]:
    """Median processor seconds of forward and backward, bytes that they hold, and trained parameters."""
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss().backward()
    parameters = {one.untyped_storage().data_ptr() for one in model.parameters()}
    activations = sum(size for place, size in saved.items() if place not in parameters)
    seconds = []
    for _ in range(repeats + 2):
        start = time.process_time()
        loss().backward()
        seconds.append(time.process_time() - start)
    model.zero_grad()
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    stored = sum(one.numel() for one in model.parameters())
    return {
        "seconds": statistics.median(seconds[2:]),
        "saved_bytes": activations,
        "bytes": activations + 4 * stored + 12 * trained,
        "trained_parameters": trained,
    }


@torch.inference_mode()
def rolled(model: Any, batch: Any, steps: int) -> torch.Tensor:
    """States of many steps."""
    return model.eval().roll_out(batch["context"], batch["static"], steps)


def bounded(states: torch.Tensor, data: RolloutData) -> dict[str, Any]:
    """Spread of the last step of a long roll-out over that of the training part; 2 at most."""
    last = data.target_scale.to_units(states[:, -1].double())
    mean = data.target_scale.climatology
    weights = data.windows("test", CONTEXT).reference.weights[0][:, None] / last.shape[-1]
    spread = ((last - mean).square().mean(dim=0) * weights).sum(dim=(-2, -1)).sqrt()
    ratios = (spread / data.windows("test", CONTEXT).reference.spread).tolist()
    return dict(zip(data.targets, ratios, strict=True))


@torch.inference_mode()
def relative_errors(model: Any, data: RolloutData, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """RMSE over the spread of the training part, over all test windows: by lead time and pooled."""
    squares = squared_errors(lambda batch: model.eval()(batch), data)
    ratios = (squares.mean(dim=0) / data.windows("test", CONTEXT).reference.spread.square()).sqrt()
    places = [data.targets.index(name) for name in names]
    pooled = (squares.mean(dim=(0, 1)) / data.windows("test", CONTEXT).reference.spread.square()).sqrt()
    return {
        name: {
            "6h": ratios[0, place].item(),
            "24h": ratios[min(3, len(ratios) - 1), place].item(),
            "last": ratios[-1, place].item(),
            "mean": pooled[place].item(),
        }
        for name, place in zip(names, places, strict=True)
    }


def squared_errors(predict: Callable[[Any], torch.Tensor], data: RolloutData) -> torch.Tensor:
    """Spatial mean squared errors of every test window, (window, lead_time, target), in units."""
    cases = cases_of(data, "test")
    weights = cases.reference.weights[0]
    found = []
    for index in torch.arange(len(cases)).split(16):
        forecast = data.target_scale.to_units(predict(cases.gather(index)).double())
        error = (forecast - cases.gather_truth(index)[0]).square().mean(dim=-1)
        found.append(error @ weights)
    return torch.cat(found)


@torch.inference_mode()
def geopotential_errors(backbone: WeatherTransformer, data: RolloutData) -> dict[str, dict[str, float]]:
    """RMSE of geopotential of the backbone, of persistence and of the climatology, by hours ahead."""
    horizon = data.task.horizon
    mean = data.scale.to_model(data.scale.climatology).float()
    routes: dict[str, Callable[[Any], torch.Tensor]] = {
        "backbone": backbone.eval(),
        "persistence": lambda batch: batch["context"][:, -1:].expand(-1, horizon, -1, -1, -1),
        "climatology": lambda batch: mean.expand(len(batch["context"]), horizon, -1, -1, -1),
    }
    place = data.targets.index("geopotential")
    found = {}
    for name, predict in routes.items():
        errors = squared_errors(predict, data).mean(dim=0).sqrt()[:, place]
        hours = [step for step in (1, 2, 4, 8, 12) if step <= horizon]
        found[name] = {f"{6 * step}h": errors[step - 1].item() for step in hours}
    return found


def linear_fit(data: RolloutData, known: int, stride: int = 5) -> list[float]:
    """R² of a linear map of the 3 × 3 points around, from daily anomalies of the known variables to the new.

    Fitted on the training members and told on the test members, in model space (logarithms of depths).
    """
    parts = []
    for label in ("train", "test"):
        members, steps = data._parts[label]
        days = len(steps) // 4
        fields = data.fields[torch.from_numpy(members)][:, : 4 * days]
        scaled = data._scale.to_model(fields).unflatten(1, (days, 4)).mean(dim=2)
        parts.append(scaled)  # (member, day, channel, latitude, longitude)
    mean = parts[0].mean(dim=(0, 1))
    rows = []
    for part in parts:
        anomaly = (part - mean).flatten(0, 1)[:: max(1, stride // 5)]
        around = pad_sphere(anomaly[:, :known], 1, 1)
        shifted = [
            around[..., row : row + anomaly.shape[-2], column : column + anomaly.shape[-1]]
            for row in range(3)
            for column in range(3)
        ]
        inputs = torch.cat(shifted, dim=1).movedim(1, -1).flatten(0, -2)[::stride].double()
        outputs = anomaly[:, known:].movedim(1, -1).flatten(0, -2)[::stride].double()
        rows.append((torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1), outputs))
    (inputs, outputs), (held_inputs, held_outputs) = rows
    gram = inputs.T @ inputs
    gram += 1e-6 * gram.diagonal().mean() * torch.eye(len(gram))
    error = held_outputs - held_inputs @ torch.linalg.solve(gram, inputs.T @ outputs)
    total = held_outputs - held_outputs.mean(dim=0)
    return (1 - error.square().sum(dim=0) / total.square().sum(dim=0)).tolist()


def rank_correlation(one: list[float], other: list[float]) -> float:
    """Spearman's, without ties."""
    first, second = (np.argsort(np.argsort(values)).astype(float) for values in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


if __name__ == "__main__":
    main()
