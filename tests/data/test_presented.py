"""Cases as a model sees them: noise from seed, case and epoch; the same whatever the batch; cut to the look-back."""

import pytest
import torch

from tsbench.data import presented
from tsbench.data.presented import NoiseSource, present, shorten
from tsbench.data.views import View

NOISE = {"disturbance": "sample_awgn", "low": 0, "high": 25, "draw": "once", "space": "normalised"}


@pytest.fixture
def training(open_responses):
    """Makes the presented training cases: `training(draw, seed)`."""

    def make(draw: str = "once", seed: int = 0) -> presented.Presented:
        data = open_responses(training_noise={**NOISE, "draw": draw})
        source = NoiseSource.training(data.task, data.scale, seed)
        return present(data.windows("train", 6), View(), source)

    return make


def contexts(cases, epoch: int = 0, size: int = 3) -> torch.Tensor:
    whole = cases.at_epoch(epoch)
    return torch.cat([whole.gather(rows)["context"] for rows in torch.arange(len(cases)).split(size)])


@pytest.mark.parametrize("draw", ["once", "each_epoch"])
def test_noise_is_the_same_bits_for_any_batch_size_and_order(training, draw):
    cases = training(draw)
    whole = contexts(cases, size=100)

    assert torch.equal(contexts(cases, size=1), whole)
    assert torch.equal(cases.gather(torch.tensor([5, 0]))["context"], whole[[5, 0]])


def test_noise_once_is_the_same_in_every_epoch_and_noise_each_epoch_is_not(training):
    once, anew = training("once"), training("each_epoch")

    assert torch.equal(contexts(once, 0), contexts(once, 3))
    assert not torch.equal(contexts(anew, 0), contexts(anew, 3))
    assert torch.equal(contexts(anew, 3), contexts(anew, 3))


def test_noise_in_training_depends_on_the_seed_of_the_run(training):
    assert not torch.equal(contexts(training(seed=0)), contexts(training(seed=1)))


def test_noise_that_is_kept_equals_noise_that_is_drawn_again(training, monkeypatch):
    kept = training("once")
    monkeypatch.setattr(presented, "KEPT_BYTES", 0)
    drawn = training("once")

    assert kept.kept is not None
    assert drawn.kept is None
    assert torch.equal(contexts(kept), contexts(drawn))


def test_validation_noise_does_not_depend_on_the_seed(open_responses):
    data = open_responses(training_noise=NOISE)
    source = NoiseSource.validation(data.task, data.scale)
    cases = data.windows("validation", 6)

    assert torch.equal(contexts(present(cases, View(), source)), contexts(present(cases, View(), source)))
    assert source is not None
    assert source.constant


def test_levels_are_uniform_over_their_range(open_responses, responses):
    data = open_responses(responses(samples=200), training_noise=NOISE)
    cases = data.windows("train", 6)
    noisy = contexts(present(cases, View(), NoiseSource.training(data.task, data.scale, 0)), size=500)
    clean = contexts(present(cases, View()), size=500)
    power = clean.abs().square().mean(dim=(1, 2, 3))
    ratio = 10 * torch.log10(power / (noisy - clean).abs().square().mean(dim=(1, 2, 3)))

    assert len(ratio) == 600
    assert ratio.quantile(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])).tolist() == pytest.approx(
        [0, 6.25, 12.5, 18.75, 25], abs=2.5
    )


def test_targets_stay_clean(training, open_responses):
    clean = open_responses().windows("train", 6).gather(torch.tensor([4]))["target"]

    assert torch.equal(training().gather(torch.tensor([4]))["target"], clean)


def test_a_shorter_look_back_sees_the_end_of_the_same_noisy_context(open_responses):
    data = open_responses(training_noise=NOISE)
    source = NoiseSource.training(data.task, data.scale, 0)
    long, short = (present(data.windows("train", context), View(), source) for context in (6, 2))

    assert torch.equal(contexts(short), contexts(long)[:, :, -2:])


def test_a_context_of_the_right_length_is_left_alone(open_responses):
    batch = open_responses().windows("train", 6).gather(torch.tensor([0]))

    assert shorten(batch, 6) is batch
