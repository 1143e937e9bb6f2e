"""Evaluation on independent samples: views, groups, published averages, and scores that no batch size changes."""

import pytest
import torch

from tsbench.contracts import Forecast, InputError, JobFailed
from tsbench.evaluation.evaluate import evaluate, view_of
from tsbench.evaluation.forecast_store import ForecastWriter, check_forecast
from tsbench.models.last_value.model import LastValue
from tsbench.models.window_mean.model import WindowMean

CONTEXT = 6


class Repeat:
    """Repeats the last snapshot of the response itself."""

    fits, uses, views = "none", frozenset({"context"}), ("csi",)

    def predict(self, batch, *, realizations=None, generator=None):
        return Forecast(batch["context"][:, :, -1:].expand(-1, -1, 2, -1))


class LessTheMean:
    """Couples the samples of a batch: subtracts their mean."""

    fits, uses = "none", frozenset({"context"})

    def __init__(self, couples: bool) -> None:
        self.couples = couples

    def predict(self, batch, *, realizations=None, generator=None):
        last = batch["context"][:, -1:]
        return Forecast((last - last.mean()).expand(-1, 2, -1))


class Truth:
    """Knows the targets."""

    fits, uses, views = "none", frozenset({"context", "target"}), ("csi",)

    def predict(self, batch, *, realizations=None, generator=None):
        return Forecast(batch["target"])


def run(data, model, size=None, **options):
    return evaluate(
        model, {"made-responses": data}, data.task, data.task.scenarios(), CONTEXT, batch_size=size, **options
    )


def built(kind, data):
    return kind(view_of(kind, data.task).shape(data.shape(CONTEXT)))


def test_a_model_of_time_series_runs_unchanged_and_equals_its_twin_on_responses(open_responses):
    data = open_responses()

    assert run(data, built(LastValue, data)).scores() == run(data, Repeat()).scores()


def test_knowing_the_truth_scores_zero_and_reaches_the_bound_of_the_rate(open_responses):
    data = open_responses()
    scores = run(data, Truth()).scores()

    assert scores["nmse"]["regular"] == pytest.approx(0, abs=1e-12)
    assert scores["se"]["regular"] > run(data, Repeat()).scores()["se"]["regular"]


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_scores_do_not_depend_on_the_batch_size(open_responses, size):
    data = open_responses()
    found, whole = (run(data, LessTheMean(couples=True), each) for each in (size, 3))

    for metric, averages in whole.scores().items():
        assert found.scores()[metric] == pytest.approx(averages, rel=1e-6)
    assert found.unit_columns()["unit"] == whole.unit_columns()["unit"]
    assert found.unit_columns()["numerator"] == pytest.approx(whole.unit_columns()["numerator"], rel=1e-6)


def test_a_model_that_couples_without_saying_so_would_depend_on_it(open_responses):
    data = open_responses()
    one, all_ = (run(data, LessTheMean(couples=False), size).scores()["nmse"]["regular"] for size in (1, 7))

    assert one != pytest.approx(all_, rel=1e-6)


def test_units_are_samples_and_clusters_are_cells(open_responses):
    units = run(open_responses(), Repeat()).unit_columns()

    assert len(units["unit"]) == 7 * 2 * (4 + 4)
    assert set(units["unit"]) == set(range(7))
    assert set(units["cluster"]) == {"a-1", "a-10", "b-1", "b-10", "a-20", "c-1", "c-20"}


def test_trained_cells_count_for_the_published_average_alone(open_responses):
    found = run(open_responses(), Repeat())
    values = {tally.scenario.key: tally.values()["nmse"] for tally in found.tallies}
    unseen = [value for key, value in values.items() if key.startswith("gen")]
    trained = [value for key, value in values.items() if key.startswith("generalisation/place=a/speed=1/")]
    scores = found.scores()["nmse"]

    assert len(unseen) == 8
    assert len(trained) == 2
    assert scores["generalisation-published"] == pytest.approx(sum(unseen) / 8)
    assert scores["generalisation"] == pytest.approx((sum(unseen) - sum(trained)) / 6)
    assert "regular-published" not in scores


