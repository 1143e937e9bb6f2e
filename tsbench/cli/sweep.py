"""`tsbench sweep`: searches settings by the validation score, then evaluates the best once on test."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsbench.contracts.errors import InputError

from . import jobs, output

if TYPE_CHECKING:
    from tsbench.contracts.sweep import SweepRecord
    from tsbench.search.plan import Plan
    from tsbench.search.sweep import Found

SHOWN = 10
"""Best trials in the table; sweep.json has all."""


def register(app: typer.Typer) -> None:
    """Add the command of this file to the program."""
    app.command()(sweep)


def fixed_options(
    context: Annotated[int | None, typer.Option(min=1, help="Look-back; default: the model's card.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyper-parameter that is not varied."),
    ] = None,
    train: Annotated[
        list[str] | None,
        typer.Option("--train", metavar="NAME=VALUE", help="A training setting that is not varied."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of a trial; default: the cores, shared by --jobs.")
    ] = None,
) -> None:
    """Options that fix what is not varied."""


@jobs.takes(fixed_options)
def sweep(
    given: dict[str, Any],
    model: jobs.ModelName,
    task: Annotated[str, typer.Argument(help="A task.")],
    trials: Annotated[
        int, typer.Option(min=1, help="Settings to try, those of earlier calls included.")
    ] = 20,
    jobs_: Annotated[int, typer.Option("--jobs", min=1, help="Processes that try settings.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(help="sqlite:///FILE, journal:///FILE or postgresql://…; default: in the runs folder."),
    ] = None,
    sampler: Annotated[
        str, typer.Option(help="tpe, random, qmc, gp, cmaes, nsgaii, nsgaiii or brute_force.")
    ] = "tpe",
    objectives: Annotated[
        str, typer.Option(help="error, and perhaps flops or parameters, with commas: all are to be small.")
    ] = "error",
    pruner: Annotated[
        str | None,
        typer.Option(help="median, halving or none. Default: median; none with several objectives."),
    ] = None,
    space: Annotated[
        Path | None, typer.Option(help="YAML file with a search space, instead of the card's.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the fits.")] = 0,
    sampler_seed: Annotated[int, typer.Option(min=0, help="Seed of the sampler.")] = 0,
    seeds: Annotated[
        int, typer.Option(min=0, help="Seeds of the best setting's Results; 0: only search.")
    ] = 3,
    track: Annotated[bool, typer.Option("--track/--no-track", help="Log to MLflow.")] = True,
    as_json: jobs.AsJson = False,
) -> None:
    """Search settings by the validation score; fit and evaluate the best. A killed sweep goes on."""
    from tsbench.jobs.run import Conduct
    from tsbench.search.plan import Search, make_plan, read_space
    from tsbench.search.sweep import sweep as run_sweep

    search = Search(
        trials=trials,
        objectives=tuple(one.strip() for one in objectives.split(",") if one.strip()),
        sampler=sampler,
        sampler_seed=sampler_seed,
        pruner=pruner,
        space=read_space(space) if space else None,
    )
    if seed < 0:
        raise InputError(f"--seed must not be negative, not {seed}")
    plan = make_plan(
        model, task, search, seed=seed, options=jobs.options_of(given), jobs=jobs_, storage=storage
    )
    output.note(f"Study {plan.study}: {len(plan.space.ranges())} parameters are varied")
    conduct = Conduct(track=track, say=output.note)
    found = run_sweep(plan, jobs=jobs_, seeds=seeds, command=_command(plan, given, space), conduct=conduct)
    _print(found, as_json)


def _command(plan: "Plan", given: dict[str, Any], space: Path | None) -> str:
    """The command that takes the sweep up, without home paths or the storage, which may hold credentials."""
    search = plan.search
    words = ["tsbench", "sweep", Path(plan.model).name, str(plan.task), "--trials", str(search.trials)]
    words += ["--sampler", search.sampler, "--sampler-seed", str(search.sampler_seed)]
    words += ["--pruner", search.pruner or "none"] if not plan.several else []
    words += ["--objectives", ",".join(search.objectives)] if plan.several else []
    words += ["--seed", str(plan.seed)] if plan.seed else []
    words += ["--context", str(given["context"])] if given["context"] else []
    for flag, key in (("--set", "set_"), ("--train", "train")):
        for pair in given[key] or []:
            words += [flag, pair]
    words += ["--space", space.name] if space else []
    return shlex.join(words)


def _print(found: "Found", as_json: bool) -> None:
    record = found.record
    if as_json:
        results = [jobs.as_dictionary(one) for one in found.outcomes]
        output.as_json(
            {"folder": str(found.folder), "sweep": record.model_dump(mode="json"), "results": results}
        )
        return
    states = [one.state for one in record.trials]
    counts = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(states))
    title = f"{record.model} on {record.task}, context {record.context}: {counts}; best by validation"
    output.table(["trial", *record.objectives, "settings"], _rows(record), title=title)
    for name, share in record.importances.items():
        output.note(f"Importance of {name}: {share:.0%}")
    if record.cost.seconds is not None:
        output.note(f"Cost of all trials: {record.cost.seconds:.1f} s")
    if found.outcomes:
        jobs.print_results(list(found.outcomes))
    output.note(f"Sweep: {found.folder}")


def _rows(record: "SweepRecord") -> list[list[Any]]:
    complete = [one for one in record.trials if one.state == "complete" and one.same_as is None]
    complete.sort(key=lambda one: one.values)
    return [[one.number, *one.values, _settings(one.parameters)] for one in complete[:SHOWN]]


def _settings(parameters: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.partition('/')[2]} {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in parameters.items()
    )
