"""Pretraining on weather without yields, then a fit on a year of yields: stages, ranges, leakage."""

import pytest

from tsbench import registry
from tsbench.contracts import Corpus, leakage_of
from tsbench.jobs.corpus_job import pretrain
from tsbench.jobs.job import Options
from tsbench.jobs.pretrained import read_corpus
from tsbench.jobs.run import Conduct, run

QUIET = Conduct(track=False)
SMALL = {"heads": 2, "layers": 1, "width": 16, "attention_dropout": 0.0}
TRAINING = {"epochs": 1, "batch_size": 64, "learning_rate": 0.002}


def options(**changes) -> Options:
    return Options(hyperparameters=SMALL, training=TRAINING, device="cpu", threads=1, **changes)


@pytest.fixture
def tuned():
    """Pretrains to a year, fits on the year 2002, and gives both."""

    def make(end: int, **changes):
        file = registry.suite_folder("crop-yield-small").path / "crop-weather-small.yaml"
        declared = read_corpus(file).model_dump(mode="json") | {"length": 52, "epoch": 64}
        declared["members"][0]["end"] = end
        (made,) = pretrain("vita", Corpus.model_validate(declared), options=options(), conduct=QUIET)
        chosen = options(
            context=52, conditions=("regular",), weights=made.job.folder, fine_tune=True, **changes
        )
        return made, run("vita", "crop-corn-2002-small", options=chosen, conduct=QUIET)[0].result

    return make


def test_a_fit_starts_from_weather_and_its_record_says_so(tuned):
    made, result = tuned(2001)
    assert set(result.cost) == {"pretraining", "fit", "predict"}
    assert result.model.start == "crop-weather-small"
    weather, yields = result.trained_on
    assert (weather.stage, weather.start, weather.end) == ("pretraining", "1980-01-01", "2001-12-31")
    assert (yields.stage, yields.start, yields.end) == ("fit", "1987-01-01", "2000-12-31")
    assert "corn_yield" not in weather.variables
    assert "GWETPROF" in weather.variables
    assert len(made.fit["corpus"]["held_out"]) > 0
    assert leakage_of(result) == "none"
    assert result.scores["rmse"]["regular"] > 0
    assert result.scores["r2"]["regular"] != result.scores["r2_official"]["regular"]


def test_weather_of_the_test_year_is_seen_and_flagged(tuned):
    _, result = tuned(-1)
    assert leakage_of(result) == "inputs"


def test_the_corpus_of_the_suite_ends_before_the_first_test_year():
    suite = registry.suite("crop-yield-small")
    tasks = [registry.task(name) for name in suite.tasks]
    first = min(int(task.split.test[0]) for task in tasks)
    (member,) = read_corpus(registry.suite_folder(suite.name).path / "crop-weather-small.yaml").members
    assert (member.dataset, member.end) == (tasks[0].dataset, first - 1)
    assert suite.seeds == (0, 1, 2, 3, 4)
    assert {int(task.split.test[0]) for task in tasks} == {2002, 2004, 2009, 2012, 2014}
