"""The plan of a sweep: what is varied, how it is sampled, where the study is kept, and what it is called.

Making a plan opens no data. A study is named by model, task and a hash of everything
that determines the value of a trial, so that the same command takes the same study up, and changed code or
data never mix with what was tried before.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from tsbench import registry
from tsbench.contracts import InputError, SearchSpace, Task, canonical_hash, parse
from tsbench.contracts.sweep import Objective
from tsbench.folders import runs_folder
from tsbench.jobs.job import Job, Options, resolve, versions

SAMPLERS = ("tpe", "random", "qmc", "gp", "cmaes", "nsgaii", "nsgaiii", "brute_force")
SINGLE_OBJECTIVE = ("cmaes",)
PRUNERS = ("median", "halving", "none")
FOLDER = "sweeps"


@dataclass(frozen=True)
class Search:
    """How a sweep searches.

    Attributes:
        trials: settings that are tried in all.
        objectives: less is better; the first is `error`.
        sampler: proposes settings.
        sampler_seed: of the sampler; the seed of training is another.
        pruner: stops trials that look bad early; None: `median` for one objective, `none` for several.
        space: instead of the card's.
    """

    trials: int = 20
    objectives: tuple[str, ...] = ("error",)
    sampler: str = "tpe"
    sampler_seed: int = 0
    pruner: str | None = None
    space: SearchSpace | None = None


@dataclass(frozen=True)
class Plan:
    """A sweep that is ready to start; goes to worker processes as it is.

    Attributes:
        model, task: as the user named them.
        options: what is fixed, with the number of threads of a trial.
        seed: of training.
        search: how it searches, complete.
        space: what is varied.
        study: name of the study.
        storage: URL of its storage.
        runs: the runs folder.
        base: the card's settings under the fixed ones: name, as `training/epochs`, → value.
    """

    model: str
    task: str | Task
    options: Options
    seed: int
    search: Search
    space: SearchSpace
    study: str
    storage: str
    runs: Path
    base: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the record, its charts and the lock are."""
        return self.runs / FOLDER / self.study

    @property
    def several(self) -> bool:
        """Whether there are several objectives."""
        return len(self.search.objectives) > 1

    def job(self, parameters: dict[str, Any]) -> Job:
        """The job that fits a setting; it opens no data set but that of the regular scenario."""
        return resolve(self.model, self.task, self.seed, self.chosen(parameters), self.runs)

    def chosen(self, parameters: dict[str, Any]) -> Options:
        """The options of a setting: name, as `training/learning_rate`, → value."""
        parts: dict[str, dict[str, Any]] = {"hyperparameters": {}, "training": {}}
        for name, value in parameters.items():
            part, _, key = name.partition("/")
            parts[part][key] = value
        return replace(
            self.options,
            hyperparameters=self.options.hyperparameters | parts["hyperparameters"],
            training=self.options.training | parts["training"],
            conditions=("regular",),
        )


