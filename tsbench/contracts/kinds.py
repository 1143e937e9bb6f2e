"""Kinds of tasks beyond forecasts of series: the modules that own each, known by name.

Nothing imports these modules statically: a run loads those of its task's kind, and only these count for its
code hash. So a change to radio maps leaves the Results of time series as they are.
"""

from typing import Literal

Kind = Literal["forecast", "field", "panel", "rollout"]
FURTHER: tuple[Kind, ...] = ("field", "panel", "rollout")


def data_module(kind: Kind) -> str:
    """Module with `open_task(task, dataset) -> TaskData`."""
    return f"tsbench.data.{kind}.data"


def corpus_module(kind: Kind) -> str:
    """Module with `open_corpus(corpus, folder)`, for kinds that models are pretrained on."""
    return f"tsbench.data.{kind}.corpus"


def disturbances_module(kind: Kind) -> str:
    """Module with `DISTURBANCES`, name → function, as `tsbench.data.disturbances` has it."""
    return f"tsbench.data.{kind}.disturbances"


def metrics_module(kind: Kind) -> str:
    """Module with `METRICS`, the metrics of that kind of task."""
    return f"tsbench.evaluation.metrics.{kind}"


def modules_of_kind(kind: Kind) -> tuple[str, ...]:
    """Every module that a run on a task of that kind loads by name; none for a forecast of series."""
    if kind not in FURTHER:
        return ()
    return data_module(kind), disturbances_module(kind), metrics_module(kind)
