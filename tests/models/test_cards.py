"""Cards of models against the tasks that exist: nothing is declared for a task that nobody can run."""

import pytest
import torch

from tsbench import registry
from tsbench.contracts import TaskShape
from tsbench.data.calendar import calendar_names
from tsbench.jobs.source import find_model
from tsbench.training.build import NoHyperparameters, build
from tsbench.training.settings import TrainingSettings, fill

CARDS = registry.models()
TASKS = registry.tasks()
LONG_HORIZON = sorted(
    name for name, task in TASKS.items() if task.dataset in ("electricity", "traffic", "solar", "illness")
)


@pytest.mark.parametrize("name", sorted(CARDS))
def test_published_figures_are_of_tasks_and_metrics_that_exist(name):
    for figure in CARDS[name].published:
        assert figure.metric in TASKS[figure.task].metrics


@pytest.mark.parametrize("name", sorted(CARDS))
def test_no_figure_is_published_twice(name):
    known = [(one.task, one.metric, one.context, one.source) for one in CARDS[name].published]

    assert len(set(known)) == len(known)


@pytest.mark.parametrize("name", sorted(CARDS))
def test_published_settings_are_the_settings_of_some_task(name):
    card = CARDS[name]
    used = [card.settings_for(task) for task in TASKS.values()]

    for settings in card.settings:
        if settings.tuning == "published":
            assert settings in used, f"{settings.tasks} match no task that is not matched before"
            for pattern in settings.tasks:
                assert any(
                    settings.model_copy(update={"tasks": (pattern,)}).matches(task) for task in TASKS.values()
                )


@pytest.mark.parametrize("name", ["dlinear", "patchtst", "itransformer", "timemixer"])
def test_settings_of_long_horizon_tasks_are_read_and_their_look_back_is_allowed(name):
    record = find_model(name).load().Hyperparameters
    for task in LONG_HORIZON:
        settings = CARDS[name].settings_for(TASKS[task])
        assert settings.context <= TASKS[task].max_context
        fill(TrainingSettings, settings.training, name)
        fill(record, settings.hyperparameters, name)


@pytest.mark.parametrize("task", ["electricity-96", "solar-96", "solar-tfb-96", "illness-24", "illness-60"])
@pytest.mark.parametrize(
    "name", ["dlinear", "itransformer", "residual_mlp", "seasonal_naive", "timemixer", "tpgn"]
)
def test_models_forecast_long_horizon_tasks_with_the_settings_of_their_card(name, task):
    """Every look-back fits the period of the task and the resolutions of the model."""
    declared, settings, kind = TASKS[task], CARDS[name].settings_for(TASKS[task]), find_model(name).load()
    record = getattr(kind, "Hyperparameters", NoHyperparameters)
    names, step = ("a", "b"), registry.dataset(declared.dataset).variant.time.step
    marks = calendar_names(step, dated=True)
    shape = TaskShape(settings.context, declared.horizon, declared.period, names, names, marks, marks, step)
    batch = {
        "context": torch.randn(2, settings.context, 2),
        "past_covariates": torch.zeros(2, settings.context, len(marks)),
        "future_covariates": torch.zeros(2, declared.horizon, len(marks)),
    }

    model = build(kind, shape, fill(record, settings.hyperparameters, name), seed=0)

    with torch.no_grad():
        assert torch.as_tensor(model.predict(batch).values).shape == (2, declared.horizon, 2)
