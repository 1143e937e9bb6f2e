"""Windows and batches: one gather, every case once, an order that depends on the seed and the epoch alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.data.batch import Batch
from tsbench.data.cases import Batches
from tsbench.data.windows import Windows


def windows_of(
    rows: int = 60,
    channels: int = 3,
    context: int = 8,
    horizon: int = 4,
    targets: tuple[int, ...] | None = None,
    missing: bool = False,
) -> Windows:
    values = torch.randn(rows, channels, generator=torch.Generator().manual_seed(0))
    chosen = tuple(range(channels)) if targets is None else targets
    marks = torch.arange(rows, dtype=torch.float32)[:, None]
    return Windows(
        values=values,
        truth=values[:, list(chosen)].contiguous() + 100,
        observed=values > -1 if missing else None,
        past=marks,
        future=marks,
        origins=torch.arange(context, rows - horizon + 1),
        context=context,
        horizon=horizon,
        target_index=chosen,
    )


def order(batches: Batches) -> list[int]:
    return torch.cat([batch["index"] for batch in batches]).tolist()


@given(
    rows=st.integers(14, 50),
    channels=st.integers(1, 4),
    context=st.integers(1, 8),
    horizon=st.integers(1, 6),
)
@settings(max_examples=40, deadline=None)
def test_window_gather_equals_unfold(rows, channels, context, horizon):
    windows = windows_of(rows, channels, context, horizon)
    batch = windows.gather(torch.arange(len(windows)))

    unfolded = windows.values.unfold(0, context + horizon, 1).transpose(1, 2)  # (sample, time, channel)
    assert len(windows) == rows - context - horizon + 1
    assert torch.equal(batch["context"], unfolded[:, :context])
    assert torch.equal(batch["target"], unfolded[:, context:])


def test_a_context_ends_one_row_before_its_target_begins():
    windows = windows_of()
    batch = windows.gather(torch.tensor([5]))

    origin = int(windows.origins[5])
    assert torch.equal(batch["context"][0, -1], windows.values[origin - 1])
    assert torch.equal(batch["target"][0, 0], windows.values[origin])


def test_targets_are_the_chosen_channels_in_the_order_of_the_task():
    batch = windows_of(targets=(2, 0)).gather(torch.tensor([3, 1]))
    whole = windows_of().gather(torch.tensor([3, 1]))

    assert torch.equal(batch["target"], whole["target"][..., [2, 0]])
    assert torch.equal(batch["context"], whole["context"])


def test_past_and_future_covariates_are_those_of_the_window():
    batch = windows_of().using("past_covariates", "future_covariates").gather(torch.tensor([0, 7]))

    assert batch["past_covariates"][:, :, 0].tolist() == [list(range(8)), list(range(7, 15))]
    assert batch["future_covariates"][:, :, 0].tolist() == [list(range(8, 12)), list(range(15, 19))]


def test_only_the_names_that_a_model_uses_are_gathered():
    assert set(windows_of().using("context").gather(torch.tensor([0]))) == {"context", "index"}
    assert set(windows_of().using("context", "target").gather(torch.tensor([0]))) == {
        "context",
        "target",
        "index",
    }


def test_masks_follow_the_windows_of_their_values():
    windows = windows_of(missing=True, targets=(1,))
    batch = windows.gather(torch.tensor([4, 9]))

    assert torch.equal(batch["observed"], batch["context"] > -1)
    assert torch.equal(batch["valid"], batch["target"] > -1)


def test_truth_is_gathered_in_metric_space_with_its_mask():
    windows = windows_of(missing=True, targets=(0, 2))
    truth, valid = windows.gather_truth(torch.tensor([2, 11]))
    batch = windows.gather(torch.tensor([2, 11]))

    assert torch.equal(truth, batch["target"] + 100)
    assert torch.equal(valid, batch["valid"])
    assert windows_of().gather_truth(torch.tensor([0]))[1] is None


@given(size=st.integers(1, 70), seed=st.none() | st.integers(0, 2**40), epoch=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_every_case_comes_once_an_epoch_for_any_batch_size(size, seed, epoch):
    batches = Batches(windows_of(), size, seed=seed)
    batches.set_epoch(epoch)

    assert sorted(order(batches)) == list(range(49))
    assert len(list(batches)) == len(batches)


@given(size=st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_drop_last_leaves_out_only_the_incomplete_batch(size):
    kept = [batch.size for batch in Batches(windows_of(), size, drop_last=True)]

    assert kept == [size] * (49 // size)


def test_without_a_seed_cases_come_in_order():
    assert order(Batches(windows_of(), 10)) == list(range(49))
    assert torch.cat([one["index"] for one in windows_of().batches(10)]).tolist() == list(range(49))


@given(seed=st.integers(0, 2**40), epoch=st.integers(0, 500))
@settings(max_examples=25, deadline=None)
def test_the_order_depends_on_seed_and_epoch_alone(seed, epoch):
    first, second = Batches(windows_of(), 7, seed=seed), Batches(windows_of(), 16, seed=seed)
    first.set_epoch(epoch)
    torch.manual_seed(99)  # the global generator plays no part
    order(second)  # nor does what was drawn before
    second.set_epoch(epoch)

    assert order(first) == order(second)


def test_another_seed_or_epoch_gives_another_order():
    orders = {}
    for seed in range(4):
        for epoch in range(4):
            batches = Batches(windows_of(), 8, seed=seed)
            batches.set_epoch(epoch)
            orders[seed, epoch] = tuple(order(batches))

    assert len(set(orders.values())) == len(orders)


def test_two_consumers_get_the_same_batches():
    """Tensors are gathered where they are asked for, so there is no worker whose number could matter."""
    batches = Batches(windows_of(), 8, seed=3)
    for one, other in zip(batches, Batches(windows_of(), 8, seed=3), strict=True):
        assert torch.equal(one["context"], other["context"])
        assert torch.equal(one["target"], other["target"])


def test_a_batch_refuses_names_that_are_not_reserved_and_wrong_ranks():
    with pytest.raises(ValueError, match="'contxt' is not a reserved batch name"):
        Batch(contxt=torch.zeros(1, 2, 3))
    with pytest.raises(ValueError, match="'context' has the dimensions"):
        Batch(context=torch.zeros(2, 3))


def test_a_batch_on_its_device_stays_the_same_object():
    batch = windows_of().gather(torch.tensor([0]))

    assert batch.to("cpu") is batch
    assert batch.replace(context=batch["context"] + 1)["context"].equal(batch["context"] + 1)


def test_windows_of_no_task_have_no_space_to_be_scored_in():
    with pytest.raises(ValueError, match="these cases belong to no task"):
        windows_of().seasonal_error(torch.tensor([0]))
