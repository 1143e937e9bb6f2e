"""The manifest of a submission (`submission.json`): which Result it is, and every file with size and hash."""

from typing import Literal

from pydantic import Field

from .strict import Strict

SUBMISSION_FILE, CARD_FILE, FORECAST_FOLDER = "submission.json", "card.json", "forecast.zarr"
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"


class SubmittedFile(Strict):
    """A file of a submission."""

    path: str = Field(pattern=r"^[A-Za-z0-9_=.-]+(/[A-Za-z0-9_=.-]+){0,16}$", max_length=500)
    """Below the submission's folder, with `/` between its parts."""
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Submission(Strict):
    """A Result with the forecasts that it was computed from and the card of its model."""

    schema_version: Literal[1] = 1
    model: str = Field(pattern=NAME)
    task: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,99}$")
    seed: int
    files: tuple[SubmittedFile, ...]
    """Every file but the manifest itself, sorted by path."""
