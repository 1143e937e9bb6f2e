"""Forecasts what follows a user's file, with intervals: the work behind `tsbench forecast`."""

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tsbench import atomic, registry
from tsbench.contracts import InputError, Task
from tsbench.data.user import user_task
from tsbench.jobs.run import Conduct

from . import conformal
from .compare import Judged, judge
from .fitted import Fitted, fit_for, on_everything
from .picture import draw

Floats = npt.NDArray[np.float64]
COMPARED = ("seasonal_naive", "last_value", "linear", "dlinear", "lightgbm_lags")
"""What `--compare` takes: what a year of hours lets be fitted and judged within a minute."""
DEFAULT = "linear"


@dataclass(frozen=True)
class UserForecast:
    """A forecast of a file.

    Attributes:
        model: that made it.
        context: look-back in steps.
        time: stamps, shape (lead_time,).
        variables: names.
        values: shape (lead_time, variable), units of the file.
        bounds: level → lower and upper, each of the shape of `values`.
        coverage: level → share of later windows' values that lay inside such an interval.
        judged: the models that were compared, the chosen one first.
        table, picture: where the forecast was written.
    """

    model: str
    context: int
    time: np.ndarray
    variables: tuple[str, ...]
    values: Floats
    bounds: dict[float, tuple[Floats, Floats]]
    coverage: dict[float, float]
    judged: list[Judged]
    table: Path
    picture: Path


def forecast_file(
    path: Path,
    horizon: int,
    folder: Path,
    *,
    models: Sequence[str] = (DEFAULT,),
    period: int | None = None,
    targets: Sequence[str] | None = None,
    levels: Sequence[float] = (0.8, 0.95),
    conduct: Conduct | None = None,
) -> UserForecast:
    """Forecast the steps after a file's last row.

    Every model is fitted on the first 70 % and judged on the next 10 %; the best of them is reported on the
    last 20 %, whose errors also give the intervals, and is fitted once more on everything for the forecast.

    Args:
        path: CSV (also compressed) or Parquet, wide or long.
        horizon: steps to forecast.
        folder: receives `<file>.csv` and `<file>.svg`.
        models: names; with several, the one with the lowest error on the validation windows is taken.
        period: main season in steps; None for the usual one of the file's step.
        targets: variables to forecast; None for all.
        levels: of the intervals, in (0, 1).
        conduct: how fits are carried out.

    Raises:
        InputError: where the file, a name or a level cannot be used, or the file is too short.
        JobFailed: where a fit fails.
    """
    for level in levels:
        if not 0 < level < 1:
            raise InputError(f"--level is a percentage between 0 and 100, not {100 * level:g}")
    conduct = conduct or Conduct()
    declared = user_task(path, horizon, period=period, targets=targets)
    task = declared.model_copy(update={"name": f"{declared.name}-forecast", "space": "units"})
    fitted = [fit_for(model, task, conduct) for model in dict.fromkeys(models)]
    judged = judge(fitted)
    best = next(one for one in fitted if one.name == judged[0].name)
    errors = best.errors("test")
    final = _final(best, task, conduct)
    time, values = final.after_the_last_row()
    shifts = {level: conformal.interval(errors, level) for level in levels}
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.name.split(".")[0]) or "file"
    made = UserForecast(
        model=best.name,
        context=final.context,
        time=time,
        variables=final.data.targets,
        values=values,
        bounds={level: (values + low, values + high) for level, (low, high) in shifts.items()},
        coverage={level: _measured(errors, level) for level in levels},
        judged=judged,
        table=folder / f"{stem}-{horizon}.csv",
        picture=folder / f"{stem}-{horizon}.svg",
    )
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_text(made.table, as_csv(made))
    columns = [final.data.table.variables.index(name) for name in made.variables]
    known = final.data.table.values[:, columns]
    atomic.write_text(
        made.picture, draw(made.variables, final.data.table.time, known, time, values, made.bounds)
    )
    return made


def compared() -> tuple[str, ...]:
    """Models that are compared where nobody names any: those of `COMPARED` whose packages are installed."""
    return tuple(
        name for name in COMPARED if all(map(importlib.util.find_spec, registry.model(name).packages))
    )


def as_csv(made: UserForecast) -> str:
    """One row a time stamp and variable: time, variable, forecast, then the bounds of each level."""
    levels = sorted(made.bounds)
    names = [f"{side}_{100 * level:g}" for level in levels for side in ("lower", "upper")]
    lines = [",".join(["time", "variable", "forecast", *names])]
    for step, stamp in enumerate(made.time):
        said = np.datetime_as_string(stamp, unit="s") if made.time.dtype.kind == "M" else str(stamp)
        for column, name in enumerate(made.variables):
            bounds = [side[step, column] for level in levels for side in made.bounds[level]]
            numbers = [f"{value:.6g}" for value in (made.values[step, column], *bounds)]
            lines.append(",".join([said, _quoted(name), *numbers]))
    return "\n".join(lines) + "\n"


def _final(best: Fitted, task: Task, conduct: Conduct) -> Fitted:
    if best.model.fits == "none":
        return best
    return fit_for(best.name, on_everything(task, len(best.data.table.values)), conduct, best.context)


def _measured(errors: Floats, level: float) -> float:
    """Coverage of the later half of the windows by an interval from the earlier half."""
    half = len(errors) // 2
    if not half:
        return float("nan")
    return conformal.coverage(errors[half:], *conformal.interval(errors[:half], level))


def _quoted(text: str) -> str:
    """A CSV cell; what a spreadsheet would run as a formula is told apart by an apostrophe."""
    safe = f"'{text}" if text[:1] in "=+-@\t\r" else text
    return '"' + safe.replace('"', '""') + '"' if any(mark in safe for mark in ',"\n\r') else safe
