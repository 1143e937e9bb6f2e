"""`tsbench results export|import`: tables of results as other suites exchange them."""

from pathlib import Path
from typing import Annotated

import typer

from . import output

Form = Annotated[str, typer.Option("--format", help="fev or gift-eval.")]
Runs = Annotated[Path | None, typer.Option(help="Runs folder.", show_default="TSBENCH_RUNS, ./runs")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `tsbench results`."""
    app.command("export")(export)
    app.command("import")(import_)


def export(
    suite: Annotated[str, typer.Argument(help="The suite whose Results are written.")],
    form: Form,
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    runs: Runs = None,
) -> None:
    """Write a suite's Results as a table of fev or GIFT-Eval: one row an entry and task, mean over seeds."""
    from tsbench import atomic, registry
    from tsbench.folders import runs_folder
    from tsbench.leaderboard.collect import catalogue, collect, read_pool, result_folders
    from tsbench.leaderboard.interchange import checked_format, export_table

    chosen, declared = checked_format(form), catalogue()
    pool = read_pool(result_folders(suite, runs or runs_folder()))
    collection = collect(registry.suite(suite), pool, declared)
    results = [(entry, one.result) for (entry, _, _), one in sorted(collection.stored.items())]
    table = export_table(results, declared.tasks, chosen)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(out, table.to_csv(index=False))
    output.note(f"{len(table)} rows: {out}")


def import_(
    files: Annotated[list[Path], typer.Argument(help="Tables: CSV, or JSON records of fev.")],
    form: Form,
    runs: Runs = None,
) -> None:
    """Read others' tables; nothing of them is recomputed, and only `board show --as` shows them."""
    from tsbench import registry
    from tsbench.contracts import InputError
    from tsbench.contracts.result import SCORE_COLUMNS, UNIT_COLUMNS
    from tsbench.evaluation.record import write_result
    from tsbench.folders import runs_folder
    from tsbench.leaderboard.interchange import as_result, checked_format, find_task, read_table

    chosen, tasks = checked_format(form), registry.tasks()
    read = [(path, row) for path in files for row in read_table(path, chosen)]
    made = [
        as_result(row, task, chosen, path.name)
        for path, row in read
        if (task := find_task(row.task, tasks, chosen)) is not None
    ]
    if not made:
        raise InputError(f"None of the {len(read)} rows is of a task that is installed here")
    root = (runs or runs_folder()) / "imported" / chosen
    empty = ({name: [] for name in SCORE_COLUMNS}, {name: [] for name in UNIT_COLUMNS}, None)
    for result in made:
        folder = root / result.task.name / result.model.name
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_result(folder / f"result-{result.provenance.code[:8]}", result, *empty)
    models = len({result.model.name for result in made})
    note = f", {len(read) - len(made)} rows of tasks that are not installed" if len(made) < len(read) else ""
    output.note(f"{len(made)} results of {models} models: {root}{note}")
