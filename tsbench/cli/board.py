"""`tsbench board`: builds the leaderboard pages, or prints a leaderboard. Commands import what they need."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import submission
from .output import as_json, note, table

if TYPE_CHECKING:
    from tsbench.leaderboard.site.view import View

app = typer.Typer(
    name="board", help="Leaderboards: build the pages, or print the table.", no_args_is_help=True
)
submission.register(app)

Runs = Annotated[
    Path | None,
    typer.Option(help="Folder with Results, beside those checked in. Default: TSBENCH_RUNS, ./runs"),
]
Missing = Annotated[
    str, typer.Option(help="Cells without a value: error, drop or impute (the baseline's error).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

PAGES, CACHE = "board", "board-cache"
"""Folders in the folder of runs."""


@app.command()
def build(
    suite: Annotated[
        str | None, typer.Argument(help="Suite; without it, all suites that have Results.")
    ] = None,
    runs: Runs = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the pages. Default: board, in --runs.")] = None,
    missing: Missing = "impute",
    track: Annotated[bool, typer.Option("--track/--no-track", help="Log the leaderboard to MLflow.")] = True,
    cache: Annotated[
        bool,
        typer.Option("--cache/--no-cache", help="Keep what is expensive to make, in board-cache of --runs."),
    ] = True,
    json: AsJson = False,
) -> None:
    """Build the pages of a suite, or of all suites that have Results."""
    from tsbench.leaderboard.collect import catalogue
    from tsbench.leaderboard.kept import forget, kept_in
    from tsbench.leaderboard.site.build import write_site
    from tsbench.leaderboard.site.pages.sweep import find_sweeps
    from tsbench.tracking import log_leaderboard

    folder = _folder(runs)
    kept = folder / CACHE if cache else None
    with kept_in(kept):
        views = _views([suite] if suite else None, folder, missing)
        sweeps = find_sweeps(folder, [view.collection.suite.name for view in views])
        page = write_site(views, catalogue(), out or folder / PAGES, sweeps)
    if kept is not None:
        forget(kept)
    if track:
        for one in views:
            log_leaderboard(one.collection.suite.name, one.standings.table, page.parent, say=note)
    if json:
        as_json({"page": str(page), "suites": {one.collection.suite.name: _records(one) for one in views}})
        return
    for one in views:
        _print(one)
    note(f"Pages: {page}")


@app.command()
def serve(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder with the pages. Default: board, in --runs.")
    ] = None,
    runs: Runs = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
) -> None:
    """Serve built pages at this machine's own address, until interrupted."""
    from tsbench.leaderboard.site.serve import server_of

    server = server_of(folder or _folder(runs) / PAGES, port)
    note(f"Pages: http://127.0.0.1:{server.server_address[1]}/ (stop with Ctrl-C)")
    with server:
        server.serve_forever()


@app.command()
def show(
    suite: str,
    runs: Runs = None,
    missing: Missing = "impute",
    rules: Annotated[
        str | None,
        typer.Option("--as", help="Aggregate as fev or gift-eval do, with imported results beside ours."),
    ] = None,
    paper: Annotated[
        str | None,
        typer.Option(
            "--as-paper",
            help="Instead, test pairs of entries over units, as the paper that is named does.",
        ),
    ] = None,
    test: Annotated[str, typer.Option(help="With --as-paper: t (Student, paired) or wilcoxon.")] = "t",
    json: AsJson = False,
) -> None:
    """Print the leaderboard of a suite."""
    if paper is not None:
        _show_paper(suite, _folder(runs), missing, paper, test, json)
        return
    if rules is not None:
        _show_as(suite, _folder(runs), missing, rules, json)
        return
    (view,) = _views([suite], _folder(runs), missing)
    if json:
        as_json(_records(view))
    else:
        _print(view)


def _show_as(suite: str, runs: Path, missing: str, rules: str, json: bool) -> None:
    from tsbench.contracts import InputError
    from tsbench.leaderboard.aggregate import checked_missing
    from tsbench.leaderboard.interchange import checked_format
    from tsbench.leaderboard.parity import parity_board

    choice, form = checked_missing(missing), checked_format(rules)
    (view,) = _views([suite], runs, missing)
    results = view.collection.with_imported
    if not results:
        raise InputError(f"{suite} has no Results. Make them: tsbench run {suite}")
    board = parity_board(results, form, view.collection.suite.baseline, choice)
    rows = board.rename_axis("entry").reset_index()
    if json:
        as_json(rows.to_dict("records"))
        return
    cells = [[row[0], *(f"{value:.3f}" for value in row[1:])] for row in rows.itertuples(index=False)]
    table(list(rows.columns), cells, f"{view.collection.suite.title}, aggregated as {form}")