def test_the_total_is_the_mean_over_samples_antennas_and_steps(open_responses):
    data = open_responses()
    scenario = data.task.scenarios()[0].model_copy(update={"disturbance": None})
    tally = evaluate(Repeat(), {"made-responses": data}, data.task, [scenario], CONTEXT).tallies[0]
    cases = data.test_cases(scenario, CONTEXT)
    truth = cases.gather_truth(torch.arange(len(cases)))[0].to(torch.complex128)
    last = cases.contexts.take(cases.rows)[:, :, -1:].to(torch.complex128)
    ratio = (truth - last).abs().square().sum(dim=-1) / truth.abs().square().sum(dim=-1)

    assert tally.values()["nmse"] == pytest.approx(float(ratio.mean()), rel=1e-5)
    assert tally.values()["nmse_median"] == pytest.approx(float(ratio.flatten().quantile(0.5)), rel=1e-5)
    rows = tally.score_columns()
    by_lead = [
        numerator / denominator
        for metric, lead, numerator, denominator in zip(
            rows["metric"], rows["lead_time"], rows["numerator"], rows["denominator"], strict=True
        )
        if metric == "nmse" and lead is not None
    ]
    assert by_lead == pytest.approx(ratio.mean(dim=(0, 1)).tolist(), rel=1e-5)
    assert set(rows["variable"]) == {None}


def test_the_example_is_the_middle_regular_scenario_with_every_subcarrier(open_responses):
    data = open_responses()
    examples = run(data, Repeat()).examples.columns

    assert set(examples["scenario"]) == {"regular/place=b/speed=1/sample_awgn/snr_db=0"}
    assert set(examples["variable"]) == {"0", "1", "2", "3", "4"}
    assert examples["lead_time"][:8] == [-5, -4, -3, -2, -1, 0, 1, 2]
    assert examples["forecast"][:6] == [None] * 6
    assert all(examples["forecast"][6:8])


def test_disturbances_are_the_same_bits_for_every_model_and_batch_size(open_responses):
    data, seen = open_responses(), []

    class Listener(Repeat):
        def predict(self, batch, *, realizations=None, generator=None):
            seen.append(batch["context"].clone())
            return super().predict(batch)

    run(data, Listener(), 1)
    singles = torch.cat(seen)
    seen.clear()
    run(data, Listener(), 7)
    # The example repeats one case of a scenario.
    assert torch.equal(torch.cat(seen)[: 7 * 2], singles[: 7 * 2])


def test_a_saved_forecast_of_responses_scores_as_its_model(open_responses, tmp_path):
    data = open_responses()
    writer = ForecastWriter(tmp_path, data.task, "repeat")
    shapes = {}
    for scenario in data.task.scenarios():
        shapes[scenario.key] = data.forecast_shape(7, CONTEXT)
        writer.create(scenario, shapes[scenario.key])
    whole = run(data, Repeat(), writer=writer)
    saved = check_forecast(tmp_path, data.task, shapes)
    index, forecast = next(saved.batches(data.task.scenarios()[0]))
    values = forecast.values

    assert values.dtype == torch.complex128
    assert values.shape == (7, 3, 2, 5)
    observed, _ = data.test_cases(data.task.scenarios()[0], CONTEXT).gather_truth(index)
    error = (values - observed).abs().square().sum(dim=-1) / observed.abs().square().sum(dim=-1)
    assert float(error.mean()) == pytest.approx(whole.tallies[0].values()["nmse"], rel=1e-5)


def test_a_real_forecast_of_complex_responses_is_refused(open_responses, wave_task, tmp_path):
    data = open_responses()
    task = data.task.model_copy(update={"samples": None})
    writer = ForecastWriter(tmp_path, task, "real")
    scenario = data.task.scenarios()[0]
    writer.create(scenario, (7, 2, 5))
    writer.write(scenario, torch.arange(7), Forecast(torch.zeros(7, 2, 5)))

    with pytest.raises(InputError, match="dtype 'float32'; it must be one of .'complex128', 'complex64'"):
        check_forecast(tmp_path, data.task, {scenario.key: (7, 3, 2, 5)})


def test_a_forecast_of_another_shape_is_refused_with_both_shapes(open_responses):
    class Short(Repeat):
        def predict(self, batch, *, realizations=None, generator=None):
            return Forecast(batch["context"][:, :, -1:])

    with pytest.raises(
        JobFailed, match=r"\[7, 3, 1, 5\]; \(sample, antenna, lead_time, subcarrier\) is \[7, 3, 2, 5\]"
    ):
        run(open_responses(), Short())


def test_a_model_of_responses_is_refused_on_time_series(wave_task):
    with pytest.raises(InputError, match="Repeat on waves-12 takes the views csi; the task offers sequence"):
        view_of(Repeat(), wave_task())


def test_a_metric_of_time_series_is_refused_on_responses(open_responses):
    data = open_responses(metrics=["nmse", "mse"])

    with pytest.raises(InputError, match="the metric mse is for the view sequence, not csi"):
        run(data, built(WindowMean, data))
