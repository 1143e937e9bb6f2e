"""Training settings: filled from cards and commands, every mistake named with its place."""

import math
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsbench.contracts import InputError
from tsbench.training.settings import TrainingSettings, fill


@dataclass(frozen=True)
class Record:
    width: int
    share: float = 0.5
    kind: Literal["a", "b"] = "a"
    name: str | None = None
    on: bool = False


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 1, "wdith": 2}, "card: unknown setting 'wdith'; there are width, share, kind, name, on"),
        ({"width": 1.5}, "card: width must be int, not 1.5"),
        ({"width": True}, "card: width must be int, not True"),
        ({"width": 1, "share": "half"}, "card: share must be float, not 'half'"),
        ({"width": 1, "kind": "c"}, "card: kind must be one of 'a', 'b', not 'c'"),
        ({"width": 1, "on": 1}, "card: on must be bool, not 1"),
        ({}, "card: width must be given"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_would_be_right(values, message):
    with pytest.raises(InputError) as caught:
        fill(Record, values, "card")

    assert str(caught.value) == message


def test_right_settings_are_filled_and_whole_numbers_are_numbers_too():
    assert fill(Record, {"width": 3, "share": 1, "name": None}, "card") == Record(3, 1, "a", None, False)


@pytest.mark.parametrize("name", ["learning_rate", "decay", "batch_size", "epochs"])
def test_sizes_and_rates_must_be_positive(name):
    with pytest.raises(InputError, match=f"dlinear on x: {name} must be positive, not 0"):
        fill(TrainingSettings, {name: 0}, "dlinear on x")


@pytest.mark.parametrize("name", ["constant_epochs", "weight_decay", "patience"])
def test_other_settings_must_not_be_negative(name):
    with pytest.raises(InputError, match=f"dlinear on x: {name} must not be negative, not -1"):
        fill(TrainingSettings, {name: -1}, "dlinear on x")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_rate_that_is_no_number_is_refused(value):
    with pytest.raises(InputError, match="learning_rate"):
        fill(TrainingSettings, {"learning_rate": value}, "card")


def test_the_published_schedule_runs_the_first_two_epochs_at_one_rate():
    # tpgn.md, training: 1e-3 * 0.9^(e-1) after epoch e.
    settings = TrainingSettings(learning_rate=1e-3, decay=0.9, constant_epochs=2)

    rates = [settings.learning_rate_at(epoch) for epoch in range(5)]

    assert rates == pytest.approx([1e-3, 1e-3, 1e-3 * 0.9, 1e-3 * 0.9**2, 1e-3 * 0.9**3])


@given(decay=st.floats(0.01, 1), constant=st.integers(0, 5), epoch=st.integers(0, 30))
def test_the_rate_never_rises_and_depends_on_the_epoch_alone(decay, constant, epoch):
    settings = TrainingSettings(learning_rate=1.0, decay=decay, constant_epochs=constant)

    assert settings.learning_rate_at(epoch + 1) <= settings.learning_rate_at(epoch) <= 1.0
    assert settings.learning_rate_at(0) == 1.0


@pytest.mark.parametrize(("warm_up", "steps"), [(0.2, 50), (0.3, 7), (0.05, 200)])
def test_one_cycle_is_that_of_torch(warm_up, steps):
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=0.01, total_steps=steps, pct_start=warm_up
    )
    settings = TrainingSettings(learning_rate=0.01, schedule="one_cycle", warm_up=warm_up)

    for step in range(steps):
        group = optimiser.param_groups[0]
        assert settings.at_step(step, steps) == pytest.approx((group["lr"], group["betas"][0]), rel=1e-9)
        optimiser.step()
        if step < steps - 1:
            reference.step()


def test_the_cosine_is_that_of_time_moe():
    # time_moe.md, training: lr0 (r + (1 - r) / 2 (1 + cos(pi progress))), r = min_lr / lr0, no warm-up.
    settings = TrainingSettings(
        learning_rate=1e-4, minimum_learning_rate=5e-5, schedule="cosine", warm_up=0.0
    )

    for step in range(40):
        expected = 1e-4 * (0.5 + 0.5 * 0.5 * (1 + math.cos(math.pi * step / 40)))
        assert settings.at_step(step, 40) == pytest.approx((expected, 0.9))


@given(
    schedule=st.sampled_from(["one_cycle", "cosine"]),
    warm_up=st.floats(0, 0.99),
    steps=st.integers(1, 500),
    share=st.floats(0, 1, exclude_max=True),
)
def test_a_rate_by_steps_is_positive_and_never_above_the_learning_rate(schedule, warm_up, steps, share):
    settings = TrainingSettings(learning_rate=0.5, schedule=schedule, warm_up=warm_up)

    rate, momentum = settings.at_step(int(share * steps), steps)

    assert 0 < rate <= 0.5 * (1 + 1e-12)
    assert 0.85 <= momentum <= 0.95


@pytest.mark.parametrize("name", ["momentum", "second_momentum", "warm_up"])
def test_shares_lie_below_one(name):
    with pytest.raises(InputError, match=f"card: {name} must be below 1, not 1"):
        fill(TrainingSettings, {name: 1.0}, "card")
