"""Maps as rows of examples.parquet: the right cell, rounded, and not too many."""

import numpy as np
import torch

from tsbench.contracts import Forecast
from tsbench.data.field.pictures import LARGEST, picture
from tsbench.evaluation.examples import Examples


def test_a_picture_holds_buildings_samples_truth_and_forecast_cell_by_cell(open_maps, sparse):
    data = open_maps(layout=sparse)
    cases = data.test_cases(data.task.scenario("regular"), 1)
    forecast = torch.arange(144.0).reshape(1, 1, 12, 12) - 100.12
    examples = Examples()
    examples.add(data.task.scenario("regular"), data, cases, torch.tensor([1]), Forecast(forecast))
    table = {name: np.array(values, object) for name, values in examples.columns.items()}

    assert list(dict.fromkeys(table["variable"])) == ["building_height", "samples", "rss"]
    rss = table["variable"] == "rss"
    place = rss & (table["time"] == "3") & (table["lead_time"] == 5)
    store = data.opened.isel(sample=int(cases.rows[1]))
    assert table["forecast"][place].tolist() == [-100 + 28]  # -100.12 + 28, to a quarter
    known = store["rss"].values[2, 4]
    (shown,) = table["observed"][place]
    assert (shown is None) == (not store["outdoor"].values[2, 4])
    assert shown is None or abs(shown - known) <= 0.125
    assert sum(one is not None for one in table["observed"][table["variable"] == "samples"]) == 20
    assert all(one is None for one in table["forecast"][~rss])


def test_a_large_map_is_thinned_and_a_volume_keeps_some_heights(open_maps, made_maps):
    data = open_maps(made_maps(volume=True), {"view": "volume"})
    cases = data.windows("test", 1)
    found = picture(cases, 0, torch.zeros(1, 2, 12, 12))
    assert [one.variable for one in found] == ["building_height", "path_gain@1.5", "path_gain@9.5"]

    wide = made_maps().isel(x=np.repeat(np.arange(12), 12), y=np.repeat(np.arange(12), 12))
    large = open_maps(wide).windows("test", 1)
    found = picture(large, 0, torch.zeros(1, 144, 144))
    assert all(len(one.observed) == 48 * 48 for one in found)
    assert LARGEST >= 48


def test_chosen_cases_are_spread_and_within(open_maps):
    data = open_maps()

    assert data.choose_examples(72).tolist() == [18, 54]
    assert data.choose_examples(1).tolist() == [0]
