"""A Result with its forecasts, made once for all tests of submissions."""

import pytest

from tsbench.jobs.run import Conduct, Outcome, run


@pytest.fixture(scope="session")
def outcome(tmp_path_factory, stores_root) -> Outcome:
    """The last value on load-demo-24, with saved forecasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSBENCH_DATA", str(stores_root))
        runs = tmp_path_factory.mktemp("runs")
        conduct = Conduct(track=False, save_forecasts=True)
        (made,) = run("last_value", "load-demo-24", conduct=conduct, runs=runs)
        return made
