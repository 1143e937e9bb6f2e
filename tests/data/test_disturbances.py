"""Disturbances: functions of (task, scenario, case), of the stated size, that touch the context only."""

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError, Scenario
from tsbench.data.batch import Batch
from tsbench.data.disturbances import DISTURBANCES, case_generators, disturb
from tsbench.data.missing import fill_forward
from tsbench.data.normalisation import fit_scale

CHANNELS, STEPS, TASK = 3, 96, "waves@1"
SCALE = fit_scale(np.random.default_rng(0).normal([5, -2, 100], [1, 3, 20], (500, CHANNELS)), "zscore")


def noise(level: float = 10, space: str = "units") -> Scenario:
    key = f"robustness/awgn/snr_db={level:g}"
    return Scenario(
        key=key, condition="robustness", dataset="waves", disturbance="awgn", level=level, space=space
    )


def blocks(level: float = 0.3, steps: int = 24, space: str = "units") -> Scenario:
    return Scenario(
        key=f"robustness/missing_blocks/fraction={level:g}",
        condition="robustness",
        dataset="waves",
        disturbance="missing_blocks",
        level=level,
        options={"steps": steps},
        space=space,
    )


def batch_of(cases: range | list[int] = range(40), steps: int = STEPS) -> Batch:
    """Each case has values of its own, the same at the same lag for every look-back."""
    whole = torch.stack(
        [torch.randn(192, CHANNELS, generator=torch.Generator().manual_seed(case)) for case in cases]
    )
    return Batch(context=whole[:, -steps:], target=whole[:, :12] + 7, index=torch.tensor(list(cases)))


@pytest.mark.parametrize(
    "scenario", [noise(), noise(space="normalised"), blocks(), blocks(space="normalised")]
)
class TestEveryDisturbance:
    def test_it_does_not_depend_on_the_batch_or_the_order(self, scenario):
        whole = disturb(batch_of(), scenario, TASK, SCALE)["context"]
        order = np.random.default_rng(5).permutation(40).tolist()

        shuffled = disturb(batch_of(order), scenario, TASK, SCALE)["context"]
        alone = torch.cat([disturb(batch_of([case]), scenario, TASK, SCALE)["context"] for case in range(40)])

        assert torch.equal(shuffled, whole[order])
        assert torch.equal(alone, whole)

    def test_it_does_not_depend_on_any_global_seed(self, scenario):
        torch.manual_seed(1)
        first = disturb(batch_of(), scenario, TASK, SCALE)["context"]
        torch.manual_seed(2)

        assert torch.equal(disturb(batch_of(), scenario, TASK, SCALE)["context"], first)

    def test_it_differs_between_cases_scenarios_and_task_versions(self, scenario):
        same = batch_of([0, 0]).replace(index=torch.tensor([0, 1]))
        here = disturb(same, scenario, TASK, SCALE)["context"]
        other_key = scenario.model_copy(update={"key": scenario.key + "/other"})

        assert not torch.equal(here[0], here[1])
        assert not torch.equal(disturb(same, other_key, TASK, SCALE)["context"], here)
        assert not torch.equal(disturb(same, scenario, "waves@2", SCALE)["context"], here)

    def test_it_never_touches_the_target(self, scenario):
        batch = batch_of()

        assert torch.equal(disturb(batch, scenario, TASK, SCALE)["target"], batch["target"])

    def test_it_does_not_change_its_input(self, scenario):
        batch = batch_of()
        before = batch["context"].clone()
        disturb(batch, scenario, TASK, SCALE)

        assert torch.equal(batch["context"], before)


@pytest.mark.parametrize("level", [20.0, 10.0, 0.0])
@pytest.mark.parametrize("space", ["units", "normalised"])
def test_noise_is_that_many_decibels_below_the_training_variance(level, space):
    batch = batch_of(range(300))

    added = disturb(batch, noise(level, space), TASK, SCALE)["context"] - batch["context"]

    # In model space a z-scored variable has variance 1.
    decibels = -10 * torch.log10(added.double().square().mean(dim=(0, 1)))
    assert decibels.tolist() == pytest.approx([level] * CHANNELS, abs=0.15)
    assert added.mean(dim=(0, 1)).abs().max() < 0.02


def test_a_longer_look_back_sees_the_same_noise_at_the_same_lags():
    short = disturb(batch_of(steps=48), noise(), TASK, SCALE)["context"]
    long = disturb(batch_of(steps=192), noise(), TASK, SCALE)["context"]

    assert torch.equal(short, long[:, -48:])


def test_a_longer_look_back_misses_the_same_values_at_the_same_lags():
    short = disturb(batch_of(steps=48), blocks(), TASK, SCALE)["observed"]
    long = disturb(batch_of(steps=192), blocks(), TASK, SCALE)["observed"]

    assert torch.equal(short, long[:, -48:])


