"""Seeds fitted together: the weights of fits one by one, each with its own early stopping, taken up after a kill."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from tsbench.contracts import InputError
from tsbench.evaluation.evaluate import view_of
from tsbench.models.dlinear.model import DLinear
from tsbench.models.tpgn.model import TPGN
from tsbench.training.build import build
from tsbench.training.checkpoint import BEST_WEIGHTS
from tsbench.training.module import NeuralForecaster
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource
from tsbench.training.together import can_stack, fit_together, pays
from tsbench.training.weights import weights_hash

SEEDS = (0, 1, 7)
FASTER = {"dlinear": {"learning_rate": 0.01}, "tpgn": {"learning_rate": 0.02}}
KINDS = {"dlinear": DLinear, "tpgn": TPGN}


class KilledError(Exception):
    """Stands for a process that dies."""


class Dropping(NeuralForecaster):
    """Draws at random."""

    stackable = True

    def __init__(self, shape, hyperparameters=None) -> None:
        super().__init__(shape)
        self.drop, self.map = torch.nn.Dropout(0.2), torch.nn.Linear(shape.context, shape.horizon)

    def forward(self, batch) -> torch.Tensor:
        return self.map(self.drop(batch["context"]).transpose(1, 2)).transpose(1, 2)


@pytest.fixture
def fits(open_waves, tmp_path):
    """Models with sources: `fits("dlinear", seeds, folder=..., changes={...of the task}, **settings)`."""

    def make(name="dlinear", seeds=SEEDS, folder=None, table=None, changes=None, **settings):
        data = open_waves(table, **(changes or {}))
        chosen = TrainingSettings(**{"epochs": 4, "batch_size": 64} | FASTER[name] | settings)
        made = []
        for seed in seeds:
            model = build(KINDS[name], data.shape(48), None, seed, chosen.loss)
            own = None if folder is None else tmp_path / folder / str(seed)
            if own is not None:
                own.mkdir(parents=True, exist_ok=True)
            source = TaskSource(data, 48, seed, settings=chosen, folder=own, uses=model.uses)
            made.append((model, source))
        return SimpleNamespace(pairs=made, checkpoint=None if folder is None else tmp_path / folder / "state")

    return make


def alone(made):
    """Fitted one by one: (model, report) of each."""
    return [(model, model.fit(replace(source, folder=None))) for model, source in made.pairs]


def together(made, on_epoch=lambda: None):
    """Fitted in one loop: (model, report) of each."""
    reports = fit_together(made.pairs, made.checkpoint, on_epoch)
    return [(model, report) for (model, _), report in zip(made.pairs, reports, strict=True)]


def dying_after(epochs: int):
    """An `on_epoch` that raises after so many epochs."""
    count = iter(range(1, 1000))

    def on_epoch() -> None:
        if next(count) > epochs:
            raise KilledError

    return on_epoch


def assert_same(ones, others) -> None:
    """Same weights and losses to 1e-5, same epochs."""
    for (model, report), (twin, other) in zip(ones, others, strict=True):
        for (name, one), another in zip(model.named_parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(one, another, atol=1e-5, rtol=0, msg=name)
        assert (report.epochs, report.detail["best_epoch"]) == (other.epochs, other.detail["best_epoch"])
        assert report.flops == other.flops
        assert report.validation_loss == pytest.approx(other.validation_loss, rel=1e-5)
        for epoch, twin_epoch in zip(report.detail["history"], other.detail["history"], strict=True):
            assert epoch.keys() == twin_epoch.keys()
            for key in ("epoch", "learning_rate", "train_loss", "validation_loss"):
                assert epoch[key] == pytest.approx(twin_epoch[key], rel=1e-5), key


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"decay": 0.5, "drop_last": True, "loss": "mae"},
        {"schedule": "one_cycle", "optimiser": "adamw", "weight_decay": 0.01, "gradient_clip": 0.05},
    ],
    ids=["plain", "decay", "one cycle"],
)
def test_seeds_fitted_together_have_the_weights_of_fits_one_by_one(fits, name, settings):
    assert_same(together(fits(name, **settings)), alone(fits(name, **settings)))


@pytest.mark.parametrize("loss", ["quantile", "student_t", "gaussian_mixture"])
def test_probabilistic_losses_are_fitted_together_as_well(fits, loss):
    assert_same(together(fits(loss=loss, epochs=2)), alone(fits(loss=loss, epochs=2)))


def test_missing_targets_stay_out_of_the_loss_of_each_seed(fits, waves):
    table, changes = waves(), {"missing": "mask"}
    table.values[::13, 0] = float("nan")

    assert_same(together(fits(table=table, changes=changes)), alone(fits(table=table, changes=changes)))


def test_noise_in_training_is_that_of_each_seed(open_responses):
    """In a view: samples of several antennas, each a sequence of its own for the model."""
    noise = {"disturbance": "sample_awgn", "low": 0, "high": 20, "space": "normalised", "draw": "each_epoch"}
    data = open_responses(training_noise=noise)
    settings = TrainingSettings(loss="nmse", learning_rate=0.02, epochs=3, batch_size=16)

    def made():
        pairs = []
        for seed in SEEDS:
            source = TaskSource(
                data, 6, seed, settings=settings, uses=TPGN.uses, view=view_of(TPGN, data.task)
            )
            pairs.append((build(TPGN, source.shape, None, seed), source))
        return SimpleNamespace(pairs=pairs, checkpoint=None)

    assert_same(together(made()), alone(made()))


def test_origins_that_are_drawn_for_each_epoch_are_those_of_each_seed(open_ragged, ragged):
    split = {"kind": "rolling", "windows": 1, "cut_within": 20}
    data = open_ragged(ragged(sizes=(60, 90, 40, 70, 80)), split=split)
    settings = TrainingSettings(learning_rate=0.01, epochs=3, batch_size=2)

    def made():
        pairs = []
        for seed in SEEDS:
            source = TaskSource(data, 16, seed, settings=settings, uses=DLinear.uses)
            pairs.append((build(DLinear, source.shape, None, seed), source))
        return SimpleNamespace(pairs=pairs, checkpoint=None)

    assert_same(together(made()), alone(made()))


def test_each_seed_stops_by_itself_and_keeps_its_best_weights(fits):
    settings = {"epochs": 30, "patience": 2, "learning_rate": 0.05}
    found = together(fits(**settings))

    assert len({report.epochs for _, report in found}) > 1
    for _, report in found:
        losses = [epoch["validation_loss"] for epoch in report.detail["history"]]
        best = losses.index(min(losses))
        assert report.detail["best_epoch"] == best + 1
        assert report.epochs == min(best + 1 + 2, 30)
    assert_same(found, alone(fits(**settings)))


def test_each_seed_falls_at_its_own_plateau(fits):
    settings = {"epochs": 20, "patience": 0, "learning_rate": 0.05, "plateau_patience": 1}
    found = together(fits(**settings))

    rates = [tuple(epoch["learning_rate"] for epoch in report.detail["history"]) for _, report in found]
    assert len(set(rates)) > 1
    assert_same(found, alone(fits(**settings)))


@pytest.mark.parametrize("moment", ["at first", "after one has stopped"])
def test_a_stack_that_was_killed_ends_with_the_same_bits(fits, moment):
    settings = {"epochs": 30, "patience": 2, "learning_rate": 0.05}
    whole = together(fits(folder="whole", **settings))
    epochs = sorted(report.epochs for _, report in whole)
    assert epochs[0] < epochs[-1]
    killed = fits(folder="killed", **settings)
    with pytest.raises(KilledError):
        together(killed, dying_after(1 if moment == "at first" else epochs[0]))

    resumed = together(fits(folder="killed", **settings))

    for (model, report), (twin, other) in zip(resumed, whole, strict=True):
        assert weights_hash(model) == weights_hash(twin)
        assert report.validation_loss == other.validation_loss
        for one, another in zip(report.detail["history"], other.detail["history"], strict=True):
            assert {**one, "seconds": 0} == {**another, "seconds": 0}


def test_a_stack_that_was_killed_after_its_last_epoch_is_not_trained_on(fits):
    whole = together(fits(folder="state"))

    def refuse() -> None:
        raise KilledError

    again = together(fits(folder="state"), refuse)

    assert [weights_hash(model) for model, _ in again] == [weights_hash(model) for model, _ in whole]


def test_checkpoints_on_disk_change_no_bit(fits):
    kept, none = together(fits(folder="kept")), together(fits())

    assert [weights_hash(model) for model, _ in kept] == [weights_hash(model) for model, _ in none]


def test_some_of_the_seeds_of_a_killed_stack_are_taken_up_where_they_were(fits):
    killed = fits(folder="killed")
    with pytest.raises(KilledError):
        together(killed, dying_after(2))
    count = iter(range(100))

    found = together(fits(seeds=SEEDS[1:], folder="killed"), lambda: next(count))

    assert next(count) == 2  # of 4 epochs
    assert_same(found, alone(fits(seeds=SEEDS[1:])))


def test_a_stack_without_the_best_weights_of_a_seed_starts_over(fits):
    killed = fits(folder="killed")
    with pytest.raises(KilledError):
        together(killed, dying_after(2))
    (killed.pairs[1][1].folder / BEST_WEIGHTS).unlink()
    count = iter(range(100))

    together(fits(folder="killed"), lambda: next(count))

    assert next(count) == 4


@pytest.mark.parametrize("damage", ["garbage", "other", "shorter"])
def test_a_damaged_checkpoint_of_a_stack_is_refused(fits, damage):
    killed = fits(folder="killed")
    with pytest.raises(KilledError):
        together(killed, dying_after(2))
    state = torch.load(killed.checkpoint, weights_only=True)
    if damage == "garbage":
        killed.checkpoint.write_bytes(b"\x80garbage")
    elif damage == "other":
        torch.save({"weights": torch.zeros(3)}, killed.checkpoint)
    else:
        torch.save(state | {"running": state["running"][:1]}, killed.checkpoint)

    with pytest.raises(InputError, match=r"The checkpoint .* is damaged .*start over with --fresh"):
        together(fits(folder="killed"))


def test_a_seed_whose_loss_is_never_finite_has_no_report(fits):
    made = fits()
    with torch.no_grad():
        next(made.pairs[1][0].parameters()).fill_(float("nan"))

    reports = fit_together(made.pairs)

    assert [report is None for report in reports] == [False, True, False]


def test_a_stack_neither_reads_nor_changes_the_global_generator(fits):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = [weights_hash(model) for model, _ in together(fits(epochs=1))]
    assert torch.equal(torch.rand(1), expected)

    torch.manual_seed(8)
    assert [weights_hash(model) for model, _ in together(fits(epochs=1))] == first


def test_a_batch_larger_than_the_training_part_cannot_be_dropped(fits):
    with pytest.raises(InputError, match="301 training cases make no batch of 400"):
        together(fits(batch_size=400, drop_last=True))


def test_a_stack_pays_only_where_a_step_is_overhead_more_than_arithmetic(open_waves):
    data, settings = open_waves(), TrainingSettings(batch_size=64)

    def stack_pays(device, **hyperparameters):
        chosen = TPGN.Hyperparameters(**hyperparameters)
        model = build(TPGN, data.shape(48), chosen, 0)
        return pays(model, TaskSource(data, 48, 0, settings=settings, uses=model.uses, device=device))

    assert stack_pays("cpu", d_model=2)
    assert not stack_pays("cpu", d_model=256)
    assert stack_pays("cuda", d_model=256)


def test_only_models_that_allow_it_are_stacked(open_waves):
    shape = open_waves().shape(48)
    dlinear = DLinear(shape)
    assert can_stack(dlinear)
    assert can_stack(TPGN(shape))
    assert not can_stack(Dropping(shape))  # says so, but draws at random
    assert not can_stack(object())

    dlinear.Linear_Trend.requires_grad_(False)
    assert not can_stack(dlinear)
    counting = DLinear(shape)
    counting.register_buffer("steps", torch.zeros(()))
    assert not can_stack(counting)
