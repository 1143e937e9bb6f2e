"""The key of a job: everything that determines its weights, and nothing else."""

import dataclasses
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tsbench.contracts import InputError
from tsbench.jobs import attempts
from tsbench.jobs import job as job_module
from tsbench.jobs.attempts import Attempts
from tsbench.jobs.command import command_of
from tsbench.jobs.job import Job, Options, resolve
from tsbench.jobs.source import find_model


@pytest.fixture
def job_of(waves_at_hand, wave_task):
    """Resolves a job: `job_of(seed=1, context=24)`; `task` replaces fields of the task."""

    def make(model: str = "dlinear", seed: int = 0, task: dict | None = None, **options) -> Job:
        return resolve(model, wave_task(**task or {}), seed, Options(**{"threads": 1} | options))

    return make


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"model": "tpgn"},
        {"context": 24},
        {"hyperparameters": {"moving_average": 5}},
        {"training": {"epochs": 2}},
        {"threads": 2},
        {"task": {"version": 2}},
        {"task": {"horizon": 6}},
    ],
)
def test_every_determinant_changes_the_key(job_of, change):
    assert job_of(**change).key != job_of().key


@pytest.mark.parametrize("name", ["code_hash", "versions"])
def test_other_code_or_packages_change_the_key(job_of, monkeypatch, name):
    before = job_of().key
    value = "0123456789abcdef" if name == "code_hash" else {"torch": "99"}
    monkeypatch.setattr(job_module, name, lambda *arguments: value)

    assert job_of().key != before


def test_another_recipe_of_the_data_changes_the_key(job_of):
    job = job_of()

    assert dataclasses.replace(job, recipes={"user-waves": "other"}).key != job.key


def test_other_weights_change_the_key(job_of, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).write_text(name)

    keys = {job_of(weights=tmp_path / name).key for name in ("one", "other")} | {job_of().key}
    assert len(keys) == 3


def test_the_same_request_has_the_same_key_and_one_folder(job_of):
    assert job_of().folder == job_of().folder
    assert re.fullmatch(r"seed-0-[0-9a-f]{16}", job_of().folder.name)
    assert job_of().folder.parts[-3:-1] == ("waves-12", "dlinear")


def test_what_changes_no_weight_changes_no_key(job_of):
    assert job_of(batch_size=7).key == job_of().key
    assert job_of(drop_last=True).key == job_of().key
    assert job_of(batch_size=7).result_folder == job_of().result_folder


def test_results_of_other_scenarios_and_parity_settings_lie_apart(job_of):
    folders = {
        job_of().result_folder,
        job_of(drop_last=True, batch_size=7).result_folder,
        job_of(drop_last=True, batch_size=8).result_folder,
        dataclasses.replace(job_of(), scenarios=()).result_folder,
    }

    assert len(folders) == 4


@pytest.mark.parametrize(
    ("options", "context", "tuning"),
    [
        ({}, 96, "default"),
        ({"context": 48}, 48, "default"),
        ({"hyperparameters": {"moving_average": 5}}, 96, "custom"),
        ({"training": {"epochs": 1}}, 96, "custom"),
    ],
)
def test_the_track_tells_what_was_chosen(job_of, options, context, tuning):
    job = job_of(**options)

    assert (job.context, job.tuning) == (context, tuning)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "dlinaer"}, "Unknown model 'dlinaer'. Did you mean 'dlinear'? See: tsbench list models"),
        ({"context": -1}, "The context must be positive, not -1"),
        ({"device": "tpu"}, "Unknown device 'tpu'; there are auto, cpu, cuda"),
        ({"model": "mine.py"}, "There is no file mine.py"),
        ({"model": "mine.py:Mine"}, "There is no file mine.py"),
        ({"task": {"dataset": "user-nothing"}}, "Unknown dataset 'user-nothing'"),
        ({"task": {"dataset": "eth1"}}, "Unknown dataset 'eth1'. Did you mean 'etth1'?"),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(job_of, change, message):
    with pytest.raises(InputError, match=re.escape(message)):
        job_of(**change)


def test_weights_that_are_not_there_are_refused(job_of, tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        _ = job_of(weights=tmp_path / "none.safetensors").key


class TestModelsOfOnesOwn:
    CLASS = "class {}:\n    def predict(self, batch): ...\n"
    TEXT = CLASS.format("Mine") + "\n\n" + CLASS.format("Other")

    def test_the_class_is_named_or_the_only_one(self, tmp_path):
        (tmp_path / "mine.py").write_text(self.TEXT)
        (tmp_path / "single.py").write_text(self.CLASS.format("Mine"))

        assert find_model(f"{tmp_path}/mine.py:Other").load().__name__ == "Other"
        assert find_model(f"{tmp_path}/single.py").load().__name__ == "Mine"

    @pytest.mark.parametrize("spec", ["mine.py", "mine.py:None"])
    def test_several_classes_or_a_wrong_name_are_refused_with_those_there_are(self, tmp_path, spec):
        (tmp_path / "mine.py").write_text(self.TEXT)

        with pytest.raises(InputError, match=r"name one class .*mine.py:CLASS; there are Mine, Other"):
            find_model(f"{tmp_path}/{spec}").load()

    def test_a_file_named_like_a_package_does_not_replace_it(self, tmp_path):
        (tmp_path / "numpy.py").write_text(self.TEXT)
        find_model(f"{tmp_path}/numpy.py:Mine").load()

        assert sys.modules["numpy"] is np

    def test_a_file_that_is_not_python_is_refused_with_its_line(self, job_of, tmp_path):
        (tmp_path / "broken.py").write_text("x = 1\ndef f(:\n")

        with pytest.raises(InputError, match=r"broken.py, line 2: this is not Python: invalid syntax"):
            _ = job_of(model=f"{tmp_path}/broken.py").key

    def test_names_are_made_from_classes(self):
        class MyLSTM2Model:
            """For its name."""

        assert find_model(MyLSTM2Model).name == "my_lstm2_model"


def test_attempts_are_summed(tmp_path, monkeypatch):
    clock = iter([0.0, 5.0, 8.0, 100.0, 101.5, 200.0, 202.0])
    monkeypatch.setattr(attempts, "time", SimpleNamespace(perf_counter=lambda: next(clock)))

    first = Attempts(tmp_path)
    first.note()
    first.note()  # at 8 s: what a killed attempt leaves
    second = Attempts(tmp_path)
    second.note()  # after 1.5 s
    third = Attempts(tmp_path)

    assert [one.count for one in (first, second, third)] == [1, 2, 3]
    assert third.seconds() == pytest.approx(8 + 1.5 + 2)


def test_chosen_scenarios_are_evaluated_and_named_in_the_command(job_of):
    job = job_of(scenarios=("reg*",))

    assert [scenario.key for scenario in job.scenarios] == ["regular"]
    assert "--scenario 'reg*'" in command_of(job)
