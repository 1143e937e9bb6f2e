"""Files of a user's own: their store, and a task made for them on the fly."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tsbench import registry
from tsbench.contracts import InputError, Provenance, Split, Task

from .prepare import USER_ADAPTER, build
from .series import read_series
from .sources import sha256
from .steps import main_period
from .store import USER_PREFIX

LEAST_MAX_CONTEXT = 3072
"""As the built-in tasks have it; longer files allow as much as their training part."""
ROBUSTNESS = (
    {"disturbance": {"name": "awgn", "parameter": "snr_db", "levels": [20, 10]}},
    {
        "disturbance": {
            "name": "missing_blocks",
            "parameter": "fraction",
            "levels": [0.1, 0.3],
            "options": {"steps": 24},
        }
    },
)
"""As the tasks of the ETT sets have it."""


def prepare_file(
    path: Path, time: str | None = None, columns: Sequence[str] | None = None, fresh: bool = False
) -> str:
    """Prepare a user's own table; a file that has not changed is not prepared again.

    Args:
        path: CSV (also compressed) or Parquet.
        time: name of the time column; None to find it.
        columns: names of the variables; None for all columns besides the time.
        fresh: prepare it anew although the file has not changed.

    Returns:
        The name of the data set, `user-<file name>`.

    Raises:
        InputError: where there is no such file, or with the first mistake in it.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    entry = registry.dataset(USER_ADAPTER)
    given: dict[str, Any] = {"time": time, "columns": list(columns) if columns is not None else None}
    provenance = Provenance(
        dataset=USER_PREFIX + slug(path),
        adapter=USER_ADAPTER,
        generator_version=entry.card.generator_version,
        parameters={key: value for key, value in given.items() if value is not None},
        size="full",
        seed=None,
        files={path.name: sha256(path)},
    )
    build(entry, provenance, {path.name: path}, fresh)
    return provenance.dataset


def user_task(
    path: Path,
    horizon: int,
    *,
    period: int | None = None,
    targets: Sequence[str] | None = None,
) -> Task:
    """A task on a user's own table: 70/10/20 % in time, scored in z-scores, missing values refused.

    Args:
        path: CSV (also compressed) or Parquet.
        horizon: steps to forecast.
        period: main season in steps; None for the usual one of the file's time step.
        targets: variables that are scored; None for all.

    Returns:
        The task `user-<file name>-<horizon>`; its data set is prepared.

    Raises:
        InputError: where the file cannot be prepared, or has no such variable.
    """
    if horizon < 1:
        raise InputError(f"The horizon must be at least 1 step, not {horizon}")
    if period is not None and period < 1:
        raise InputError(f"The period must be at least 1 step, not {period}")
    name = prepare_file(path)
    table = read_series(name)
    if targets is not None:
        table.columns(tuple(targets))
    split = Split(kind="ratio", train=0.7, validation=0.1, test=0.2)
    train, _, _ = split.borders(len(table.values))
    return Task.model_validate(
        {
            "name": f"{name}-{horizon}",
            "version": 1,
            "title": f"{path.name}, {horizon} steps ahead",
            "dataset": name,
            "targets": tuple(targets) if targets is not None else "all",
            "horizon": horizon,
            "period": period or main_period(table.step),
            "max_context": max(train, LEAST_MAX_CONTEXT),
            "split": split,
            "normalisation": "zscore",
            "space": "normalised",
            "conditions": {
                "robustness": ROBUSTNESS,
                "generalisation": {"not_applicable": "one file is one place; there is no other to test on"},
            },
            "metrics": ("mse", "mae", "rmse", "smape", "mase"),
            "primary": "mse",
        }
    )


def slug(path: Path) -> str:
    """The file's name without its endings, in lower-case letters, digits and hyphens."""
    stem = path.name.split(".")[0] or path.name.lstrip(".")
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "file"
