"""Public holidays of the two imagined places, computed for any year."""

import numpy as np

FIXED = {
    "north": ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26)),
    "south": ((1, 1), (1, 6), (4, 25), (8, 15), (12, 8), (12, 25)),
}
AROUND_EASTER = {"north": (-2, 1, 39, 50), "south": (1,)}
"""Days after Easter Sunday: Good Friday, Easter Monday, Ascension Day, Whit Monday."""


def holidays(time: np.ndarray, place: str) -> np.ndarray:
    """Holidays of the years that a time axis touches.

    Args:
        time: datetime64, shape (row,).
        place: `north` or `south`.

    Returns:
        datetime64[D], sorted.
    """
    years = range(int(str(time[0])[:4]), int(str(time[-1])[:4]) + 1)
    fixed = [np.datetime64(f"{year}-{month:02d}-{day:02d}") for year in years for month, day in FIXED[place]]
    moving = [easter_sunday(year) + offset for year in years for offset in AROUND_EASTER[place]]
    return np.array(sorted({*fixed, *moving}))


def easter_sunday(year: int) -> np.datetime64:
    """Easter Sunday of the Gregorian calendar (Meeus 1991, Astronomical Algorithms, chapter 8)."""
    cycle = year % 19
    century, rest = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    correction = (century + 8) // 25
    shift = (century - correction + 1) // 3
    epact = (19 * cycle + century - leap_centuries - shift + 15) % 30
    leap_years, year_rest = divmod(rest, 4)
    weekday = (32 + 2 * century_rest + 2 * leap_years - epact - year_rest) % 7
    late = (cycle + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return np.datetime64(f"{year}-{month:02d}-{day + 1:02d}", "D")
