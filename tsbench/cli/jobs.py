"""`tsbench fit|eval|run|score`: `fit` shows validation only, `eval` makes the Result, `run` does both."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsbench.contracts.errors import InputError, JobFailed

from . import output

if TYPE_CHECKING:
    from tsbench.contracts import Result, Task
    from tsbench.jobs.job import Options
    from tsbench.jobs.run import Conduct, Outcome

ModelName = Annotated[
    str, typer.Argument(help="A model of the zoo, or FILE.py or FILE.py:CLASS of your own.")
]
TaskName = Annotated[str | None, typer.Argument(help="A task; leave it out with --data.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the fit.")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="Run N seeds: 0 to N - 1.")]
Context = Annotated[int | None, typer.Option(min=1, help="Look-back in steps; default: the model's card.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter.")]
Train = Annotated[list[str] | None, typer.Option("--train", metavar="NAME=VALUE", help="A training setting.")]
Data = Annotated[Path | None, typer.Option(help="Your own CSV or Parquet file instead of a task.")]
Horizon = Annotated[int | None, typer.Option(min=1, help="With --data: steps to forecast.")]
Period = Annotated[
    int | None, typer.Option(min=1, help="With --data: season in steps; default: from the step.")
]
Target = Annotated[list[str] | None, typer.Option(help="With --data: a column to forecast; default: all.")]
Weights = Annotated[Path | None, typer.Option(help="Weights (safetensors) to load strictly.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; a Result's bits depend on them.")]
BatchSize = Annotated[
    int, typer.Option(min=1, help="Cases a batch of the evaluation; scores do not depend on it.")
]
DropLast = Annotated[
    bool, typer.Option("--drop-last", help="Parity: drop the last incomplete evaluation batch.")
]
Save = Annotated[bool, typer.Option("--save-forecasts", help="Keep the forecasts as Zarr beside the Result.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over instead of reusing finished work.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another process that has the same job.")]
Track = Annotated[bool, typer.Option("--track/--no-track", help="Log Results to MLflow.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command()(fit)
    app.command("eval")(evaluate)
    app.command()(run)
    app.command()(score)


def fit(
    model: ModelName,
    task: TaskName = None,
    seed: Seed = 0,
    seeds: Seeds = None,
    context: Context = None,
    set_: Set = None,
    train: Train = None,
    data: Data = None,
    horizon: Horizon = None,
    period: Period = None,
    target: Target = None,
    weights: Weights = None,
    device: Device = "auto",
    threads: Threads = None,
    fresh: Fresh = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Fit a model on a task. Shows validation only; test targets are not read."""
    from tsbench.jobs.run import run as run_jobs

    options = _options(context, set_, train, weights=weights, device=device, threads=threads)
    outcomes = run_jobs(
        model,
        _task(task, data, horizon, period, target),
        seeds=_seeds(seed, seeds),
        options=options,
        conduct=_conduct(fresh, wait),
        stage="fit",
    )
    _print_fits(outcomes, as_json)


def evaluate(
    model: ModelName,
    task: TaskName = None,
    seed: Seed = 0,
    seeds: Seeds = None,
    context: Context = None,
    set_: Set = None,
    train: Train = None,
    data: Data = None,
    horizon: Horizon = None,
    period: Period = None,
    target: Target = None,
    weights: Weights = None,
    device: Device = "auto",
    threads: Threads = None,
    batch_size: BatchSize = 256,
    drop_last: DropLast = False,
    save_forecasts: Save = False,
    fresh: Fresh = False,
    wait: Wait = False,
    track: Track = True,
    as_json: AsJson = False,
) -> None:
    """Evaluate a fitted model (or one that needs no fit, or --weights) and write the Result."""
    from tsbench.jobs.run import run as run_jobs

    options = _options(context, set_, train, weights, device, threads, batch_size, drop_last)
    outcomes = run_jobs(
        model,
        _task(task, data, horizon, period, target),
        seeds=_seeds(seed, seeds),
        options=options,
        conduct=_conduct(fresh, wait, save_forecasts, track),
        stage="eval",
    )
    _print_results(outcomes, as_json)


