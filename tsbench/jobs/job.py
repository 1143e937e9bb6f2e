"""A Job: one model on one task with one seed, resolved to everything that determines its numbers.

Resolving reads cards, task and store attributes only, so that a finished job is recognised without torch. The
run folder is keyed by request, recipes, code hash, package versions and thread count.
"""

import contextlib
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from tsbench import registry
from tsbench.contracts import (
    CONDITIONS,
    Condition,
    InputError,
    ModelSettings,
    Scenario,
    StageCost,
    Task,
    canonical_hash,
)
from tsbench.data import prepare, store
from tsbench.folders import runs_folder

from .code import code_hash, roots
from .source import ModelSource, find_model
from .stages import GivenWeights, given_weights
from .weights import locate

SEQUENCES = 256
"""Cases in an evaluation batch whose last incomplete one is to be dropped, where nobody said how many."""
SWEEP = "sweep"
"""Stage of a Result's cost: the search that chose its settings."""
PACKAGES = ("numpy", "pytorch-lightning", "torch", "xarray", "zarr")


@dataclass(frozen=True)
class Swept:
    """The sweep that chose the settings of a job.

    Attributes:
        study: its name.
        trials: how many settings were tried.
        cost: of all of them.
    """

    study: str
    trials: int
    cost: StageCost


@dataclass(frozen=True)
class Options:
    """What a user may choose beside model, task and seed; None takes the model card's value.

    Attributes:
        context: look-back in steps.
        hyperparameters, training: on top of the card's.
        conditions: which conditions are evaluated.
        scenarios: keys, or shell patterns of keys, of the scenarios that are evaluated; all where empty. A
            Result of some scenarios is not ranked.
        weights: a safetensors file, a folder that the model reads, the run folder of a fit, or OWNER/NAME of
            a folder on the Hugging Face hub, to evaluate or to start from.
        fine_tune: fit on from the weights of another fit, or (false) only evaluate them; None: as the model's
            card says for the task, by default only evaluate. Other weights are fitted on unless it is false.
        device: `cpu`, `cuda`, or `auto`.
        threads: of torch on the CPU; by default the cores that this process may use.
        batch_size: cases a batch of the evaluation, by default 256 sequences; scores do not depend on it.
        drop_last: leave out the last incomplete evaluation batch (parity with some published tables).
        swept: the sweep that chose the settings; it is a part of the track, and its cost one of the Result's.
    """

    context: int | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = CONDITIONS
    scenarios: tuple[str, ...] = ()
    weights: Path | None = None
    fine_tune: bool | None = None
    device: str = "auto"
    threads: int | None = None
    batch_size: int | None = None
    drop_last: bool = False
    swept: Swept | None = None


@dataclass(frozen=True)
class Job:
    """One model on one task with one seed.

    Attributes:
        model: where the model comes from.
        task: the task.
        seed: of everything random in the fit.
        options: with the card's values filled in.
        tuning: of the track.
        scenarios: cells that are evaluated.
        skipped: scenario key → why it is not evaluated.
        recipes, contents: data set → hash, for every data set that is read.
        runs: folder below which run folders lie.
    """

    model: ModelSource
    task: Task
    seed: int
    options: Options
    tuning: str
    scenarios: tuple[Scenario, ...]
    skipped: dict[str, str]
    recipes: dict[str, str]
    contents: dict[str, str]
    runs: Path

    @property
    def context(self) -> int:
        """Look-back in steps."""
        assert self.options.context is not None
        return self.options.context

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.model.name} on {self.task.name}, seed {self.seed}"

    @cached_property
    def given(self) -> GivenWeights | None:
        """The weights that were given, with the record of the fit that made them."""
        return given_weights(self.options.weights) if self.options.weights is not None else None

    @property
    def zero_shot(self) -> bool:
        """Whether given weights are evaluated and nothing is fitted."""
        return self.given is not None and self.options.fine_tune is False

    @cached_property
    def code(self) -> str:
        """Hash of the code that the job uses."""
        adapters = [adapter_module(name) for name in self.recipes]
        own = [self.model.module] if self.model.module else []
        files = [self.model.file] if self.model.file else []
        return code_hash([*roots(self.task.kind), *adapters, *own], files, self.runs / ".code.json")

    @cached_property
    def key(self) -> str:
        """Hash of everything that determines the fitted weights."""
        zero_shot = {"zero_shot": True} if self.zero_shot else {}
        return canonical_hash(
            zero_shot
            | {
                "model": [self.model.name, self.model.card.version],
                "task": self.task.hash,
                "seed": self.seed,
                "context": self.context,
                "hyperparameters": self.options.hyperparameters,
                "training": self.options.training,
                "weights": weights_key(self.given) if self.given else None,
                "device": self.options.device,
                "threads": self.options.threads,
                "recipe": self.recipes[self.task.dataset],
                "code": self.code,
                "versions": versions(self.model.card.packages),
            }
        )

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.runs / "jobs" / self.task.name / self.model.name / f"seed-{self.seed}-{self.key}"

    @property
    def result_folder(self) -> Path:
        """Where the Result of these scenarios is; its name tells parity settings and scenarios apart."""
        evaluated: dict[str, Any] = {
            "scenarios": [scenario.key for scenario in self.scenarios],
            "recipes": self.recipes,
            # Scores do not depend on the batch size unless its last batch is dropped.
            "drop_last": self.options.batch_size if self.options.drop_last else None,
        }
        if self.options.swept is not None:
            evaluated["swept"] = [self.options.swept.study, self.options.swept.trials]
        return self.folder / f"result-{canonical_hash(evaluated)[:8]}"


