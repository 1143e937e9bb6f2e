"""Pretraining resolved: a model, a corpus and a seed, with everything that determines the weights.

As a `Job`, it is keyed by request, recipes, code hash, package versions and thread count, and resolving it
imports no torch.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tsbench import atomic
from tsbench.contracts import Corpus, InputError, canonical_hash
from tsbench.contracts.kinds import FURTHER, corpus_module
from tsbench.data import prepare, store
from tsbench.folders import runs_folder
from tsbench.locks import free, hold

from .code import code_hash
from .fitted import read_fit
from .job import Options, adapter_module, device_of, versions, weights_key
from .pretrained import FOLDER, read_corpus
from .run import Conduct
from .source import ModelSource, find_model
from .stages import GivenWeights, given_weights

ROOTS = ("tsbench.jobs.pretrain",)
SEQUENCE_FILES = (".json", ".jsonl", ".yaml", ".npy", ".npz", ".gz", ".bin")


@dataclass(frozen=True)
class CorpusJob:
    """A model to be pretrained on a corpus.

    Attributes:
        model: where the model comes from.
        corpus: the declaration.
        base: folder from which its relative paths count.
        seed: of everything random in the fit.
        options: with the card's values filled in.
        recipes: data set and size → hash of how the store was made; file member → hash of its files.
        runs: folder below which run folders lie.
    """

    model: ModelSource
    corpus: Corpus
    base: Path
    seed: int
    options: Options
    recipes: dict[str, str]
    runs: Path

    @property
    def label(self) -> str:
        """For messages."""
        return f"{self.model.name} on corpus {self.corpus.name}, seed {self.seed}"

    @cached_property
    def given(self) -> GivenWeights | None:
        """Weights that the fit starts from, or None."""
        return given_weights(self.options.weights) if self.options.weights is not None else None

    @cached_property
    def code(self) -> str:
        """Hash of the code that the job uses."""
        adapters = [adapter_module(one.dataset) for one in self.corpus.members if one.dataset]
        own = [self.model.module] if self.model.module else []
        files = [self.model.file] if self.model.file else []
        kind = self.corpus.kind
        further = [corpus_module(kind)] if kind in FURTHER else []
        return code_hash([*ROOTS, *further, *dict.fromkeys(adapters), *own], files, self.runs / ".code.json")

    @cached_property
    def key(self) -> str:
        """Hash of everything that determines the weights."""
        return canonical_hash(
            {
                "model": [self.model.name, self.model.card.version],
                "corpus": self.corpus.hash,
                "seed": self.seed,
                "hyperparameters": self.options.hyperparameters,
                "training": self.options.training,
                "weights": weights_key(self.given) if self.given else None,
                "device": self.options.device,
                "threads": self.options.threads,
                "recipes": self.recipes,
                "code": self.code,
                "versions": versions(),
            }
        )

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.runs / FOLDER / self.corpus.name / self.model.name / f"seed-{self.seed}-{self.key}"


@dataclass
class Pretrained:
    """What became of a pretraining.

    Attributes:
        job: the job.
        fit: record of the fit.
        reused: whether it was there already.
    """

    job: CorpusJob
    fit: dict[str, Any]
    reused: bool = False


def pretrain(
    model: str | type,
    corpus: str | Path | Corpus,
    *,
    seeds: Sequence[int] = (0,),
    options: Options | None = None,
    conduct: Conduct | None = None,
    runs: Path | None = None,
) -> list[Pretrained]:
    """Fit a model on a corpus, once a seed; finished work is reused, an interrupted fit goes on.

    Args:
        model: name, `FILE.py`, `FILE.py:CLASS`, or a class.
        corpus: file of the declaration, or the declaration.
        seeds: one job each.
        options: what determines the weights beside model, corpus and seed.
        conduct: how the jobs are carried out.
        runs: folder below which run folders lie; by default the runs folder.

    Raises:
        InputError: for wrong input, or where another process has the same job.
        JobFailed: where training diverges.
    """
    conduct = conduct or Conduct()
    found = []
    for seed in seeds:
        job = resolve_corpus(model, corpus, seed, options or Options(), runs)
        found.append(_reuse_or_fit(job, conduct))
    return found


def resolve_corpus(
    model: str | type, corpus: str | Path | Corpus, seed: int, options: Options, runs: Path | None = None
) -> CorpusJob:
    """Resolve a request, preparing the data that it needs.

    Raises:
        InputError: for an unknown model or data set, a model that declares corpora not applicable, options
            that belong to a task, or data that cannot be prepared.
    """
    base = Path() if isinstance(corpus, Corpus) else Path(corpus).parent
    corpus = corpus if isinstance(corpus, Corpus) else read_corpus(Path(corpus))
    source = find_model(model)
    if options.context is not None:
        raise InputError("--context belongs to a task; a corpus has `length` and `horizon`")
    if options.fine_tune is not None:
        raise InputError("--fine-tune and --zero-shot belong to a task; a corpus is always fitted")
    if gap := source.card.gap(corpus.settings_name):
        raise InputError(f"{source.name} does not apply to {corpus.settings_name}: {gap.reason}")
    settings = source.card.settings_for(corpus.settings_name)
    if settings is None:
        raise InputError(f"The card of {source.name} has no settings for {corpus.settings_name}")
    given = given_weights(options.weights) if options.weights is not None else None
    filled = replace(
        options,
        hyperparameters=settings.hyperparameters
        | (given.hyperparameters(source.name) if given else {})
        | options.hyperparameters,
        training=settings.training | options.training,
        device=device_of(options.device),
        threads=options.threads or len(os.sched_getaffinity(0)),
    )
    return CorpusJob(
        model=source,
        corpus=corpus,
        base=base,
        seed=seed,
        options=filled,
        recipes=_recipes(corpus, base),
        runs=runs or runs_folder(),
    )


def _recipes(corpus: Corpus, base: Path) -> dict[str, str]:
    from tsbench.data.sources import sha256

    found = {}
    for member in corpus.members:
        if member.dataset is not None:
            recipe = store.read_provenance(prepare.ensure(member.dataset, member.size)).recipe
            found[f"{member.dataset} {member.size}"] = recipe
            continue
        path = base / str(member.path)
        files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
        if not files:
            raise InputError(f"There is no file or folder {path}")
        sums = [
            [one.relative_to(path).as_posix(), sha256(one)] for one in files if one.suffix in SEQUENCE_FILES
        ]
        found[f"{member.name} {member.path}"] = canonical_hash(sums)
    return found


def _reuse_or_fit(job: CorpusJob, conduct: Conduct) -> Pretrained:
    if not conduct.fresh and (finished := read_fit(job.folder)):
        free(job.folder / "lock")
        return _reused(job, finished, conduct)
    try:
        atomic.make_folder(job.folder)
    except OSError as error:
        raise InputError(
            f"Cannot write in {job.runs}: {error.strerror}. Set TSBENCH_RUNS to a folder you can write."
        ) from error
    with hold(job.folder / "lock", wait=conduct.wait, tell=conduct.say):
        # Another process may have finished the job while this one waited.
        if not conduct.fresh and (finished := read_fit(job.folder)):
            return _reused(job, finished, conduct)
        from . import pretrain as executed

        atomic.remove_leftovers(job.folder)
        if conduct.fresh:
            executed.discard(job.folder)
        return Pretrained(job, executed.fit_on_corpus(job, conduct.progress, conduct.say))


def _reused(job: CorpusJob, finished: dict[str, Any], conduct: Conduct) -> Pretrained:
    conduct.say(f"reused fit of {job.label}: {job.folder}")
    return Pretrained(job, finished, reused=True)
