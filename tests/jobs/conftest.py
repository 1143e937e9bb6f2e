"""What the tests of jobs share: short trainings, and Python processes of their own."""

import json
import os
import subprocess
import sys

import pytest

QUICK = {"epochs": 3, "patience": 0, "batch_size": 64}
PRELUDE = """
import json, sys
import tsbench as tb
from tsbench import registry
from tsbench.jobs.run import Conduct
task = tb.Task.model_validate_json(sys.argv[1])
options = json.loads(sys.argv[2])
conduct = Conduct(track=False, say=lambda text: print(text, file=sys.stderr))
"""


@pytest.fixture
def quick():
    """Options of a short training."""
    return {"training": QUICK, "threads": 1, "context": 48}


@pytest.fixture
def python(wave_task):
    """Starts Python on a text that knows `task`, `options` and `conduct`; reads what it prints as JSON."""

    def start(text: str, options: dict, wait: bool = True) -> "subprocess.Popen | dict":
        command = [sys.executable, "-c", PRELUDE + text, wave_task().model_dump_json(), json.dumps(options)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
        )
        if not wait:
            return process
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        return json.loads(out)

    return start
