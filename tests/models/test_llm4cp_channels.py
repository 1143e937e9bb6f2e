"""llm4cp_small learns channels: must show 5 of its sheet (llm4cp.md), on the reduced profile in TDD."""

import pytest

from tsbench import registry
from tsbench.data.task_data import TaskData
from tsbench.evaluation.evaluate import evaluate, view_of
from tsbench.jobs.source import find_model
from tsbench.training.build import NoHyperparameters, build
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource

TASK = registry.tasks()["csi-rrg-tdd-small"]
SCENARIOS = [one for one in TASK.scenarios() if one.condition == "regular" and one.level == 15]


def score(data: TaskData, name: str, **chosen) -> float:
    """Mean NMSE over the regular cells at one level of noise, of a model fitted by its card for two epochs."""
    settings, kind = registry.model(name).settings_for(TASK), find_model(name).load()
    record = getattr(kind, "Hyperparameters", NoHyperparameters)
    hyperparameters = fill(record, settings.hyperparameters | chosen, name)
    training = fill(TrainingSettings, settings.training | {"epochs": 2}, name)
    view = view_of(kind, TASK)
    model = build(kind, view.shape(data.shape(16)), hyperparameters, seed=0, loss=training.loss)
    if hasattr(model, "fit"):
        model.fit(TaskSource(data, 16, 0, settings=training, uses=model.uses, view=view))
    return evaluate(model, {TASK.dataset: data}, TASK, SCENARIOS, 16).scores()["nmse"]["regular"]


@pytest.mark.slow
def test_it_beats_the_last_value_and_a_linear_map_of_the_look_back(stores):
    """Two epochs in place of the card's five; four minutes on one core, with the ablation."""
    stores("csi_rrg-small")
    data = TaskData.open(TASK, TASK.dataset)
    last, linear = score(data, "last_value"), score(data, "linear")

    network, ablation = score(data, "llm4cp_small"), score(data, "llm4cp_small", backbone="identity")

    print(f"NMSE: {last=:.3f} {linear=:.3f} {network=:.3f} {ablation=:.3f}")
    assert len(SCENARIOS) == 27
    assert network < linear < last
    assert ablation < linear
