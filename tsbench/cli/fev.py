"""`tsbench fev`: a model on the tasks of a task file of fev, scored by fev."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsbench.contracts.errors import JobFailed

from . import output
from .jobs import ModelName, conduct_of, model_options, options_of, takes

if TYPE_CHECKING:
    from tsbench.fev.run import Scored


def register(app: typer.Typer) -> None:
    """Add the command of this file to the program."""
    app.command()(fev)


@takes(model_options)
def fev(
    given: dict[str, Any],
    model: ModelName,
    tasks: Annotated[Path, typer.Argument(help="A task file of fev (YAML).")],
    seed: Annotated[int, typer.Option(help="Seed of the fits.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write fev's summaries to this CSV file.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over; reuse nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another process with the same job.")] = False,
    track: Annotated[bool, typer.Option("--track/--no-track", help="Log Results to MLflow.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Run a model on the tasks of a fev task file; the package fev scores the forecasts."""
    from tsbench import atomic
    from tsbench.fev.run import run_tasks, table_of

    conduct = conduct_of({"fresh": fresh, "wait": wait, "track": track})
    scored = run_tasks(model, tasks, seed=seed, options=options_of(given), conduct=conduct)
    if out is not None and any(one.summary for one in scored):
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(out, table_of(scored).to_csv(index=False))
    if as_json:
        output.as_json([_as_json(one) for one in scored])
    else:
        _print(scored, model)
    if out is not None:
        output.note(f"Summaries of fev: {out}")
    failed = [one for one in scored if one.error]
    if failed:
        raise JobFailed(f"{len(failed)} of {len(scored)} tasks failed; the first: {failed[0].error}")


def _as_json(one: "Scored") -> dict[str, Any]:
    outcome = one.outcome
    return {
        "task": one.definition.name,
        "summary": one.summary,
        "pooled": one.pooled,
        "result": str(outcome.folder) if outcome else None,
        "reused": bool(outcome and outcome.reused),
        "error": one.error or None,
    }


def _print(scored: "list[Scored]", model: str) -> None:
    rows = []
    for one in scored:
        metric, summary = one.definition.metrics[0], one.summary
        windows, state = one.definition.fields["num_windows"], "failed" if one.error else "done"
        rows.append(
            [
                f"fev/{one.definition.name}",
                metric,
                summary.get("test_error"),
                one.pooled.get(metric),
                windows,
                summary.get("num_forecasts"),
                state,
            ]
        )
    columns = ["task", "metric", "fev", "pooled", "windows", "forecasts", "state"]
    output.table(columns, rows, title=f"{model}: test_error of fev, and the value of the Result")
    for one in scored:
        if one.different:
            output.note(f"fev/{one.definition.name}: other in the Result: {_reasons(one)}")
    for one in scored:
        if one.outcome:
            output.note(f"Result: {one.outcome.folder}")


def _reasons(one: "Scored") -> str:
    """Metrics that differ, and what fev does otherwise."""
    fields, reasons = one.definition.fields, []
    if fields["num_windows"] > 1:
        reasons.append("fev takes the mean of the windows' values, a Result pools the windows")
    if fields["max_context_length"]:
        reasons.append(
            "fev scales errors by the last max_context_length values, a Result by all before the window"
        )
    if fields["quantile_levels"] and 0.5 not in fields["quantile_levels"]:
        reasons.append("a Result scores the median beside the levels")
    return f"{', '.join(one.different)} ({'; '.join(reasons) or 'rounding'})"
