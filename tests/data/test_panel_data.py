"""Panels: parts by period or label, histories without gaps, past targets, normalisation, disturbances."""

import numpy as np
import pytest
import torch
import xarray as xr

from tsbench.contracts import InputError, Provenance, Task
from tsbench.data.disturbances import disturb
from tsbench.data.panel.arrays import PanelArrays
from tsbench.data.panel.data import PanelData

STEPS, CHANNELS = 4, 2
PLACES, YEARS = ("a", "b", "c"), range(2000, 2010)


def store(drop: tuple[tuple[str, int], ...] = ()) -> xr.Dataset:
    """Context = 100·place + year − 2000 + step / 10 (channel 1 negated), target = 1000·place + year."""
    pairs = [(p, y) for p in range(len(PLACES)) for y in YEARS if (PLACES[p], y) not in drop]
    place, year = np.array(pairs).T
    steps = np.arange(STEPS) / 10
    value = 100.0 * place[:, None] + (year - 2000)[:, None] + steps
    return xr.Dataset(
        {
            "weather": (("sample", "step", "channel"), np.stack([value, -value], axis=-1)),
            "crop": ("sample", 1000.0 * place + year),
            "site": (("sample", "where"), np.stack([place * 2.0, place * 3.0], axis=1)),
            "kind": (("sample", "code"), np.stack([place, place % 2], axis=1).astype(np.int32)),
            "cells": (
                ("sample", "entity", "cell_feature"),
                np.where(
                    (np.arange(2)[:, None] <= place[:, None, None] % 2),
                    np.stack([place, place + year], axis=1)[:, None, :].astype(float),
                    np.nan,
                ),
            ),
        },
        coords={
            "location": ("sample", np.array([PLACES[p] for p in place], object)),
            "year": ("sample", year),
            "begin": ("sample", np.array([f"{y}-01-01" for y in year], "datetime64[ns]")),
            "part": (
                "sample",
                np.where(year < 2006, "fit", np.where(year < 2008, "choose", "try")).astype(object),
            ),
            "latitude": ("sample", 40.0 + place),
            "channel": ["up", "down"],
            "where": ["latitude", "longitude"],
            "code": ["type", "odd"],
            "cell_feature": ["type", "power"],
        },
        attrs={"step": "P7D"},
    )


LAYOUT = {
    "context": "weather", "target": "crop", "static": "site", "categorical": "kind", "entities": "cells",
    "entity_categorical": ["type"], "place": "location", "past_targets": True, "begin": "begin", "position": ["latitude"],
}  # fmt: skip
ALL = (
    "context",
    "target",
    "past_covariates",
    "static",
    "categorical",
    "entity",
    "entity_mask",
    "time",
    "position",
)


def task(layout: dict | None = None, **changes) -> Task:
    declared = {
        "name": "crop-2008",
        "version": 1,
        "kind": "panel",
        "dataset": "user-crop",
        "horizon": 1,
        "period": STEPS,
        "max_context": 3 * STEPS,
        "split": {"kind": "period", "train": [2001, 2006], "validation": [2007, 2007], "test": [2008, 2008]},
        "normalisation": "zscore",
        "space": "units",
        "panel": LAYOUT | (layout or {}),
        "conditions": {"robustness": {"not_applicable": "-"}, "generalisation": {"not_applicable": "-"}},
        "metrics": ["rmse", "r2", "r2_official"],
        "primary": "rmse",
        "unit": {"kind": "sample"},
        "cluster": "year",
    }
    return Task.model_validate(declared | changes)


def opened(layout: dict | None = None, dataset: xr.Dataset | None = None, **changes) -> PanelData:
    declared = task(layout, **changes)
    assert declared.panel is not None
    made = Provenance(
        dataset="user-crop",
        adapter="csv",
        generator_version=1,
        parameters={},
        size="full",
        seed=None,
        files={},
    )
    return PanelData.of(
        declared, PanelArrays("user-crop", store() if dataset is None else dataset, declared.panel), made
    )


