"""Which cases the gallery shows: the median and the worst by error, variables of different size compared."""

import pandas as pd
import pytest

from tsbench.leaderboard.site.pages.gallery import chosen_cases, chosen_panels, panel_errors


def examples(errors: dict[tuple[int, str], float], scale: dict[str, float] | None = None) -> pd.DataFrame:
    """Cases with a given error in units of the variable's deviation, which is `scale`."""
    rows = [
        ("regular", case, name, lead, size * (-1) ** lead, None if lead < 1 else size * ((-1) ** lead + error))
        for (case, name), error in errors.items()
        for size in [(scale or {}).get(name, 1.0)]
        for lead in range(-3, 5)
    ]  # fmt: skip
    columns = ["scenario", "case", "variable", "lead_time", "observed", "forecast"]
    return pd.DataFrame(rows, columns=columns).assign(entry="one")


def test_the_worst_comes_last_and_the_median_first():
    errors = {(0, "A"): 0.1, (0, "B"): 0.2, (1, "A"): 0.3, (1, "B"): 0.4, (2, "A"): 0.9}
    panels = chosen_panels(examples(errors))
    assert panels[0] == ("regular", 0, "B", "Typical")
    assert panels[-1] == ("regular", 2, "A", "Worst")
    assert panels[1][2:] == ("A", "Typical")


def test_a_variable_with_large_values_is_not_worse_for_it():
    errors = {(0, "A"): 0.5, (0, "B"): 0.1}
    found = panel_errors(examples(errors, {"A": 1.0, "B": 1000.0}))
    assert found["regular", 0, "A"] == pytest.approx(0.5)
    assert found["regular", 0, "B"] == pytest.approx(0.1)


def test_few_cases_are_all_shown():
    assert chosen_panels(examples({(0, "A"): 0.1})) == [("regular", 0, "A", "")]
    assert [one[3] for one in chosen_panels(examples({(0, "A"): 0.1, (1, "A"): 0.2}))] == ["Typical", "Worst"]
    assert chosen_cases(examples({(0, "A"): 0.1, (0, "B"): 0.3})) == [("regular", 0, "")]


def test_cases_are_judged_over_all_their_variables():
    errors = {(0, "A"): 0.9, (0, "B"): 0.1, (1, "A"): 0.6, (1, "B"): 0.6, (2, "A"): 0.1, (2, "B"): 0.1}
    assert chosen_cases(examples(errors)) == [("regular", 0, "Typical"), ("regular", 1, "Worst")]
