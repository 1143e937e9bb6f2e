"""A task opened on its data: borders, window counts, normalisation on training rows only, missing values."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench import registry
from tsbench.contracts import InputError, Split
from tsbench.data import series_data
from tsbench.data.task_data import TaskData


@pytest.fixture
def open_named(monkeypatch, waves):
    """Opens a declared task on a synthetic table with the published number of rows and variables."""

    def open_(name: str, rows: int, variables: tuple[str, ...]) -> TaskData:
        table = replace(waves(rows, len(variables)), variables=variables)
        monkeypatch.setattr(series_data, "read_series", lambda name: table)
        return TaskData.open(registry.task(name))

    return open_


ETT = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


@pytest.mark.parametrize(("horizon", "windows"), [(96, 2785), (192, 2689), (336, 2545), (720, 2161)])
@pytest.mark.parametrize("context", [24, 96, 512, 720])
def test_test_windows_of_etth_do_not_depend_on_the_look_back(open_named, horizon, windows, context):
    data = open_named(f"etth1-{horizon}", 17420, ETT)

    assert len(data.windows("test", context)) == windows  # ltsf_protocol, borders
    assert len(data.windows("train", context)) == 8640 - context - horizon + 1
    assert len(data.windows("validation", context)) == 2880 - horizon + 1


def test_etth_uses_12_4_and_4_months_of_30_days_and_not_the_rest(open_named):
    data = open_named("etth1-96", 17420, ETT)
    windows = data.windows("test", 96)

    assert data.borders == (8640, 11520, 14400)
    assert int(windows.origins[0]) == 11520
    assert int(windows.origins[-1]) + 96 == 14400


def test_ettm_has_four_times_the_borders_of_etth(open_named):
    assert open_named("ettm1-96", 69680, ETT).borders == (34560, 46080, 57600)


def test_univariate_etth1_has_the_windows_of_tpgn(open_named):  # tpgn.md: train 10117, val 3317, test 3317
    data = open_named("etth1-univariate-168", 17420, ETT)

    assert [len(data.windows(split, 168)) for split in ("train", "validation", "test")] == [10117, 3317, 3317]
    assert data.targets == ("OT",)
    assert data.borders == (int(0.6 * 17420), 17420 - int(0.2 * 17420), 17420)


@given(
    rows=st.integers(10, 100_000),
    shares=st.sampled_from([(0.6, 0.2, 0.2), (0.7, 0.1, 0.2), (0.5, 0.25, 0.25)]),
)
@settings(max_examples=60, deadline=None)
def test_a_ratio_split_uses_every_row_once(rows, shares):
    train, validation, test = Split(
        kind="ratio", train=shares[0], validation=shares[1], test=shares[2]
    ).borders(rows)

    assert 0 < train <= validation <= test == rows
    assert train == int(shares[0] * rows)
    assert test - validation == int(shares[2] * rows)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"kind": "ratio", "train": 0.6, "validation": 0.2, "test": 0.3}, "must sum to 1, not 1.1"),
        ({"kind": "rows", "train": 10.5, "validation": 2, "test": 2}, "needs whole numbers"),
    ],
)
def test_a_split_that_does_not_add_up_is_refused(split, message):
    with pytest.raises(ValueError, match=message):
        Split.model_validate(split)


def test_rows_outside_the_training_part_do_not_reach_the_normalisation(open_waves, waves):
    table = waves()
    changed = table.values.copy()
    changed[360:] = 1e6 * np.random.default_rng(0).standard_normal(changed[360:].shape)

    here, there = open_waves(table), open_waves(replace(table, values=changed))

    assert here.borders[0] == 360
    assert torch.equal(here.scale.mean, there.scale.mean)
    assert torch.equal(here.scale.std, there.scale.std)
    assert torch.equal(here.values[:360], there.values[:360])
    assert torch.equal(here.seasonal_error, there.seasonal_error)


def test_training_values_have_mean_zero_and_population_deviation_one(open_waves):
    train = open_waves().values[:360].double()

    assert train.mean(dim=0).abs().max() < 1e-6
    torch.testing.assert_close(
        train.std(dim=0, correction=0), torch.ones(2, dtype=torch.float64), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("space", ["normalised", "units"])
def test_forecasts_pass_from_units_and_model_space_to_the_same_metric_space(open_waves, space):
    data = open_waves(space=space, targets=["wave1"])
    units = torch.from_numpy(data.table.values[:50, [1]])[None]
    model = data.values[:50, [1]][None]

    torch.testing.assert_close(
        data.from_units(units), data.to_metric_space(model).double(), atol=1e-5, rtol=1e-5
    )


def test_seasonal_error_is_the_mean_absolute_seasonal_difference_of_the_training_rows(open_waves):
    data = open_waves(space="units")
    train = data.table.values[:360]

    np.testing.assert_allclose(data.seasonal_error, abs(train[24:] - train[:-24]).mean(axis=0), rtol=1e-5)


def test_seasonal_error_is_undefined_where_the_training_part_is_shorter_than_a_season(open_waves):
    assert open_waves(period=400).seasonal_error.isnan().all()


def test_missing_values_are_refused_by_a_task_that_says_so(open_waves, waves):
    table = waves()
    table.values[30, 1] = table.values[40, 0] = np.nan

    with pytest.raises(InputError) as caught:
        open_waves(table)

    assert str(caught.value) == (
        "'user-waves' has 2 missing values, the first in 'wave1' at 2024-01-02T06:00:00; waves-12@1 refuses "
        "missing values (a task with `missing: mask` masks them)"
    )


def test_missing_values_are_masked_and_filled_with_the_past_where_the_task_says_so(open_waves, waves):
    table = waves()
    table.values[30:33, 1] = np.nan
    table.values[0, 0] = np.nan

    data = open_waves(table, missing="mask")

    assert int((~data.observed).sum()) == 4
    assert torch.equal(data.values[30:33, 1], data.values[[29], 1].expand(3))
    assert abs(float(data.values[0, 0])) < 1e-6  # the training mean
    batch = data.windows("train", 24).using("context", "target").gather(torch.tensor([0]))
    assert not batch["observed"][0, 0, 0]
    assert batch["valid"][0, 6:9, 1].tolist() == [False] * 3


def test_a_variable_without_any_training_value_is_refused(open_waves, waves):
    table = waves()
    table.values[:360, 1] = np.nan

    with pytest.raises(InputError, match="'wave1' has no value in the 360 training rows"):
        open_waves(table, missing="mask")


def test_missing_values_behind_the_last_border_do_not_matter(open_waves, waves):
    table = waves()
    table.values[599, 0] = np.nan
    rows = {"kind": "rows", "train": 300, "validation": 100, "test": 150}

    assert open_waves(table, split=rows).borders == (300, 400, 550)


@pytest.mark.parametrize(
    ("changes", "context", "message"),
    [
        (
            {"split": {"kind": "rows", "train": 500, "validation": 100, "test": 100}},
            24,
            "the split needs 700 rows, the data have 600",
        ),
        ({"horizon": 121}, 24, "the test part has 120 rows, fewer than the horizon 121"),
        ({}, 97, "waves-12@1 allows a context of at most 96, not 97"),
        ({"variables": ["wave0", "wave9"]}, 24, "'user-waves' has no variable 'wave9'; it has wave0, wave1"),
        ({"variables": ["wave0"], "targets": ["wave1"]}, 24, "has no variable 'wave1'"),
    ],
)
def test_a_series_that_does_not_fit_the_task_is_refused(open_waves, changes, context, message):
    with pytest.raises(InputError, match=message):
        open_waves(**changes).windows("test", context)


def test_test_windows_are_refused_where_the_look_back_reaches_before_the_first_row(open_waves, waves):
    """Every window of the test part is scored, so a look-back must not shorten it."""
    with pytest.raises(InputError, match="80 rows lie before the test part, fewer than the context 90"):
        open_waves(waves(100), horizon=6).windows("test", 90)


def test_the_shape_of_a_task_names_channels_targets_and_calendar(open_waves):
    shape = open_waves(targets=["wave1"]).shape(48)

    assert (shape.context, shape.horizon, shape.period) == (48, 12, 24)
    assert (shape.channels, shape.targets, shape.target_index) == (("wave0", "wave1"), ("wave1",), (1,))
    assert shape.past_covariates == (
        "calendar:hour",
        "calendar:weekday",
        "calendar:day",
        "calendar:day_of_year",
    )


def test_cases_of_one_series_share_the_scale_of_its_training_part(open_waves):
    data = open_waves(space="units")
    cases, index = data.windows("test", 24), torch.tensor([0, 7])
    train = data.table.values[: data.borders[0]]
    squares = ((train[24:] - train[:-24]) ** 2).mean(axis=0)
    values = torch.randn(3, 2, 12, 2)

    assert torch.equal(cases.seasonal_error(index), data.seasonal_error)
    np.testing.assert_allclose(cases.seasonal_error(index, power=2), squares, rtol=1e-5)
    assert torch.equal(cases.to_metric_space(values, index), data.to_metric_space(values))
    assert torch.equal(cases.from_units(values, index), values)
