"""`tsbench forecast`: what follows a file of your own, with intervals, as CSV and a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import output

if TYPE_CHECKING:
    from tsbench.forecasting.compare import Judged
    from tsbench.forecasting.forecast import UserForecast


def register(app: typer.Typer) -> None:
    """Add the command to `tsbench`."""
    app.command()(forecast)


def forecast(
    file: Annotated[Path, typer.Argument(help="CSV (also compressed) or Parquet, wide or long.")],
    horizon: Annotated[int, typer.Option(min=1, help="Steps to forecast.")],
    model: Annotated[
        list[str] | None, typer.Option(help="A model; again for more: then the best of them is taken.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare several models on windows that none was fitted on.")
    ] = False,
    level: Annotated[
        list[float] | None, typer.Option(help="Of an interval, in percent; again for more.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="A variable; default: all.")] = None,
    period: Annotated[
        int | None, typer.Option(min=1, help="Main season in steps; default: the step's usual one.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the files; default: runs/forecasts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Forecast the steps after a file's last row, with intervals; write CSV and a picture."""
    from tsbench.folders import runs_folder
    from tsbench.forecasting.forecast import DEFAULT, compared, forecast_file
    from tsbench.jobs.run import Conduct

    models = tuple(model or ()) + (compared() if compare else ()) or (DEFAULT,)
    made = forecast_file(
        file,
        horizon,
        out or runs_folder() / "forecasts",
        models=models,
        period=period,
        targets=target,
        levels=[one / 100 for one in level or (80, 95)],
        conduct=Conduct(progress=output.interactive(), say=output.note, track=False),
    )
    if as_json:
        output.as_json(_record(made))
        return
    if len(made.judged) > 1:
        _print_comparison(made.judged)
    _print_first_steps(made)
    for one, share in made.coverage.items():
        output.note(f"{100 * one:g} % intervals held {100 * share:.0f} % of the values of later windows")
    output.note(f"Made by {made.model}, context {made.context}. Forecast: {made.table}")
    output.note(f"Picture: {made.picture}")


def _print_comparison(judged: "list[Judged]") -> None:
    from tsbench.forecasting.compare import clear_winner

    columns = ["model", "context", "chosen by", "later windows", "more than the chosen one, 95 %"]
    rows = [[one.name, one.context, one.chosen_by, one.error, _interval(one)] for one in judged]
    output.table(columns, rows, title="Mean absolute error over the seasonal naive one's (MASE)")
    if clear_winner(judged):
        output.note(f"{judged[0].name} is better than the others on windows that the choice did not see")
    else:
        output.note(
            f"No clear winner: {judged[0].name} was chosen, but an interval holds 0 or could not be made"
        )


def _interval(one: "Judged") -> str:
    return "" if one.low is None or one.high is None else f"{one.low:+.3f} to {one.high:+.3f}"


def _print_first_steps(made: "UserForecast", most: int = 12) -> None:
    import numpy as np

    level = min(made.bounds)
    low, high = made.bounds[level]
    columns = ["time", "variable", "forecast", f"{100 * level:g} % interval"]
    rows: list[list[Any]] = []
    for step, stamp in enumerate(made.time):
        said = np.datetime_as_string(stamp, unit="m") if made.time.dtype.kind == "M" else str(stamp)
        for column, name in enumerate(made.variables):
            inside = f"{low[step, column]:.4g} to {high[step, column]:.4g}"
            rows.append([said.replace("T", " "), name, f"{made.values[step, column]:.4g}", inside])
    output.table(columns, rows[:most], title=f"Forecast, {len(made.time)} steps")
    if len(rows) > most:
        output.note(f"… and {len(rows) - most} more rows in the file")


def _record(made: "UserForecast") -> dict[str, Any]:
    return {
        "model": made.model,
        "context": made.context,
        "variables": made.variables,
        "forecast": made.values.tolist(),
        "time": [str(stamp) for stamp in made.time],
        "intervals": {
            f"{100 * level:g}": {"lower": low.tolist(), "upper": high.tolist()}
            for level, (low, high) in made.bounds.items()
        },
        "coverage": {f"{100 * level:g}": share for level, share in made.coverage.items()},
        "compared": [one.__dict__ for one in made.judged],
        "table": str(made.table),
        "picture": str(made.picture),
    }
