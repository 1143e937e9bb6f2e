"""Tasks on series of different length: where windows lie, what batches hold, what each series is scaled by."""

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError
from tsbench.data.cases import Batches
from tsbench.data.datamodule import TaskDataModule
from tsbench.data.disturbances import disturb

EVERYTHING = (
    "context", "target", "past_covariates", "future_covariates", "static", "categorical",
)  # fmt: skip


def positions(windows) -> list[list[int]]:
    """Origins of each series, counted from its first value."""
    first = windows.held.first
    return [
        (windows.origins[windows.series == series] - first[series]).tolist() for series in range(len(first))
    ]


def rolling(**changes) -> dict:
    return {"split": {"kind": "rolling", "windows": 2} | changes}


def test_windows_lie_at_the_end_of_each_series(open_ragged):
    """Lengths 17 and 30, horizon 4: two test windows, one validation window before, training before that."""
    data = open_ragged()

    assert positions(data.windows("test", 8))[:2] == [[9, 13], [22, 26]]
    assert positions(data.windows("validation", 8))[:2] == [[5], [18]]
    assert positions(data.windows("train", 8))[:2] == [[1], list(range(1, 15))]
    assert data.unit_windows == 2


def test_steps_between_windows_and_values_that_are_not_used_are_the_declared_ones(open_ragged):
    data = open_ragged(**rolling(windows=3, step=2, unused=1, validation=2))

    assert positions(data.windows("test", 8))[1] == [21, 23, 25]
    # A validation target ends where the first test target begins.
    assert positions(data.windows("validation", 8))[1] == [15, 17]
    assert positions(data.windows("train", 8))[1] == list(range(1, 12))


def test_the_number_of_windows_may_follow_from_the_shortest_series(
    open_ragged,
):  # GIFT-Eval: ceil(0.2 · 17 / 4)
    data = open_ragged(**rolling(windows={"share": 0.2, "most": 20}))

    assert [len(one) for one in positions(data.windows("test", 8))] == [1, 1, 1, 1]
    assert open_ragged(**rolling(windows={"share": 0.5, "most": 2})).unit_windows == 2
    assert open_ragged(**rolling(windows={"share": 0.5, "most": 20})).unit_windows == 3


def test_a_batch_holds_the_values_around_each_origin_padded_on_the_left(open_ragged, ragged):
    data = open_ragged(normalisation="none")
    windows = data.windows("test", 12).using(*EVERYTHING)
    stored = ragged()["value"].values

    batch = windows.gather(torch.tensor([0, 3]))  # series 0 at 9, series 1 (rows from 17) at 26

    np.testing.assert_allclose(batch["context"][0, 3:], stored[:9], rtol=1e-6)
    assert batch["context"][0, :3].tolist() == [[0.0]] * 3
    assert batch["observed"][:, :, 0].tolist() == [[False] * 3 + [True] * 9, [True] * 12]
    assert batch["length"].tolist() == [9, 12]
    assert batch["series"].tolist() == [0, 1]
    np.testing.assert_allclose(batch["context"][1], stored[17 + 14 : 17 + 26], rtol=1e-6)
    np.testing.assert_allclose(batch["target"][1], stored[17 + 26 : 17 + 30], rtol=1e-6)
    np.testing.assert_array_equal(windows.gather_truth(torch.tensor([3]))[0][0], stored[17 + 26 : 17 + 30])
    assert batch["static"].tolist() == [[0.0], [1.0]]
    assert batch["categorical"].tolist() == [[0], [1]]


