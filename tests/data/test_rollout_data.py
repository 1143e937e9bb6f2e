"""Roll-outs: windows by member and origin, scale and climatology of the training part, parts by year."""

import numpy as np
import pytest
import torch
import xarray as xr

from tsbench.contracts import InputError, Provenance, Scenario, Task
from tsbench.data.disturbances import disturb
from tsbench.data.rollout.data import RolloutData

LATITUDE, LONGITUDE = np.array([-60.0, -10.0, 10.0, 60.0]), np.arange(6) * 60.0
LABELS = ["train", "train", "validation", "test", "test", "elsewhere"]
STEPS = 20
PROVENANCE = Provenance(
    dataset="made", adapter="made", generator_version=1, parameters={}, size="full", seed=0, files={}
)


def store(labels: list[str] | None = LABELS, steps: int = STEPS, hours: int = 6) -> xr.Dataset:
    """Two variables, rain and a static field; `labels` None: without members."""
    random = np.random.default_rng(0)
    members = () if labels is None else (len(labels),)
    dims = (*(("member",) if members else ()), "time", "latitude", "longitude")
    shape = (*members, steps, 4, 6)
    hidden = 50.0 + 3 * random.standard_normal(shape)
    fields = {
        "height": 5000 + 100 * random.standard_normal(shape),
        "wind": 10 * random.standard_normal(shape),
        "rain": np.maximum(hidden - 50, 0) / 1000,
    }
    arrays = {name: (dims, one.astype(np.float32), {"units": "1"}) for name, one in fields.items()}
    arrays["hill"] = (dims[-2:], random.random((4, 6)).astype(np.float32), {"units": "m"})
    coords = {
        "time": np.datetime64("2000-01-01", "ns") + np.arange(steps) * np.timedelta64(hours, "h"),
        "latitude": LATITUDE,
        "longitude": LONGITUDE,
    }
    if labels is not None:
        coords["split"] = ("member", np.array(labels, object))
        coords["member"] = np.array([f"run {number}" for number in range(len(labels))], object)
    return xr.Dataset(arrays, coords)


def task(**changes) -> Task:
    declared = {
        "name": "made",
        "version": 1,
        "kind": "rollout",
        "dataset": "made",
        "variables": ["height", "wind"],
        "horizon": 3,
        "period": 4,
        "max_context": 4,
        "split": {"kind": "labels", "test": "test"},
        "rollout": {"statics": ["hill"], "origin_step": 2, "logarithm": {"rain": 1e-5}},
        "normalisation": "zscore",
        "space": "units",
        "conditions": {
            "robustness": [
                {"disturbance": {"name": "coarse", "parameter": "points", "levels": [2]}},
                {
                    "disturbance": {
                        "name": "holes",
                        "parameter": "fraction",
                        "levels": [0.5],
                        "options": {"points": 2},
                    }
                },
            ],
            "generalisation": [{"cells": {"split": ["elsewhere"]}}],
        },
        "metrics": ["rmse_ratio"],
        "primary": "rmse_ratio",
        "unit": {"kind": "sample"},
        "cluster": "member",
    }
    return Task.model_validate(declared | changes)


def opened(dataset: xr.Dataset | None = None, **changes) -> RolloutData:
    return RolloutData.of(task(**changes), "made", store() if dataset is None else dataset, PROVENANCE)


def test_windows_are_the_steps_around_their_origins():
    data, values = opened(), store()["height"].values
    cases = data.windows("test", 2)
    # Origins 3, 5, …, 15 of members 3 and 4.
    assert len(cases) == 2 * 7

    batch = cases.using("context", "target", "static").gather(torch.tensor([1, 8]))
    physical = data.scale.to_units(batch["context"])

    np.testing.assert_allclose(physical[0, :, 0], values[3, 4:6], rtol=1e-6)
    np.testing.assert_allclose(physical[1, :, 0], values[4, 4:6], rtol=1e-6)
    truth, _ = cases.gather_truth(torch.tensor([1]))
    np.testing.assert_array_equal(truth[0, :, 0], values[3, 6:9])
    np.testing.assert_allclose(
        data.target_scale.to_units(batch["target"])[0, :, 0], values[3, 6:9], rtol=1e-6
    )
    assert batch["static"].shape == (2, 2, 4, 6)
    np.testing.assert_allclose(batch["static"][0, 1, :, 0], np.sin(np.deg2rad(LATITUDE)), rtol=1e-6)


def test_every_look_back_has_the_same_cases_and_training_takes_every_step():
    data = opened()

    assert [len(data.windows("test", context)) for context in (1, 4)] == [14, 14]
    assert len(data.windows("train", 2)) == 2 * (STEPS - 3 - 3)
    assert data.unit_windows == 7


