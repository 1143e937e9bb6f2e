"""What the tests of sweeps share: short sweeps of DLinear on made waves."""

from collections.abc import Callable
from typing import Any

import pytest

from tsbench.contracts import SearchSpace, Task
from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct
from tsbench.search.plan import Plan, Search, make_plan
from tsbench.search.sweep import Found, sweep

SPACE = SearchSpace.model_validate(
    {
        "hyperparameters": {
            "moving_average": {"choices": [5, 13, 25]},
            "individual": {"choices": [False, True]},
        },
        "training": {"learning_rate": {"low": 0.0001, "high": 0.1, "log": True}},
        "source": "made for a test",
    }
)
FIXED = {"epochs": 3, "patience": 0, "batch_size": 64}
SILENT = Conduct(track=False)


@pytest.fixture
def planned(waves_at_hand, wave_task) -> Callable[..., Plan]:
    """Plans a sweep: keywords are fields of Search, `task`, `training`, or arguments of make_plan."""

    def plan(task: Task | None = None, training: dict[str, Any] | None = None, **given: Any) -> Plan:
        own = {name: given.pop(name) for name in ("seed", "storage", "jobs", "runs") if name in given}
        options = Options(context=48, threads=1, training=FIXED | (training or {}))
        search = Search(**({"trials": 4, "space": SPACE} | given))
        return make_plan("dlinear", task or wave_task(), search, options=options, **own)

    return plan


@pytest.fixture
def swept(planned) -> Callable[..., Found]:
    """Runs a sweep without Results: keywords as of `planned`, `jobs`, `seeds` and `conduct`."""

    def run(
        task: Task | None = None, jobs: int = 1, seeds: int = 0, conduct: Conduct = SILENT, **given: Any
    ) -> Found:
        return sweep(planned(task, jobs=jobs, **given), jobs=jobs, seeds=seeds, conduct=conduct)

    return run