def make_plan(
    model: str,
    task: str | Task,
    search: Search,
    *,
    seed: int = 0,
    options: Options | None = None,
    jobs: int = 1,
    storage: str | None = None,
    runs: Path | None = None,
) -> Plan:
    """Plan a sweep.

    Args:
        model: name, `FILE.py` or `FILE.py:CLASS`.
        task: name, or a Task.
        search: how to search.
        seed: of training, the same for all trials.
        options: what is fixed. A setting that is fixed here is not varied.
        jobs: worker processes, which share the processor's cores.
        storage: URL of the study's storage; by default a SQLite file in the runs folder.
        runs: the runs folder.

    Raises:
        InputError: for anything unknown, a model without a search space for the task, or nothing to vary.
    """
    options, runs = options or Options(), runs or runs_folder()
    if options.weights is not None or options.drop_last or options.scenarios:
        raise InputError("A sweep takes no --weights, --drop-last or --scenario: it fits from the start")
    search = _checked(search)
    cores = len(os.sched_getaffinity(0))
    options = replace(options, threads=options.threads or max(1, cores // jobs))
    base = resolve(model, task, seed, replace(options, conditions=("regular",)), runs)
    declared = search.space or base.model.card.space_for(base.task)
    if declared is None:
        raise InputError(
            f"The card of {base.model.name} has no search space for {base.task.name}; give one with --space"
        )
    if not declared.matches(base.task):
        raise InputError(f"The search space is for {declared.words}, not for {base.task.name}")
    space = declared.without(options.hyperparameters, options.training)
    if space is None:
        raise InputError(
            "Everything in the search space is fixed by --set and --train: there is nothing to vary"
        )
    filled = _settings(base)
    _check_space(base, space)
    name = f"{base.model.name}-{base.task.name}-{_hash(base, space, search, filled)}"
    return Plan(
        model=model,
        task=task,
        options=options,
        seed=seed,
        search=search,
        space=space,
        study=name,
        storage=storage or f"sqlite:///{(runs / FOLDER / 'optuna.db').absolute()}",
        runs=runs,
        base=filled,
    )


def read_space(path: Path) -> SearchSpace:
    """A search space from a YAML file.

    Raises:
        InputError: where the file is missing or malformed.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    return parse(SearchSpace, registry.read_yaml(path), path)


def _checked(search: Search) -> Search:
    """Refuse what is unknown or does not go together; fill in the pruner."""
    known = get_args(Objective)
    for what, given, allowed in (
        ("sampler", [search.sampler], SAMPLERS),
        ("pruner", [search.pruner or "none"], PRUNERS),
        ("objective", search.objectives, known),
    ):
        for one in given:
            if one not in allowed:
                raise InputError(f"Unknown {what} '{one}'; there are {', '.join(allowed)}")
    objectives = search.objectives
    if not objectives or objectives[0] != "error" or len(set(objectives)) < len(objectives):
        raise InputError("Objectives begin with 'error', each named once: --objectives error,flops")
    if search.trials < 1:
        raise InputError(f"--trials must be positive, not {search.trials}")
    several = len(objectives) > 1
    if several and search.pruner not in (None, "none"):
        raise InputError("Optuna cannot prune with several objectives; leave --pruner out")
    if several and search.sampler in SINGLE_OBJECTIVE:
        raise InputError(f"The sampler {search.sampler} takes one objective only")
    return replace(search, pruner=search.pruner or ("none" if several else "median"))


def _settings(job: Job) -> dict[str, Any]:
    """All settings of a job, defaults included: name, as `training/epochs`, → value."""
    from dataclasses import asdict

    from tsbench.training.build import NoHyperparameters
    from tsbench.training.settings import TrainingSettings, fill

    where = f"{job.model.name} on {job.task.name}"
    record = getattr(job.model.load(), "Hyperparameters", NoHyperparameters)
    parts = {
        "hyperparameters": asdict(fill(record, job.options.hyperparameters, f"{where}: hyperparameters")),
        "training": asdict(fill(TrainingSettings, job.options.training, f"{where}: training")),
    }
    return {f"{part}/{name}": value for part, found in parts.items() for name, value in found.items()}


def _check_space(job: Job, space: SearchSpace) -> None:
    """Every bound and choice must be a value that its setting takes, the others being at their base."""
    from tsbench.training.build import NoHyperparameters
    from tsbench.training.settings import TrainingSettings, fill

    records = {
        "hyperparameters": getattr(job.model.load(), "Hyperparameters", NoHyperparameters),
        "training": TrainingSettings,
    }
    for name, values in space.ranges().items():
        part, _, key = name.partition("/")
        given: Sequence[Any] = values.choices or (values.low, values.high)
        base = job.options.hyperparameters if part == "hyperparameters" else job.options.training
        for value in given:
            fill(records[part], base | {key: value}, f"search space of {job.model.name}: {part}")


def _hash(job: Job, space: SearchSpace, search: Search, settings: dict[str, Any]) -> str:
    """Hash of what determines the value of a trial, and in which order settings are proposed."""
    return canonical_hash(
        {
            "model": [job.model.name, job.model.card.version],
            "task": job.task.hash,
            "recipe": job.recipes[job.task.dataset],
            "code": job.code,
            "versions": versions(job.model.card.packages),
            "context": job.context,
            "seed": job.seed,
            "settings": settings,
            "space": space.model_dump(mode="json"),
            "objectives": list(search.objectives),
            "sampler": [search.sampler, search.sampler_seed],
            "pruner": search.pruner,
        }
    )
