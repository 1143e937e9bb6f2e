"""A Corpus: what a model is pretrained on. Data sets with ranges of time, and no test part."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from .kinds import Kind
from .panel import PanelCorpus
from .strict import Strict, canonical_hash

PREFIX = "corpus:"
"""Begins the name under which a model's card has its settings for pretraining on a corpus."""
FILES = "file:"
"""Begins the name of what was read from files of sequences, of which nobody knows where they come from."""
Row = int | str
"""A row: its number, from the end of each series where it is negative, or its time stamp (ISO 8601)."""


class Member(Strict):
    """A data set, or files of sequences, and which part of it is read.

    Rows run from `start` to `end`, both included, as in `TrainedOn`. -1 is the last row of each series. Of a
    panel, these are numbers of periods (years), 0 the first and -1 the last of the store.
    """

    dataset: str | None = None
    path: str | None = None
    """Instead of a data set: a file or folder of sequences (a binary set of Time-300B, .jsonl, .npy, …); a
    relative path counts from the folder of the declaration."""
    size: Literal["tiny", "small", "full"] = "full"
    """Of generated data."""
    series: tuple[str, ...] | Literal["all"] = "all"
    """Series of a collection, variables of one time series, or places of a panel."""
    start: Row = 0
    end: Row = -1
    weight: float = Field(default=1.0, gt=0)
    """How often its sequences are drawn, beside the weights of the other members."""
    holdout: float | None = Field(default=None, ge=0, lt=1)
    """Share of series that are held out, instead of the corpus' own."""

    @model_validator(mode="after")
    def _one_source(self) -> "Member":
        if (self.dataset is None) == (self.path is None):
            raise ValueError("a member has either a `dataset` or a `path`")
        if self.path is not None and (self.series != "all" or self.start != 0 or self.end != -1):
            raise ValueError("files of sequences are read whole: no `series`, `start` or `end`")
        return self

    @property
    def name(self) -> str:
        """Name of the data set, or `file:` and the last part of the path."""
        return self.dataset or FILES + str(self.path).replace("\\", "/").rstrip("/").rpartition("/")[2]


class Corpus(Strict):
    """A corpus, declared in a YAML file.

    Typical workflow::

        tsbench fit time_moe --corpus mixture.yaml
        tsbench run time_moe etth1-96 --weights RUN_FOLDER
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    title: str = ""
    members: tuple[Member, ...] = Field(min_length=1)
    length: int = Field(gt=1)
    """Steps of a training sequence: look-back and horizon together."""
    horizon: int = Field(gt=0)
    """Steps at the end of a sequence that are forecast from those before; the validation loss is theirs."""
    period: int = Field(default=1, gt=0)
    """Season in steps that models are told; 1 where members differ."""
    epoch: int = Field(gt=0)
    """Sequences that are drawn for an epoch."""
    packing: bool = True
    """Series that are shorter than a sequence are joined end to end; otherwise they are padded and masked."""
    holdout: float = Field(default=0.1, ge=0, lt=1)
    """Share of the series that are held out: the validation loss is theirs. Chosen by name and `seed`."""
    held_out: tuple[str, ...] = ()
    """Further series to hold out, as shell patterns of DATASET/SERIES."""
    panel: PanelCorpus | None = None
    """For inputs of places and periods without targets, which a model learns to complete: `length` is that of
    the whole sequence, and `horizon`, that of a panel task, is 1."""
    test_data: Literal["refuse", "allow"] = "refuse"
    """What to do where a member reaches into the test part of a registered task. Where it is allowed, Results
    on such tasks are flagged."""
    seed: int = 0
    """Of the choice of held-out series."""

    @field_validator("members")
    @classmethod
    def _unique(cls, members: tuple[Member, ...]) -> tuple[Member, ...]:
        names = [(one.name, one.size, one.series, one.start, one.end) for one in members]
        if twice := {one[0] for one in names if names.count(one) > 1}:
            raise ValueError(f"the member {min(twice)} is there twice")
        return members

    @model_validator(mode="after")
    def _forecasts_a_part(self) -> "Corpus":
        if self.horizon >= self.length:
            raise ValueError(
                f"`horizon` {self.horizon} must be less than `length` {self.length}, of which it is the end"
            )
        return self

    @model_validator(mode="after")
    def _panel_has_places(self) -> "Corpus":
        if self.panel is not None and (self.horizon != 1 or any(one.dataset is None for one in self.members)):
            raise ValueError("a corpus with `panel` takes data sets, not files, and its `horizon` is 1")
        return self

    @property
    def kind(self) -> Kind:
        """Kind of the tasks that it prepares for."""
        return "forecast" if self.panel is None else "panel"

    @property
    def context(self) -> int:
        """Steps of a sequence before its horizon; of a panel all of them."""
        return self.length - self.horizon if self.panel is None else self.length

    @property
    def settings_name(self) -> str:
        """Name by which model cards know the corpus: `corpus:NAME`."""
        return PREFIX + self.name

    @property
    def hash(self) -> str:
        """Hash of what is declared; fields at their default are left out."""
        return canonical_hash(self.model_dump(mode="json", exclude_defaults=True))
