"""Pretrainings as others use them: a corpus' declaration, and the finished fit that a suite starts from."""

import shlex
from pathlib import Path

from tsbench import registry
from tsbench.contracts import Corpus, InputError, Suite, SuiteEntry, parse
from tsbench.contracts.suite import PretrainedOn
from tsbench.folders import runs_folder

from .fitted import FIT, read_fit

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


def weights_of(suite: Suite, entry: SuiteEntry, seed: int) -> Path | None:
    """The weights that a suite's entry starts from, or None; `seed`: of the run.

    Raises:
        InputError: where the entry's pretraining has not been run, with the command that does it, or where
            its corpus is missing or malformed.
    """
    if entry.start is None:
        return None
    home = registry.suite_folder(suite.name).path
    if entry.pretrained is not None:
        wanted = entry.pretrained
        return _finished(suite, entry, wanted, home, seed if wanted.seed is None else wanted.seed)
    beside = home / entry.start
    return beside if beside.exists() else Path(entry.start)


def _finished(suite: Suite, entry: SuiteEntry, wanted: PretrainedOn, home: Path, seed: int) -> Path:
    """Run folder of the newest finished pretraining on the corpus as it is declared.

    Whatever code and machine it was run with: its weights are what they are, and a Result names their hash.
    """
    file = home / wanted.corpus
    corpus = read_corpus(file)
    if corpus.name != wanted.name:
        raise InputError(f"{file}: the corpus is called {corpus.name}; a suite names it by its file")
    settings = registry.model(entry.model).settings_for(corpus.settings_name)
    fixed = settings.hyperparameters if settings else {}
    runs = runs_folder() / FOLDER / corpus.name / entry.model
    found = []
    for folder in runs.glob(f"seed-{seed}-*"):
        record = read_fit(folder)
        if not record or record.get("corpus", {}).get("hash") != corpus.hash:
            continue
        if fixed.items() <= record.get("model", {}).get("hyperparameters", {}).items():
            found.append(folder)
    if not found:
        first = ["tsbench", "fit", entry.model, "--corpus", str(file), "--seed", str(seed)]
        raise InputError(
            f"{entry.model} in {suite.name} starts from a pretraining on {corpus.name} that has not been "
            f"run. First: {shlex.join(first)}"
        )
    return max(found, key=lambda folder: (folder / FIT).stat().st_mtime)
