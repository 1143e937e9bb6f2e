"""`tsbench request`: what a model elsewhere is shown of a task; `tsbench score` takes its answer."""

from pathlib import Path
from typing import Annotated

import typer

from . import output


def register(app: typer.Typer) -> None:
    """Add the command of this file to the program."""
    app.command()(request)


def request(
    task: Annotated[str, typer.Argument(help="The task.")],
    out: Annotated[Path, typer.Argument(help="The Zarr v3 directory that is written.")],
    context: Annotated[
        int | None, typer.Option(min=1, help="Look-back; default: 512, or what the task allows.")
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Key or pattern of scenarios, again for more; default: all.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Write what a model is shown of a task, for one that runs elsewhere; tsbench score takes its answer."""
    from tsbench.jobs.request import request as write

    folder, skipped = write(task, out, context, scenario or ())
    if as_json:
        output.as_json({"folder": str(folder), "skipped": skipped})
        return
    for key, reason in skipped.items():
        output.note(f"Left out: {key} ({reason})")
    output.note(f"Request: {folder}. Answer it, then: tsbench score FORECAST.zarr {task}")
