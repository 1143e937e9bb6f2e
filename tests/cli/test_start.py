"""Commands that only show something start at once: no torch, and within their budget."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {"torch", "pytorch_lightning", "mlflow", "xarray", "zarr", "pandas", "scipy", "matplotlib"}
SEEN = """
import json, sys
from tsbench.cli.main import main
sys.argv = ["tsbench", *sys.argv[1:]]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
finally:
    print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""


def top_level_modules(*words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SEEN, *words],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ.copy(),
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "words", [["--help"], ["list", "models"], ["list", "tasks"], ["info", "dlinear"], ["run", "--help"]]
)
def test_showing_something_imports_nothing_heavy(words):
    assert top_level_modules(*words) & HEAVY == set()


def test_importing_the_package_imports_nothing_heavy():
    text = (
        "import sys, tsbench; print([name for name in sys.modules if name in ('torch', 'pydantic', 'numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("words", "budget"), [(["--help"], 0.3), (["list", "models"], 0.5)])
def test_the_start_keeps_its_budget(words, budget):
    """Issue 3 asks for 0.3 and 0.5 s on an idle machine; three times that are allowed on a busy one."""
    script = Path(sys.executable).parent / "tsbench"
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([script, *words], capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)

    assert statistics.median(seconds) < 3 * budget
