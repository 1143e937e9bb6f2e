"""Stages in the making of weights: pretraining, fine-tuning. They chain by the hash of the weights.

The record of a fit (fit.json) holds every stage that led to its weights, the fit itself last; a fit that
starts from the weights of another takes over that one's stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from tsbench.contracts import InputError, StageCost, Strict, TrainedOn, parse
from tsbench.contracts.corpus import FILES

from .fitted import FIT, WEIGHTS, read_fit
from .weights import hub_name


class Stage(Strict):
    """One stage."""

    kind: Literal["pretraining", "fit"]
    on: str
    """Name of the corpus or task."""
    began: str | None = None
    """Hash of the weights that it started from; null where these were random, or are unknown."""
    weights: str | None
    """Hash of the weights that it led to."""
    cost: StageCost
    trained_on: tuple[TrainedOn, ...]


@dataclass(frozen=True)
class GivenWeights:
    """Weights that a user gave with `--weights`.

    Attributes:
        path: a safetensors file, or a folder that the model reads.
        record: of the fit that made them, empty where they come from elsewhere.
        folder: of that fit.
    """

    path: Path
    record: dict[str, Any]
    folder: Path | None = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that led to the weights."""
        return stages_of(self.record, self.folder) if self.folder else ()

    @property
    def name(self) -> str:
        """What they are called: the corpus or task of their last stage, the file or folder, or OWNER/NAME."""
        if self.record:
            return self.stages[-1].on
        return (hub_name(self.path) or self.path.name).partition("@")[0]

    @property
    def trained_on(self) -> tuple[TrainedOn, ...]:
        """What they have seen; of weights from elsewhere a range that nobody knows."""
        if self.record:
            return tuple(one for stage in named(self.stages).values() for one in stage.trained_on)
        name = FILES + self.path.name
        return (TrainedOn(dataset=name, start="0", end="-1", stage="pretraining"),)

    def check(self, found: str | None) -> None:
        """Refuse weights that are not those of the record beside them.

        Raises:
            InputError: where the hash differs.
        """
        if self.record and found != self.stages[-1].weights:
            raise InputError(
                f"{self.path} does not hold the weights of {FIT} beside it ({found}, not "
                f"{self.stages[-1].weights})"
            )

    def hyperparameters(self, model: str) -> dict[str, Any]:
        """Those of the fit that made the weights; they say how the model is built.

        Raises:
            InputError: where the weights are another model's, or the record is malformed.
        """
        if not self.record:
            return {}
        made = self.record.get("model")
        if not isinstance(made, dict) or not isinstance(made.get("hyperparameters"), dict):
            raise InputError(f"{self.folder}: {FIT} does not say of which model it is; fit again")
        if made.get("name") != model:
            raise InputError(f"{self.path} holds weights of {made.get('name')}, not of {model}")
        return made["hyperparameters"]


def given_weights(path: Path) -> GivenWeights:
    """The weights that a path names: the run folder of a finished fit, its weights file, or anything else.

    Raises:
        InputError: where the record of the fit is damaged.
    """
    folder = path if path.is_dir() else path.parent if path.name == WEIGHTS else None
    if folder is None or not (folder / WEIGHTS).is_file() or not (folder / FIT).is_file():
        return GivenWeights(path, {})
    return GivenWeights(folder / WEIGHTS, read_fit(folder), folder)


def stages_of(record: dict[str, Any], folder: Path) -> tuple[Stage, ...]:
    """The stages in the record of a fit.

    Raises:
        InputError: where there are none, one is malformed, or they do not follow from each other.
    """
    where = folder / FIT
    if not isinstance(record.get("stages"), list) or not record["stages"]:
        raise InputError(f"{where} is of an older tsbench and does not say what was trained on; fit again")
    stages = tuple(parse(Stage, one, where) for one in record["stages"])
    for one, after in pairwise(stages):
        if one.weights is None or after.began != one.weights:
            raise InputError(f"{where}: stage '{after.on}' does not start from the weights of '{one.on}'")
    if stages[-1].weights != record.get("weights"):
        raise InputError(f"{where}: its last stage is not of its weights")
    return stages


def named(stages: Sequence[Stage]) -> dict[str, Stage]:
    """Stages by their name in a Result: `pretraining`, `fit`; of several of a kind the last has that name."""
    found: dict[str, Stage] = {}
    for number, stage in enumerate(stages):
        later = sum(one.kind == stage.kind for one in stages[number + 1 :])
        name = f"{stage.kind}, {later} before" if later else stage.kind
        ranges = tuple(one.model_copy(update={"stage": name}) for one in stage.trained_on)
        found[name] = stage.model_copy(update={"trained_on": ranges})
    return found
