"""The exchange with a model that runs elsewhere: request → a process without tsbench → score."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer.main
import zarr

import tsbench as tb
from tsbench import registry
from tsbench.cli.main import app
from tsbench.contracts import InputError
from tsbench.jobs.request import request
from tsbench.jobs.run import Conduct

ROOT = Path(__file__).parents[2]
MOIRAI = ROOT / "tools" / "answer_with_moirai.py"
NOISE = {"name": "awgn", "parameter": "snr_db", "levels": [20, 10]}


@pytest.fixture
def task(waves_at_hand, wave_task, monkeypatch):
    """A task with noise in its scenarios of robustness, scored in units."""
    conditions = {
        "robustness": [{"disturbance": NOISE}],
        "generalisation": {"not_applicable": "there is one place"},
    }
    made = wave_task(name="noisy-waves-30", horizon=30, space="units", conditions=conditions)
    known = registry.tasks()
    monkeypatch.setattr(registry, "tasks", lambda: known | {made.name: made})
    return made


@pytest.fixture
def answer(tmp_path) -> Path:
    """The program of the how-to."""
    text = (ROOT / "docs" / "how-to" / "run-a-model-elsewhere.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python answer.py\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "answer.py"
    path.write_text(code, encoding="utf-8")
    return path


def run(*words, **environment) -> "subprocess.CompletedProcess[str]":
    # -P: what lies beside the tests is not there for the program.
    command = [sys.executable, "-P", *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment or None)


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def test_an_answer_of_another_process_scores_as_the_model_does_here(task, answer, tmp_path):
    request(task.name, tmp_path / "request.zarr", context=48)
    done = run(answer, tmp_path / "request.zarr", tmp_path / "forecast.zarr")
    assert done.returncode == 0, done.stderr

    scored = tb.score(tmp_path / "forecast.zarr", task.name, tmp_path / "scored")

    here = tb.run("seasonal_naive", task, context=48, conduct=Conduct(track=False), threads=1)
    assert imported(answer) == {"sys", "numpy", "zarr"}
    assert scored.model.name == "my_seasonal_naive"
    assert scored.scenarios == here.scenarios == {"regular": 1, "robustness": 2}
    for metric, conditions in here.scores.items():
        for condition, value in conditions.items():
            assert scored.scores[metric][condition] == pytest.approx(value, rel=1e-6), (metric, condition)
    assert here.scores["mse"]["robustness"] > 1.05 * here.scores["mse"]["regular"]


def test_a_request_holds_what_a_model_is_shown_and_no_target(task, tmp_path):
    folder, skipped = request(task.name, tmp_path / "request.zarr", context=48)

    group = zarr.open_group(folder, mode="r")
    asked = dict(group.attrs)
    assert skipped == {}
    assert (asked["task"], asked["version"], asked["space"]) == (task.name, 1, "normalised")
    assert (asked["context"], asked["horizon"], asked["period"], asked["step"]) == (48, 30, 24, "PT1H")
    assert asked["channels"] == asked["targets"] == ["wave0", "wave1"]
    assert asked["quantiles"] == list(task.quantiles)
    assert [one["condition"] for one in asked["scenarios"]] == ["regular", "robustness", "robustness"]
    regular, noisy, noisier = (group[one["name"]] for one in asked["scenarios"])
    assert sorted(regular.array_keys()) == ["context", "future_covariates", "past_covariates", "time"]
    assert regular["context"].shape == (91, 48, 2)
    assert regular["future_covariates"].shape == (91, 30, len(asked["future_covariates"]))
    assert regular["context"].metadata.dimension_names == ("sample", "time", "channel")
    difference = [float(np.std(one["context"][:] - regular["context"][:])) for one in (noisy, noisier)]
    assert 0.05 < difference[0] < difference[1]


def test_gaps_are_told(task, tmp_path, monkeypatch, waves):
    from tsbench.data import series_data

    table = waves()
    table.values[500:505, 1] = np.nan
    monkeypatch.setattr(series_data, "read_series", lambda name: table)
    masked = task.model_copy(update={"missing": "mask"})
    monkeypatch.setattr(registry, "tasks", lambda: {task.name: masked})

    folder, _ = request(task.name, tmp_path / "request.zarr", context=48, scenarios=["regular"])

    observed = zarr.open_group(folder, mode="r")["regular"]["observed"]
    assert observed.dtype == bool
    # The first context starts 48 rows before row 480.
    np.testing.assert_array_equal(np.flatnonzero(~observed[40, :, 1]), range(28, 33))
    assert observed[:, :, 0].all()


def test_samples_of_another_shape_are_asked_for_in_their_own(open_responses, tmp_path):
    from tsbench.evaluation.request_store import write_request

    data = open_responses()
    scenario = data.task.scenarios()[0]

    write_request(tmp_path, data.task, [(scenario, data)], 4)

    group = zarr.open_group(tmp_path, mode="r")
    (listed,) = group.attrs["scenarios"]
    context = group[listed["name"]]["context"]
    cases = len(data.test_cases(scenario, 4))
    assert context.dtype == np.complex64
    assert context.metadata.dimension_names == ("sample", "antenna", "time", "subcarrier")
    assert context.shape == (cases, 3, 4, 5)
    assert listed["shape"] == list(data.forecast_shape(cases, 4))


def test_the_command_writes_a_request_and_says_what_comes_next(task, tmp_path, capsys):
    words = ["request", task.name, str(tmp_path / "out.zarr"), "--context", "24", "--scenario", "regular"]

    typer.main.get_command(app).main(words, standalone_mode=False)

    assert f"tsbench score FORECAST.zarr {task.name}" in " ".join(capsys.readouterr().err.split())
    assert len(zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["scenarios"]) == 1


def test_bad_requests_are_refused_and_leave_nothing(task, tmp_path):
    (tmp_path / "there").mkdir()

    with pytest.raises(InputError, match="there exists; choose another folder"):
        request(task.name, tmp_path / "there")
    with pytest.raises(InputError, match="allows a context of at most 96, not 97"):
        request(task.name, tmp_path / "out.zarr", context=97)
    with pytest.raises(InputError, match="Unknown scenario 'regula'"):
        request(task.name, tmp_path / "out.zarr", scenarios=["regula"])
    with pytest.raises(InputError, match="Unknown task"):
        request("no-such-task", tmp_path / "out.zarr")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


FAKE = '''
"""Stands in for uni2ts, whose torch does not go together with ours: same signatures, no network."""
import torch

class MoiraiModule:
    @classmethod
    def from_pretrained(cls, name):
        return cls()

class MoiraiForecast(torch.nn.Module):
    def __init__(self, prediction_length, target_dim, feat_dynamic_real_dim, past_feat_dynamic_real_dim,
                 context_length, module_kwargs=None, module=None, patch_size="auto", num_samples=100):
        super().__init__()
        self.steps, self.targets, self.context = prediction_length, target_dim, context_length

    def forward(self, past_target, past_observed_target, past_is_pad, feat_dynamic_real=None,
                observed_feat_dynamic_real=None, past_feat_dynamic_real=None,
                past_observed_feat_dynamic_real=None, num_samples=None):
        assert past_target.shape[1:] == (self.context, self.targets) and past_target.dtype == torch.float32
        assert past_observed_target.dtype == past_is_pad.dtype == torch.bool
        assert past_is_pad.shape == past_target.shape[:2] and not past_is_pad[:, -1].any()
        last = past_target[:, None, -1:].expand(-1, num_samples, self.steps, -1)
        members = torch.arange(num_samples, dtype=torch.float32)[:, None, None]
        return (last + members).squeeze(-1)
'''


@pytest.mark.parametrize("options", [(), ("--univariate",)])
def test_the_program_for_moirai_writes_quantiles_of_the_samples(task, tmp_path, options):
    package = tmp_path / "stand-in" / "uni2ts" / "model"
    package.mkdir(parents=True)
    (package / "moirai.py").write_text(FAKE)
    folder, _ = request(task.name, tmp_path / "request.zarr", context=48, scenarios=["regular"])

    done = run(
        MOIRAI, folder, tmp_path / "forecast.zarr", "--samples", 11, *options,
        PYTHONPATH=str(tmp_path / "stand-in"), OMP_NUM_THREADS="1",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    answer = zarr.open_group(tmp_path / "forecast.zarr", mode="r")
    last = zarr.open_group(folder, mode="r")["regular"]["context"][:, -1]
    assert dict(answer.attrs)["kind"] == "quantiles"
    assert answer.attrs["quantiles"] == list(task.quantiles)
    assert answer["regular"].shape == (91, 9, 30, 2)
    # Of members 0 to 10, the quantile at level q is 10 q.
    expected = last[:, None, None, :] + 10 * np.array(task.quantiles)[:, None, None]
    np.testing.assert_allclose(answer["regular"][:], np.broadcast_to(expected, (91, 9, 30, 2)), atol=1e-5)
    scored = tb.score(tmp_path / "forecast.zarr", task.name, tmp_path / "scored")
    assert (scored.forecast_kind, scored.model.name) == ("quantiles", "moirai-1.1-R-small")
    # The median of normalised values is 5 too high, and a wave of amplitude 3 has a deviation near 2.
    assert 8 < scored.scores["mae"]["regular"] < 14


def test_the_program_for_moirai_needs_nothing_of_ours():
    assert imported(MOIRAI) == {"argparse", "numpy", "pathlib", "sys", "torch", "typing", "uni2ts", "zarr"}
    assert importlib.util.find_spec("uni2ts") is None  # its network is not run here
