"""Windows copied by runs or by index: the same bits and layout, whatever the batch and the operators' choice."""

import numpy as np
import pytest
import torch

from tsbench.cuda_ops import ops
from tsbench.data import collection_cases
from tsbench.data.runs import RUNS_PAY, runs

FEW, MANY = 3, 700


@pytest.mark.parametrize("choice", ["auto", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bool])
@pytest.mark.parametrize("windows", [FEW, MANY])
def test_runs_are_the_rows_from_each_start_on(windows, dtype, choice):
    rows = torch.arange(200 * 3).reshape(200, 3)
    rows = rows % 2 == 0 if dtype == torch.bool else rows.to(dtype)
    starts = torch.randint(0, 200 - 24 + 1, (windows,), generator=torch.Generator().manual_seed(0))

    with ops(choice):
        found = runs(rows, starts, 24)

    assert found.shape == (windows, 24, 3)
    assert found.is_contiguous()
    assert torch.equal(found, torch.stack([rows[start : start + 24] for start in starts.tolist()]))
    # Both ways are met here: below and above the size from which the operator pays.
    assert (windows * 24 * 3 < RUNS_PAY) == (windows == FEW)


def test_a_window_beyond_the_table_is_refused_by_either_way():
    rows = torch.zeros(50, 3)
    for windows in (FEW, MANY):
        with pytest.raises(IndexError):
            runs(rows, torch.full((windows,), 40), 24)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("context", [8, 40])
def test_batches_of_a_collection_are_the_same_by_runs_and_by_index(
    open_ragged, ragged, monkeypatch, context, missing
):
    made = ragged()
    if missing:
        made["value"][18] = np.nan
    data = open_ragged(made, missing="mask" if missing else "refuse")
    windows = data.windows("test", context).using("context", "target", "past_covariates")
    index = torch.arange(len(windows))
    batches = {}
    for way, size in (("runs", 0), ("index", 2**60)):
        monkeypatch.setattr(collection_cases, "SERIES_PAY", size)
        batches[way] = windows.gather(index)

    assert set(batches["runs"]) == set(batches["index"])
    for name, tensor in batches["index"].items():
        assert torch.equal(batches["runs"][name], tensor), name
        assert batches["runs"][name].stride() == tensor.stride(), name


def test_cuts_whose_targets_reach_beyond_their_part_are_indexed(open_ragged, monkeypatch):
    task = open_ragged(split={"kind": "rolling", "windows": 1, "cut_within": 6})
    drawn = task.windows("train", 8).drawn(seed=3)
    monkeypatch.setattr(collection_cases, "SERIES_PAY", 0)
    monkeypatch.setattr(collection_cases, "runs_of_series", lambda *_: pytest.fail("copied by runs"))

    batch = drawn.gather(torch.arange(len(drawn)))

    held, cut = drawn.held, int(drawn.origins[1])
    rows = torch.arange(cut, cut + 4).clamp(max=int(drawn.ends[drawn.series[1]]) - 1)
    assert torch.equal(batch["target"][1], held.values[rows])
