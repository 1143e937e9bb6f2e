"""Pictures of maps: what is drawn where, and what hostile names become."""

import re

import numpy as np
import pandas as pd

from tsbench.contracts.result import EXAMPLE_COLUMNS
from tsbench.leaderboard.charts.maps import DIVERGING, map_images
from tsbench.leaderboard.charts.shades import PALETTE
from tsbench.leaderboard.site.pages.map_gallery import map_figures

ROWS, COLUMNS = 3, 4


def cells(variable: str, observed, forecast=None, case: int = 0, entry: str = "net") -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "scenario": "regular",
            "case": case,
            "variable": variable,
            "time": np.repeat([str(row + 1) for row in range(ROWS)], COLUMNS),
            "lead_time": np.tile(np.arange(COLUMNS) + 1, ROWS),
            "observed": np.ravel(observed).astype(float),
            "forecast": np.nan if forecast is None else np.ravel(forecast).astype(float),
        }
    )
    return frame[list(EXAMPLE_COLUMNS)].assign(entry=entry)


TRUTH = np.array([[-50, -60, -70, -80], [-90, np.nan, -100, -110], [-120, -130, -140, -150]])


def whole(error=10.0, case: int = 0, entry: str = "net", variable: str = "path_gain") -> pd.DataFrame:
    return pd.concat(
        [
            cells("building_height", np.isnan(TRUTH) * 20, case=case, entry=entry),
            cells(variable, TRUTH, np.nan_to_num(TRUTH) + error, case=case, entry=entry),
        ],
        ignore_index=True,
    )


def pictures(svg: str) -> list[str]:
    return re.findall(r'<g transform="translate.*?</g>', svg)


def area(picture: str, colours) -> int:
    found = 0
    for outline, shade in re.findall(r'<path d="([^"]*)" fill="([^"]*)"/>', picture):
        if shade in colours:
            found += sum(int(width) for width in re.findall(r"h(\d+)v1", outline))
    return found


def test_truth_and_forecast_have_the_same_shades_and_errors_their_own():
    buildings, truth, forecast, error = pictures(map_images(whole(), ["net"], value_title="dB"))

    assert area(truth, PALETTE) == area(forecast, PALETTE) == ROWS * COLUMNS - 1  # one cell is indoors
    assert area(error, DIVERGING) == ROWS * COLUMNS - 1
    assert area(error, DIVERGING[6:]) == ROWS * COLUMNS - 1  # all too high
    assert area(buildings, PALETTE) == 0
    assert PALETTE[-1] in forecast


def test_a_cell_that_is_right_is_neutral():
    *_, error = pictures(map_images(whole(error=0.0), ["net"], value_title="dB"))

    assert area(error, [DIVERGING[len(DIVERGING) // 2]]) == ROWS * COLUMNS - 1


def test_a_volume_is_drawn_slice_by_slice_with_the_samples_of_each():
    examples = pd.concat(
        [
            whole(variable="path_gain@1.5"),
            whole(variable="path_gain@7.5"),
            cells("samples@7.5", np.where(TRUTH < -100, TRUTH, np.nan)),
        ],
        ignore_index=True,
    )
    svg = map_images(examples, ["net"], value_title="dB")

    assert "path gain at 1.5 m" in svg
    assert "path gain at 7.5 m" in svg
    assert svg.count(">truth<") == 2
    assert svg.count(">samples<") == 1


def test_names_are_escaped_and_long_ones_wrapped():
    hostile = "<script>alert(1)</script> and a rather long name of an entry"
    svg = map_images(whole(entry=hostile), [hostile], value_title="<b>dB</b>")

    assert "<script" not in svg
    assert "<b>" not in svg
    assert "&lt;script" in svg


def test_the_gallery_shows_the_typical_and_the_worst_case():
    examples = pd.concat([whole(error, case) for case, error in enumerate((1, 30, 5))], ignore_index=True)
    figures = map_figures(examples, ["net"], "maps", " Words.")

    assert [caption.partition(" case")[0] for _, caption, _ in figures] == ["A typical", "The worst"]
    assert all("path gain in dB" in svg for svg, _, _ in figures)
    assert all(caption.endswith(" Words.") for _, caption, _ in figures)


def test_the_same_maps_give_the_same_bytes():
    assert map_images(whole(), ["net"], value_title="dB") == map_images(whole(), ["net"], value_title="dB")
