"""The suite from Python: `import tsbench as tb; tb.run("tpgn", "etth1-univariate-168")`."""

from pathlib import Path
from typing import Any

from tsbench.contracts import Result, Task

from .job import Options
from .run import Conduct, Stage
from .run import run as run_jobs


def run(
    model: str | type,
    task: str | Task,
    *,
    seed: int = 0,
    options: Options | None = None,
    conduct: Conduct | None = None,
    **chosen: Any,
) -> Result:
    """Fit and evaluate a model on a task; finished work is reused.

    Args:
        model: name, `FILE.py`, `FILE.py:CLASS`, or a class.
        task: name, or a Task.
        seed: of everything random in the fit.
        options: what determines the numbers beside model, task and seed.
        conduct: how the job is carried out.
        chosen: fields of `Options`, instead of `options`: `context=96`, `hyperparameters={"d_model": 4}`.

    Raises:
        InputError: for wrong input.
        JobFailed: where the job fails.
    """
    result = _one(model, task, seed, options, conduct, chosen, "run").result
    assert result is not None
    return result


def fit(
    model: str | type,
    task: str | Task,
    *,
    seed: int = 0,
    options: Options | None = None,
    conduct: Conduct | None = None,
    **chosen: Any,
) -> dict[str, Any]:
    """Fit a model on a task; returns the record of the fit (validation loss, cost, history). See `run`."""
    return _one(model, task, seed, options, conduct, chosen, "fit").fit


def evaluate(
    model: str | type,
    task: str | Task,
    *,
    seed: int = 0,
    options: Options | None = None,
    conduct: Conduct | None = None,
    **chosen: Any,
) -> Result:
    """Evaluate a fitted model, or one that needs no fit. See `run`."""
    result = _one(model, task, seed, options, conduct, chosen, "eval").result
    assert result is not None
    return result


def score(forecast: str | Path, task: str, out: str | Path | None = None) -> Result:
    """Make a Result from a forecast that was made elsewhere, a Zarr v3 directory.

    Raises:
        InputError: for an unknown task, or a forecast that does not fit it.
    """
    from .score import score as score_forecast

    return score_forecast(Path(forecast), task, Path(out) if out else None)[1]


def _one(
    model: str | type,
    task: str | Task,
    seed: int,
    options: Options | None,
    conduct: Conduct | None,
    chosen: dict[str, Any],
    stage: Stage,
) -> Any:
    if options is not None and chosen:
        raise TypeError(f"give options or {', '.join(chosen)}, not both")
    return run_jobs(
        model, task, seeds=(seed,), options=options or Options(**chosen), conduct=conduct, stage=stage
    )[0]
