"""A Suite: a named list of tasks, the models that are run on it, and the baseline of its skill score."""

from pathlib import PurePosixPath
from typing import Any

from pydantic import Field, model_validator

from .strict import Strict
from .task import Condition


class PretrainedOn(Strict):
    """The pretraining that a suite's entry starts from, with the settings of the model's card."""

    corpus: str = Field(pattern=r"^(.*/)?[a-z0-9][a-z0-9_.-]*\.yaml$")
    """File of the corpus, called NAME.yaml after it; a relative path counts from the suite's folder."""
    seed: int | None = None
    """Of the pretraining; by default that of the run which starts from it."""

    @property
    def name(self) -> str:
        """Name of the corpus."""
        return PurePosixPath(self.corpus).stem


class SuiteEntry(Strict):
    """A model of a suite; `context` and the two dictionaries override the model's card."""

    model: str
    seeds: tuple[int, ...] | None = Field(default=None, min_length=1)
    """A part of the suite's seeds, for a model that is slow to train; default: all."""
    context: int | None = None
    hyperparameters: dict[str, Any] = {}
    training: dict[str, Any] = {}
    pretrained: PretrainedOn | None = None
    """Start from the weights of a pretraining: a finished one (`tsbench fit MODEL --corpus`), or one that the
    suite runs first."""
    weights: str | None = None
    """Start from these, as `--weights` takes them; a path may count from the suite's folder."""
    fine_tune: bool | None = None
    """Whether weights are fitted on the task, or only evaluated; default: as the model's card says."""

    @model_validator(mode="after")
    def _starts_once(self) -> "SuiteEntry":
        if self.pretrained is not None and self.weights is not None:
            raise ValueError(f"{self.model}: give `pretrained` or `weights`, not both")
        if self.fine_tune is not None and self.start is None:
            raise ValueError(f"{self.model}: `fine_tune` says what to do with `pretrained` or `weights`")
        return self

    @property
    def start(self) -> str | None:
        """Name of the weights that the entry starts from, as Results give it; None for random ones."""
        return self.pretrained.name if self.pretrained else self.weights

    @property
    def overrides(self) -> dict[str, Any]:
        """What tells the entry from others of its model, by name."""
        found = {} if self.context is None else {"context": self.context}
        found |= self.hyperparameters | self.training
        if self.start is not None:
            found["pretrained" if self.pretrained else "weights"] = self.start  # type: ignore[assignment]
        if self.fine_tune is not None:
            found["learning"] = "fine-tuned" if self.fine_tune else "zero-shot"  # type: ignore[assignment]
        return found

    def starts_from(self, name: str) -> bool:
        """Whether the entry starts from the weights of that name; "" is none."""
        if self.start is None:
            return not name
        return name in (self.start, PurePosixPath(self.start).name)


class Suite(Strict):
    """suite.yaml of a leaderboard."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str
    summary: str
    tasks: tuple[str, ...] = Field(min_length=1)
    models: tuple[SuiteEntry, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    baseline: str
    conditions: tuple[Condition, ...] = ("regular", "robustness", "generalisation")

    @model_validator(mode="after")
    def _baseline_is_a_model(self) -> "Suite":
        if self.baseline not in {entry.model for entry in self.models}:
            raise ValueError(f"baseline '{self.baseline}' is not among the suite's models")
        return self

    def has_own_name(self, entry: SuiteEntry) -> bool:
        """Whether an entry is called by more than its model: listed more than once, or with weights."""
        return entry.start is not None or sum(other.model == entry.model for other in self.models) > 1

    @model_validator(mode="after")
    def _seeds_are_the_suites(self) -> "Suite":
        for entry in self.models:
            if other := set(entry.seeds or ()) - set(self.seeds):
                raise ValueError(f"{entry.model}: seeds {sorted(other)} are not among the suite's")
        return self