def test_covariates_are_calendar_then_known_then_past_only(open_ragged, ragged):
    data = open_ragged()
    batch = data.windows("test", 12).using(*EVERYTHING).gather(torch.tensor([0]))
    known = ragged()["known_covariates"].values
    shape = data.shape(12)

    assert shape.past_covariates == (
        "calendar:weekday",
        "calendar:day",
        "calendar:day_of_year",
        "price",
        "sales",
    )
    assert shape.future_covariates == shape.past_covariates[:4]
    assert shape.static == ("area",)
    assert shape.categories == {"kind": 2}
    # 2024-01-31 was a Wednesday; the origin is nine days later, on Friday, 9 February.
    np.testing.assert_allclose(batch["past_covariates"][0, 3, 0], 2 / 6 - 0.5, atol=1e-6)
    np.testing.assert_allclose(batch["future_covariates"][0, 0, :2], [4 / 6 - 0.5, 8 / 30 - 0.5], atol=1e-6)
    np.testing.assert_allclose(batch["past_covariates"][0, 3:, 3], known[:9, 0])
    np.testing.assert_allclose(batch["past_covariates"][0, 3:, 4], -known[:9, 0])
    np.testing.assert_allclose(batch["future_covariates"][0, :, 3], known[9:13, 0])
    assert batch["past_covariates"][0, :3].abs().max() == 0


def test_a_batch_is_the_same_as_its_samples_one_by_one(open_ragged):
    windows = open_ragged().windows("train", 12).using(*EVERYTHING)
    index = torch.tensor([0, 5, 40, 100])

    batch = windows.gather(index)

    for number, case in enumerate(index.split(1)):
        alone = windows.gather(case)
        assert set(alone) == set(batch)
        assert all(torch.equal(alone[name][0], batch[name][number]) for name in batch)


