"""The audit of a task: every check in turn, each on data that are not touched by the others."""

from collections.abc import Callable, Iterator

from tsbench.contracts import InputError, JobFailed

from . import maps, panels, rollouts
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


OF_KIND = {
    kind: CHECKS
    | {
        "future": module.future,
        "training": module.training,
        "borders": module.borders,
        "scale": module.scale,
        "metrics": module.metrics,
    }
    for kind, module in {"field": maps, "panel": panels, "rollout": rollouts}.items()
}
"""Checks of tasks on no series. Of maps and panels, `future` asks whether a forecast sees its target."""


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
