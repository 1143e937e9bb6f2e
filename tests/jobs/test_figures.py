"""Published figures that need training, on ETTh1 as published (issue 3, "Figures to show"). Minutes, so slow."""

import statistics

import pytest

from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct, run

pytestmark = pytest.mark.slow
CONDUCT = Conduct(track=False)
REGULAR = Options(conditions=("regular",))


def test_dlinear_on_etth1_96_reaches_the_figure_of_the_library(stores):  # ltsf_protocol, must show 4
    stores("etth1")

    (outcome,) = run("dlinear", "etth1-96", options=REGULAR, conduct=CONDUCT)

    assert (outcome.result.track.context, outcome.result.track.tuning) == (96, "published")
    assert outcome.result.scores["mse"]["regular"] == pytest.approx(0.396, abs=0.004)
    assert outcome.result.model.parameters == 18_624


def test_tpgn_on_univariate_etth1_168_reaches_its_paper_over_five_seeds(stores):  # tpgn.md, must show 5
    stores("etth1")

    outcomes = run("tpgn", "etth1-univariate-168", seeds=range(5), options=REGULAR, conduct=CONDUCT)

    scores = [outcome.result.scores["mse"]["regular"] for outcome in outcomes]
    assert statistics.mean(scores) == pytest.approx(0.106, abs=0.004)
    assert outcomes[0].result.model.parameters == 431
    assert outcomes[0].result.cases == 3317
