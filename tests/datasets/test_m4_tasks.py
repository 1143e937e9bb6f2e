"""Tasks on the six groups of M4, and the competition's figures on the hourly series."""

import numpy as np
import pytest
import torch
import xarray as xr

from tsbench import registry
from tsbench.data.collection import of_dataset
from tsbench.data.collection_data import CollectionData
from tsbench.data.task_data import TaskData
from tsbench.evaluation.evaluate import evaluate
from tsbench.jobs.source import find_model
from tsbench.models.dlinear.model import DLinear
from tsbench.models.last_value.model import LastValue
from tsbench.models.naive2.model import Naive2
from tsbench.models.seasonal_naive.model import SeasonalNaive
from tsbench.training.build import NoHyperparameters, build
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource

GROUPS = {  # ltsf_protocol, M4: horizon, frequency, share of the horizon from which training cuts are drawn
    "yearly": (6, 1, 1.5),
    "quarterly": (8, 4, 1.5),
    "monthly": (18, 12, 1.5),
    "weekly": (13, 1, 10),
    "daily": (14, 1, 10),
    "hourly": (48, 24, 10),
}
NEURAL = ("dlinear", "itransformer", "patchtst", "residual_mlp", "timemixer", "tpgn")


@pytest.fixture
def hourly(stores) -> TaskData:
    stores("m4-hourly")
    return TaskData.open(registry.task("m4-hourly"))


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_has_the_competitions_horizon_and_season(group):
    horizon, frequency, share = GROUPS[group]
    task = registry.task(f"m4-{group}")

    assert (task.horizon, task.period) == (horizon, frequency)
    assert task.split.cut_within == int(share * horizon)
    assert registry.dataset(task.dataset).variant.parameters == {"horizon": horizon, "frequency": frequency}


@pytest.mark.parametrize("name", NEURAL)
@pytest.mark.parametrize("group", GROUPS)
def test_neural_models_read_twice_the_horizon(group, name):
    settings = registry.model(name).settings_for(f"m4-{group}")

    assert settings.context == 2 * GROUPS[group][0]
    assert fill(TrainingSettings, settings.training, name).loss == "smape"


@pytest.mark.parametrize(
    ("kind", "name", "smape", "mase"),
    [  # Makridakis, Spiliotis and Assimakopoulos (2020); the public results of GIFT-Eval have the first two too
        (LastValue, "last_value", 43.003, 11.608),
        (SeasonalNaive, "seasonal_naive", 13.912, 1.193),
        (Naive2, "naive2", 18.383, 2.395),
    ],
)
def test_benchmarks_give_the_published_figures_of_the_hourly_group(hourly, kind, name, smape, mase):
    settings = registry.model(name).settings_for("m4-hourly")
    model = kind(hourly.shape(settings.context))
    scenario = hourly.task.scenarios()[:1]

    found = evaluate(model, {"m4-hourly": hourly}, hourly.task, scenario, settings.context)

    assert round(found.scores()["smape"]["regular"], 3) == smape
    assert round(found.scores()["mase"]["regular"], 3) == mase
    published = {one.metric: one.value for one in registry.model(name).published if one.task == "m4-hourly"}
    assert published == {"smape": smape, "mase": mase}
    assert len(found.unit_columns()["unit"]) == 414


def test_the_test_part_is_the_published_one(hourly):
    windows = hourly.windows("test", 96)
    position = windows.origins.numpy() - hourly.collection.first

    np.testing.assert_array_equal(position, hourly.collection.train_sizes)


def test_a_fit_sees_each_series_once_an_epoch_and_lowers_the_error(hourly):
    model = DLinear(hourly.shape(96))
    settings = TrainingSettings(loss="smape", learning_rate=0.001, batch_size=16, epochs=3)
    source = TaskSource(hourly, 96, 0, settings=settings, uses=model.uses)

    report = model.fit(source)

    assert (
        report.detail["history"][-1]["validation_loss"] < report.detail["history"][0]["validation_loss"] - 1
    )
    assert len(source.train.drawn(0)) == 414
    assert torch.isfinite(model.predict(source.validation.gather(torch.arange(3))).values).all()


def made(group: str) -> CollectionData:
    """Five series of a group's task; the shortest leaves one training window."""
    task = registry.task(f"m4-{group}")
    horizon = task.horizon
    random = np.random.default_rng(0)
    sizes = np.array([3 * horizon + 1, 4 * horizon, 5 * horizon, 7 * horizon, 9 * horizon])
    values = random.uniform(50, 150, sizes.sum()).cumsum()
    stored = xr.Dataset({"value": ("observation", values), "row_size": ("series", sizes)})
    return CollectionData.of(task, of_dataset(stored, task.dataset, "recipe", "content"))


@pytest.mark.parametrize(
    "name", [*NEURAL, "linear", "naive2", "seasonal_naive", "last_value", "window_mean", "time_moe"]
)
@pytest.mark.parametrize("group", GROUPS)
def test_every_model_forecasts_padded_contexts_of_each_group(group, name):
    data, card = made(group), registry.model(name)
    settings = card.settings_for(data.task)
    kind = find_model(name).load()
    record = getattr(kind, "Hyperparameters", NoHyperparameters)
    model = build(kind, data.shape(settings.context), fill(record, settings.hyperparameters, name), seed=0)
    training = fill(TrainingSettings, settings.training | {"epochs": 1}, name) if settings.training else None
    if hasattr(model, "fit"):
        chosen = training or TrainingSettings()
        model.fit(TaskSource(data, settings.context, 0, settings=chosen, uses=model.uses))

    batch = data.windows("test", settings.context).using(*model.uses).gather(torch.arange(5))
    with torch.inference_mode():
        forecast = model.predict(batch).values

    assert forecast.shape == (5, data.task.horizon, 1)
    assert forecast.isfinite().all()
