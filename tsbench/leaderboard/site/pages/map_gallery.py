"""The gallery of a task on maps: typical and worst case of those that Results keep, as pictures."""

import pandas as pd

from tsbench.leaderboard.charts.maps import map_images
from tsbench.leaderboard.kept import drawn_once
from tsbench.leaderboard.words import scenario_words

from .gallery import TYPICAL, WORST, chosen_cases

VIEWS = ("field", "volume")
MOST = 4
"""Entries whose maps are drawn; the baseline is the last of them."""
UNITS = {
    "path_gain": "path gain in dB",
    "rss": "received power in dBm",
    "delay": "delay in ns",
    "grey": "grey value",
}
WORDS = {TYPICAL: "a typical", WORST: "the worst", "": "one"}


def map_figures(
    examples: pd.DataFrame, shown: list[str], task: str, which: str
) -> list[tuple[str, str, str]]:
    """SVG, caption and label of each case that is shown.

    Args:
        examples: of the entries: columns `EXAMPLE_COLUMNS` and entry.
        shown: entries in the order of the board.
        task: name.
        which: words about which entries are shown.
    """
    drawn = [*shown[: MOST - 1], shown[-1]] if len(shown) > MOST else shown
    truth = examples[examples["forecast"].notna()]
    variable = str(truth["variable"].iloc[0]).partition("@")[0] if len(truth) else ""
    title = UNITS.get(variable, "value")
    label = f"Maps of {', '.join(drawn)} on cases of {task}, beside the truth"
    figures = []
    for scenario, case, word in chosen_cases(truth):
        mine = examples[(examples["scenario"] == scenario) & (examples["case"] == case)]
        slices = " Heights are slices, one below the other." if "@" in str(truth["variable"].iloc[0]) else ""
        caption = (
            f"{WORDS[word].capitalize()} case ({scenario_words(scenario)}): buildings, truth and forecasts, "
            f"first seed, in the same shades, and their errors below. North is up; grey cells are indoors."
            f"{slices}{which}"
        )
        figures.append((drawn_once(map_images, mine, drawn, value_title=title), caption, label))
    return figures