def run(
    model: Annotated[str, typer.Argument(help="A model, FILE.py[:CLASS], or the name of a suite.")],
    task: TaskName = None,
    seed: Seed = 0,
    seeds: Seeds = None,
    context: Context = None,
    set_: Set = None,
    train: Train = None,
    data: Data = None,
    horizon: Horizon = None,
    period: Period = None,
    target: Target = None,
    weights: Weights = None,
    device: Device = "auto",
    threads: Threads = None,
    batch_size: BatchSize = 256,
    drop_last: DropLast = False,
    save_forecasts: Save = False,
    fresh: Fresh = False,
    wait: Wait = False,
    track: Track = True,
    as_json: AsJson = False,
) -> None:
    """Fit and evaluate a model on a task, or run a whole suite."""
    from tsbench.jobs.run import run as run_jobs

    conduct = _conduct(fresh, wait, save_forecasts, track)
    if task is None and data is None:
        _run_suite(model, seeds, conduct, as_json)
        return
    options = _options(context, set_, train, weights, device, threads, batch_size, drop_last)
    outcomes = run_jobs(
        model,
        _task(task, data, horizon, period, target),
        seeds=_seeds(seed, seeds),
        options=options,
        conduct=conduct,
    )
    _print_results(outcomes, as_json)


def score(
    forecast: Annotated[Path, typer.Argument(help="A forecast as a Zarr v3 directory.")],
    task: Annotated[str, typer.Argument(help="The task that it answers.")],
    out: Annotated[Path | None, typer.Option(help="Result folder; default: below the runs folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a Result from a forecast that was made elsewhere."""
    from tsbench.jobs.score import score as score_forecast

    folder, result = score_forecast(forecast, task, out)
    if as_json:
        output.as_json({"folder": str(folder), **result.model_dump(mode="json")})
        return
    _print_scores([result], f"{result.model.name} on {result.task.name}")
    output.note(f"Result: {folder}")


def _run_suite(name: str, seeds: int | None, conduct: "Conduct", as_json: bool) -> None:
    from tsbench import registry
    from tsbench.jobs.run import run_suite

    if name not in registry.suites():
        if name in registry.models() or ".py" in name:
            raise InputError(f"Which task? For example: tsbench run {name} etth1-96. See: tsbench list tasks")
        raise registry.unknown("suite", name, [*registry.suites(), *registry.models()])
    outcomes = run_suite(name, seeds=range(seeds) if seeds else None, conduct=conduct)
    failed = [outcome for outcome in outcomes if outcome.error]
    if as_json:
        output.as_json([_as_json(outcome) for outcome in outcomes])
    else:
        rows = [_suite_row(outcome) for outcome in outcomes]
        output.table(
            ["task", "model", "seed", "metric", "regular", "seconds", "state"], rows, title=f"Suite {name}"
        )
        output.note(f"Next: tsbench board build {name}")
    if failed:
        raise JobFailed(f"{len(failed)} of {len(outcomes)} jobs failed; the first: {failed[0].error}")


def _suite_row(outcome: "Outcome") -> list[Any]:
    job, result = outcome.job, outcome.result
    value = result.scores[result.primary].get("regular") if result else None
    state = "failed" if outcome.error else "reused" if outcome.reused else "done"
    seconds = round(sum(outcome.seconds.values()), 1)
    return [job.task.name, job.model.name, job.seed, job.task.primary, value, seconds, state]


def _print_fits(outcomes: "list[Outcome]", as_json: bool) -> None:
    if as_json:
        output.as_json([_as_json(outcome) for outcome in outcomes])
        return
    rows = []
    for outcome in outcomes:
        cost = outcome.fit.get("cost", {})
        epochs = cost.get("detail", {}).get("epochs")
        loss = outcome.fit.get("validation_loss")
        rows.append([outcome.job.seed, loss, epochs, outcome.fit.get("parameters"), cost.get("seconds")])
    first = outcomes[0].job
    title = f"{first.model.name} on {first.task.name}, context {first.context}: validation"
    output.table(["seed", "loss", "epochs", "parameters", "seconds"], rows, title=title)
    for outcome in outcomes:
        output.note(f"Run folder: {outcome.job.folder}")


def _print_results(outcomes: "list[Outcome]", as_json: bool) -> None:
    if as_json:
        output.as_json([_as_json(outcome) for outcome in outcomes])
        return
    results = [outcome.result for outcome in outcomes if outcome.result]
    first = results[0]
    seeds = f"{len(results)} seeds, mean ± half range" if len(results) > 1 else f"seed {first.seed}"
    title = f"{first.model.name} on {first.task.name}, context {first.track.context}, {seeds}"
    _print_scores(results, title)
    for key, reason in first.skipped.items():
        output.note(f"Not evaluated: {key} ({reason})")
    if not all(outcome.reused for outcome in outcomes):
        stages = list(dict.fromkeys(stage for outcome in outcomes for stage in outcome.seconds))
        totals = [sum(outcome.seconds.get(stage, 0.0) for outcome in outcomes) for stage in stages]
        output.table(
            [*stages, "total"],
            [[f"{one:.1f} s" for one in [*totals, sum(totals)]]],
            title="Where the time went",
        )
    for outcome in outcomes:
        output.note(f"Result: {outcome.folder}")


def _print_scores(results: "list[Result]", title: str) -> None:
    """Metrics by condition, with the number of scenarios; several Results are seeds of one entry."""
    first = results[0]
    columns = [f"{condition} ({count})" for condition, count in first.scenarios.items()]
    rows = [
        [
            metric,
            *(_over_seeds([result.scores[metric][one] for result in results]) for one in first.scenarios),
        ]
        for metric in first.scores
    ]
    output.table(["metric", *columns], rows, title=title)


def _over_seeds(values: list[float | None]) -> str | float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return None
    mean = sum(known) / len(known)
    return f"{mean:.4f} ± {(max(known) - min(known)) / 2:.4f}" if len(known) > 1 else f"{mean:.4f}"


def _as_json(outcome: "Outcome") -> dict[str, Any]:
    return {
        "model": outcome.job.model.name,
        "task": outcome.job.task.name,
        "seed": outcome.job.seed,
        "run_folder": str(outcome.job.folder),
        "result_folder": str(outcome.folder) if outcome.folder else None,
        "reused": outcome.reused,
        "error": outcome.error or None,
        "seconds": outcome.seconds,
        "fit": outcome.fit or None,
        "result": outcome.result.model_dump(mode="json") if outcome.result else None,
    }


def _task(
    name: str | None, data: Path | None, horizon: int | None, period: int | None, targets: list[str] | None
) -> "str | Task":
    if data is None:
        if name is None:
            raise InputError("Name a task, or give your own file with --data FILE --horizon STEPS")
        if horizon or period or targets:
            raise InputError("--horizon, --period and --target belong to --data; a task fixes them")
        return name
    if name is not None:
        raise InputError(f"Give the task '{name}' or --data {data}, not both")
    if horizon is None:
        raise InputError("--data needs --horizon STEPS")
    from tsbench.data.user import user_task

    return user_task(data, horizon, period=period, targets=tuple(targets) if targets else None)


def _options(
    context: int | None,
    hyperparameters: list[str] | None,
    training: list[str] | None,
    weights: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    batch_size: int = 256,
    drop_last: bool = False,
) -> "Options":
    from tsbench.jobs.job import Options

    return Options(
        context=context,
        hyperparameters=_pairs(hyperparameters, "--set"),
        training=_pairs(training, "--train"),
        weights=weights,
        device=device,
        threads=threads,
        batch_size=batch_size,
        drop_last=drop_last,
    )


def _conduct(fresh: bool, wait: bool, save_forecasts: bool = False, track: bool = True) -> "Conduct":
    from tsbench.jobs.run import Conduct

    return Conduct(
        fresh=fresh,
        wait=wait,
        save_forecasts=save_forecasts,
        track=track,
        progress=output.interactive(),
        say=output.note,
    )


def _pairs(given: list[str] | None, flag: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"{flag} takes NAME=VALUE, not '{text}'")
        try:
            pairs[name] = json.loads(value)
        except ValueError:
            pairs[name] = value
    return pairs


def _seeds(seed: int, seeds: int | None) -> list[int]:
    if seeds is not None and seed != 0:
        raise InputError("Give --seed or --seeds, not both")
    return list(range(seeds)) if seeds else [seed]