def test_each_series_is_scaled_by_its_own_training_part(open_ragged, ragged):
    data = open_ragged()
    part = ragged()["value"].values[17 : 17 + 18]  # series 1, 30 values without three windows of 4

    np.testing.assert_allclose(data.scale.mean[1], part.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(data.scale.std[1], part.std(axis=0), rtol=1e-12)
    batch = data.windows("test", 8).gather(torch.tensor([2]))
    wanted = (ragged()["value"].values[17 + 14 : 17 + 22] - part.mean()) / part.std()
    np.testing.assert_allclose(batch["context"][0], wanted, rtol=1e-4, atol=1e-5)


def test_a_constant_series_is_divided_by_one(open_ragged, ragged):
    made = ragged()
    made["value"][:17] = 5.1

    assert open_ragged(made).scale.factor[0].tolist() == [1.0]
    assert open_ragged(made).scale.std[0].tolist() == [0.0]


@pytest.mark.parametrize("space", ["units", "normalised"])
def test_a_forecast_of_the_truth_is_the_truth_in_metric_space(open_ragged, ragged, space):
    data = open_ragged(space=space)
    windows, index = data.windows("test", 8), torch.tensor([0, 3])
    stored = torch.from_numpy(ragged()["value"].values)
    units = torch.stack([stored[9:13], stored[17 + 26 : 17 + 30]])

    truth, valid = windows.gather_truth(index)

    assert valid is None
    torch.testing.assert_close(windows.from_units(units, index), truth, rtol=1e-12, atol=1e-12)
    target = windows.gather(index)["target"]
    torch.testing.assert_close(windows.to_metric_space(target, index).double(), truth, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("power", [1, 2])
def test_the_seasonal_error_is_that_of_all_values_before_the_origin(open_ragged, ragged, power):
    windows = open_ragged(period=3).windows("test", 8)
    known = ragged()["value"].values[17 : 17 + 26, 0]  # series 1 before its second window

    found = windows.seasonal_error(torch.tensor([3, 0]), power)

    assert found.shape == (2, 1, 1)
    np.testing.assert_allclose(found[0, 0, 0], (abs(known[3:] - known[:-3]) ** power).mean(), rtol=1e-12)


def test_the_seasonal_error_is_undefined_before_a_season_and_a_step(open_ragged):
    error = open_ragged(period=13).windows("test", 8).seasonal_error(torch.arange(3))

    assert error[:, 0, 0].isnan().tolist() == [True, True, False]


def test_large_series_leave_the_seasonal_error_of_small_ones_exact(open_ragged, ragged):
    made = ragged()
    made["value"][17 + 30 :] *= 1e12
    alone = open_ragged(made.isel(series=[0], observation=slice(17)))

    both = open_ragged(made).windows("test", 8).seasonal_error(torch.tensor([0, 1]))

    assert torch.equal(both, alone.windows("test", 8).seasonal_error(torch.tensor([0, 1])))


def test_missing_values_are_filled_with_the_past_of_their_own_series_and_never_scored(open_ragged, ragged):
    made = ragged()
    made["value"][17:19] = np.nan  # the first two of series 1
    made["value"][17 + 27] = np.nan
    data = open_ragged(made, missing="mask", normalisation="none")
    windows = data.windows("test", 40)

    batch = windows.gather(torch.tensor([3]))
    _, valid = windows.gather_truth(torch.tensor([3]))

    mean = np.nanmean(made["value"].values[17 : 17 + 18])
    np.testing.assert_allclose(batch["context"][0, 14:16, 0], [mean, mean], rtol=1e-6)
    assert batch["observed"][0, :, 0].sum() == 24
    assert valid[0, :, 0].tolist() == [True, False, True, True]


def test_missing_values_are_refused_with_their_place_unless_the_task_masks_them(open_ragged, ragged):
    made = ragged()
    made["value"][18] = np.nan

    with pytest.raises(InputError, match="first in 'c0' of series 's1' at 2024-02-02T00:00:00"):
        open_ragged(made)


def test_a_series_that_is_too_short_is_refused_or_left_out_as_a_whole(open_ragged, ragged):
    short = ragged(sizes=(8, 30))

    with pytest.raises(InputError, match="series 's0' has 8 values, its test windows need 9"):
        open_ragged(short)
    data = open_ragged(short, **rolling(short_series="leave_out"))
    assert positions(data.windows("test", 8)) == [[], [22, 26]]
    assert positions(data.windows("train", 8))[0] == []


def test_a_context_that_is_too_short_is_no_case(open_ragged):
    """Series of 17 values: test from 9, validation at 5, one training origin at 1."""
    data = open_ragged(**rolling(shortest_context=6))

    assert positions(data.windows("test", 8))[0] == [9, 13]
    assert positions(data.windows("validation", 8))[0] == []
    assert positions(data.windows("train", 8))[:2] == [[], list(range(6, 15))]


def test_a_split_without_a_window_is_refused(open_ragged, ragged):
    with pytest.raises(InputError, match="no series has a window in the train part"):
        open_ragged(ragged(sizes=(14, 15))).windows("train", 8)
    with pytest.raises(InputError, match="allows a context of 1 to 40, not 41"):
        open_ragged().windows("test", 41)


def test_an_epoch_draws_one_cut_of_each_series_near_its_end(open_ragged):
    """As the M4 loader of Time-Series-Library: uniform among the last points, targets cut off at the end."""
    data = open_ragged(**rolling(windows=1, cut_within=6))
    windows = data.windows("train", 8).using("context", "target").drawn(seed=3)
    cuts = np.array([[one[0] for one in positions(windows.at_epoch(epoch))] for epoch in range(300)])

    ends = np.array([17, 30, 60, 100]) - 8
    assert (cuts.min(axis=0) == ends - 6).all()
    assert (cuts.max(axis=0) == ends - 1).all()
    counts = np.stack([np.bincount(cut, minlength=6) for cut in (cuts - ends + 6).T])
    assert (abs(counts - 50) < 4 * np.sqrt(50)).all()
    last = next(epoch for epoch in range(300) if cuts[epoch, 1] == ends[1] - 1)
    batch = windows.at_epoch(last).gather(torch.tensor([1]))
    assert batch["valid"][0, :, 0].tolist() == [True, False, False, False]


def test_cuts_depend_on_seed_epoch_and_series_alone(open_ragged):
    data = open_ragged(**rolling(windows=1, cut_within=6))
    windows = data.windows("train", 8)

    whole = windows.drawn(3).at_epoch(5).origins
    part = windows.of(torch.nonzero(windows.series == 2).flatten()).drawn(3).at_epoch(5).origins
    other = [windows.drawn(4).at_epoch(5).origins, windows.drawn(3).at_epoch(6).origins]

    assert torch.equal(part, whole[2:3])
    assert torch.equal(windows.drawn(3).at_epoch(5).origins, whole)
    assert not any(torch.equal(one, whole) for one in other)


@pytest.mark.parametrize("size", [1, 3])
def test_the_training_loader_gives_each_series_once_an_epoch_for_any_batch_size(open_ragged, size):
    data = open_ragged(**rolling(windows=1, cut_within=6))
    cases = data.windows("train", 8).using("context", "target")
    module = TaskDataModule(cases, data.windows("validation", 8), size, seed=1, drop_last=False)
    loader = module.train_dataloader()
    loader.set_epoch(2)

    batches = list(loader)

    series = torch.cat([batch["series"] for batch in batches])
    context = torch.cat([batch["context"] for batch in batches])
    assert series.sort().values.tolist() == [0, 1, 2, 3]
    assert torch.equal(
        context[series.argsort()], cases.drawn(1).at_epoch(2).gather(torch.arange(4))["context"]
    )


def test_without_a_rule_every_origin_is_seen_in_every_epoch(open_ragged):
    cases = open_ragged().windows("train", 8)

    assert cases.drawn(0) is cases
    assert sum(batch.size for batch in Batches(cases, 7, seed=0)) == len(cases)


@pytest.mark.parametrize("space", ["units", "normalised"])
@pytest.mark.parametrize("name", ["awgn", "missing_blocks"])
def test_disturbances_leave_padding_as_it_is(open_ragged, name, space):
    changed = {"name": name, "parameter": "p", "levels": [0.5], "options": {"steps": 4}, "space": space}
    conditions = {"robustness": [{"disturbance": changed}], "generalisation": {"not_applicable": "none"}}
    data = open_ragged(conditions=conditions)
    batch = data.windows("test", 40).gather(torch.arange(4))

    disturbed = disturb(batch, data.task.scenarios()[1], data.task.id, data.scale)

    padding = torch.arange(40) < 40 - batch["length"][:, None]
    assert disturbed["context"][padding].abs().max() == 0
    assert not disturbed["observed"][padding].any()
    assert not torch.equal(disturbed["context"][~padding], batch["context"][~padding])


def test_noise_is_measured_by_the_spread_of_each_series(open_ragged):
    """20 dB below a variance of 1 in z-scores, for series whose levels lie a factor 1000 apart."""
    data = open_ragged()
    batch = data.windows("test", 40).gather(torch.arange(8))

    noise = disturb(batch, data.task.scenarios()[1], data.task.id, data.scale)["context"] - batch["context"]

    own = torch.arange(40) >= 40 - batch["length"][:, None]
    spread = torch.stack([one[mask].std() for one, mask in zip(noise[..., 0], own, strict=True)])
    assert ((spread > 0.05) & (spread < 0.2)).all()


def test_trained_on_and_tested_on_are_positions_from_the_end_also_with_stamps(open_ragged, ragged):
    for data in (open_ragged(), open_ragged(ragged(dated=False))):
        seen, tested = data.trained_on(), data.tested_on([], 8)

        # 88 of the 100 values of the longest series are before the validation window.
        assert (seen.start, seen.end) == ("0", "-13")
        assert [(one.role, one.start, one.end) for one in tested] == [
            ("targets", "-8", "-1"),
            ("inputs", "-12", "-5"),
        ]


def test_some_channels_are_the_context_and_some_of_them_the_targets(open_ragged, ragged):
    made = ragged(channels=3)
    data = open_ragged(made, variables=["c2", "c0"], targets=["c0"], normalisation="none")
    windows = data.windows("test", 8)
    batch = windows.gather(torch.tensor([7]))

    np.testing.assert_allclose(batch["context"][0], made["value"].values[-12:-4][:, [2, 0]], rtol=1e-6)
    np.testing.assert_allclose(batch["target"][0], made["value"].values[-4:][:, [0]], rtol=1e-6)
    assert windows.seasonal_error(torch.tensor([7])).shape == (1, 1, 1)
    with pytest.raises(InputError, match="has no variable 'c7'; it has c0, c1, c2"):
        open_ragged(made, variables=["c7"])


def test_examples_show_the_series_by_name(open_ragged):
    data = open_ragged()
    windows = data.windows("test", 40)
    chosen = data.choose_examples(len(windows))
    (example,) = data.illustrate(windows, int(chosen[0]), torch.zeros(4, 1))

    assert example.variable == "s0"
    assert example.lead_times == list(range(-7, 5))
    assert len(example.observed) == len(example.stamps) == 12
