"""`tsbench results publish|stale|confirm`: the Results that suites keep in the repository."""

from typing import Annotated

import typer

from . import output

SuiteName = Annotated[str, typer.Argument(help="The suite.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to `tsbench results`."""
    app.command()(publish)
    app.command()(stale)
    app.command()(confirm)


def publish(
    suite: SuiteName,
    missing: Annotated[
        bool, typer.Option("--missing", help="Run what is not checked in or stale, and keep the rest.")
    ] = False,
    finished: Annotated[
        bool, typer.Option("--finished", help="Run nothing: add what has been finished, and keep the rest.")
    ] = False,
) -> None:
    """Run a suite (reusing what is finished) and replace its checked-in Results by these."""
    from tsbench import registry
    from tsbench.contracts import JobFailed
    from tsbench.jobs import checked_in
    from tsbench.jobs.run import Conduct, run_suite

    chosen = registry.suite(suite)
    held = checked_in.held(chosen) if missing or finished else lambda job: False
    outcomes = run_suite(
        chosen,
        conduct=Conduct(say=output.note, progress=output.interactive()),
        leave=lambda job: held(job) or (finished and not (job.result_folder / "result.json").is_file()),
    )
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed:
        raise JobFailed(f"{len(failed)} of {len(outcomes)} jobs failed; the first: {failed[0].error}")
    folder = checked_in.publish(chosen, outcomes, keep=missing or finished)
    output.note(f"{len(outcomes)} Results: {folder}")


def stale(
    suite: Annotated[str | None, typer.Argument(help="A suite; default: every suite.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """List checked-in Results whose code has changed since; exit code 1 where there are any."""
    from tsbench import registry
    from tsbench.contracts import JobFailed
    from tsbench.jobs.checked_in import stale as find

    suites = [registry.suite(suite)] if suite else list(registry.suites().values())
    found = [(one.name, item) for one in suites for item in find(one)]
    rows = [[name, item.result.task.name, item.result.model.name, item.result.seed] for name, item in found]
    columns = ["suite", "task", "model", "seed"]
    if as_json:
        output.as_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        output.table(columns, rows, title="Stale Results")
    else:
        output.note("No checked-in Result is stale.")
    if rows:
        raise JobFailed(f"{len(rows)} checked-in Results are stale: tsbench results confirm {found[0][0]}")


def confirm(suite: SuiteName) -> None:
    """Repeat one stale Result for each model; equal scores confirm the model's others."""
    from tsbench import registry
    from tsbench.contracts import JobFailed
    from tsbench.jobs.checked_in import confirm as repeat

    different = repeat(registry.suite(suite), output.note)
    if different:
        raise JobFailed(f"Scores differ for {', '.join(different)}: tsbench results publish {suite}")
