"""The memory of an evaluation does not grow with the number of windows."""

import json
import os
import subprocess
import sys

import pytest

# The series is the same; the split decides how many of its windows are tested.
PROGRAM = """
import json, resource, sys
import numpy as np, torch
from tsbench.contracts import Task
from tsbench.data import series_data
from tsbench.data.series import SeriesTable
from tsbench.evaluation.evaluate import evaluate
from tsbench.models.last_value.model import LastValue

torch.set_num_threads(1)
windows, task = int(sys.argv[1]), json.loads(sys.argv[2])
rows, horizon = 60_000, 24
values = np.random.default_rng(0).standard_normal((rows, 7))
time = np.datetime64("2000-01-01", "ns") + np.arange(rows) * np.timedelta64(1, "h")
table = SeriesTable("user-waves", values, tuple("abcdefg"), ("1",) * 7, time, "PT1H", "r", "c")
series_data.read_series = lambda name: table
split = {"kind": "rows", "train": 1000, "validation": 100, "test": windows + horizon - 1}
data = series_data.SeriesData.open(Task.model_validate(task | {"horizon": horizon, "split": split}))
model = LastValue(data.shape(48))
arguments = ({"user-waves": data}, data.task, data.task.scenarios(), 48)
data.windows("test", 48), data.seasonal_error
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
evaluation = evaluate(model, *arguments)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([evaluation.cases, (after - before) / 1024]))
"""


@pytest.fixture
def growth(wave_task):
    """Peak memory in MiB that an evaluation of so many windows adds, in a process of its own."""

    def measure(windows: int) -> float:
        command = [sys.executable, "-c", PROGRAM, str(windows), wave_task().model_dump_json()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ.copy())
        cases, mebibytes = json.loads(done.stdout)
        assert cases == windows
        return mebibytes

    return measure


def test_ten_times_the_windows_need_the_same_memory(growth):
    once, tenfold = growth(5_000), growth(50_000)

    # 45,000 more windows of 24 × 7 float32 would be 29 MiB for the forecasts alone, and twice that in float64.
    assert tenfold - once < 8
