"""`tsbench board submit|answer|check`: packs a Result for submission, and checks a submission."""

from pathlib import Path
from typing import Annotated

import typer

from . import output


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `tsbench board`."""
    app.command()(submit)
    app.command()(answer)
    app.command()(check)


Limit = Annotated[
    float,
    typer.Option(
        min=0.001, help="MB up to which forecasts are handed in and looked at; of larger ones a part is."
    ),
]


def submit(
    result: Annotated[Path, typer.Argument(metavar="RESULT_DIR", help="Folder of the Result.")],
    forecast: Annotated[
        Path | None, typer.Option(help="Its forecasts; default: what --save-forecasts left.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="card.yaml of a model that is not installed.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: submissions/TASK/MODEL/seed-N")
    ] = None,
    limit: Limit = 1000.0,
) -> None:
    """Pack a Result with its forecasts and its model's card, for a pull request."""
    from tsbench.contracts.commitment import COMMITMENT_FILE
    from tsbench.submission.pack import pack

    folder = pack(result, forecast=forecast, card=card, out=out, limit=int(limit * 1e6))
    output.note(f"Submission: {folder}")
    if (folder / COMMITMENT_FILE).is_file():
        output.note(
            f"The forecasts hold more than {limit:g} MB: their hashes are packed. Keep the forecasts; when "
            f"the receiver names a challenge: tsbench board answer {folder} --challenge TEXT --forecast ZARR"
        )
    else:
        output.note(f"Next: tsbench board check {folder}")


def answer(
    submission: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the submission.")],
    challenge: Annotated[str, typer.Option(help="What the receiver has named.")],
    forecast: Annotated[Path, typer.Option(help="The forecasts that the hashes were taken of.")],
    limit: Limit = 1000.0,
) -> None:
    """Add to a submission of hashes the part of its forecasts that a challenge draws."""
    from tsbench.submission.pack import answer as answer_challenge

    size = answer_challenge(submission, forecast, challenge, int(limit * 1e6))
    output.note(f"Added {size / 1e6:.1f} MB of forecasts to {submission}")
    output.note(f"Next: tsbench board check {submission} --challenge {challenge}")


def check(
    submission: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the submission.")],
    minutes: Annotated[float, typer.Option(min=0.1, help="Time that the check may take.")] = 60.0,
    memory: Annotated[float, typer.Option(min=0.1, help="Memory that it may take, in GB.")] = 8.0,
    challenge: Annotated[
        str, typer.Option(help="Draws the part of hashed forecasts that is looked at; 8 characters or more.")
    ] = "",
    limit: Limit = 1000.0,
    accept: Annotated[
        Path | None,
        typer.Option(help="Copy the Result there, with a record of what was seen, as TASK/MODEL/seed-N."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Check a submission: schema, sizes, hashes, recipe; and compute every score again."""
    from tsbench.submission.accept import accept as take_over
    from tsbench.submission.confined import as_json as in_json
    from tsbench.submission.confined import check_confined

    found = check_confined(submission, minutes, memory, challenge, int(limit * 1e6))
    folder = take_over(submission, found, accept) if accept else None
    if as_json:
        output.as_json(in_json(found) | ({"accepted": str(folder)} if folder else {}))
        return
    output.table(
        ["model", "task", "seed", "scores", "rows", "largest difference"],
        [[found.model, found.task, found.seed, found.scores, found.rows, found.largest]],
        title="Computed again from the forecasts",
    )
    for note in found.notes:
        output.note(f"Note: {note}")
    if folder:
        output.note(f"Result: {folder}")