def test_scale_and_climatology_are_those_of_the_training_members():
    data = opened()
    train = store()["height"].values[:2].astype(float)
    weights = np.array([2 - np.sin(np.deg2rad(35)) - 1, np.sin(np.deg2rad(35)), 0, 0])
    weights[2:] = weights[1::-1]
    weights = weights[:, None] / weights.sum() / 6

    mean = (train.mean(axis=(0, 1)) * weights).sum()
    spread = np.sqrt((((train - mean) ** 2).mean(axis=(0, 1)) * weights).sum())

    assert data.scale.shift[0].item() == pytest.approx(mean)
    assert data.scale.factor[0].item() == pytest.approx(spread)
    np.testing.assert_allclose(data.scale.climatology[0], train.mean(axis=(0, 1)))
    about = np.sqrt((((train - train.mean(axis=(0, 1))) ** 2).mean(axis=(0, 1)) * weights).sum())
    assert data._reference.spread[0].item() == pytest.approx(about)


def test_other_values_in_the_test_members_change_no_scale():
    changed = store()
    changed["height"].values[2:] += 1000

    one, other = opened(), opened(changed)

    torch.testing.assert_close(one.scale.shift, other.scale.shift, rtol=0, atol=0)
    torch.testing.assert_close(one._reference.spread, other._reference.spread, rtol=0, atol=0)


def test_targets_may_be_other_variables_and_depths_are_logarithms():
    data = opened(targets=["rain"])
    batch = data.windows("test", 2).using("context", "target").gather(torch.tensor([0]))

    assert data.shape(2).channels == ("height", "wind")
    assert data.shape(2).targets == ("rain",)
    rain = store()["rain"].values[3, 4:7]
    np.testing.assert_allclose(data.to_metric_space(batch["target"])[0, :, 0], rain, atol=1e-8)
    logarithm = np.log1p(rain / 1e-5)
    scaled = (logarithm - data.target_scale.shift.item()) / data.target_scale.factor.item()
    np.testing.assert_allclose(batch["target"][0, :, 0], scaled, rtol=1e-4, atol=1e-5)
    assert data.to_metric_space(torch.full((1, 3, 1, 4, 6), -99.0)).min() == 0


def test_a_cell_of_the_split_is_another_part_with_clusters_of_its_own():
    data, declared = opened(), task()
    other = declared.scenario("generalisation/split=elsewhere")

    assert data.test_cases(other, 2).members.unique().tolist() == [5]
    assert data.cluster(other) == ["run 5"]
    assert data.cluster(declared.scenario("regular")) == ["run 3", "run 4"]
    assert [one.start for one in data.tested_on([other], 2)] == ["split=elsewhere"]
    assert data.trained_on().start == "split=train"


def test_a_coarser_input_holds_the_means_of_its_blocks():
    data, declared = opened(), task()
    cases = data.windows("test", 2)
    batch = cases.gather(torch.arange(3))

    found = disturb(batch, declared.scenario("robustness/coarse/points=2"), declared.id, data.scale)

    given, coarse = (data.scale.to_units(one["context"].double()) for one in (batch, found))
    torch.testing.assert_close(coarse[..., :2, :2], given[..., :2, :2].mean(dim=(-2, -1), keepdim=True).expand(
        *given.shape[:-2], 2, 2), rtol=1e-5, atol=1e-3)  # fmt: skip
    wrong = Scenario(key="x", condition="robustness", dataset="made", disturbance="coarse", level=3.0)
    with pytest.raises(InputError, match="4 × 6 points has no blocks of 3 × 3"):
        disturb(batch, wrong, declared.id, data.scale)


def test_holes_are_filled_with_the_climatology_and_do_not_depend_on_the_look_back():
    data, declared = opened(), task()
    scenario = declared.scenario("robustness/holes/fraction=0.5")
    index = torch.arange(4)

    short, long = (
        disturb(data.windows("test", context).gather(index), scenario, declared.id, data.scale)
        for context in (2, 4)
    )

    torch.testing.assert_close(long["context"][:, -2:], short["context"])
    lost = ~long["observed"]
    assert 0.2 < lost.float().mean() < 0.8
    filled = data.scale.to_units(long["context"].double())
    normal = data.scale.climatology.expand(filled.shape)
    torch.testing.assert_close(filled[lost], normal[lost], rtol=1e-4, atol=1e-3)
    kept = data.windows("test", 4).gather(index)["context"]
    torch.testing.assert_close(long["context"][~lost], kept[~lost], rtol=1e-4, atol=1e-4)


