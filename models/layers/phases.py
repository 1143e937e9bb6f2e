"""Fits in phases, each with checkpoints of its own, so that a killed fit goes on in the phase it was in.

A phase that has finished is taken up again from its last checkpoint: that is at its end, and it costs no
epoch or, where it stopped early, one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tsbench import atomic
from tsbench.training.source import FitReport, TaskSource


def phase_source(source: TaskSource, phase: str) -> TaskSource:
    """The source of a phase: checkpoints in a folder below that of the fit."""
    if source.folder is None:
        return source
    folder = source.folder / phase
    atomic.make_folder(folder)
    return replace(source, folder=folder)


def remove_phases(source: TaskSource, phases: Iterable[str]) -> None:
    """Remove the checkpoints of phases that have all finished."""
    for phase in phases:
        if source.folder is not None and (source.folder / phase).is_dir():
            atomic.remove_folder(source.folder / phase)


def joined(reports: Mapping[str, FitReport]) -> FitReport:
    """The report of a fit from those of its phases: the loss is the last one's, epochs are counted on."""
    history: list[dict[str, float]] = []
    for report in reports.values():
        for epoch in report.detail.get("history", []):
            history.append({**epoch, "epoch": len(history) + 1})
    flops = [report.flops for report in reports.values()]
    last = list(reports.values())[-1]
    return FitReport(
        validation_loss=last.validation_loss,
        epochs=sum(report.epochs or 0 for report in reports.values()),
        flops=None if None in flops else sum(one for one in flops if one is not None),
        detail={
            **last.detail,
            "best_epoch": len(history)
            - len(last.detail.get("history", []))
            + last.detail.get("best_epoch", 0),
            "phases": {name: {"epochs": one.epochs, "flops": one.flops} for name, one in reports.items()},
            "history": history,
        },
    )