def resolve(
    model: str | type, task: str | Task, seed: int, options: Options, runs: Path | None = None
) -> Job:
    """Resolve a request to a job, preparing the data that it needs.

    Raises:
        InputError: for an unknown model or task, a model that declares the task not applicable, or data that
            cannot be prepared.
    """
    source = find_model(model)
    task = registry.task(task) if isinstance(task, str) else task
    if gap := source.card.gap(task):
        raise InputError(f"{source.name} does not apply to {task.name}: {gap.reason}")
    settings = source.card.settings_for(task)
    if settings is None:
        raise InputError(f"The card of {source.name} has no settings for {task.name}")
    weights = locate(Path(options.weights)) if options.weights else None
    given = given_weights(weights) if weights else None
    context = options.context or min(settings.context, task.max_context)
    if context < 1:
        raise InputError(f"The context must be positive, not {context}")
    filled = Options(
        context=context,
        hyperparameters=settings.hyperparameters
        | (given.hyperparameters(source.name) if given else {})
        | options.hyperparameters,
        training=settings.training | options.training,
        conditions=options.conditions,
        scenarios=options.scenarios,
        weights=weights,
        fine_tune=_fine_tune(options.fine_tune, given, settings),
        device=device_of(options.device),
        threads=options.threads or len(os.sched_getaffinity(0)),
        batch_size=options.batch_size or (SEQUENCES if options.drop_last else None),
        drop_last=options.drop_last,
        swept=options.swept,
    )
    scenarios, skipped = scenarios_at_hand(task, options.conditions, options.scenarios)
    stores = {task.dataset, *(scenario.dataset for scenario in scenarios)}
    provenance = {name: store.read_provenance(prepare.ensure(name)) for name in sorted(stores)}
    overridden = options.hyperparameters or options.training
    tuning = _tuning(settings.tuning, bool(overridden), context != settings.context)
    return Job(
        model=source,
        task=task,
        seed=seed,
        options=filled,
        tuning=f"swept({options.swept.trials} trials)" if options.swept else tuning,
        scenarios=scenarios,
        skipped=skipped,
        recipes={name: one.recipe for name, one in provenance.items()},
        contents={name: one.content for name, one in provenance.items()},
        runs=runs or runs_folder(),
    )


@cache
def versions(further: tuple[str, ...] = ()) -> dict[str, str]:
    """Versions of Python and of the packages that can change a number.

    Args:
        further: optional packages that a model computes with; one that is not installed is left out.
    """
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    for name in further:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {"python": platform.python_version(), **found}


def scenarios_at_hand(
    task: Task, conditions: Sequence[Condition], patterns: Sequence[str] = ()
) -> tuple[tuple[Scenario, ...], dict[str, str]]:
    """Scenarios whose data are at hand, and why the others are left out.

    Args:
        task: the task.
        conditions: which are wanted.
        patterns: keys or shell patterns of keys, of which one must match; every scenario where empty.

    Raises:
        InputError: where a pattern matches no scenario of the task.
    """
    wanted = [scenario for scenario in task.scenarios() if scenario.condition in conditions]
    for pattern in patterns:
        if not any(fnmatchcase(scenario.key, pattern) for scenario in wanted):
            keys = [one.key for one in wanted]
            raise registry.unknown("scenario", pattern, keys, f"info {task.name} --scenarios")
    if patterns:
        wanted = [one for one in wanted if any(fnmatchcase(one.key, pattern) for pattern in patterns)]
    skipped = {}
    for scenario in wanted:
        if scenario.dataset != task.dataset and not prepare.at_hand(scenario.dataset):
            skipped[scenario.key] = f"{scenario.dataset} is not prepared: tsbench data get {scenario.dataset}"
    return tuple(scenario for scenario in wanted if scenario.key not in skipped), skipped


def _tuning(
    declared: str, overridden: bool, other_context: bool
) -> Literal["published", "default", "custom"]:
    if overridden or (declared == "published" and other_context):
        return "custom"
    return "published" if declared == "published" else "default"


def device_of(asked: str) -> str:
    """The device that `auto`, `cpu` or `cuda` means here.

    Raises:
        InputError: for anything else.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise InputError(f"Unknown device '{asked}'; there are auto, cpu, cuda")
    if asked != "auto":
        return asked
    # Without importing torch: a driver is loaded and torch is not the CPU build.
    driver = Path("/proc/driver/nvidia/version").exists()
    return "cuda" if driver and "+cpu" not in importlib.metadata.version("torch") else "cpu"


def adapter_module(dataset: str) -> str:
    """Dotted name of the adapter of a data set."""
    name = prepare.USER_ADAPTER if dataset.startswith(store.USER_PREFIX) else dataset
    return f"{registry.dataset(name).folder.package}.adapter"


def weights_key(given: GivenWeights) -> str:
    """What identifies given weights: their hash and what they have seen, or the hash of the files."""
    if not given.record:
        return _file_hash(given.path)
    seen = [one.model_dump(mode="json") for one in given.trained_on]
    return canonical_hash([given.record.get("weights"), seen])


def _fine_tune(asked: bool | None, given: GivenWeights | None, settings: ModelSettings) -> bool | None:
    if given is None:
        if asked is not None:
            raise InputError("--fine-tune and --zero-shot say what to do with given weights: add --weights")
        return None
    if asked is not None:
        return asked
    return settings.fine_tune if given.record else None


def _file_hash(path: Path) -> str:
    """Hash of a file, or of the names and contents of a folder's configuration and weights."""
    from tsbench.data.sources import sha256

    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.suffix in (".json", ".safetensors"))
        return canonical_hash([[one.name, sha256(one)] for one in files])
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    return sha256(path)[:16]
