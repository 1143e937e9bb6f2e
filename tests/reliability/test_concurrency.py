"""Eight processes at the same work: each job is done once, nothing is damaged, waiting is said in one line."""

import pytest

EIGHT = 8
SLOW_ADAPTER = """
import time
import tsbench.registry as registry
adapter = registry.adapter(registry.dataset("faults_waves"))
quick = adapter.build
def build(request):
    time.sleep(1)
    return quick(request)
adapter.build = build
"""
SLOW_FIT = """
import time
import tsbench.jobs.execute as execute
fit = execute.Execution.fit
def slow(self):
    time.sleep(1)
    return fit(self)
execute.Execution.fit = slow
"""


@pytest.fixture
def together(trials, world):
    """Runs a command in eight processes at once; gives their ends and the folder, and looks at the outcome."""

    def run(command: str, *more: str, code: str = ""):
        expected, _, _ = trials.whole(command)
        root = trials.begin(command)
        one = ([*world.COMMANDS[command], *more], world.environment(root))
        ended = trials.warm.together([one] * EIGHT, code=code)
        assert world.difference(expected, world.facts(root)) == []
        assert world.litter(root) == []
        assert world.unfinished_runs(root) == 0
        return ended

    return run


def times(ended, point: str) -> int:
    """How often a point was come by, in all processes together."""
    return sum(name.split(" #")[0] == point for one in ended for name in one.points)


def waited(ended) -> list[int]:
    """How many lines each process said about waiting."""
    return [one.err.count("Waiting for it to finish.") for one in ended]


def test_one_store_is_built_once_while_seven_wait(together):
    ended = together("data get", code=SLOW_ADAPTER)

    assert [one.code for one in ended] == [0] * EIGHT
    assert times(ended, "rename faults_waves/full.zarr") == 1
    # On a machine that is busy, some start only when the store is there.
    assert set(waited(ended)) == {0, 1}


def test_one_job_is_done_once_while_seven_wait(together):
    ended = together("run", "--wait", code=SLOW_FIT)

    assert [one.code for one in ended] == [0] * EIGHT
    assert times(ended, "replace seed-0-*/fit.json") == 1
    assert times(ended, "rename seed-0-*/result-*") == 1
    assert sum("reused Result" in one.err for one in ended) == EIGHT - 1
    assert max(waited(ended)) == 1


def test_seven_who_do_not_wait_stop_with_one_line(together):
    ended = together("run", code=SLOW_FIT)

    assert times(ended, "rename seed-0-*/result-*") == 1
    for one in ended:
        assert one.code in (0, 2)
        assert one.code == 0 or "is in use by process" in one.err
        assert one.code == 0 or one.err.count("\n") == 1


@pytest.mark.slow
def test_one_suite_is_run_once(together):
    ended = together("run SUITE", "--wait")

    assert [one.code for one in ended] == [0] * EIGHT
    # Two models, two seeds.
    assert sum(times(ended, f"rename seed-{seed}-*/result-*") for seed in (0, 1)) == 4
    assert max(waited(ended)) <= 4


@pytest.mark.slow
def test_one_mlflow_file_gets_each_result_once(together):
    ended = together("results log")

    assert [one.code for one in ended] == [0] * EIGHT
    said = " ".join(one.err for one in ended)
    assert "0 not sent" in said
    assert "Warning" not in said


@pytest.mark.slow
def test_one_folder_of_pages_is_never_a_mixture(together):
    assert [one.code for one in together("board build")] == [0] * EIGHT
