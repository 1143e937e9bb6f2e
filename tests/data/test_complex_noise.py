"""Noise of complex responses: official draws give official noise, real draws the published levels."""

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError
from tsbench.data.batch import Batch
from tsbench.data.complex_noise import (
    add_burst,
    add_white_noise,
    burst_noise,
    drop_snapshots,
    packet_drop,
    phase_noise,
    sample_awgn,
    turn_phases,
)
from tsbench.data.disturbances import case_generators
from tsbench.data.imputation import impute_snapshots
from tsbench.training.weights import read_tensors

ELEMENTS, STEPS, FEATURES = 3, 16, 7
TASK, KEY = "responses@1", "robustness/noise"
DIMENSIONS = {"context": ("sample", "element", "time", "feature")}
DISTURBANCES = [(sample_awgn, 10.0), (phase_noise, 0.32), (burst_noise, 0.29), (packet_drop, 0.1)]
# csi_rrg.md, table of levels: degree, SNR in dB as verified there, share of samples hit.
# A burst's SNR counts where each part, not each complex value, has power 1: that is what z-scoring makes.
PHASE = [(0.32, 10.0), (0.18, 14.9), (0.10, 20.0), (0.056, 25.0)]
BURST = [(0.29, 9.8, 1.0), (0.16, 15.0, 1.0), (0.09, 19.9, 0.98), (0.054, 25.2, 0.84)]


def responses(
    cases: list[int], elements: int = ELEMENTS, steps: int = STEPS, features: int = FEATURES
) -> Batch:
    """Each part has power 1, as where it is z-scored; a case has the same values at the same lag always."""
    values = [
        torch.randn(32, elements, features, 2, generator=torch.Generator().manual_seed(case))[-steps:]
        for case in cases
    ]
    context = torch.view_as_complex(torch.stack(values)).transpose(1, 2)  # (sample, element, time, feature)
    return Batch(DIMENSIONS, context=context.contiguous(), index=torch.tensor(cases))


def disturbed(function, level, batch: Batch, key: str = KEY, **options) -> torch.Tensor:
    generators = case_generators(TASK, key, batch["index"])
    return function(batch, generators, level, options, None)["context"]


def added(function, level, batch: Batch, **options) -> torch.Tensor:
    return disturbed(function, level, batch, **options) - batch["context"]


def decibels(noise: torch.Tensor, signal: torch.Tensor) -> float:
    """Power of all the signal over power of all the noise."""
    return float(
        10 * torch.log10(signal.abs().double().square().mean() / noise.abs().double().square().mean())
    )