def test_a_sample_sees_its_periods_in_order_and_never_its_own_target():
    data = opened(normalisation="none")
    cases = data.windows("test", 3 * STEPS).using(*ALL)
    batch = cases.gather(torch.arange(len(cases)))
    assert len(cases) == 3
    expected = [year - 2000 + step / 10 for year in (2006, 2007, 2008) for step in range(STEPS)]
    assert batch["context"][0, :, 0].tolist() == pytest.approx(expected)
    # y(t − 2), y(t − 1), y(t − 1): the last is never the sample's own.
    assert batch["past_covariates"][0, :, 0].tolist() == [2006, 2007, 2007]
    assert batch["target"][0].tolist() == [[2008]]
    assert batch.dimensions("past_covariates") == ("sample", "period", "coordinate")
    stamps = batch["time"][0].numpy().astype("datetime64[ns]").astype("datetime64[D]")
    assert str(stamps[0]) == "2006-01-01"
    assert str(stamps[-1]) == "2008-01-22"
    truth, valid = cases.gather_truth(torch.tensor([1]))
    assert truth.tolist() == [[[3008.0]]]
    assert valid is None


def test_a_shorter_look_back_is_the_end_of_a_longer_one():
    data = opened()
    long, short = (data.windows("test", context).using(*ALL) for context in (3 * STEPS, STEPS + 1))
    one, other = (cases.gather(torch.arange(3)) for cases in (long, short))
    assert torch.equal(one["context"][:, -STEPS - 1 :], other["context"])
    assert torch.equal(one["time"][:, -STEPS - 1 :], other["time"])
    assert torch.equal(one["past_covariates"][:, -2:], other["past_covariates"])


def test_samples_without_a_gapless_history_belong_to_no_part():
    data = opened(dataset=store(drop=(("b", 2007),)))
    rows = data.windows("test", STEPS).rows.numpy()
    assert data.arrays.coordinate("location")[rows].tolist() == ["a", "c"]
    unknown = store()
    unknown["crop"][dict(sample=7)] = np.nan  # place a, year 2007
    rows = opened(dataset=unknown).windows("test", STEPS).rows.numpy()
    assert data.arrays.coordinate("location")[rows].tolist()[0] != "a"


def test_scale_is_that_of_the_training_years_and_official_takes_all():
    arrays = store()
    train = (arrays["year"] >= 2002) & (arrays["year"] <= 2006)  # 2001 has no two years before it
    data = opened()
    assert data.scale.context.mean.tolist() == pytest.approx(
        arrays["weather"][train].mean(("sample", "step")).values.tolist()
    )
    assert float(data.scale.target.std) == pytest.approx(float(arrays["crop"][train].std()))
    official = opened({"official": True})
    assert official.scale.context.mean.tolist() == pytest.approx(
        arrays["weather"].mean(("sample", "step")).values.tolist()
    )
    # The validation year is trained on as well, and the record says so.
    assert len(official.windows("train", STEPS)) == len(data.windows("train", STEPS)) + 3
    assert data.trained_on().end == "2006-12-31"
    assert official.trained_on().end == "2007-12-31"


