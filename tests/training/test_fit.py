"""Fits: deterministic for a seed, resumable to the bit, stopped early with the best weights."""

import pytest
import torch

from tsbench.contracts import InputError, JobFailed
from tsbench.data.cases import Batches
from tsbench.training.checkpoint import BEST_WEIGHTS, LAST_CHECKPOINT, read_checkpoint
from tsbench.training.module import NeuralForecaster, symmetric_percentage_loss
from tsbench.training.weights import weights_hash


class KilledError(Exception):
    """Stands for a process that dies."""


def dying_after(epochs: int):
    """An `on_epoch` that raises after so many epochs."""
    count = iter(range(1, 1000))

    def on_epoch() -> None:
        if next(count) > epochs:
            raise KilledError

    return on_epoch


def test_a_seed_gives_the_same_weights_twice_and_another_seed_gives_others(fit_tiny):
    first, again, other = (weights_hash(fit_tiny(seed)[0]) for seed in (0, 0, 1))

    assert first == again
    assert first != other


def test_a_fit_neither_reads_nor_changes_the_global_generator(fit_tiny):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    here = weights_hash(fit_tiny()[0])
    assert torch.equal(torch.rand(1), expected)

    torch.manual_seed(8)
    assert weights_hash(fit_tiny()[0]) == here


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_fit_that_was_killed_ends_with_the_same_bits(fit_tiny, tmp_path, epochs):
    """With dropout, so that the generator has to be taken up as well as weights and optimiser."""
    whole, report = fit_tiny(folder=tmp_path / "whole")
    with pytest.raises(KilledError):
        fit_tiny(folder=tmp_path / "killed", on_epoch=dying_after(epochs))
    assert (tmp_path / "killed" / LAST_CHECKPOINT).is_file()

    resumed, after = fit_tiny(folder=tmp_path / "killed")

    assert weights_hash(resumed) == weights_hash(whole)
    assert after.validation_loss == report.validation_loss
    for one, other in zip(after.detail["history"], report.detail["history"], strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_a_fit_that_was_killed_twice_ends_with_the_same_bits(fit_tiny, tmp_path):
    whole, _ = fit_tiny(folder=tmp_path / "whole")
    for epochs in (1, 1):
        with pytest.raises(KilledError):
            fit_tiny(folder=tmp_path / "killed", on_epoch=dying_after(epochs))

    assert weights_hash(fit_tiny(folder=tmp_path / "killed")[0]) == weights_hash(whole)


def test_a_fit_that_was_killed_after_its_last_epoch_ends_with_the_same_bits(fit_tiny, tmp_path):
    whole, _ = fit_tiny(folder=tmp_path)  # a finished fit leaves its checkpoints to the caller
    assert (tmp_path / LAST_CHECKPOINT).is_file()

    assert weights_hash(fit_tiny(folder=tmp_path)[0]) == weights_hash(whole)


def test_a_fit_that_stops_early_stops_at_the_same_epoch_when_taken_up_again(fit_tiny, tmp_path):
    settings = {"epochs": 30, "patience": 2, "learning_rate": 0.3}
    whole, report = fit_tiny(folder=tmp_path / "whole", **settings)
    assert 3 < report.epochs < 30
    with pytest.raises(KilledError):
        fit_tiny(folder=tmp_path / "killed", on_epoch=dying_after(report.epochs - 2), **settings)

    resumed, after = fit_tiny(folder=tmp_path / "killed", **settings)

    assert (after.epochs, weights_hash(resumed)) == (report.epochs, weights_hash(whole))


def test_checkpoints_on_disk_change_no_bit(fit_tiny, tmp_path):
    assert weights_hash(fit_tiny()[0]) == weights_hash(fit_tiny(folder=tmp_path)[0])


def test_early_stopping_keeps_the_weights_with_the_lowest_validation_loss(fit_tiny, open_waves):
    model, report = fit_tiny(epochs=30, patience=3, learning_rate=0.3)
    losses = [epoch["validation_loss"] for epoch in report.detail["history"]]

    best = losses.index(min(losses))
    assert report.epochs == best + 1 + 3  # three more without a lower loss
    assert report.detail["best_epoch"] == best + 1
    windows = open_waves().windows("validation", 24).using("context", "target")
    with torch.no_grad():
        loss = model.eval().loss(windows.gather(torch.arange(len(windows))))
    assert float(loss) == pytest.approx(min(losses), rel=1e-5)
    assert report.validation_loss == min(losses)


def test_without_patience_every_epoch_is_run(fit_tiny):
    assert fit_tiny(epochs=6, patience=0, learning_rate=0.3)[1].epochs == 6


def test_each_epoch_sees_every_window_once_in_the_order_of_seed_and_epoch(fit_tiny, open_waves):
    seen: list[list[int]] = []

    class Watching(NeuralForecaster):
        def __init__(self, shape, hyperparameters=None) -> None:
            super().__init__(shape)
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, batch) -> torch.Tensor:
            return batch["context"][:, :12] * self.weight

        def on_train_epoch_start(self) -> None:
            seen.append([])

        def training_step(self, batch, batch_index):
            seen[-1] += batch["index"].tolist()
            return super().training_step(batch, batch_index)

    fit_tiny(seed=5, kind=Watching, epochs=3, patience=0)

    batches = Batches(open_waves().windows("train", 24), 64, seed=5)
    for epoch, order in enumerate(seen):
        batches.set_epoch(epoch)
        assert order == torch.cat([batch["index"] for batch in batches]).tolist()
    assert [sorted(order) for order in seen] == [list(range(325))] * 3
    assert len({tuple(order) for order in seen}) == 3


