"""The realised size of a disturbance, measured on contexts before and after it."""

import math
from collections.abc import Callable

import torch

from tsbench.contracts import Scenario
from tsbench.data.batch import Batch
from tsbench.data.disturbances import own_steps
from tsbench.data.task_data import TaskData

SIGMAS = 5
"""Deviations of a counted share from the declared one that chance is granted."""
DECIBELS = 1.0
SHARE_OF_ANGLE = 0.2
PEAK = 6.5
"""Times the envelope that a normal draw stays below."""
BURST = 10
ENOUGH, NORMAL_QUARTILE = 20, 0.6745
"""Values from which a deviation is told; median size of a normal draw in deviations."""
Measure = Callable[[TaskData, Scenario, Batch, Batch], str | None]


def level_fault(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """What is wrong with the size of a disturbance, or None; one without a measure must change something."""
    if "length" in clean:
        padding = ~own_steps(clean)
        if not torch.equal(disturbed["context"][padding], clean["context"][padding]):
            return "padding is disturbed"
    if scenario.disturbance in MEASURES:
        return MEASURES[scenario.disturbance](data, scenario, clean, disturbed)
    return "nothing is disturbed" if torch.equal(clean["context"], disturbed["context"]) else None


def _white_noise(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Power of the noise below the training variance of each variable, in dB."""
    scale = data.scale.of(clean)
    noise = disturbed["context"].double() - clean["context"].double()
    spread = (scale.std / scale.factor).expand_as(noise)  # in model space
    # A variable that never changes has no noise, nor has padding.
    counted = spread > 0
    if "length" in clean:
        counted = counted & own_steps(clean)[..., None]
    return _decibel_fault(1.0, float((noise[counted] / spread[counted]).square().mean()), scenario)


def _sample_white_noise(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Power of the noise below that of the samples, in dB."""
    before, after = _in_space(data, scenario, clean), _in_space(data, scenario, disturbed)
    power = before.abs().square().flatten(1).mean(dim=1)
    noise = (after - before).abs().square().flatten(1).mean(dim=1)
    return _decibel_fault(1.0, float((noise / power).mean()), scenario)


def _turned_phases(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Standard deviation of the angle by which values are turned."""
    before, after = _in_space(data, scenario, clean), _in_space(data, scenario, disturbed)
    found, level = float((after * before.conj()).angle().square().mean().sqrt()), scenario.level or 0.0
    if abs(found - level) <= SHARE_OF_ANGLE * level:
        return None
    return f"phases are turned by {found:.3g} rad, declared are {level:g}"


def _missing_blocks(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Share of the observed values that go missing; a block of one variable is lost as a whole."""
    before = clean.get("observed", torch.ones_like(clean["context"], dtype=torch.bool))
    lost = before & ~disturbed["observed"]
    samples, steps, channels = lost.shape
    blocks = samples * channels * max(1, steps // int(scenario.options["steps"]))
    return _share_fault(float(lost.sum() / before.sum()), scenario.level or 0.0, blocks)


def _hidden_channels(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Which variables are never observed: all but the first of each run of as many as the level says."""
    channels = clean["context"].shape[-1]
    wanted = set(range(0, channels, int(scenario.level or 1)))
    found = set(disturbed["observed"].any(dim=(0, 1)).nonzero().flatten().tolist())
    if found <= wanted and len(wanted) < channels:
        return None
    return f"{len(found)} of {channels} variables are observed, expected at most {len(wanted)}"


def _noisy_entities(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Deviation of the noise on one feature, from its median size where no border is near."""
    if "entity" not in clean:
        return None
    column, level = int(scenario.options["column"]), scenario.level or 0.0
    before, after = clean["entity"][..., column].double(), disturbed["entity"][..., column].double()
    to_border = (before - float(scenario.options["low"])).minimum(float(scenario.options["high"]) - before)
    inside = clean["entity_mask"] & (to_border > level)
    if int(inside.sum()) < ENOUGH:
        return None if bool((before != after).any()) else "nothing is disturbed"
    found = float((after - before)[inside].abs().median()) / NORMAL_QUARTILE
    if abs(found - level) <= SIGMAS * level / float(inside.sum()) ** 0.5:
        return None
    return f"the noise has a deviation of {found:.3g}, declared are {level:g}"


def _dropped_snapshots(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Share of the snapshots that are no longer what they were."""
    changed = (clean["context"] != disturbed["context"]).any(dim=3).any(dim=1)  # (sample, time)
    return _share_fault(float(changed.float().mean()), scenario.level or 0.0, changed.numel())


def _bursts(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Share of samples with a burst, its length and its peak."""
    level = scenario.level or 0.0
    noise = torch.view_as_real(_in_space(data, scenario, disturbed) - _in_space(data, scenario, clean))
    hit = (clean["context"] != disturbed["context"]).any(dim=3).any(dim=1)  # (sample, time)
    if int(hit.sum(dim=1).max()) > BURST:
        return f"a burst lasts {int(hit.sum(dim=1).max())} snapshots, more than {BURST}"
    if float(noise.abs().max()) > 2 * level * PEAK:
        return f"a burst reaches {float(noise.abs().max()):.3g}, far above its peak of {2 * level:g}"
    expected = 1 - (1 - 2 * level) ** (hit.shape[1] + 1)
    return _share_fault(float(hit.any(dim=1).float().mean()), expected, len(hit))


def _least_squares(data: TaskData, scenario: Scenario, clean: Batch, disturbed: Batch) -> str | None:
    """Power of the error at the pilots below that of the pilots, in dB."""
    pilots = slice(None, None, int(scenario.options["comb"]))
    before, after = (_in_space(data, scenario, one)[..., pilots] for one in (clean, disturbed))
    power = before.abs().square().flatten(1).mean(dim=1)
    noise = (after - before).abs().square().flatten(1).mean(dim=1)
    return _decibel_fault(1.0, float((noise / power).mean()), scenario)


MEASURES: dict[str, Measure] = {
    "awgn": _white_noise,
    "sample_awgn": _sample_white_noise,
    "phase_noise": _turned_phases,
    "missing_blocks": _missing_blocks,
    "hidden_channels": _hidden_channels,
    "entity_noise": _noisy_entities,
    "packet_drop": _dropped_snapshots,
    "burst_noise": _bursts,
    "estimated_ls": _least_squares,
}


def _in_space(data: TaskData, scenario: Scenario, batch: Batch) -> torch.Tensor:
    """The context in the space in which the disturbance works, in double precision."""
    wide = batch["context"].to(torch.complex128)
    return data.scale.to_units(wide) if scenario.space == "units" else wide


def _decibel_fault(signal: float, noise: float, scenario: Scenario) -> str | None:
    found = 10 * math.log10(signal / noise) if noise > 0 else math.inf
    if abs(found - (scenario.level or 0.0)) <= DECIBELS:
        return None
    return f"the noise is {found:.2f} dB below the signal, declared are {scenario.level:g}"


def _share_fault(found: float, wanted: float, trials: int) -> str | None:
    granted = SIGMAS * math.sqrt(wanted * (1 - wanted) / trials) + 1 / trials
    if abs(found - wanted) <= granted:
        return None
    return f"a share of {found:.3g} is hit, expected {wanted:.3g} ± {granted:.2g} of {trials}"
