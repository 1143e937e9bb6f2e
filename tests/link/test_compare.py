"""Forecasts side by side over the same links: what is equal, what is ordered, what is refused."""

import json
import sys

import pytest
import torch

from tsbench import registry
from tsbench.cli.main import main
from tsbench.contracts import Forecast, InputError
from tsbench.data.task_data import TaskData
from tsbench.evaluation.forecast_store import ForecastWriter
from tsbench.link.compare import compare
from tsbench.link.transmission import LinkSettings

FIRST, QUIET = "regular/place=a/*snr_db=0", "regular/*snr_db=20"


@pytest.fixture
def task(response_task, open_responses, monkeypatch):
    """The task on made responses, as if it were registered; every opening gives the same data."""
    made, data = response_task(), open_responses()
    monkeypatch.setattr(registry, "tasks", lambda: {made.name: made})
    monkeypatch.setattr(registry, "task", lambda name: registry._get("task", {made.name: made}, name))
    monkeypatch.setattr(TaskData, "open", lambda task, name: data)
    return made, data


@pytest.fixture
def saved(task, tmp_path):
    """Writes a forecast: `saved(name, change)` of what `change` makes of the truth."""
    made, data = task

    def save(name, change, scenarios=None):
        folder = tmp_path / f"{name}.zarr"
        writer = ForecastWriter(folder, made, name)
        for scenario in scenarios or made.scenarios():
            cases = data.test_cases(scenario, made.period)
            index = torch.arange(len(cases))
            truth, _ = cases.gather_truth(index)
            writer.create(scenario, tuple(truth.shape))
            writer.write(scenario, index, Forecast(change(truth)))
        return folder

    return save


def noisy(amount):
    def change(truth):
        generator = torch.Generator().manual_seed(0)
        return truth + amount * torch.randn(truth.shape, generator=generator, dtype=truth.dtype)

    return change


@pytest.fixture
def small():
    """Blocks of 12 subcarriers and more are not to be had from 5: eight OFDM symbols make 40."""
    return LinkSettings(snr_db=(-4.0, 8.0), bits_per_symbol=2, symbols=8)


def test_the_truth_and_a_factor_of_it_are_perfect_csi(saved, small):
    folders = [saved("truth", lambda truth: truth), saved("turned", lambda truth: (2 - 3j) * truth)]

    found = compare(folders, small, patterns=[QUIET])

    rates = [found.block_error_rates(score) for score in found.scores]
    assert [score.model for score in found.scores] == ["perfect CSI", "truth", "turned"]
    assert rates[0] == rates[1] == rates[2]
    assert found.mean(found.scores[1], "nmse") == pytest.approx(0, abs=1e-10)
    assert found.mean(found.scores[2], "nmse") == pytest.approx(abs(1 - 3j) ** 2, rel=1e-5)
    for score in found.scores:
        assert found.mean(score, "beam_gain") == pytest.approx(0, abs=1e-6)


def test_errors_fall_with_the_snr_and_rise_with_those_of_the_forecast(saved, small):
    folders = [saved(f"off{number}", noisy(amount)) for number, amount in enumerate((0.5, 6.0, 60.0))]

    found = compare(folders, small, patterns=[QUIET])

    rates = [found.block_error_rates(score) for score in found.scores]
    assert all(low >= high for low, high in rates)
    assert [rate[0] for rate in rates] == sorted(rate[0] for rate in rates)
    assert rates[0][0] < rates[-1][0]
    gains = [found.mean(score, "beam_gain") or 0.0 for score in found.scores]
    assert gains == sorted(gains, reverse=True)
    assert found.agreement(0, "nmse")["more"] == 0
    pairs = sum(found.agreement(0, "beam_gain").values())
    assert pairs == 3 * len(found.blocks)


def test_cases_and_scenarios_are_those_asked_for(saved, small):
    found = compare([saved("truth", lambda truth: truth)], small, patterns=[FIRST], cases=2)

    assert all("place=a" in key for key in found.blocks)
    assert set(found.blocks.values()) == {2 * 2}  # two cases of two steps
    assert len(found.blocks) == 2


def test_the_record_is_json_and_adds_up(saved, small):
    record = json.loads(json.dumps(compare([saved("off", noisy(3.0))], small).record()))

    perfect, off = record["forecasts"]
    assert perfect["model"] == "perfect CSI"
    assert record["blocks"] == sum(one["blocks"] for one in off["by_scenario"])
    by_hand = [
        sum(one["lost"][place] / one["blocks"] for one in off["by_scenario"]) / record["scenarios"]
        for place in range(2)
    ]
    assert off["block_error_rate"] == pytest.approx(by_hand)


def test_forecasts_of_other_tasks_or_none_are_refused(saved, small, tmp_path):
    truth, other = (saved(name, lambda truth: truth) for name in ("truth", "other"))
    metadata = json.loads((other / "zarr.json").read_text())
    for named, message in (
        ("elsewhere-2", "is a forecast of responses-2, .* of elsewhere-2: compare forecasts of one task"),
        (None, "does not say which task"),
    ):
        metadata["attributes"]["task"] = named
        (other / "zarr.json").write_text(json.dumps(metadata))
        with pytest.raises(InputError, match=message):
            compare([truth, other], small)
    with pytest.raises(InputError, match="holds no forecast: tsbench eval MODEL TASK --save-forecasts"):
        compare([tmp_path], small)


def test_a_missing_scenario_is_named(task, saved, small):
    made, _ = task
    some = [one for one in made.scenarios() if one.condition == "regular"][:-1]

    with pytest.raises(InputError, match="has no array for 'regular/place=b/speed=10"):
        compare([saved("some", lambda truth: truth, some)], small)


def test_tasks_without_channels_are_refused(saved, small, monkeypatch, wave_task):
    folder = saved("truth", lambda truth: truth)
    monkeypatch.setattr(registry, "task", lambda name: wave_task())

    with pytest.raises(InputError, match="waves-12 forecasts no channel"):
        compare([folder], small)


@pytest.mark.parametrize(
    ("changes", "message"), [({"cases": 0}, "one case"), ({"patterns": ["x*"]}, "scenario 'x")]
)
def test_a_request_that_cannot_be_is_refused(saved, small, changes, message):
    with pytest.raises(InputError, match=message):
        compare([saved("truth", lambda truth: truth)], small, **changes)


def test_the_command_prints_a_table_and_writes_json(saved, monkeypatch, capsys, tmp_path):
    words = [saved("truth", lambda truth: truth), saved("off", noisy(3.0)), "--snr", "-4", "--snr", "8"]
    words += ["--bits", "2", "--symbols", "8", "--cases", "2", "--out", tmp_path / "new" / "link.json"]
    monkeypatch.setattr(sys, "argv", ["tsbench", "link", *map(str, words)])

    with pytest.raises(SystemExit) as stop:
        main()

    shown = capsys.readouterr()
    assert not stop.value.code
    assert "perfect CSI" in shown.out
    assert "BLER -4 dB" in " ".join(shown.out.split())
    assert "the forecast of higher gain loses fewer blocks" in shown.err
    record = json.loads((tmp_path / "new" / "link.json").read_text())
    assert [one["model"] for one in record["forecasts"]] == ["perfect CSI", "truth", "off"]
