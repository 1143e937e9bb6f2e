"""What the tests of the audit share: small tasks with disturbances, and audits of them."""

from collections.abc import Callable
from typing import Any

import pytest

WAVE_CONDITIONS = {
    "robustness": [
        {"disturbance": {"name": "awgn", "parameter": "snr_db", "levels": [10]}},
        {
            "disturbance": {
                "name": "missing_blocks",
                "parameter": "fraction",
                "levels": [0.3],
                "options": {"steps": 24},
            }
        },
    ],
    "generalisation": {"not_applicable": "there is one place"},
}


@pytest.fixture
def waves_with_noise(open_waves, waves) -> Callable[..., Any]:
    """Opens hourly waves with two disturbances: `waves_with_noise(**changes of the task)`."""

    def open_(table: Any = None, **changes: Any) -> Any:
        return open_waves(waves() if table is None else table, **{"conditions": WAVE_CONDITIONS} | changes)

    return open_


@pytest.fixture
def failing() -> Callable[..., dict[str, tuple[str, ...]]]:
    """Audits a task that is open and gives check → faults, for checks that fail."""
    import torch

    from tsbench.audit.checks import audit
    from tsbench.audit.subject import subject_of

    def run(data: Any, *models: Any) -> dict[str, tuple[str, ...]]:
        threads = torch.get_num_threads()
        # Data are so small that a second thread costs more than it gives.
        torch.set_num_threads(1)
        findings = list(audit(subject_of(data, models)))
        torch.set_num_threads(threads)
        assert len(findings) == 9
        return {one.name: one.faults for one in findings if not one.passed}

    return run
