"""Public holidays, computed: fixed days of the year and days counted from Easter Sunday."""

from collections.abc import Sequence

import numpy as np


def holiday_mask(time: np.ndarray, fixed: Sequence[str], easter_offsets: Sequence[int]) -> np.ndarray:
    """Which hours lie on a holiday.

    Args:
        time: datetime64, shape (hour,).
        fixed: days of the year as `MM-DD`.
        easter_offsets: days after Easter Sunday (−2 is Good Friday).

    Returns:
        Mask, shape (hour,).
    """
    days = time.astype("datetime64[D]")
    years = [int(str(year)) for year in np.unique(time.astype("datetime64[Y]"))]
    holidays = [np.datetime64(f"{year:04d}-{day}") for year in years for day in fixed]
    holidays += [easter(year) + np.timedelta64(offset, "D") for year in years for offset in easter_offsets]
    return np.isin(days, np.array(holidays, "datetime64[D]"))


def easter(year: int) -> np.datetime64:
    """Easter Sunday of the Gregorian calendar, after Meeus (1991), Astronomical Algorithms, chapter 8."""
    century, rest = divmod(year, 100)
    moon = year % 19
    leap_centuries, century_rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * moon + century - leap_centuries - correction + 15) % 30
    weekday = (32 + 2 * century_rest + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (moon + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return np.datetime64(f"{year:04d}-{month:02d}-{day + 1:02d}")
