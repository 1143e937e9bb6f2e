"""Executes a pretraining: opens the corpus, fits the model, writes weights and record. Imports torch.

What this module imports, directly or not, is the code that pretrained weights depend on.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.data.corpus import open_corpus
from tsbench.data.tested import refuse_test_data
from tsbench.training.build import NoHyperparameters, build
from tsbench.training.checkpoint import LAST_CHECKPOINT
from tsbench.training.cost import measure
from tsbench.training.module import NeuralForecaster
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import CorpusSource
from tsbench.training.weights import load_weights, save_weights, weights_hash

from .attempts import Attempts
from .fit_record import model_record, record_of
from .fitted import FIT, WEIGHTS, write_fit

if TYPE_CHECKING:
    from .corpus_job import CorpusJob


def fit_on_corpus(job: "CorpusJob", progress: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Pretrain a model; returns the record of the fit. The run folder must be locked by the caller.

    Args:
        job: the resolved job.
        progress: draw progress bars.
        say: takes one line for the person at the terminal.

    Raises:
        InputError: where data are missing or reach into a test part, or the model is not trained by gradient.
        JobFailed: where training diverges.
    """
    torch.set_num_threads(job.options.threads or 1)
    if job.options.device == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device that this build of torch can use; choose --device cpu")
    where, kind = f"{job.model.name} on corpus {job.corpus.name}", job.model.load()
    if not issubclass(kind, NeuralForecaster):
        raise InputError(f"{job.model.name} is not trained by gradient; a corpus pretrains models that are")
    data = open_corpus(job.corpus, job.base)
    if job.corpus.test_data == "refuse":
        refuse_test_data(f"corpus {job.corpus.name}", data.trained_on())
    record = getattr(kind, "Hyperparameters", NoHyperparameters)
    hyperparameters = fill(record, job.options.hyperparameters, f"{where}: hyperparameters")
    settings = fill(TrainingSettings, job.options.training, f"{where}: training")
    model = build(kind, data.shape, hyperparameters, job.seed, settings.loss)
    if model.fits == "none":
        raise InputError(f"{where}: with these hyper-parameters the model learns nothing")
    if job.given is not None:
        load_weights(model, job.given.path)
        job.given.check(weights_hash(model))
    attempts = Attempts(job.folder)

    def note() -> None:
        attempts.note()
        if not progress:
            say(f"{job.label}: another epoch is done, {attempts.seconds():.0f} s so far")

    source = CorpusSource(data, job.seed, settings, job.folder, progress, job.options.device, note)
    with measure(job.options.device) as meter:
        report = model.fit(source)
    meter.seconds = attempts.seconds()
    made = record_of(
        model, "pretraining", job.corpus.name, report, meter, attempts.count, data.trained_on(), job.given
    )
    made["model"] = model_record(job.model.name, job.model.card.version, hyperparameters)
    made["corpus"] = {
        "hash": job.corpus.hash,
        "declaration": job.corpus.model_dump(mode="json", exclude_defaults=True),
        "recipes": job.recipes,
        "held_out": list(data.held_out),
        "training_points": data.points,
    }
    save_weights(model, job.folder / WEIGHTS)
    # fit.json marks the fit as finished, so it is written last.
    write_fit(job.folder, made)
    for name in (LAST_CHECKPOINT, "best.safetensors", "attempts.json"):
        (job.folder / name).unlink(missing_ok=True)
    return made


def discard(folder: Path) -> None:
    """Remove what a run folder holds, except its lock; first what says that other files are whole."""
    for name in (FIT, LAST_CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
    for path in list(folder.glob("*")):
        if path.is_dir():
            atomic.remove_folder(path)
        elif path.name != "lock":
            path.unlink(missing_ok=True)
