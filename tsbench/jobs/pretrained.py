"""Pretrainings as others use them: a corpus' declaration, and the finished fit that a suite starts from."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tsbench import registry
from tsbench.contracts import Corpus, InputError, Suite, SuiteEntry, parse
from tsbench.contracts.suite import PretrainedOn
from tsbench.folders import runs_folder

from .fitted import FIT, read_fit
from .job import Options

if TYPE_CHECKING:
    from .run import Conduct

FOLDER = "pretraining"
"""Folder of pretrainings in the runs folder."""


def read_corpus(path: Path) -> Corpus:
    """Read the declaration of a corpus.

    Raises:
        InputError: where the file is missing or malformed, with the key and the reason in one line.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    declared = registry.read_yaml(path)
    if not isinstance(declared, dict):
        raise InputError(f"{path}: a corpus is a mapping with name, members, length, horizon and epoch")
    return parse(Corpus, declared, path)


def weights_of(suite: Suite, entry: SuiteEntry, seed: int, conduct: "Conduct | None" = None) -> Path | None:
    """The weights that a suite's entry starts from, or None.

    Args:
        suite: the suite.
        entry: one of its models.
        seed: of the run that starts from them.
        conduct: how a pretraining is carried out that was not run; None: it is not run now.

    Raises:
        InputError: where the entry's corpus is missing or malformed; where its pretraining was not run and is
            not to be run, with the command that does it.
        JobFailed: where the pretraining diverges.
    """
    if entry.start is None:
        return None
    home = registry.suite_folder(suite.name).path
    if entry.pretrained is None:
        beside = home / entry.start
        return beside if beside.exists() else Path(entry.start)
    seed = seed if entry.pretrained.seed is None else entry.pretrained.seed
    found = _finished(entry, entry.pretrained, seed, home)
    file = home / entry.pretrained.corpus
    if found is None and conduct is None:
        first = ["tsbench", "fit", entry.model, "--corpus", str(file), "--seed", str(seed)]
        raise InputError(
            f"{entry.model} in {suite.name} starts from a pretraining on {entry.start} that has not been "
            f"run. First: {shlex.join(first)}"
        )
    if found is None:
        from .corpus_job import pretrain

        options = Options(hyperparameters=entry.hyperparameters)
        (made,) = pretrain(entry.model, file, seeds=(seed,), options=options, conduct=conduct)
        return made.job.folder
    return found


def _finished(entry: SuiteEntry, wanted: PretrainedOn, seed: int, home: Path) -> Path | None:
    """Run folder of the newest finished pretraining on the corpus as it is declared.

    Whatever code and machine it was run with: its weights are what they are, and a Result names their hash.
    """
    file = home / wanted.corpus
    corpus = read_corpus(file)
    if corpus.name != wanted.name:
        raise InputError(f"{file}: the corpus is called {corpus.name}; a suite names it by its file")
    settings = registry.model(entry.model).settings_for(corpus.settings_name)
    fixed = (settings.hyperparameters if settings else {}) | entry.hyperparameters
    runs = runs_folder() / FOLDER / corpus.name / entry.model
    found = []
    for folder in runs.glob(f"seed-{seed}-*"):
        record = read_fit(folder)
        if not record or record.get("corpus", {}).get("hash") != corpus.hash:
            continue
        if fixed.items() <= record.get("model", {}).get("hyperparameters", {}).items():
            found.append(folder)
    return max(found, key=lambda folder: (folder / FIT).stat().st_mtime, default=None)
