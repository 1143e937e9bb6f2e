"""Evaluation of a model: every window once, whatever the batch size; wrong forecasts stop it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsbench.contracts import Forecast, InputError, JobFailed
from tsbench.evaluation.evaluate import Evaluation, evaluate
from tsbench.evaluation.reading import point
from tsbench.models.last_value.model import LastValue
from tsbench.models.linear.model import Linear

ROBUSTNESS = {
    "robustness": [
        {"disturbance": {"name": "awgn", "parameter": "snr_db", "levels": [20, 10]}},
        {
            "disturbance": {
                "name": "missing_blocks",
                "parameter": "fraction",
                "levels": [0.3],
                "options": {"steps": 6},
            }
        },
    ],
    "generalisation": {"not_applicable": "there is one place"},
}


def run(data, model=None, **options) -> Evaluation:
    model = model or LastValue(data.shape(24))
    return evaluate(model, {data.task.dataset: data}, data.task, data.task.scenarios(), 24, **options)


class Constant(LastValue):
    """Forecasts whatever it is given."""

    def __init__(self, shape, values) -> None:
        super().__init__(shape)
        self.values = values

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        return Forecast(self.values(len(batch["context"])))


@pytest.mark.parametrize("size", [1, 32, 128])
def test_scores_do_not_depend_on_the_batch_size(open_waves, size):  # ltsf_protocol, must show 2
    data = open_waves(conditions=ROBUSTNESS)
    model = Linear(data.shape(24))

    found, reference = run(data, model, batch_size=size), run(data, model, batch_size=1000)

    for name, by_condition in reference.scores().items():
        assert found.scores()[name] == pytest.approx(by_condition, rel=1e-6, abs=1e-6)
    units = np.array(found.unit_columns()["numerator"])
    np.testing.assert_allclose(units, reference.unit_columns()["numerator"], rtol=1e-6)


def test_scores_equal_an_evaluation_written_out(open_waves):
    data = open_waves()

    scores = run(data).scores()

    values = data.values.double().numpy()
    start, end = data.borders[1], data.borders[2] - 12
    errors = np.stack([values[row : row + 12] - values[row - 1] for row in range(start, end + 1)])
    assert scores["mse"]["regular"] == pytest.approx(np.mean(errors**2), rel=1e-6)
    assert scores["mae"]["regular"] == pytest.approx(np.mean(abs(errors)), rel=1e-6)
    seasonal = abs(values[24 : data.borders[0]] - values[: data.borders[0] - 24]).mean(axis=0)
    assert scores["mase"]["regular"] == pytest.approx(np.mean(abs(errors) / seasonal), rel=1e-6)


def test_scores_in_units_are_those_of_the_physical_values(open_waves, waves):
    table = waves()
    data = open_waves(table, space="units")

    scores = run(data).scores()

    start, end = data.borders[1], data.borders[2] - 12
    errors = np.stack([table.values[row : row + 12] - table.values[row - 1] for row in range(start, end + 1)])
    assert scores["mae"]["regular"] == pytest.approx(np.mean(abs(errors)), rel=1e-5)


def test_every_scenario_has_the_same_windows_and_harder_ones_score_worse(open_waves):
    evaluation = run(open_waves(conditions=ROBUSTNESS), batch_size=50)

    by_key = {tally.scenario.key: tally.values()["mse"] for tally in evaluation.tallies}
    assert list(by_key) == [
        "regular",
        "robustness/awgn/snr_db=20",
        "robustness/awgn/snr_db=10",
        "robustness/missing_blocks/fraction=0.3",
    ]
    assert by_key["regular"] < by_key["robustness/awgn/snr_db=20"] < by_key["robustness/awgn/snr_db=10"]
    assert evaluation.cases == 120 - 12 + 1
    assert evaluation.predicted == 4 * evaluation.cases


def test_the_score_of_a_condition_is_the_mean_over_its_scenarios(open_waves):
    evaluation = run(open_waves(conditions=ROBUSTNESS))

    values = [one.values()["mae"] for one in evaluation.tallies if one.scenario.condition == "robustness"]
    assert evaluation.scores()["mae"]["robustness"] == pytest.approx(np.mean(values))


def test_dropping_the_last_batch_leaves_out_its_cases_only(open_waves):
    data = open_waves()
    windows = data.windows("test", 24)

    evaluation = run(data, batch_size=50, drop_last=True)

    assert len(windows) == 109
    assert evaluation.cases == 100
    kept = windows.gather(torch.arange(100))
    expected = (kept["context"][:, -1:] - kept["target"]).square().mean()
    assert evaluation.scores()["mse"]["regular"] == pytest.approx(float(expected), rel=1e-6)


def test_dropping_the_only_batch_is_refused(open_waves):
    with pytest.raises(InputError, match="109 test windows make no whole batch of 200"):
        run(open_waves(), batch_size=200, drop_last=True)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_a_forecast_that_is_not_finite_fails_the_job_and_names_the_case(open_waves, wrong):
    data = open_waves()

    def values(samples: int) -> torch.Tensor:
        forecast = torch.zeros(samples, 12, 2)
        forecast[3, 5, 1] = wrong
        return forecast

    with pytest.raises(JobFailed, match="The forecast of case 3 in scenario 'regular' is not finite"):
        run(data, Constant(data.shape(24), values))


@pytest.mark.parametrize("shape", [(1, 2), (12, 1), (11, 2)])
def test_a_forecast_of_another_shape_fails_the_job_instead_of_being_broadcast(open_waves, shape):
    data = open_waves()

    with pytest.raises(JobFailed, match=r"has the shape \[109, .*channel\) is \[109, 12, 2\]"):
        run(data, Constant(data.shape(24), lambda samples: torch.zeros(samples, *shape)))


def test_missing_targets_are_never_scored(open_waves, waves):
    table = waves()
    holes = table.values.copy()
    holes[500:510, 0] = np.nan
    data = open_waves(replace(table, values=holes), missing="mask")

    tally = run(data).tallies[0]

    expected = 109 * 12 * 2 - sum(
        1 for start in range(480, 589) for row in range(start, start + 12) if 500 <= row < 510
    )
    columns = tally.score_columns()
    assert columns["denominator"][0] == expected


def test_a_model_with_weights_is_evaluated_without_dropout(open_waves):
    class Noisy(torch.nn.Module):
        uses = frozenset({"context"})

        def __init__(self) -> None:
            super().__init__()
            self.drop = torch.nn.Dropout(0.5)

        def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
            return Forecast(self.drop(batch["context"][:, -12:]))

    data = open_waves()

    assert run(data, Noisy()).scores() == run(data, Noisy()).scores()


def test_examples_hold_context_truth_and_forecast_of_cases_spread_over_the_test_part(open_waves):
    data = open_waves()

    columns = run(data).examples.columns

    assert sorted(set(columns["case"])) == [18, 54, 90]  # 1/6, 3/6 and 5/6 of 109 windows
    first = [
        index
        for index, case in enumerate(columns["case"])
        if case == 18 and columns["variable"][index] == "wave1"
    ]
    leads = [columns["lead_time"][index] for index in first]
    assert leads == list(range(-23, 13))
    observed = torch.tensor([columns["observed"][index] for index in first])
    assert torch.equal(observed, data.values[480 + 18 - 24 : 480 + 18 + 12, 1])
    assert [columns["forecast"][index] for index in first[:24]] == [None] * 24
    assert columns["forecast"][first[24]] == pytest.approx(float(data.values[480 + 17, 1]))
    assert columns["time"][first[24]] == data.table.stamp(480 + 18)


@pytest.mark.parametrize(
    ("forecast", "expected"),
    [
        (Forecast(torch.full((1, 2, 1), 3.0)), 3.0),
        (
            Forecast(torch.arange(3.0)[:, None, None, None].expand(3, 1, 2, 1), "quantiles", (0.1, 0.5, 0.9)),
            1.0,
        ),
        (Forecast(torch.tensor([5.0, 1.0, 2.0])[:, None, None, None].expand(3, 1, 2, 1), "samples"), 2.0),
    ],
)
def test_the_point_of_a_forecast_is_itself_its_median_or_its_median_member(forecast, expected):
    assert point(forecast).flatten().tolist() == [expected] * 2


def test_quantiles_without_the_median_have_no_point():
    forecast = Forecast(torch.zeros(2, 1, 2, 1), "quantiles", (0.1, 0.9))

    with pytest.raises(InputError, match=r"A point needs the quantile 0\.5; the forecast has 0\.1, 0\.9"):
        point(forecast)


class Drawn(LastValue):
    """Members from the generator that it is given, and from the case."""

    uses = frozenset({"context"})

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        values = super().predict(batch).values
        key = int(torch.randint(2**30, (), generator=generator))
        generators = [torch.Generator().manual_seed(key + int(case)) for case in batch["index"]]
        noise = [torch.randn((9, *values.shape[1:]), generator=one) for one in generators]
        return Forecast(values + torch.stack(noise, dim=1), "samples")


@pytest.mark.parametrize("size", [1, 40])
def test_members_are_drawn_from_scenario_and_case_so_that_no_batch_size_matters(open_waves, size):
    data = open_waves(metrics=["crps", "energy_score"], primary="crps", conditions=ROBUSTNESS)
    model = Drawn(data.shape(24))

    first = run(data, model)
    torch.manual_seed(1)
    again = run(data, model, batch_size=size)

    for name, averages in first.scores().items():
        assert again.scores()[name] == pytest.approx(averages, rel=1e-9)
    assert first.kind == "samples"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(3, 109, 11, 2), r"\[3, 109, 11, 2\]; \(quantile, sample, .*\) is \[3, 109, 12, 2\]"),
        (
            torch.full((3, 109, 12, 2), torch.nan),
            "The forecast of case 0 in scenario 'regular' is not finite",
        ),
    ],
)
def test_wrong_quantile_forecasts_fail_the_job(open_waves, values, message):
    class Wrong(LastValue):
        def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
            return Forecast(values, "quantiles", (0.1, 0.5, 0.9))

    data = open_waves()

    with pytest.raises(JobFailed, match=message):
        run(data, Wrong(data.shape(24)))


def test_a_metric_of_levels_that_the_task_lacks_is_refused_before_a_forecast_is_made(open_waves):
    with pytest.raises(
        InputError, match="waves-12@1: the metric msis needs 0.025, 0.975 among the task's `quanti"
    ):
        run(open_waves(metrics=["mse", "msis"]))


def test_coverage_cannot_be_the_primary_metric(open_waves):
    with pytest.raises(InputError, match=r"coverage_80 ranks nothing, since it should be near 0.8"):
        run(open_waves(metrics=["coverage_80"], primary="coverage_80"))


def test_examples_of_a_distribution_have_the_bounds_of_its_80_percent_interval(open_waves):
    class Fanned(LastValue):
        def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
            values = super().predict(batch).values
            return Forecast(torch.stack([values - 2, values, values + 1]), "quantiles", (0.1, 0.5, 0.9))

    data = open_waves()
    columns = run(data, Fanned(data.shape(24))).examples.columns
    point = run(data).examples.columns

    assert "lower" not in point
    assert {name: columns[name] for name in point} == point
    assert [one is None for one in columns["lower"]] == [one is None for one in columns["forecast"]]
    known = [number for number, one in enumerate(columns["forecast"]) if one is not None]
    middle = np.array([columns["forecast"][number] for number in known])
    np.testing.assert_allclose([columns["lower"][number] for number in known], middle - 2, rtol=1e-6)
    np.testing.assert_allclose([columns["upper"][number] for number in known], middle + 1, rtol=1e-6)


def test_the_crps_of_a_baseline_is_its_absolute_error(open_waves):
    scores = run(open_waves(metrics=["mae", "crps", "crps_fair", "mql"], primary="crps")).scores()

    assert scores["crps"] == scores["crps_fair"] == pytest.approx(scores["mae"], rel=1e-12)
    assert scores["mql"]["regular"] == pytest.approx(scores["mae"]["regular"], rel=1e-12)
