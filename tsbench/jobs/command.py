"""The command that makes a job's Result again, without home paths: a Result is passed on to strangers."""

import json
import os
import shlex
from pathlib import Path
from typing import Any, Literal

from tsbench.data.store import USER_PREFIX, read_provenance, store_path

from .job import Job
from .weights import hub_name

Verb = Literal["fit", "eval", "run"]


def command_of(job: Job, verb: Verb = "run") -> str:
    """The command line of a job.

    Files of the user's own appear by their path below the present folder, else by their name alone.

    Args:
        job: the job.
        verb: `run`; `eval` where weights were given and nothing was fitted.
    """
    options = job.options
    words = ["tsbench", verb, _model(job), *_task(job)]
    words += ["--seed", str(job.seed), "--context", str(job.context)]
    settings = job.model.card.settings_for(job.task)
    for flag, chosen, declared in (
        ("--set", options.hyperparameters, settings.hyperparameters if settings else {}),
        ("--train", options.training, settings.training if settings else {}),
    ):
        for name, value in chosen.items():
            if name not in declared or declared[name] != value:
                words += [flag, f"{name}={_value(value)}"]
    for pattern in options.scenarios if verb != "fit" else ():
        words += ["--scenario", pattern]
    if options.weights is not None:
        words += ["--weights", hub_name(options.weights) or _without_home(options.weights)]
        if options.fine_tune is not None:
            words.append("--fine-tune" if options.fine_tune else "--zero-shot")
    if options.drop_last and verb != "fit":
        words += ["--batch-size", str(options.batch_size), "--drop-last"]
    return shlex.join(words)


def _model(job: Job) -> str:
    source, class_name = job.model, job.model.card.class_name
    if source.module is not None:
        return source.name
    if source.file is None:
        return f"FILE.py:{class_name}"
    # A file that was given without a class names its only one, and is recorded under its own name.
    named = "" if source.given is None and class_name == source.file.stem else f":{class_name}"
    return _without_home(source.file) + named


def _task(job: Job) -> list[str]:
    """Name of the task; the file and its options where the task was made for a user's own."""
    task = job.task
    if not task.dataset.startswith(USER_PREFIX) or task.name != f"{task.dataset}-{task.horizon}":
        return [task.name]
    (file,) = read_provenance(store_path(task.dataset)).files
    words = ["--data", file, "--horizon", str(task.horizon), "--period", str(task.period)]
    for target in () if task.targets == "all" else task.targets:
        words += ["--target", target]
    return words


def _without_home(path: Path) -> str:
    below = Path(os.path.normpath(path))
    return path.name if below.is_absolute() or ".." in below.parts else str(below)


def _value(value: Any) -> str:
    """As the command line reads it: JSON, or bare text that is no JSON."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)
