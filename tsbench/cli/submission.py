"""`tsbench board submit|check`: packs a Result for submission, and checks a submission."""

from pathlib import Path
from typing import Annotated

import typer

from . import output


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `tsbench board`."""
    app.command()(submit)
    app.command()(check)


def submit(
    result: Annotated[Path, typer.Argument(metavar="RESULT_DIR", help="Folder of the Result.")],
    forecast: Annotated[
        Path | None, typer.Option(help="Its forecasts; default: what --save-forecasts left.")
    ] = None,
    card: Annotated[Path | None, typer.Option(help="card.yaml of a model that is not installed.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write. Default: submissions/TASK/MODEL/seed-N")
    ] = None,
) -> None:
    """Pack a Result with its forecasts and its model's card, for a pull request."""
    from tsbench.submission.pack import pack

    folder = pack(result, forecast=forecast, card=card, out=out)
    output.note(f"Submission: {folder}")
    output.note(f"Next: tsbench board check {folder}")


def check(
    submission: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the submission.")],
    minutes: Annotated[float, typer.Option(min=0.1, help="Time that the check may take.")] = 60.0,
    memory: Annotated[float, typer.Option(min=0.1, help="Memory that it may take, in GB.")] = 8.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Check a submission: schema, sizes, hashes, recipe; and compute every score again."""
    from dataclasses import asdict

    from tsbench.submission.confined import check_confined

    found = check_confined(submission, minutes, memory)
    if as_json:
        output.as_json(asdict(found))
        return
    output.table(
        ["model", "task", "seed", "scores", "rows", "largest difference"],
        [[found.model, found.task, found.seed, found.scores, found.rows, found.largest]],
        title="Computed again from the forecasts",
    )
    for note in found.notes:
        output.note(f"Note: {note}")
