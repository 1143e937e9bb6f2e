"""Forecasts too large to hand in: hashes of all of them first (`forecast.json`), then a part that is drawn.

`verified.json` beside an accepted Result says how much of its forecasts were seen.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .strict import Strict

COMMITMENT_FILE, VERIFIED_FILE = "forecast.json", "verified.json"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
CHALLENGE = r"^[A-Za-z0-9._-]{8,64}$"


class CommittedArray(Strict):
    """An array of forecasts, one scenario's: a size and a hash for each row of chunks along the cases."""

    name: str = Field(pattern=r"^[A-Za-z0-9_=.-]{1,200}$")
    cases: int = Field(ge=1)
    rows: int = Field(ge=1)
    """Cases in a row of chunks; the last row may hold fewer."""
    sizes: tuple[Annotated[int, Field(ge=0)], ...]
    """Bytes of the files of each row of chunks."""
    hashes: tuple[Sha256, ...]
    """Of the names, sizes and hashes of the files of each row of chunks."""

    @model_validator(mode="after")
    def _one_each(self) -> "CommittedArray":
        wanted = -(-self.cases // self.rows)
        if not len(self.sizes) == len(self.hashes) == wanted:
            raise ValueError(f"{wanted} rows of chunks need as many sizes and hashes")
        return self


class Commitment(Strict):
    """Hashes of all forecasts of a submission that holds a part of them."""

    schema_version: Literal[1] = 1
    arrays: tuple[CommittedArray, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> "Commitment":
        if len({array.name for array in self.arrays}) < len(self.arrays):
            raise ValueError("an array is named twice")
        return self


class Verified(Strict):
    """How much of a Result's forecasts a check has seen: all, or a part that was drawn by lot."""

    schema_version: Literal[1] = 1
    manifest: Sha256
    """Hash of submission.json, which was fixed before the draw."""
    challenge: str = Field(default="", pattern=rf"{CHALLENGE}|^$")
    """What the checker gave; with the hash of the manifest it decides the draw. Empty where all was seen."""
    units: int = Field(ge=1)
    """Independent units whose errors were computed again."""
    units_in_all: int = Field(ge=1)
    bytes: int = Field(ge=0)
    """Of the forecasts that were read."""
    bytes_in_all: int = Field(ge=0)

    @model_validator(mode="after")
    def _a_part(self) -> "Verified":
        if self.units > self.units_in_all or self.bytes > self.bytes_in_all:
            raise ValueError("a part is larger than the whole")
        return self

    @property
    def whole(self) -> bool:
        """Whether every forecast was seen."""
        return self.units == self.units_in_all

    @property
    def words(self) -> str:
        """What pages and commands say."""
        if self.whole:
            return f"all {self.units_in_all} units computed again from the forecasts"
        share = 100 * self.units / self.units_in_all
        said = f"{share:.1f}" if share >= 0.1 else f"{share:.1g}"
        return (
            f"{self.units} of {self.units_in_all} units ({said} %), drawn by lot, computed again from the "
            "forecasts; the others are the maker's word"
        )
