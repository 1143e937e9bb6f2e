"""The tasks of CSI-RRG: the scenario enumeration of the benchmark, ours beside the published, and the profiles."""

import pytest

from tsbench import registry
from tsbench.contracts import averages
from tsbench.datasets.csi_rrg.grid import Profile

MODES = ("tdd", "fdd")
TRAINED = {(model, spread, speed) for model in "ACD" for spread in (30, 100, 300) for speed in (1, 10, 30)}


def counts(name: str) -> dict[str, int]:
    return {key: len(keys) for key, keys in averages(registry.task(name).scenarios()).items()}


@pytest.mark.parametrize("mode", MODES)
def test_the_full_task_has_the_scenarios_of_the_benchmark(mode):  # csi_rrg sheet, "must show" 1
    found = counts(f"csi-rrg-{mode}")

    assert (found["regular"], found["robustness-published"], found["generalisation-published"]) == (
        162,
        486,
        3060,
    )
    assert (found["robustness"], found["generalisation"]) == (486, 3060 - 162)


def test_both_modes_have_7416_published_scenarios():
    published = [
        scenario
        for mode in MODES
        for scenario in registry.task(f"csi-rrg-{mode}").scenarios()
        if scenario.counts != "condition"
    ]

    assert len(published) == 7416
    assert len({scenario.key for scenario in published}) == 7416 / 2


@pytest.mark.parametrize("mode", MODES)
def test_the_small_task_has_162_486_and_288_scenarios(mode):
    assert counts(f"csi-rrg-{mode}-small") == {
        "regular": 162, "robustness": 486, "robustness-published": 486, "generalisation": 288,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", [f"csi-rrg-{mode}{size}" for mode in MODES for size in ("", "-small", "-tiny")]
)
def test_no_trained_cell_is_in_the_generalisation_average(name):
    task = registry.task(name)
    own = set(averages(task.scenarios())["generalisation"])
    cells = [tuple(one.cell.values()) for one in task.scenarios() if one.key in own]

    assert cells
    assert not TRAINED & set(cells)


@pytest.mark.parametrize(
    "name", [f"csi-rrg-{mode}{size}" for mode in MODES for size in ("", "-small", "-tiny")]
)
def test_every_scenario_is_a_cell_of_the_store_that_the_task_names(name):
    task = registry.task(name)
    profile = Profile.of_parameters(registry.dataset(task.dataset).variant.parameters)
    stored = {(cell.split, cell.model, cell.delay_spread, cell.speed) for cell in profile.cells()}
    asked = {(scenario.part or task.split.test, *scenario.cell.values()) for scenario in task.scenarios()}

    assert asked == {cell for cell in stored if cell[0] != "train"}


def test_robustness_has_the_published_levels():  # csi_rrg sheet, table of levels
    levels: dict[str, set[float]] = {}
    for scenario in registry.task("csi-rrg-tdd").scenarios():
        if scenario.condition == "robustness":
            levels.setdefault(str(scenario.disturbance), set()).add(scenario.level or 0.0)

    assert levels == {
        "phase_noise": {0.32, 0.18, 0.1, 0.056},
        "burst_noise": {0.29, 0.16, 0.09, 0.054},
        "packet_drop": {number / 100 for number in range(1, 11)},
    }


def test_imputation_as_published_counts_for_the_published_average_alone():
    drops = [one for one in registry.task("csi-rrg-tdd").scenarios() if one.disturbance == "packet_drop"]

    assert {one.counts for one in drops if one.options == {"compat": True}} == {"published"}
    assert {one.counts for one in drops if not one.options} == {"condition"}
    assert len(drops) == 2 * 270


def test_targets_of_the_two_modes_lie_in_different_bands():
    assert [registry.task(f"csi-rrg-{mode}").samples.target for mode in MODES] == [
        "target_uplink", "target_downlink",
    ]  # fmt: skip


@pytest.mark.parametrize("size", ["small", "tiny"])
@pytest.mark.parametrize("mode", MODES)
def test_estimated_histories_are_a_task_of_their_own_on_the_same_cells(mode, size):
    base, task = (registry.task(f"csi-rrg-{mode}-{size}{ending}") for ending in ("", "-estimated"))
    estimated = [one for one in task.scenarios() if one.condition == "robustness"]
    cells = len({tuple(one.cell.values()) for one in task.scenarios()})

    assert [one for one in task.scenarios() if one.condition == "regular"] == [
        one for one in base.scenarios() if one.condition == "regular"
    ]
    assert {(one.disturbance, one.level) for one in estimated} == {
        (name, level) for name in ("estimated_ls", "estimated_lmmse") for level in (0, 5, 10, 15, 20, 25)
    }
    assert len(estimated) == 12 * cells
    # A pilot every 240 kHz, and the interval of the stored subcarriers as the data set has it.
    profile = Profile.of_parameters(registry.dataset(task.dataset).variant.parameters)
    spacing = profile.link.every * profile.link.spacing
    assert {(one.options["spacing"], one.options["comb"] * spacing) for one in estimated} == {
        (spacing, 240e3)
    }