def test_noise_is_white():
    added = disturb(batch_of(range(300)), noise(0), TASK, SCALE)["context"] - batch_of(range(300))["context"]

    lagged = (added[:, 1:] * added[:, :-1]).mean(dim=(0, 1))
    across = (added[..., 0] * added[..., 1]).mean()
    assert lagged.abs().max() < 0.02
    assert abs(float(across)) < 0.02


@pytest.mark.parametrize("level", [0.1, 0.3])
def test_the_expected_share_of_the_context_goes_missing(level):
    observed = disturb(batch_of(range(2000)), blocks(level), TASK, SCALE)["observed"]

    assert (~observed).float().mean(dim=(0, 1)).tolist() == pytest.approx([level] * CHANNELS, abs=0.025)
    # At every lag alike: no step, the newest included, is safer than another.
    assert (~observed).float().mean(dim=(0, 2)).tolist() == pytest.approx([level] * STEPS, abs=0.035)


def test_what_is_missing_is_missing_in_whole_blocks():
    observed = disturb(batch_of(range(100)), blocks(0.3, steps=8), TASK, SCALE)["observed"]

    for series in observed.transpose(1, 2).flatten(0, 1):
        edges = torch.nonzero(series[1:] != series[:-1]).flatten() + 1
        # All borders of one variable lie on one grid of 8 steps, counted from the origin.
        assert len({int(STEPS - edge) % 8 for edge in edges}) <= 1


def test_missing_values_are_filled_with_the_last_observed_one_and_the_training_mean_at_the_start():
    batch = batch_of(range(60))

    disturbed = disturb(batch, blocks(0.3), TASK, SCALE)

    expected = fill_forward(
        batch["context"], disturbed["observed"], torch.zeros(CHANNELS)
    )  # mean 0 in model space
    torch.testing.assert_close(disturbed["context"], expected, atol=1e-5, rtol=0)


def test_values_that_were_missing_before_stay_missing():
    before = torch.ones(40, STEPS, CHANNELS, dtype=torch.bool)
    before[:, 10:20] = False

    disturbed = disturb(batch_of().replace(observed=before), blocks(0.1), TASK, SCALE)

    assert not disturbed["observed"][:, 10:20].any()


def test_lost_values_leave_no_trace_in_the_context():
    batch = batch_of()
    mask = disturb(batch, blocks(0.3), TASK, SCALE)["observed"]
    poisoned = batch.replace(context=torch.where(mask, batch["context"], batch["context"] + 1000))

    assert torch.equal(
        disturb(poisoned, blocks(0.3), TASK, SCALE)["context"],
        disturb(batch, blocks(0.3), TASK, SCALE)["context"],
    )


def test_a_regular_scenario_leaves_the_batch_alone():
    batch = batch_of()

    assert disturb(batch, Scenario(key="regular", condition="regular", dataset="waves"), TASK, SCALE) is batch


def test_an_unknown_disturbance_is_refused_with_those_there_are():
    wrong = noise().model_copy(update={"disturbance": "rain"})

    with pytest.raises(InputError, match="Unknown disturbance 'rain'; there are awgn, missing_blocks"):
        disturb(batch_of(), wrong, TASK, SCALE)


def test_generators_of_two_cases_are_independent():
    one, other = case_generators(TASK, "robustness/awgn/snr_db=10", torch.tensor([0, 1]))
    pair = np.corrcoef(one.standard_normal(20_000), other.standard_normal(20_000))

    assert abs(pair[0, 1]) < 0.03
    assert {"awgn", "missing_blocks"} <= set(DISTURBANCES)


def test_hidden_variables_are_the_same_in_every_case_and_fewer_stay_at_a_higher_level():
    scenario = blocks().model_copy(update={"disturbance": "hidden_channels", "level": 2.0, "options": {}})
    batch = batch_of(range(5))

    disturbed = disturb(batch, scenario, TASK, SCALE)

    assert disturbed["observed"].all(dim=1).tolist() == [[True, False, True]] * 5
    torch.testing.assert_close(disturbed["context"][..., ::2], batch["context"][..., ::2])
    assert disturbed["context"][..., 1].abs().max() < 1e-5  # the training mean, 0 in model space
    fewer = disturb(batch, scenario.model_copy(update={"level": 3.0}), TASK, SCALE)
    assert fewer["observed"][0, 0].tolist() == [True, False, False]
    before = disturbed["observed"].clone()
    before[:, :7] = False
    assert torch.equal(disturb(batch.replace(observed=before), scenario, TASK, SCALE)["observed"], before)
