"""`tsbench fit|eval|run|score`: `fit` shows validation only, `eval` makes the Result, `run` does both."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsbench.contracts.errors import InputError, JobFailed

from . import output

if TYPE_CHECKING:
    from tsbench.contracts import Result, Task
    from tsbench.jobs.job import Options
    from tsbench.jobs.run import Conduct, Outcome, Stage

ModelName = Annotated[
    str, typer.Argument(help="A model of the zoo, or FILE.py or FILE.py:CLASS of your own.")
]
TaskName = Annotated[str | None, typer.Argument(help="A task; leave it out with --data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Pairs = list[str] | None
FIT_COLUMNS = ("seed", "loss", "epochs", "parameters", "seconds")


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command()(fit)
    app.command("eval")(evaluate)
    app.command()(run)
    app.command()(score)


def data_options(
    seed: Annotated[int, typer.Option(help="Seed of the fit.")] = 0,
    seeds: Annotated[int | None, typer.Option(min=1, help="Run N seeds: 0 to N - 1.")] = None,
    data: Annotated[Path | None, typer.Option(help="Your own CSV or Parquet file instead of a task.")] = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="With --data: steps to forecast.")] = None,
    period: Annotated[
        int | None, typer.Option(min=1, help="With --data: season in steps; default: from the time step.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="With --data: a column to forecast; default: all.")
    ] = None,
) -> None:
    """Options that say on what data, and how often."""


def model_options(
    context: Annotated[int | None, typer.Option(min=1, help="Look-back; default: the model's card.")] = None,
    set_: Annotated[Pairs, typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter.")] = None,
    train: Annotated[Pairs, typer.Option("--train", metavar="NAME=VALUE", help="A training setting.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights to load strictly: the run folder of a fit, a safetensors file, a folder that the "
            "model reads, or OWNER/NAME of such a folder on the Hugging Face hub."
        ),
    ] = None,
    fine_tune: Annotated[
        bool | None,
        typer.Option(
            "--fine-tune/--zero-shot",
            help="Fit given weights on the task, or only evaluate them; default: the weights of a fit are "
            "only evaluated, unless the model's card says otherwise.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; a Result's bits depend on them.")
    ] = None,
) -> None:
    """Options that determine the weights."""


def conduct_options(
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over; reuse nothing.")] = False,
    one_by_one: Annotated[
        bool, typer.Option("--one-by-one", help="With --seeds: never fit seeds of a small model together.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another process with the same job.")] = False,
) -> None:
    """Options that change no number."""


def evaluation_options(
    scenario: Annotated[
        list[str] | None,
        typer.Option(help="Key or pattern of scenarios, again for more; such a Result is not ranked."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Cases a batch of the evaluation; scores do not depend on it.")
    ] = None,
    drop_last: Annotated[
        bool, typer.Option("--drop-last", help="Parity: drop the last incomplete evaluation batch.")
    ] = False,
    save_forecasts: Annotated[
        bool, typer.Option("--save-forecasts", help="Keep the forecasts as Zarr beside the Result.")
    ] = False,
    track: Annotated[bool, typer.Option("--track/--no-track", help="Log Results to MLflow.")] = True,
) -> None:
    """Options of the evaluation."""


def takes(*groups: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of some groups; it receives them as one dictionary, `given`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = {name: one for name, one in inspect.signature(command).parameters.items() if name != "given"}
        shared = {name: one for group in groups for name, one in inspect.signature(group).parameters.items()}

        def wrapper(**arguments: Any) -> None:
            command(given={name: arguments.pop(name) for name in shared}, **arguments)

        # Typer reads the options off the signature.
        signature = inspect.Signature([*(own | shared).values()])
        wrapper.__signature__ = signature  # type: ignore[attr-defined]
        wrapper.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
        wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
        return wrapper

    return decorate


@takes(data_options, model_options, conduct_options)
def fit(
    given: dict[str, Any],
    model: ModelName,
    task: TaskName = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="Pretrain on the corpus that this YAML file declares, instead of a task."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a model on a task or a corpus. Shows validation only; test targets are not read."""
    if corpus is not None:
        _pretrain(model, task, corpus, given, as_json)
        return
    _print_fits(_run_jobs(model, task, given, "fit"), as_json)