def by_year(**changes) -> RolloutData:
    return opened(
        store(None, steps=4 * 365, hours=24),
        split={"kind": "period", "train": (2000, 2001), "validation": (2002, 2002), "test": (2003, 2003)},
        cluster="dataset",
        conditions={"robustness": {"not_applicable": "-"}, "generalisation": {"not_applicable": "-"}},
        **changes,
    )


def test_parts_by_year_hold_whole_targets_only():
    data = by_year()
    years = store(None, steps=4 * 365, hours=24)["time"].values.astype("datetime64[Y]").astype(int) + 1970

    for part, wanted in (("train", {2000, 2001}), ("test", {2003})):
        origins = data.windows(part, 2).origins.numpy()
        steps = origins[:, None] + np.arange(1, 4)
        assert set(years[steps].ravel()) == wanted
    assert data.cluster(task().scenario("regular")) == task().dataset
    assert (data.trained_on().start, data.trained_on().end) == ("2000", "2001")


def test_climatology_by_day_of_year_is_a_mean_over_the_window_and_the_training_years():
    data = by_year(rollout={"climatology": "day_of_year", "climatology_days": 5, "origin_step": 2})
    cases = data.windows("test", 2)
    index = torch.tensor([30])
    origin = int(cases.origins[30])

    found = cases.seasonal_error(index).climatology[0, 1]  # (channel, latitude, longitude)

    given = store(None, steps=4 * 365, hours=24)
    time = given["time"].values
    day = int(
        (time[origin + 2] - time[origin + 2].astype("datetime64[Y]")).astype("timedelta64[D]").astype(int)
    )
    days = (time.astype("datetime64[D]") - time.astype("datetime64[Y]")).astype(int)
    near = np.minimum((days - day) % 366, (day - days) % 366) <= 2
    chosen = near & np.isin(time.astype("datetime64[Y]").astype(int) + 1970, [2000, 2001])
    np.testing.assert_allclose(found[0], given["height"].values[chosen].astype(float).mean(axis=0), rtol=1e-9)


def test_levels_are_channels():
    with_levels = store()
    with_levels["height"] = xr.concat(
        [with_levels["height"], 2 * with_levels["height"]],
        xr.DataArray([500, 850], dims="level", name="level"),
    )
    data = opened(with_levels, variables=["height@850", "wind"])

    assert data.targets == ("height@850", "wind")
    assert (data.columns[0].variable, data.columns[0].level) == ("height", "850")
    np.testing.assert_array_equal(data.fields[0, 0, 0], 2 * store()["height"].values[0, 0])
    with pytest.raises(
        InputError, match=r"no variable 'height@700'; it has height@500, height@850, wind, rain"
    ):
        opened(with_levels, variables=["height@700"])


def test_what_a_store_lacks_is_named_with_what_it_has():
    with pytest.raises(InputError, match=r"'made' has no variable 'temperature'; it has height, wind, rain"):
        opened(variables=["temperature"])
    with pytest.raises(InputError, match=r"no static field 'lake'; it has hill"):
        opened(rollout={"statics": ["lake"]}).windows("test", 2)
    with pytest.raises(InputError, match="no training part 'learn'"):
        _ = opened(split={"kind": "labels", "train": "learn", "test": "test"}).scale
    with pytest.raises(InputError, match="no coordinate 'part' along member; it has member, split"):
        opened(split={"kind": "labels", "coordinate": "part", "test": "test"}).windows("test", 2)
    with pytest.raises(InputError, match="allows a context of 1 to 4, not 5"):
        opened().windows("test", 5)
    with pytest.raises(InputError, match=r"no window of 4 \+ 17 steps in the part 'test'"):
        opened(horizon=17).windows("test", 2)


def test_descending_latitudes_and_missing_values_are_refused():
    with pytest.raises(InputError, match=r"'made': latitudes descend \(from 60 to -60\)"):
        opened(store().isel(latitude=slice(None, None, -1)))
    broken = store()
    broken["wind"].values[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="variable 'wind' has missing values"):
        opened(broken)


def test_an_example_shows_context_truth_and_forecast_at_one_point():
    data = opened()
    cases = data.windows("test", 2)
    truth = cases.gather_truth(torch.tensor([0]))[0][0]

    shown = data.illustrate(cases, 0, truth.double())

    assert [one.variable for one in shown] == ["height", "wind"]
    assert shown[0].lead_times == [-1, 0, 1, 2, 3]
    assert shown[0].observed[2:] == shown[0].forecast
