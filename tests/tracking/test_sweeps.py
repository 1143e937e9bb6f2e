"""Sweeps in MLflow: a run with a nested run for each trial, each once, however often it is sent."""

import pytest

from tsbench.contracts import SearchSpace, StageCost
from tsbench.contracts.sweep import SweepRecord, TrialRecord
from tsbench.tracking import session, tracking_uri
from tsbench.tracking.sweeps import PARENT_TAG, log_sweep


@pytest.fixture
def sweep(tmp_path):
    """Makes the record of a sweep with so many trials; the second was pruned, the third is still running."""

    def make(trials: int) -> SweepRecord:
        states = ["complete", "pruned", "running", "complete"]
        rows = tuple(
            TrialRecord(
                number=number,
                state=states[number],
                parameters={"training/learning_rate": 0.1 / (number + 1)},
                values=(0.5 - number / 10,) if states[number] == "complete" else (),
                validation=(0.9, 0.5 - number / 10),
                cost=StageCost(seconds=2.0),
            )
            for number in range(trials)
        )
        return SweepRecord(
            study="dlinear-etth1-96-0123", model="dlinear", model_version=1, task="etth1-96", task_version=1,
            task_hash="ab", context=96, seed=0, sampler="tpe", sampler_seed=0, pruner="median",
            objectives=("error",), fixed={"training/epochs": 5}, asked=4, trials=rows, best=0, front=(0,),
            space=SearchSpace.model_validate(
                {"training": {"learning_rate": {"low": 0.01, "high": 0.1}}, "source": "made for a test"}
            ),
            importances={"training/learning_rate": 1.0}, cost=StageCost(seconds=2.0 * trials), code="c0",
            command="tsbench sweep dlinear etth1-96",
        )  # fmt: skip

    (tmp_path / "sweep.json").write_text("{}")
    (tmp_path / "history.svg").write_text("<svg></svg>")
    return make, tmp_path


def test_trials_are_runs_below_the_sweep_and_one_that_runs_waits(sweep):
    make, folder = sweep
    logged = log_sweep(make(3), folder, "sweeps")
    client = session.open_session(tracking_uri()).client
    parent = client.get_run(logged.run_id)
    children = client.search_runs(
        [parent.info.experiment_id],
        f"tags.`{PARENT_TAG}` = '{logged.run_id}'",
        order_by=["attributes.run_name"],
    )

    assert parent.data.params["model"] == "dlinear"
    assert parent.data.metrics["best/error"] == 0.5
    assert parent.data.metrics["cost/sweep/seconds"] == 6.0
    assert {one.path for one in client.list_artifacts(logged.run_id, "sweep")} == {
        "sweep/history.svg",
        "sweep/sweep.json",
    }
    assert [(one.info.run_name, one.info.status) for one in children] == [
        ("trial 0", "FINISHED"),
        ("trial 1", "KILLED"),
    ]
    assert children[0].data.params == {"training/learning_rate": "0.1"}
    assert children[0].data.metrics["objective/error"] == 0.5
    history = client.get_metric_history(children[1].info.run_id, "history/validation_loss")
    assert [(one.step, one.value) for one in history] == [(1, 0.9), (2, 0.4)]


def test_a_sweep_that_goes_on_adds_what_is_new(sweep):
    make, folder = sweep
    first, second = log_sweep(make(2), folder, "sweeps"), log_sweep(make(4), folder, "sweeps")
    client = session.open_session(tracking_uri()).client
    experiment = client.get_run(first.run_id).info.experiment_id

    assert second.run_id == first.run_id
    assert len(client.search_runs([experiment])) == 1 + 3
    assert client.get_run(first.run_id).data.metrics["trials"] == 3


def test_a_store_that_is_not_there_is_a_warning(sweep):
    make, folder = sweep
    said = []

    assert log_sweep(make(1), folder, "sweeps", uri="http://127.0.0.1:9", say=said.append).state == "failed"
    assert "send it later with the same command" in said[0]