@takes(data_options, model_options, evaluation_options, conduct_options)
def evaluate(given: dict[str, Any], model: ModelName, task: TaskName = None, as_json: AsJson = False) -> None:
    """Evaluate a fitted model (or one that needs no fit, or --weights) and write the Result."""
    _print_results(_run_jobs(model, task, given, "eval"), as_json)


@takes(data_options, model_options, evaluation_options, conduct_options)
def run(
    given: dict[str, Any],
    model: Annotated[str, typer.Argument(help="A model, FILE.py[:CLASS], or the name of a suite.")],
    task: TaskName = None,
    as_json: AsJson = False,
) -> None:
    """Fit and evaluate a model on a task, or run a whole suite."""
    if task is None and given["data"] is None:
        _run_suite(model, given["seeds"], conduct_of(given), as_json)
    else:
        _print_results(_run_jobs(model, task, given, "run"), as_json)


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


def _pretrain(model: str, task: str | None, corpus: Path, given: dict[str, Any], as_json: bool) -> None:
    if task is not None or given["data"] is not None:
        raise InputError(f"Give a task, --data or --corpus {corpus}, one of them")
    from tsbench.jobs.corpus_job import pretrain

    found = pretrain(
        model,
        corpus,
        seeds=_seeds(given["seed"], given["seeds"]),
        options=options_of(given),
        conduct=conduct_of(given),
    )
    if as_json:
        output.as_json(
            [
                {
                    "model": one.job.model.name,
                    "corpus": one.job.corpus.name,
                    "seed": one.job.seed,
                    "run_folder": str(one.job.folder),
                    "reused": one.reused,
                    "fit": one.fit,
                }
                for one in found
            ]
        )
        return
    title = f"{found[0].job.model.name} on corpus {found[0].job.corpus.name}: held-out series"
    rows = [_fit_row(one.job.seed, one.fit) for one in found]
    output.table(FIT_COLUMNS, rows, title=title)
    for one in found:
        output.note(f"Run folder: {one.job.folder}")
    output.note(f"Next: tsbench run {found[0].job.model.name} TASK --weights {found[0].job.folder}")


def _fit_row(seed: int, fit: dict[str, Any]) -> list[Any]:
    cost = fit.get("cost", {})
    epochs = cost.get("detail", {}).get("epochs")
    return [seed, fit.get("validation_loss"), epochs, fit.get("parameters"), cost.get("seconds")]


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
    rows = [_fit_row(outcome.job.seed, outcome.fit) for outcome in outcomes]
    first = outcomes[0].job
    title = f"{first.model.name} on {first.task.name}, context {first.context}: validation"
    output.table(FIT_COLUMNS, rows, title=title)
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


def _run_jobs(model: str, task: str | None, given: dict[str, Any], stage: "Stage") -> "list[Outcome]":
    from tsbench.jobs.run import run as run_jobs

    return run_jobs(
        model,
        _task(task, given),
        seeds=_seeds(given["seed"], given["seeds"]),
        options=options_of(given),
        conduct=conduct_of(given),
        stage=stage,
    )


def _task(name: str | None, given: dict[str, Any]) -> "str | Task":
    data, horizon, period, targets = (given[key] for key in ("data", "horizon", "period", "target"))
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


def options_of(given: dict[str, Any]) -> "Options":
    """The options of jobs that a command was given."""
    from tsbench.jobs.job import Options

    same = ("context", "weights", "fine_tune", "device", "threads", "batch_size", "drop_last")
    return Options(
        hyperparameters=_pairs(given["set_"], "--set"),
        training=_pairs(given["train"], "--train"),
        scenarios=tuple(given.get("scenario") or ()),
        **{name: given[name] for name in same if name in given},
    )


def conduct_of(given: dict[str, Any]) -> "Conduct":
    """How a command's jobs are carried out."""
    from tsbench.jobs.run import Conduct

    same = ("fresh", "one_by_one", "wait", "save_forecasts", "track")
    return Conduct(
        progress=output.interactive(),
        say=output.note,
        **{name: given[name] for name in same if name in given},
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
