"""Where runs are kept. On its own, so that jobs, tracking and commands agree without importing each other."""

import os
from pathlib import Path

ARTIFACTS = "mlartifacts"
"""Folder in the runs folder where MLflow keeps artifacts; the Results in it are copies."""


def runs_folder() -> Path:
    """Folder of all runs: the environment variable TSBENCH_RUNS, else `runs` in the present folder."""
    return Path(os.environ.get("TSBENCH_RUNS") or "runs")