def test_each_epoch_runs_at_the_rate_of_the_schedule(fit_tiny):
    _, report = fit_tiny(epochs=4, patience=0, learning_rate=0.01, decay=0.5, constant_epochs=2)

    assert [epoch["learning_rate"] for epoch in report.detail["history"]] == [0.01, 0.01, 0.005, 0.0025]


def test_a_rate_by_steps_is_taken_up_again_where_it_was(fit_tiny, tmp_path):
    settings = {"schedule": "one_cycle", "warm_up": 0.2, "optimiser": "adamw", "gradient_clip": 0.5}
    whole, report = fit_tiny(folder=tmp_path / "whole", **settings)
    with pytest.raises(KilledError):
        fit_tiny(folder=tmp_path / "killed", on_epoch=dying_after(2), **settings)

    resumed, _ = fit_tiny(folder=tmp_path / "killed", **settings)

    rates = [epoch["learning_rate"] for epoch in report.detail["history"]]
    assert rates[0] > rates[1] > rates[-1] > 0
    assert rates[-1] < 1e-6 < rates[0]
    assert weights_hash(resumed) == weights_hash(whole)


def test_a_clipped_gradient_trains_another_way(fit_tiny):
    assert weights_hash(fit_tiny(gradient_clip=1e-3)[0]) != weights_hash(fit_tiny()[0])


def test_training_lowers_the_loss(fit_tiny):
    losses = [epoch["validation_loss"] for epoch in fit_tiny(epochs=8)[1].detail["history"]]

    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(("drop_last", "steps"), [(False, 6), (True, 5)])
def test_the_last_incomplete_batch_is_dropped_on_request(fit_tiny, drop_last, steps):
    _, report = fit_tiny(epochs=1, drop_last=drop_last)

    assert report.detail["steps_per_epoch"] == steps  # 325 windows in batches of 64


def test_a_loss_that_is_not_finite_fails_the_job(fit_tiny):
    class Exploding(NeuralForecaster):
        def __init__(self, shape, hyperparameters=None) -> None:
            super().__init__(shape)
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, batch) -> torch.Tensor:
            return batch["context"][:, :12] * self.weight * torch.inf

    with pytest.raises(JobFailed, match=r"Training diverged: the validation loss is (nan|inf); try a lower"):
        fit_tiny(kind=Exploding)


def test_a_batch_larger_than_the_training_part_cannot_be_dropped(fit_tiny):
    with pytest.raises(InputError, match="325 training cases make no batch of 400"):
        fit_tiny(batch_size=400, drop_last=True)


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "other"])
def test_a_damaged_checkpoint_is_refused(fit_tiny, tmp_path, damage):
    with pytest.raises(KilledError):
        fit_tiny(folder=tmp_path, on_epoch=dying_after(2))
    path = tmp_path / LAST_CHECKPOINT
    whole = path.read_bytes()
    if damage == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        contents = {"truncated": whole[: len(whole) // 2], "garbage": b"\x80" * 500, "empty": b""}
        path.write_bytes(contents[damage])

    with pytest.raises(InputError) as caught:
        fit_tiny(folder=tmp_path)

    assert "is damaged" in str(caught.value)
    assert "start over with --fresh" in str(caught.value)


def test_missing_best_weights_beside_a_checkpoint_are_refused(fit_tiny, tmp_path):
    fit_tiny(folder=tmp_path)
    (tmp_path / BEST_WEIGHTS).write_bytes(b"nothing")

    with pytest.raises(InputError, match="is not a safetensors file, or is damaged"):
        fit_tiny(folder=tmp_path)


def test_checkpoints_are_read_without_unpickling_objects(tmp_path):
    class Payload:
        def __reduce__(self):
            return print, ("executed",)

    torch.save({"state_dict": Payload()}, tmp_path / "evil.ckpt")

    with pytest.raises(InputError, match="is damaged"):
        read_checkpoint(tmp_path / "evil.ckpt")


def test_masked_targets_do_not_enter_the_loss(open_waves):
    class Zero(NeuralForecaster):
        def forward(self, batch) -> torch.Tensor:
            return torch.zeros_like(batch["target"])

    model = Zero(open_waves().shape(24))
    batch = open_waves().windows("train", 24).using("context", "target").gather(torch.arange(8))
    valid = torch.rand(8, 12, 2, generator=torch.Generator().manual_seed(0)) < 0.5
    poisoned = batch["target"].where(valid, 1e6)

    loss = model.loss(batch.replace(target=poisoned, valid=valid))

    assert float(loss) == pytest.approx(float(batch["target"][valid].square().mean()), rel=1e-6)
    total = model.loss(batch.replace(target=poisoned, valid=valid), reduction="sum")
    assert float(total) == pytest.approx(float(batch["target"][valid].square().sum()), rel=1e-6)


def test_the_symmetric_percentage_loss_is_the_metric_of_its_name():
    from tsbench.evaluation.metrics.relative import symmetric_percentage_error

    random = torch.Generator().manual_seed(0)
    forecast, target = (torch.randn(5, 4, 2, generator=random) for _ in "ab")
    forecast[0], target[0] = 0.0, 0.0

    each, _ = symmetric_percentage_error(forecast, target, torch.ones(2))

    torch.testing.assert_close(symmetric_percentage_loss(forecast, target, "none"), each)
    torch.testing.assert_close(symmetric_percentage_loss(forecast, target), each.mean())
    torch.testing.assert_close(symmetric_percentage_loss(forecast, target, "sum"), each.sum())