def _show_paper(suite: str, runs: Path, missing: str, paper: str, test: str, json: bool) -> None:
    """The first entry against each other one, on each task and condition."""
    from itertools import groupby

    from tsbench.contracts import InputError
    from tsbench.leaderboard.paired import Test
    from tsbench.leaderboard.paper_tests import TESTS, unit_tests

    known: dict[str, Test] = {name: name for name in TESTS}
    chosen = known.get(test)
    if chosen is None or not paper.strip():
        raise InputError(f"--as-paper names a paper, and --test is one of {', '.join(TESTS)}, not '{test}'")
    (view,) = _views([suite], runs, missing)
    names = [row["entry"] for row in view.rows]
    if len(names) < 2:
        raise InputError(f"{suite} has fewer than two entries with Results. Make them: tsbench run {suite}")
    rows = []
    for one in unit_tests(view.collection, names, paper, chosen):
        if one.p_values is None or one.adjusted is None:
            note(f"{one.task}, {one.condition}: {one.reason}")
            continue
        rows += [
            {
                "task": one.task,
                "condition": one.condition,
                "entry": one.entries[0],
                "against": other,
                "ratio": float(one.means[0] / one.means[at]),
                "blocks": one.blocks,
                "units in a block": one.joined,
                "p": float(one.p_values[0, at]),
                "p (Holm)": float(one.adjusted[0, at]),
            }
            for at, other in enumerate(one.entries)
            if at > 0
        ]
    if json:
        as_json({"paper": paper, "test": test, "rows": rows})
        return
    note(f"{view.collection.suite.title}: {test} test over units, as in {paper}")
    for (task, condition), found in groupby(rows, key=lambda row: (row["task"], row["condition"])):
        group = list(found)
        first = group[0]
        units = f"{first['blocks']} blocks of {first['units in a block']} units"
        table(
            ["against", "ratio", "p", "p (Holm)"],
            [[row["against"], *(f"{row[name]:.3g}" for name in ("ratio", "p", "p (Holm)"))] for row in group],
            f"{first['entry']} on {task}, {condition}: {units}",
        )
    note(
        "Units share one data set and one trained model: this says which model is better on these data, not "
        "that it would be on others. Our own tests are over clusters: tsbench board build"
    )


def _folder(runs: Path | None) -> Path:
    from tsbench.folders import runs_folder

    return runs or runs_folder()


def _views(names: list[str] | None, runs: Path, missing: str) -> "list[View]":
    from tsbench import registry
    from tsbench.contracts import InputError
    from tsbench.evaluation.record import find_results
    from tsbench.leaderboard.aggregate import checked_missing
    from tsbench.leaderboard.collect import catalogue, result_folders
    from tsbench.leaderboard.site.view import views_of

    choice = checked_missing(missing)
    suites = [registry.suite(name) for name in names] if names else list(registry.suites().values())
    folders = find_results(runs) if runs.is_dir() else []
    folders += [folder for suite in suites for folder in result_folders(suite.name, None)]
    views = views_of(suites, folders, catalogue(), choice)
    if names:
        return views
    found = [view for view in views if view.entries]
    if not found:
        raise InputError(f"No Results in {runs}. Make some: tsbench run quick")
    return found


def _print(view: "View") -> None:
    from tsbench.leaderboard.site import text

    if not view.rows:
        name = view.collection.suite.name
        note(f"{name} has no Results yet. Make them: tsbench run {name}")
        return
    rows = [
        [
            row["entry"],
            text.fixed(row["mean_rank"], 2),
            text.percent(row["win_rate"], 0),
            text.percent(row["skill"]),
            f"{row['cells']}/{row['cells'] + row['missing']}",
            row["seeds"],
            text.duration(row["fit_seconds"] + row["predict_seconds"]),
        ]
        for row in view.rows
    ]
    columns = ["entry", "mean rank", "win rate", "skill", "cells", "seeds", "per task"]
    suite = view.collection.suite
    table(columns, rows, f"{suite.title}: skill against {suite.baseline}", whole_names=False)
    refused = len(view.collection.refused)
    if refused:
        note(f"Not ranked: {refused} Result{'' if refused == 1 else 's'}; the suite's page says why.")


def _records(view: "View") -> list[dict[str, Any]]:
    return [{key: None if value != value else value for key, value in row.items()} for row in view.rows]