def test_features_keep_codes_and_normalise_numbers():
    data = opened()
    shape = data.shape(STEPS)
    assert shape.categories == {"type": 3, "odd": 2}
    assert shape.entity_categories == {"type": 3}
    assert shape.static == ("latitude", "longitude")
    assert shape.sizes == {"entity": 2}
    cases = data.windows("train", STEPS).using(*ALL)
    batch = cases.gather(torch.arange(len(cases)))
    assert batch["static"].mean(dim=0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert batch["static"].std(dim=0, unbiased=False).tolist() == pytest.approx([1, 1], abs=1e-6)
    assert batch["categorical"][:, 0].unique().tolist() == [0, 1, 2]
    # Place b has two entities, the others one.
    assert batch["entity_mask"].sum(dim=1).unique(return_counts=True)[1].tolist() == [10, 5]
    assert batch["entity"][..., 0].unique().tolist() == [0, 1, 2]
    numbers = batch["entity"][..., 1][batch["entity_mask"]]
    assert float(numbers.mean()) == pytest.approx(0, abs=1e-5)
    assert batch["position"].unique().tolist() == [40, 41, 42]
    raw = opened({"static_normalisation": "none"}).windows("train", STEPS).using("static")
    assert raw.gather(torch.tensor([14]))["static"].tolist() == [[4.0, 6.0]]


def test_labels_say_the_part_too():
    split = {"kind": "labels", "coordinate": "part", "train": "fit", "validation": "choose", "test": "try"}
    data = opened(split=split)
    assert [len(data.windows(part, STEPS)) for part in ("train", "validation", "test")] == [12, 6, 6]
    assert data.trained_on().start == "part=fit"


def test_places_that_are_held_out_are_in_no_part_but_their_own():
    held = {"held_out": {"location": ["b"]}}
    conditions = {
        "robustness": {"not_applicable": "-"},
        "generalisation": [{"part": "held_out", "cells": {"location": ["b"]}}],
    }
    data = opened(held, conditions=conditions)
    for part in ("train", "validation", "test"):
        assert "b" not in data.arrays.coordinate("location")[data.windows(part, STEPS).rows.numpy()]
    regular, unseen = data.task.scenarios()
    assert data.arrays.target[data.test_cases(unseen, STEPS).rows].tolist() == [3008]
    assert data.cluster(regular) == data.cluster(unseen) == "2008"


def test_missing_values_are_masked_and_lost_steps_too():
    gaps = store()
    gaps["weather"][dict(sample=8, step=1, channel=0)] = np.nan  # place a, year 2008
    data = opened(
        dataset=gaps,
        conditions={
            "robustness": [
                {"disturbance": {"name": "missing_steps", "parameter": "fraction", "levels": [0.5]}},
                {"disturbance": {"name": "awgn", "parameter": "snr_db", "levels": [10]}},
            ],
            "generalisation": {"not_applicable": "-"},
        },
    )
    cases = data.windows("test", 3 * STEPS).using("context", "target")
    batch = cases.gather(torch.arange(3))
    assert batch["observed"].logical_not().nonzero().tolist() == [[0, 9, 0]]
    assert batch["context"].isfinite().all()
    _, lost, noisy = data.task.scenarios()
    disturbed = disturb(batch, lost, data.task.id, data.scale)
    gone = ~disturbed["observed"][1:]
    assert torch.equal(gone[..., 0], gone[..., 1])
    assert 0 < gone.float().mean() < 1
    # A shorter look-back loses the same steps.
    short = disturb(data.windows("test", STEPS).gather(torch.arange(3)), lost, data.task.id, data.scale)
    assert torch.equal(short["observed"], disturbed["observed"][:, -STEPS:])
    noise = disturb(batch, noisy, data.task.id, data.scale)["context"] - batch["context"]
    assert float(noise.std()) == pytest.approx(10**-0.5, rel=0.3)


@pytest.mark.parametrize(
    ("layout", "changes", "message"),
    [
        ({"context": "rain"}, {}, "has no array 'rain'; it has weather"),
        ({"target": "wheat"}, {}, "has no array 'wheat'"),
        ({"target": "weather"}, {}, "has the dimensions"),
        ({"static": "weather"}, {}, "`static` takes 2"),
        ({"categorical": "site"}, {}, "must hold codes"),
        ({"entity_categorical": ["hue"]}, {}, "no feature of its entities 'hue'"),
        ({"place": "county"}, {}, "no coordinate of its samples 'county'"),
        ({"begin": "start"}, {}, "no coordinate of its samples 'start'"),
        ({"held_out": {"location": ["z"]}}, {}, "no sample with location = z"),
        ({}, {"max_context": 6}, "no multiple of the 4 steps"),
        ({}, {"horizon": 2}, "its horizon is 1"),
        ({}, {"max_context": 10 * STEPS}, "no train sample of crop-2008@1 with 10 periods without a gap"),
        ({"place": None, "past_targets": False}, {}, "`place` says which samples follow"),
    ],
)
def test_what_does_not_fit_the_store_is_named(layout, changes, message):
    def gathered() -> None:
        data = opened(layout, **changes)
        data.windows("test", data.task.max_context).using(*ALL).gather(torch.arange(1))

    with pytest.raises(InputError, match=message):
        gathered()


def test_a_place_that_has_a_period_twice_is_named():
    twice = xr.concat([store(), store().isel(sample=[3])], "sample")
    with pytest.raises(InputError, match="holds a, year 2003 twice"):
        opened(dataset=twice)


def test_past_targets_need_places():
    with pytest.raises(ValueError, match="needs `place`"):
        task({"place": None})
