"""What the weights of an entry have seen of the test part: on its standing, and wherever a page tells its track."""

import pytest

from tsbench.leaderboard.site.build import build_site
from tsbench.leaderboard.standings import leaderboard

TEST = {"dataset": "one", "start": "900", "end": "999"}
TRAINED = {
    "none": {"dataset": "one", "start": "0", "end": "799"},
    "inputs": {"dataset": "one", "start": "0", "end": "899"},
    "targets": {"dataset": "one", "start": "0", "end": "950"},
    "unknown": {"dataset": "file:found", "start": "0", "end": "-1"},
}


@pytest.fixture
def folders(bench):
    """Results of the suite, those of `deep` on its first task trained on one of the ranges above."""

    def save(*leaks: str) -> list:
        tested = [TEST | {"role": "targets"}, TEST | {"role": "inputs", "start": "800", "end": "995"}]
        ranges = [TRAINED[leak] for leak in leaks]
        shown = bench.save("deep", bench.tasks[0], 0, trained_on=ranges, tested_on=tested)
        others = [
            bench.save(model, task, 0, trained_on=[TRAINED["none"]], tested_on=tested)
            for model in bench.models
            for task in bench.tasks
            if (model, task.name) != ("deep", "one-4")
        ]
        return [shown, *others]  # fmt: skip

    return save


@pytest.mark.parametrize("leak", list(TRAINED))
def test_a_standing_and_the_pages_name_the_leakage_of_an_entry(leak, bench, folders, tmp_path):
    saved = folders("none", leak)

    table = leaderboard(bench.suite, saved, declared=bench.declared).set_index("entry")["leakage"]
    build_site([bench.suite], saved, tmp_path / "site", declared=bench.declared)

    assert table["naive"] == "none"
    assert table["deep"] == (leak if leak == "none" else f"{min(leak, 'none')}, {max(leak, 'none')}")
    root = tmp_path / "site"
    files = [path for folder in ("tasks", "models", "suites") for path in (root / folder).glob("*.html")]
    pages = {path.stem: path.read_text(encoding="utf-8") for path in files}
    assert f"leakage: {leak}<" in pages["one-4"]
    assert f"leakage: {table['deep']}<" in pages["deep"]
    assert ('class="warning"' in pages["one-4"]) == (leak != "none")
    assert 'class="warning"' not in pages["naive"]
