"""Pages of tasks that forecast no series: what they read and tell in words, and pictures that need none."""

import numpy as np
import pandas as pd
import pytest

from tsbench import registry
from tsbench.contracts.task import Task
from tsbench.leaderboard.site.pages.definition import in_words
from tsbench.leaderboard.site.pages.task import _lines
from tsbench.leaderboard.words import metric_words


def words_of(name: str) -> dict[str, str]:
    return dict(in_words(registry.task(name)))


@pytest.mark.parametrize(
    ("task", "term", "said"),
    [
        ("radio-map-path-gain-small", "Forecast", "maps of path gain from other maps; no step in time"),
        ("radio-map-path-gain-small", "Context", "maps of building height"),
        ("radio-map-path-gain-small", "Scored", "path gain, every map of the test part, in physical units"),
        ("radio-map-path-gain-small", "Split", "by the label of a sample: train for training"),
        ("radio-map-path-gain-small", "Independent unit", "sample; cluster: the samples of one scene"),
        ("radio-map-rss-small", "Context", "200 samples of rss with noise of deviation 3"),
        ("crop-corn-2002", "Forecast", "one value of each place and year: corn yield"),
        (
            "crop-corn-2002",
            "Context",
            "weather of a sample's own year and of those before at the same county",
        ),
        ("crop-corn-2002", "Context", "corn yield of the years before, never its own"),
        (
            "crop-corn-2002",
            "Split",
            "by year: 1987 to 2000 for training, 2001 for validation, 2002 for the test",
        ),
        ("energy-hours", "Forecast", "one value of each sample: energy"),
        ("energy-hours", "Context", "hour of each sample, one step"),
        ("weather-fields-tiny", "Forecast", "the next 4 states of a field; main season 4 steps"),
        ("weather-fields-tiny", "Context", "land sea mask and the sine of the latitude"),
        (
            "weather-fields-tiny",
            "Scored",
            "origins 2 steps apart of the test part, in physical units; also in tropics",
        ),
        ("etth1-96", "Forecast", "the next 96 steps; main season 24 steps"),
        ("etth1-96", "Context", "all variables, at most"),
        ("csi-rrg-tdd-small", "Context", "of each sample, at most"),
    ],
)
def test_what_a_task_reads_and_tells(task, term, said):
    assert said in words_of(task)[term]


def test_every_task_has_a_definition_without_gaps():
    for task in registry.tasks().values():
        for term, said in in_words(task):
            assert said.strip(), (task.name, term)
            assert "None" not in said, (task.name, term)


def test_every_primary_metric_is_an_error():
    """The arithmetic of boards takes the smaller value for the better one."""
    assert {metric_words(task.primary).better for task in registry.tasks().values()} == {"lower"}


def test_examples_of_one_value_make_no_line():
    rows = [("regular", 0, "energy", 1), *(("regular", 1, "yield", lead) for lead in (-1, 0, 1))]
    frame = pd.DataFrame(rows, columns=["scenario", "case", "variable", "lead_time"])
    assert list(_lines(frame)["case"]) == [1, 1, 1]


KINDS = {
    "field": {"field": {"context": ["building_height"], "target": ["path_gain"]}},
    "panel": {"panel": {"context": "weather", "target": "corn_yield", "place": "county"}},
    "rollout": {"rollout": {}},
}


@pytest.fixture(params=KINDS)
def task(request, make) -> Task:
    shape = {
        "kind": request.param,
        "split": {"kind": "labels", "test": "test"},
        "unit": {"kind": "sample"},
        **KINDS[request.param],
    }
    return make.task("kind-4", **shape)


@pytest.mark.parametrize("examples", [True, False])
def test_pages_of_each_kind_are_built_with_and_without_examples(bench, make, task, examples):
    from tsbench.leaderboard.collect import Catalogue
    from tsbench.leaderboard.site.build import build_site

    bench.tasks = [task]

    def growing(model: str, name: str, scenario: str, unit: int, seed: int) -> float:
        return (1 + len(model)) * (1 + unit) ** 2

    folders = [bench.save(model, task, 0, errors=growing, examples=False) for model in bench.models]
    if examples and task.kind != "field":  # maps have pictures of their own, with tests of their own
        for number, folder in enumerate(folders):
            _add_examples(folder, number)
    suite = make.suite([task.name], bench.models, [0])
    declared = Catalogue({task.name: task}, bench.declared.cards)

    out = build_site([suite], folders, bench.root.parent / "site", declared=declared).parent

    page = (out / "tasks" / "kind-4.html").read_text()
    assert '<h2 id="worst">' in page
    assert ("Forecasts of " in page) == (examples and task.kind != "field")
    assert ">sample 6<" in page
    assert page.index(">sample 6<") < page.index(">sample 5<")


def _add_examples(folder, number: int) -> None:
    import pyarrow
    import pyarrow.parquet

    leads = list(range(-3, 2))
    columns = {
        "scenario": ["regular"] * 5,
        "case": [0] * 5,
        "variable": ["corn_yield"] * 5,
        "time": [str(2000 + lead) for lead in leads],
        "lead_time": leads,
        "observed": [float(np.sin(lead)) for lead in leads],
        "forecast": [None] * 4 + [0.1 * number],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "examples.parquet")
