"""`tsbench results`: lists and shows the Results on this machine, and sends to MLflow what it is missing."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import checked_in, interchange, output

if TYPE_CHECKING:
    from tsbench.contracts import Result

app = typer.Typer(help="Results on this machine: list, show, send to MLflow.", no_args_is_help=True)
checked_in.register(app)
interchange.register(app)

RunsOption = Annotated[
    Path | None, typer.Option("--runs", help="Runs folder.", show_default="TSBENCH_RUNS, ./runs")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for machines.")]

COST_COLUMNS = ("seconds", "flops", "peak_memory_bytes", "energy_joules", "attempts")


@app.command()
def log(
    runs: RunsOption = None,
    uri: Annotated[
        str | None, typer.Option(help="MLflow tracking URI.", show_default="MLFLOW_TRACKING_URI")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Only what belongs to this suite.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Send to MLflow every Result that it is missing. An unreachable server is a warning, not a failure."""
    from tsbench import registry
    from tsbench.tracking import log_missing, mask, tracking_uri

    folder = _runs(runs)
    chosen = tracking_uri(uri)
    outcomes = log_missing(folder, chosen, registry.suite(suite) if suite else None, say=output.note)
    rows = [
        {
            "task": entry.result.task.name,
            "model": entry.result.model.name,
            "seed": entry.result.seed,
            "experiment": entry.experiment,
            "state": logged.state,
            "run": logged.run_id,
        }
        for entry, logged in outcomes
    ]
    if as_json:
        output.as_json(rows)
        return
    if not rows:
        output.note(f"No Results below {folder}. Make one: tsbench run dlinear etth1-96")
        return
    columns = ("task", "model", "seed", "experiment", "state")
    output.table(columns, [[row[name] for name in columns] for row in rows])
    counts = {state: sum(row["state"] == state for row in rows) for state in ("sent", "already", "failed")}
    summary = f"{counts['sent']} sent, {counts['already']} already there, {counts['failed']} not sent"
    output.note(f"{summary}: {mask(chosen)}")


@app.command("list")
def list_(runs: RunsOption = None, as_json: JsonOption = False) -> None:
    """List Results: task, model, seed, primary score under the regular condition, track, name."""
    from tsbench.tracking import results_below

    folder = _runs(runs)
    rows = [
        {
            "task": result.task.name,
            "model": result.model.name,
            "seed": result.seed,
            "metric": result.primary,
            "score": result.scores.get(result.primary, {}).get("regular"),
            "context": result.track.context,
            "tuning": result.track.tuning,
            "learning": result.track.learning,
            "folder": str(path),
        }
        for path, result in results_below(folder)
    ]
    rows.sort(key=lambda row: (row["task"], row["model"], row["seed"], row["folder"]))
    if as_json:
        output.as_json(rows)
        return
    if not rows:
        output.note(f"No Results below {folder}. Make one: tsbench run dlinear etth1-96")
        return
    columns = ("task", "model", "seed", "context", "metric", "score")
    cells = [[*(row[name] for name in columns), _short(Path(row["folder"]))] for row in rows]
    output.table((*columns, "name"), cells)
    output.note("More on one of them: tsbench results show NAME")


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="FOLDER|NAME", help="A Result folder, or a part of its path.")
    ],
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a Result: scores per condition, cost, where it comes from."""
    path, result = _find(name, _runs(runs))
    if as_json:
        from tsbench.contracts import leakage_of

        output.as_json({"folder": str(path), "leakage": leakage_of(result), **result.model_dump(mode="json")})
        return
    conditions = list(result.scenarios)
    scores = [
        [f"{metric} (primary)" if metric == result.primary else metric, *map(by_condition.get, conditions)]
        for metric, by_condition in result.scores.items()
    ]
    title = f"{result.model.name} on {result.task.name} (version {result.task.version}), seed {result.seed}"
    output.table(["metric", *conditions], scores, title)
    costs = [[stage, *(getattr(cost, what) for what in COST_COLUMNS)] for stage, cost in result.cost.items()]
    if costs:
        output.table(["cost", *COST_COLUMNS], costs)
    output.table(["what", "value"], list(_facts(path, result)))


@app.command()
def register(
    model: Annotated[str, typer.Argument(help="The model.")],
    task: Annotated[str, typer.Argument(help="The task that it was fitted on.")],
    name: Annotated[str | None, typer.Option(help="In the registry. Default: MODEL-on-TASK")] = None,
    uri: Annotated[str | None, typer.Option(help="Tracking URI; default: MLFLOW_TRACKING_URI.")] = None,
    runs: RunsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a fitted model into MLflow's model registry: the fit with the lowest validation loss."""
    from dataclasses import asdict

    from tsbench.tracking.models import register as register_model

    found = register_model(model, task, name, uri, runs)
    if as_json:
        output.as_json(asdict(found))
        return
    output.table(
        ["name", "version", "seed", "validation loss", "chosen from"],
        [[found.name, found.version, found.seed, found.validation_loss, found.fits]],
        title="Registered in MLflow",
    )


def _runs(given: Path | None) -> Path:
    from tsbench.folders import runs_folder

    return given or runs_folder()


def _find(name: str, runs: Path) -> "tuple[Path, Result]":
    """The Result in a folder, or the only one below the runs folder whose path has that part."""
    from tsbench.contracts import InputError
    from tsbench.tracking import results_below

    given = Path(name)
    if given.is_dir():
        found = results_below(given)
    else:
        part = name.strip("/")
        found = [
            (path, result) for path, result in results_below(runs) if part in str(path.relative_to(runs))
        ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"There is no Result '{name}' below {runs}. See: tsbench results list")
    some = ", ".join(str(path) for path, _ in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    raise InputError(f"'{name}' fits {len(found)} Results; name one of {some}{more}")


def _short(folder: Path) -> str:
    """What tells a Result's path apart: the first digits of its run folder's key, or its own name."""
    key = folder.parent.name.rpartition("-")[2][:8]
    return key if folder.name.startswith("result-") and key else folder.name


def _track(result: "Result") -> str:
    context = "unknown" if result.track.context is None else str(result.track.context)
    return f"context {context}, {result.track.tuning}, {result.track.learning}"


def _facts(path: Path, result: "Result") -> Iterable[tuple[str, Any]]:
    from tsbench.contracts import leakage_of

    made = result.provenance
    yield "folder", path
    yield "track", _track(result)
    yield "parameters", result.model.parameters
    yield "hyper-parameters", _pairs(result.model.hyperparameters)
    yield "training", _pairs(result.model.training)
    yield "cases", result.cases
    yield "scenarios", _pairs(result.scenarios)
    for key, reason in result.skipped.items():
        yield "skipped", f"{key}: {reason}"
    if result.parity:
        yield "parity settings", f"{_pairs(result.parity)}; not ranked"
    for part in result.trained_on:
        yield f"trained on ({part.stage})", f"{part.dataset}, {part.start} to {part.end}"
    yield "leakage", leakage_of(result)
    for name, recipe in result.task.recipe.items():
        yield "data", f"{name}, recipe {recipe}, content {result.task.content.get(name, 'unknown')}"
    yield "weights", result.model.weights
    yield "created", made.created
    yield "command", made.command
    yield "code", made.code
    yield "host", f"{made.host}, {made.threads} threads"
    if made.operators is not None:
        yield "operators", f"{made.operators.choice}; {_pairs(made.operators.paths) or 'none called'}"
    yield "versions", _pairs(made.versions)


def _pairs(values: dict[str, Any]) -> str | None:
    return ", ".join(f"{name} = {value}" for name, value in values.items()) or None
