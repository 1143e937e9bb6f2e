"""Metrics and scenarios in words."""

from importlib import import_module

import numpy as np
import pytest

from tsbench.contracts.kinds import FURTHER, metrics_module
from tsbench.evaluation.metrics import METRICS as OF_SERIES
from tsbench.leaderboard import words

METRICS = OF_SERIES | {
    one.name: one for kind in FURTHER for one in import_module(metrics_module(kind)).METRICS
}


def test_words_of_metrics_are_those_of_the_metrics_themselves():
    assert set(words.METRICS) == set(METRICS)
    for name, metric in METRICS.items():
        said = words.metric_words(name)
        assert (said.title, said.better, said.finish) == (metric.title, metric.better, metric.read_as)
        assert said.nominal == metric.nominal


@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_value_of_a_ratio_is_that_of_the_metric(name):
    (value,) = words.metric_words(name).value(np.array([8.0 / 2.0]))
    assert value == pytest.approx(METRICS[name].value(8.0, 2.0))


def test_a_metric_from_elsewhere_is_written_in_capitals():
    assert words.metric_words("rps").title == "RPS"


def test_coverage_is_better_closer_to_the_nominal_one():
    assert words.metric_words("coverage_80").advice == "closer to 0.8 is better"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("regular", "regular"),
        ("robustness/noise/snr_db=-5", "robustness · noise, snr db −5"),
        ("generalisation/dataset=etth2", "generalisation · dataset etth2"),
        (
            "channel_model=A/delay_spread=30/speed=10/sample_awgn/snr_db=0",
            "channel model A · delay spread 30 · speed 10 · sample awgn, snr db 0",
        ),
        (
            "robustness/speed=1/packet_drop/probability=0.1-published",
            "robustness · speed 1 · packet drop, probability 0.1, as published",
        ),
    ],
)
def test_a_scenario_in_words(key, said):
    assert words.scenario_words(key) == said
