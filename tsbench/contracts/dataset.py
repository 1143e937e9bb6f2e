"""What a dataset declares about itself (card.yaml) and the record of how a store was made."""

from typing import Annotated, Any, Literal

from pydantic import Field

from .strict import Strict, canonical_hash

Checksum = Annotated[str, Field(pattern=r"^(sha256|md5):[0-9a-f]+$")]


class SourceFile(Strict):
    """A file as its publisher offers it."""

    name: str
    url: str | None = None
    checksum: Checksum | None = None
    """Of the file behind `url`."""
    alternatives: tuple[str, ...] = ()
    """Other file names under which the same content is passed around (compressed, renamed)."""
    alternative_checksums: tuple[Checksum, ...] = ()
    """Of the forms of `alternatives` that have been published too."""


class Sentinel(Strict):
    """A finite code that stands for a missing value in the published file."""

    code: float
    variables: tuple[str, ...] | Literal["all"] = "all"
    cells: int | None = None
    note: str = ""


class TimeAxis(Strict):
    """What the card declares of the time coordinate. Anything else that is irregular is an error."""

    step: str | None = None
    """Nominal step as an ISO 8601 duration (`PT1H`, `PT10M`, `P1D`); null where time is a bare index."""
    repeated_stamps: int = 0
    gaps: int = 0
    note: str = ""


class Variant(Strict):
    """One named data set of an adapter; `tsbench data get NAME` prepares exactly one variant."""

    title: str
    origin: Literal["published", "generated", "user"] | None = None
    """Where it differs from the card's."""
    files: tuple[SourceFile, ...] = ()
    tree: str | None = None
    """Pattern of the files of a folder tree (`run_*/*.nc`), for data that come as many files; instead of
    `files`. Found below the folder that the user names, at any depth, and known by their path in it."""
    parameters: dict[str, Any] = {}
    time: TimeAxis = TimeAxis()
    sentinels: tuple[Sentinel, ...] = ()
    rows: int | None = None
    variables: int | None = None
    note: str = ""


class DatasetCard(Strict):
    """card.yaml of a dataset: what, who, licence, citation, units, sizes, checksums, sentinels."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    summary: str
    field: str
    """The field that the data come from: energy, finance, weather, wireless, …"""
    origin: Literal["published", "generated", "user"]
    family: bool = False
    """Whether every folder of a user's own in this format is a data set by itself, `<name>/<its name>`; the
    one variant, of the card's name, says how it is read."""
    source: str
    licence: str
    citation: str
    generator_version: int = 1
    """Raised whenever the adapter writes other numbers for the same input: part of the recipe."""
    variants: dict[str, Variant]


class Provenance(Strict):
    """How a store was made; saved in the store's attributes."""

    dataset: str
    adapter: str
    generator_version: int
    parameters: dict[str, Any]
    size: Literal["tiny", "small", "full"]
    seed: int | None
    files: dict[str, str]
    """File name → sha256 of the file that was read."""
    content: str = ""
    """Hash of the decoded values; a difference warns, since floats differ over processors."""

    @property
    def recipe(self) -> str:
        """Hash of everything that determines the store; Results are comparable only when it matches."""
        return canonical_hash(self.model_dump(exclude={"content"}))
