"""Commands that are killed, wherever, and repeated come to the same end; nobody ever reads what is half-written.

A quick test kills each kind of command once for real and at each of its own named points once; the slow ones
kill at random points and moments. `benchmarks/faults.py` is the long campaign.
"""

import random
import re

import pytest

QUICK = {
    "data get": ("KILL", "rename faults_waves/full.zarr", "before"),
    "run": ("TERM", "replace seed-0-*/fit.json", "before"),
    "board build": ("INT", "exchange runs/board", "after"),
    "results log": ("KILL", "commit database #40", "after"),
}
"""One kill a kind of command."""
INSIDE = re.compile(r"^rmdir|\.tmp-|\.lock-|partial|/number|zarr\.json|#|^commit|mlartifacts|results?/")
"""Points within what has a temporary name, and repetitions."""
OWN_POINTS = {
    "data get": {"link faults_waves/.lock", "rename faults_waves/full.zarr", "unlink faults_waves/.lock"},
    "data get, in parts": {
        "link faults_pieces/.lock",
        "replace .draft-full/request.json",
        "replace done/number",
        "rename faults_pieces/full.zarr",
        "rename faults_pieces/.tmp-.draft-full-*",
        "unlink faults_pieces/.lock",
    },
    "data get --fresh": {"rename faults_waves/full.zarr", "exchange faults_waves/full.zarr"},
    "run": {
        "replace runs/.code.json",
        "link seed-0-*/lock",
        "replace seed-0-*/attempts.json",
        "replace seed-0-*/best.safetensors",
        "replace seed-0-*/last.ckpt",
        "replace seed-0-*/weights.safetensors",
        "replace seed-0-*/fit.json",
        "unlink seed-0-*/last.ckpt",
        "unlink seed-0-*/best.safetensors",
        "unlink seed-0-*/attempts.json",
        "rename seed-0-*/result-*",
        "unlink seed-0-*/lock",
    },
    "run --fresh": {
        "unlink seed-0-*/fit.json",
        "rename seed-0-*/.tmp-result-*-*",
        "rename seed-0-*/forecast.zarr",
    },
    "board build": {"rename runs/board", "exchange runs/board"},
}
"""Renames, links and removals that others see."""


@pytest.mark.parametrize("command", QUICK)
def test_each_kind_of_command_is_killed_once_and_comes_to_the_same_end(command, trials, faults):
    signal, point, when = QUICK[command]

    trial = trials.kill(command, faults.Kill(signal, point, when))

    assert trial.killed.code == {"KILL": -9, "TERM": -15, "INT": 130}[signal]
    assert trial.wrong == []


@pytest.mark.parametrize(
    "command",
    [pytest.param(one, marks=pytest.mark.slow) if "--fresh" in one else one for one in OWN_POINTS],
)
def test_each_named_point_is_survived_before_and_after(command, trials, faults):
    """One command is killed at one point after the other, each time where the kill before has left it."""
    _, points, _ = trials.whole(command)
    assert set(points) >= OWN_POINTS[command]
    own = [point for point in points if point in OWN_POINTS[command]]

    kills = [faults.Kill("KILL", point, when) for point in own for when in ("before", "after")]

    assert trials.chain(command, kills) == []


@pytest.mark.parametrize("command", ["data get", "run"])
def test_every_point_that_others_see_is_on_the_list(command, trials):
    """A new rename or removal must be killed as well."""
    _, points, _ = trials.whole(command)

    assert {point for point in points if not INSIDE.search(point)} <= OWN_POINTS[command] | {
        "unlink runs/.tmp-.code.json-*"
    }


def test_work_that_was_finished_before_a_kill_is_found_again(trials, faults, world):
    kill = faults.Kill("KILL", "rename seed-0-*/result-*", "after")

    trial = trials.kill("run", kill)

    assert trial.killed.code == -9
    assert trial.wrong == []
    assert "reused Result of dlinear on faults-12" in trial.again.err


def test_ctrl_c_says_how_to_go_on_and_leaves_nothing(trials, faults, world):
    root = trials.begin("run")
    kill = faults.Kill("INT", "replace seed-0-*/attempts.json", "after")

    ended = trials.warm.run(world.COMMANDS["run"], world.environment(root), kill)

    assert ended.code == 130
    assert ended.err.strip().endswith("Interrupted. Run the same command again to go on.")
    assert "Traceback" not in ended.err
    assert world.litter(root) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_random_kills_are_survived(number, trials, faults, world):
    chance = random.Random(number)
    command = list(world.COMMANDS)[number % len(world.COMMANDS)]
    _, points, seconds = trials.whole(command)
    signal = list(faults.SIGNALS)[number % len(faults.SIGNALS)]
    if number < len(world.COMMANDS):
        kill = faults.Kill(signal, chance.choice(points), chance.choice(["before", "after"]))
    else:
        kill = faults.Kill(signal, seconds=chance.uniform(0, seconds))

    assert trials.kill(command, kill).wrong == []
