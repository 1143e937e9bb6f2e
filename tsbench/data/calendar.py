"""Calendar covariates of a time axis, each in [-0.5, 0.5], as in the long-horizon forecasting protocol.

Source: Time-Series-Library and TPGN (arXiv 2409.17703) use minute/59, hour/23, weekday/6, (day − 1)/30 and
(day of year − 1)/365, each minus 0.5; which of them depends on the step.
"""

import numpy as np

from .steps import step_seconds

PREFIX = "calendar:"


def calendar_names(step: str | None, dated: bool) -> tuple[str, ...]:
    """Names of the features for a step: finer than an hour 5, finer than a day 4, a day or more 3."""
    if not dated:
        return ()
    seconds = step_seconds(step) or 3600.0
    names = ("weekday", "day", "day_of_year")
    if seconds < 86400:
        names = ("hour", *names)
    if seconds < 3600:
        names = ("minute", *names)
    return tuple(PREFIX + name for name in names)


def calendar_features(time: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Calendar features of time stamps.

    Args:
        time: datetime64, shape (row,).
        names: as `calendar_names` gives them.

    Returns:
        float32, shape (row, len(names)), each value in [-0.5, 0.5].
    """
    if not names:
        return np.zeros((len(time), 0), np.float32)
    day = time.astype("datetime64[D]")
    minutes = (time - day).astype("timedelta64[m]").astype(np.int64)
    features = {
        "minute": (minutes % 60) / 59,
        "hour": (minutes // 60) / 23,
        # 1970-01-01 was a Thursday, weekday 3 counted from Monday.
        "weekday": ((day.astype(np.int64) + 3) % 7) / 6,
        "day": (day - time.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) / 30,
        "day_of_year": (day - time.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) / 365,
    }
    chosen = [features[name.removeprefix(PREFIX)] - 0.5 for name in names]
    return np.stack(chosen, axis=1).astype(np.float32)
