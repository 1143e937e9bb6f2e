"""R² of panels against sklearn, and the other R² against its formula."""

import numpy as np
import pytest
import torch

from tsbench.contracts import Forecast, Scenario
from tsbench.evaluation.metrics import metric
from tsbench.evaluation.tally import Tally

SCENARIO = Scenario(key="regular", condition="regular", dataset="x")


def tallied(forecast: np.ndarray, observed: np.ndarray, variance: float, batch: int) -> Tally:
    names = ("rmse", "r2", "r2_official")
    tally = Tally(SCENARIO, [metric(name) for name in names], "rmse", ("y",), 1, len(observed), 1)
    for start in range(0, len(observed), batch):
        part = slice(start, start + batch)
        tally.update(
            Forecast(torch.from_numpy(forecast[part, None, None])),
            torch.from_numpy(observed[part, None, None]),
            None,
            lambda power: torch.tensor([variance ** (power / 2)], dtype=torch.float64),
            torch.arange(start, start + len(observed[part])),
        )
    return tally


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_both_kinds_of_r2(batch):
    from sklearn.metrics import r2_score

    random = np.random.default_rng(0)
    observed = 150 + 30 * random.standard_normal(100)
    forecast = observed + 12 * random.standard_normal(100) + 3
    tally = tallied(forecast, observed, 33.0**2, batch)
    values = tally.values()
    assert values["r2"] == pytest.approx(r2_score(observed, forecast), abs=1e-9)
    rmse = np.sqrt(np.mean((forecast - observed) ** 2))
    assert values["r2_official"] == pytest.approx(1 - (rmse / 33.0) ** 2, abs=1e-9)
    columns = tally.score_columns()
    row = columns["metric"].index("r2")
    assert columns["numerator"][row] / columns["denominator"][row] == pytest.approx(values["r2"])


def test_the_mean_of_the_observed_values_has_an_r2_of_zero_and_equal_values_have_none():
    observed = np.array([1.0, 2.0, 6.0])
    assert tallied(np.full(3, 3.0), observed, 1.0, 3).values()["r2"] == pytest.approx(0)
    assert tallied(observed, np.full(3, 150.0), 1.0, 3).values()["r2"] is None
