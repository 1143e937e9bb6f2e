"""Fits the seeds of one request together where the model allows it: one loop, a finished fit in each folder.

What is recorded, and where, is what fits one by one leave; the cost of the loop is shared out by epochs. The
state of an interrupted loop lies in one file, in the folder of one of its seeds.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tsbench import atomic
from tsbench.cuda_ops import recorded
from tsbench.training.cost import measure
from tsbench.training.together import can_stack, fit_together, pays

from .attempts import Attempts
from .execute import Execution
from .fitted import TOGETHER
from .job import Job

ATTEMPTS = "together.json"


def allowed(job: Job) -> bool:
    """Whether the class of a job's model declares that seeds may be fitted together."""
    return bool(getattr(job.model.load(), "stackable", False))


def fit_jobs_together(jobs: Sequence[Job], folder: Path, progress: bool = False) -> dict[int, Execution]:
    """Fit jobs that differ in their seed alone.

    Args:
        jobs: none of them fitted; the caller holds the locks of their run folders.
        folder: run folder that holds, or will hold, the state of the loop; locked as well.
        progress: draw progress bars.

    Returns:
        Seed → execution whose model is fitted and whose fit is recorded; empty where the model cannot be
        stacked as it was set up, or would gain nothing, and without a seed whose training diverged, whose
        own fit will say so.

    Raises:
        InputError: for wrong options, or a damaged checkpoint.
    """
    first = Execution(jobs[0], progress)
    if not first.fits or not can_stack(first.model) or not pays(first.model, first.source()):
        return {}
    executions = [first, *(Execution(job, progress, first.data) for job in jobs[1:])]
    for execution in executions:
        atomic.make_folder(execution.job.folder)
    attempts = Attempts(folder, ATTEMPTS)
    fits = [(execution.model, execution.source()) for execution in executions]
    with measure(jobs[0].options.device) as meter, recorded() as paths:
        reports = fit_together(fits, folder / TOGETHER, attempts.note)
    epochs = sum(report.epochs or 0 for report in reports if report is not None)
    seconds, fitted = attempts.seconds(), {}
    for execution, report in zip(executions, reports, strict=True):
        if report is None:
            continue
        share = (report.epochs or 0) / epochs
        execution.note_paths(paths)
        energy = None if meter.energy_joules is None else meter.energy_joules * share
        execution.finish_fit(
            report, replace(meter, seconds=seconds * share, energy_joules=energy), attempts.count
        )
        fitted[execution.job.seed] = execution
    # Only now is nothing lost with it: killed before, the loop is taken up at its end.
    for path in (folder / TOGETHER, attempts.path):
        path.unlink(missing_ok=True)
    for execution in executions:
        execution.clear_checkpoints()
    return fitted
