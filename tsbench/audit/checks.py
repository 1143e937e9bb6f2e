"""The audit of a task: every check in turn, each on data that are not touched by the others."""

from collections.abc import Callable, Iterator

from tsbench.contracts import InputError, JobFailed

from . import maps, panels
from .borders import borders
from .keys import keys
from .leakage import future, training
from .metrics import metrics
from .noise import disturbances
from .repetition import batch_size, determinism
from .scale import scale
from .subject import Finding, Subject

CHECKS: dict[str, Callable[[Subject], Finding]] = {
    "future": future,
    "training": training,
    "borders": borders,
    "scale": scale,
    "metrics": metrics,
    "determinism": determinism,
    "batch size": batch_size,
    "disturbances": disturbances,
    "keys": keys,
}


OF_MAPS: dict[str, Callable[[Subject], Finding]] = CHECKS | {
    "future": maps.targets,
    "training": maps.training,
    "borders": maps.borders,
    "scale": maps.scale,
    "metrics": maps.metrics,
}
"""Checks of a task on maps, which has no future: what is asked is whether a forecast sees its target."""


OF_PANELS: dict[str, Callable[[Subject], Finding]] = CHECKS | {
    "future": panels.targets,
    "training": panels.training,
    "borders": panels.borders,
    "scale": panels.scale,
    "metrics": panels.metrics,
}
"""Checks of a panel task, whose samples have a target of their own and targets of periods before."""
OF_KIND = {"field": OF_MAPS, "panel": OF_PANELS}


def audit(subject: Subject) -> Iterator[Finding]:
    """Run every check; one that stumbles has failed, and stops no other.

    Typical workflow::

        for finding in audit(open_subject("etth1-96")):
            print(finding.name, finding.passed, finding.faults)
    """
    for name, check in OF_KIND.get(subject.task.kind, CHECKS).items():
        try:
            yield check(subject)
        except (InputError, JobFailed) as error:
            yield Finding(name, "stopped", (str(error),))
        except Exception as error:
            yield Finding(name, "stopped", (f"{type(error).__name__}: {error}",))