class TestTheOfficialNoise:
    """csi_rrg_metrics: the recorded draws, injected, give the recorded noise."""

    @pytest.fixture(scope="class")
    def tensors(self, shared_fixtures):
        return read_tensors(shared_fixtures / "csi_rrg_metrics.safetensors")

    @pytest.mark.parametrize("snr", [0, 15])
    def test_white_noise_is_reproduced(self, tensors, snr):
        tag = f"vanilla_snr{snr}_sample0"
        real, imaginary = (tensors[f"input/draw_{tag}_randn{part}"] for part in (0, 1))
        values = tensors["input/H"][:1]

        noise = add_white_noise(values, torch.complex(real, imaginary)[None], snr) - values

        torch.testing.assert_close(noise[0], tensors[f"output/noise_{tag}"], atol=1e-5, rtol=0)

    @pytest.mark.parametrize("degree", ["0.32", "0.056"])
    def test_phase_noise_is_reproduced(self, tensors, degree):
        values = tensors["input/H"]

        noise = turn_phases(values, tensors[f"input/draw_phase_{degree}_randn_like0"], float(degree)) - values

        torch.testing.assert_close(noise, tensors[f"output/noise_phase_{degree}"], atol=1e-5, rtol=0)

    @pytest.mark.parametrize("degree", ["0.29", "0.054"])
    def test_bursts_are_reproduced(self, tensors, degree):
        values, draw = tensors["input/H"], f"input/draw_burst_{degree}"
        occurs = tensors[f"{draw}_geometric0"] - 1 < values.shape[2]  # counted from 0: csi_rrg.md, quirk 2
        start = tensors[f"{draw}_randint0"]
        normal = torch.zeros_like(values)
        for number, sample in enumerate(occurs.nonzero().flatten().tolist()):
            real, imaginary = (tensors[f"{draw}_randn{2 * number + part}"][0] for part in (0, 1))
            first = int(start[sample])
            normal[sample, :, first : first + real.shape[1]] = torch.complex(real, imaginary)

        noise = add_burst(values, normal, start, occurs, float(degree)) - values

        torch.testing.assert_close(noise, tensors[f"output/noise_burst_{degree}"], atol=1e-5, rtol=0)

    @pytest.mark.parametrize("share", ["0.1", "0.3"])
    def test_lost_snapshots_are_reproduced(self, tensors, share):
        values = tensors["input/H"]

        noise = drop_snapshots(values, tensors[f"input/draw_packetdrop_{share}_bernoulli0"].bool()) - values

        torch.testing.assert_close(noise, tensors[f"output/noise_packetdrop_{share}"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("function", "level"), DISTURBANCES)
class TestEveryDisturbance:
    def test_it_does_not_depend_on_the_batch_or_the_order_to_the_bit(self, function, level):
        whole = disturbed(function, level, responses(list(range(40))))
        order = np.random.default_rng(5).permutation(40).tolist()

        shuffled = disturbed(function, level, responses(order))
        alone = torch.cat([disturbed(function, level, responses([case])) for case in range(40)])

        assert torch.equal(shuffled, whole[order])
        assert torch.equal(alone, whole)

    def test_it_does_not_depend_on_the_number_of_threads(self, function, level):
        before, batch = torch.get_num_threads(), responses([0, 1], elements=33, features=101)
        results = []
        try:
            for threads in (1, 3):
                torch.set_num_threads(threads)
                results.append(disturbed(function, level, batch))
        finally:
            torch.set_num_threads(before)

        assert torch.equal(*results)

    def test_a_level_for_each_sample_is_that_sample_s(self, function, level):
        batch = responses([0, 1, 2])
        levels = torch.tensor([level, level / 2, level / 4], dtype=torch.float64)

        together = disturbed(function, levels, batch)

        alone = [disturbed(function, float(one), responses([case])) for case, one in enumerate(levels)]
        assert torch.equal(together, torch.cat(alone))

    def test_it_differs_between_cases_and_keys(self, function, level):
        same = responses([0, 0]).replace(index=torch.tensor([0, 1]))
        here = disturbed(function, level, same)

        assert not torch.equal(here[0], here[1])
        assert not torch.equal(disturbed(function, level, same, key="another"), here)

    def test_it_keeps_shape_and_type_and_does_not_change_its_input(self, function, level):
        batch = responses([0, 1])
        before = batch["context"].clone()

        after = disturbed(function, level, batch)

        assert (after.shape, after.dtype) == (before.shape, torch.complex64)
        assert torch.equal(batch["context"], before)


@pytest.mark.parametrize("snr", [0.0, 10.0, 25.0])
def test_white_noise_is_that_far_below_the_power_of_each_sample(snr):
    batch = responses([0, 1, 2], elements=32, features=60)
    gains = torch.tensor([0.1, 1, 30])[:, None, None, None]
    batch = batch.replace(context=batch["context"] * gains)

    noise = added(sample_awgn, snr, batch)

    reached = [decibels(*pair) for pair in zip(noise, batch["context"], strict=True)]
    assert reached == pytest.approx([snr] * 3, abs=0.1)


def test_white_noise_is_circular_and_white():
    noise = added(sample_awgn, 0, responses(list(range(20)), elements=8, features=50)).to(torch.complex128)

    assert abs(noise.square().mean()) < 0.01
    assert abs(noise.mean()) < 0.01
    for axis in (1, 2, 3):
        first, second = (noise.narrow(axis, begin, noise.shape[axis] - 1) for begin in (0, 1))
        assert abs((first.conj() * second).mean()) < 0.01


@pytest.mark.parametrize(("degree", "snr"), PHASE)
def test_phase_noise_reaches_the_published_level(degree, snr):
    batch = responses(list(range(40)), elements=8, features=40)

    assert decibels(added(phase_noise, degree, batch), batch["context"]) == pytest.approx(snr, abs=0.4)


def test_phase_noise_keeps_magnitudes():
    batch = responses([0, 1])

    torch.testing.assert_close(disturbed(phase_noise, 0.32, batch).abs(), batch["context"].abs())


@pytest.mark.parametrize(("degree", "snr", "hit"), BURST)
def test_bursts_reach_the_published_level_and_rate(degree, snr, hit):
    batch = responses(list(range(4000)), elements=2, features=6)

    noise = added(burst_noise, degree, batch)

    assert decibels(noise, batch["context"]) == pytest.approx(snr, abs=0.4)
    share = float((noise != 0).flatten(1).any(dim=1).double().mean())
    assert share == pytest.approx(hit, abs=0.02)
    assert share == pytest.approx(1 - (1 - 2 * degree) ** 17, abs=0.02)  # csi_rrg.md, burst


def test_a_burst_lasts_ten_snapshots_or_to_the_end_at_all_elements_and_features():
    noise = added(burst_noise, 0.29, responses(list(range(600))))

    hit = noise != 0
    steps = hit.any(dim=(1, 3)).nonzero()
    starts = set()
    for sample in steps[:, 0].unique().tolist():
        found = steps[steps[:, 0] == sample, 1].tolist()
        assert found == list(range(found[0], min(found[0] + 10, STEPS)))
        assert hit[sample][:, found].all()
        starts.add(found[0])
    assert starts == set(range(STEPS))


def test_the_size_of_a_burst_does_not_depend_on_the_power_of_the_sample():
    batch = responses([0, 1])
    loud = batch.replace(context=batch["context"] * 4)

    torch.testing.assert_close(
        added(burst_noise, 0.29, loud), added(burst_noise, 0.29, batch), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("degree", [0.0, 0.6])
def test_a_burst_of_impossible_probability_is_refused(degree):
    with pytest.raises(InputError, match="burst_noise takes levels above 0 up to 0.5, not"):
        disturbed(burst_noise, degree, responses([0]))


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_the_expected_share_of_snapshots_is_lost_at_every_lag(share):
    dropped = disturbed(packet_drop, share, responses(list(range(3000)), 2, features=2), impute=False)

    lost = dropped == 0
    assert torch.equal(lost.any(dim=(1, 3)), lost.all(dim=(1, 3)))
    assert lost.double().mean() == pytest.approx(share, abs=0.004)
    assert lost.double().mean(dim=(0, 1, 3)).tolist() == pytest.approx([share] * STEPS, abs=0.025)


@pytest.mark.parametrize("compat", [False, True])
def test_lost_snapshots_are_filled_as_asked(compat):
    batch = responses(list(range(200)))
    dropped = disturbed(packet_drop, 0.1, batch, impute=False)

    filled = disturbed(packet_drop, 0.1, batch, compat=compat)

    assert torch.equal(filled, impute_snapshots(dropped, compat=compat))
    assert bool((filled == 0).any()) == compat


@pytest.mark.parametrize(("function", "level"), [(phase_noise, 0.32), (packet_drop, 0.1)])
def test_a_longer_look_back_is_disturbed_alike_at_the_same_lags(function, level):
    batches = [responses([0, 1], steps=steps) for steps in (16, 32)]

    short, long = (disturbed(function, level, batch, impute=False) for batch in batches)

    assert torch.equal(short, long[:, :, -16:])


def test_a_longer_look_back_sees_the_same_white_noise_up_to_the_power_of_the_sample():
    short, long = (added(sample_awgn, 10.0, responses([0], steps=steps)) for steps in (16, 32))

    ratio = short / long[:, :, -16:]
    torch.testing.assert_close(ratio, torch.ones_like(ratio) * ratio.real.mean(), atol=1e-3, rtol=0)
