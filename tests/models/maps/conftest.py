"""What the tests of models of maps share: shapes of tasks on maps, batches of them, and the published recipe."""

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tsbench.contracts import TaskShape
from tsbench.contracts.field import NO_SIGNAL, ChannelScale

UNIT = ChannelScale(0.0, 1.0, 0.0, 1.0)
SCALES = {
    "path_gain": ChannelScale(-110.0, 20.0, -110.0, 20.0),
    "rss": ChannelScale(-80.0, 20.0, -80.0, 20.0),
    "path_gain_prior": ChannelScale(-100.0, 10.0, -100.0, 10.0),
    "building_height": ChannelScale(5.0, 8.0, 5.0, 8.0),
    "transmitter": ChannelScale(0.0, 25.0, 0.01, 0.4),
    "log_distance": ChannelScale(2.0, 0.3, 2.0, 0.3),
    "delay": ChannelScale(400.0, 200.0, 400.0, 200.0),
}
AWARE = ("building_height", "transmitter", "log_distance")


def shape(
    channels: tuple[str, ...] = AWARE,
    targets: tuple[str, ...] = ("path_gain",),
    rows: int = 64,
    columns: int | None = None,
    heights: tuple[float, ...] = (1.5,),
    volume: bool = False,
    normalised: bool = True,
    environment: tuple[str, ...] = ("carrier_frequency",),
) -> TaskShape:
    names = dict.fromkeys((*channels, *targets))
    sizes = {"z": len(heights)} if volume else {}
    return TaskShape(
        context=1,
        horizon=1,
        period=1,
        channels=channels,
        targets=targets,
        sizes=sizes | {"y": rows, "x": columns or rows},
        spacing=4.0,
        heights=heights,
        environment=environment,
        scales={name: SCALES.get(name, UNIT) if normalised else UNIT for name in names},
    )


def batch(of: TaskShape, samples: int = 2, share: float = 0.1, seed: int = 0) -> dict[str, torch.Tensor]:
    """Blocks of buildings, a transmitter in the middle part, random maps; `share` of the cells are sampled."""
    generator = torch.Generator().manual_seed(seed)
    space = tuple(of.sizes.values())
    rows, columns = space[-2:]
    made: dict[str, torch.Tensor] = {}
    heights = torch.zeros(samples, rows, columns)
    for one in heights:
        top, left = torch.randint(0, rows // 2, (2,), generator=generator).tolist()
        one[top : top + rows // 4, left : left + columns // 4] = 12.0
    made["building_height"] = heights
    plane = torch.zeros(samples, rows, columns)
    place = torch.randint(-rows // 4, rows // 4, (2, samples), generator=generator)
    position = torch.stack([(place[0] + 0.5) * 4.0, (place[1] + 0.5) * 4.0, torch.full((samples,), 25.0)], 1)
    plane[torch.arange(samples), rows // 2 - 1 - place[1], columns // 2 + place[0]] = 25.0
    made["transmitter"] = plane
    target = -100 + 15 * torch.randn(samples, len(of.targets), *space, generator=generator)
    mask = torch.rand(samples, *space, generator=generator) < share
    channels, observed = [], []
    for name in of.channels:
        if name in of.targets:
            values, known = torch.where(mask, target[:, of.targets.index(name)], NO_SIGNAL), mask
        else:
            values = made.get(name, torch.randn(samples, rows, columns, generator=generator))
            values = values[:, None].expand(-1, *space) if "z" in of.sizes else values
            known = torch.ones(samples, *space, dtype=torch.bool)
        scale = of.scales[name]
        channels.append((values - scale.shift) / scale.factor)
        observed.append(known)
    learnt = [(target[:, i] - of.scales[n].shift) / of.scales[n].factor for i, n in enumerate(of.targets)]
    return {
        "context": torch.stack(channels, 1),
        "observed": torch.stack(observed, 1),
        "target": torch.stack(learnt, 1),
        "valid": (~mask)[:, None].expand(target.shape),
        "position": position,
        "environment": torch.full((samples, len(of.environment)), 3640.0),
        "index": torch.arange(samples),
    }


@pytest.fixture(scope="session")
def map_shape() -> Callable[..., TaskShape]:
    """`map_shape(channels, targets, rows=64, …)` makes the shape of a task on maps."""
    return shape


@pytest.fixture(scope="session")
def map_batch() -> Callable[..., dict[str, torch.Tensor]]:
    """`map_batch(shape, samples=2, share=0.1)` makes a batch of it."""
    return batch


@pytest.fixture(scope="session")
def recipe(shared_fixtures) -> Any:
    """The rule by which the fixtures without weights were made."""
    spec = importlib.util.spec_from_file_location("weights_recipe", shared_fixtures / "weights_recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def in_units() -> Callable[..., torch.Tensor]:
    """`in_units(values, shape, name)` turns a map in model space back."""

    def back(values: torch.Tensor, of: TaskShape, name: str) -> torch.Tensor:
        return values * of.scales[name].factor + of.scales[name].shift

    return back


@pytest.fixture
def open_source(stores, tmp_path):
    """`open_source(task, model, training)` opens a task on a made city as the source of a fit."""
    from tsbench import registry
    from tsbench.data.task_data import TaskData
    from tsbench.training.settings import TrainingSettings, fill
    from tsbench.training.source import TaskSource

    def make(name: str, folder: str | None = None, seed: int = 0, **training: Any) -> TaskSource:
        task = registry.task(name)
        stores(task.dataset)
        settings = fill(TrainingSettings, {"batch_size": 4, "patience": 0} | training, "test")
        where = tmp_path / folder if folder else None
        if where:
            where.mkdir(exist_ok=True)
        return TaskSource(data=TaskData.open(task), context=1, seed=seed, settings=settings, folder=where)

    return make
