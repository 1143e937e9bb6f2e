"""The page of a task with cells: averages as published, means over the grid, pictures; light enough."""

import re
from pathlib import Path

import pytest

from tsbench.leaderboard.collect import Catalogue
from tsbench.leaderboard.site.build import build_site

MODELS = ("naive", "deep", "linear")


def quirky(model: str, task: str, scenario: str, unit: int, seed: int) -> float:
    """Errors by model; what counts for the published average only is ten times as large."""
    size = {"naive": 2.0, "deep": 0.1, "linear": 0.5}[model] * (1 + 0.1 * seed)
    return size * (10 if scenario.endswith("-published") else 1) * (2 if "speed=30" in scenario else 1)


@pytest.fixture(scope="module")
def site(tmp_path_factory, make):
    task, root = make.cells_task(), tmp_path_factory.mktemp("cells")
    folders = [
        make.result(root / "results" / f"{model}-{seed}", model, task, seed, quirky, units=2)
        for model in MODELS
        for seed in (0, 1)
    ]
    declared = Catalogue({task.name: task}, {name: make.card(name) for name in MODELS})
    suite = make.suite([task.name], MODELS)

    def build(name: str, results=folders) -> Path:
        return build_site([suite], results, root / name, declared=declared).parent

    build.folders = folders
    build.page = (build("out") / "tasks/cells-4.html").read_text(encoding="utf-8")
    return build


def tables(page: str) -> dict[str, list[list[str]]]:
    """Label of a region → rows of texts, heading first."""
    found = {}
    for label, inside in re.findall(
        r'aria-label="([^"]*)" tabindex="0">\s*(<table.*?</table>)', page, flags=re.S
    ):
        rows = re.findall(r"<tr.*?</tr>", inside, flags=re.S)
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.S) for row in rows]
        plain = [[re.sub(r"<span.*?</span>|<[^>]+>", "", cell).strip() for cell in row] for row in cells]
        found[label] = plain
    return found


def test_an_average_as_published_has_a_column_of_its_own(site):
    heading, best, *_ = tables(site.page)["Scores"]
    averages = ["Regular", "Robustness", "Robustness, as published"]
    averages += ["Generalisation", "Generalisation, as published"]
    assert heading[1:6] == averages
    row = dict(zip(heading, best, strict=True))
    assert best[0].startswith("deep")
    assert float(row["Robustness, as published"]) == pytest.approx(10 * float(row["Robustness"]))


def test_the_best_of_a_metric_follows_its_direction(site):
    inside = re.search(r'aria-label="Every metric, Regular".*?</table>', site.page, flags=re.S)[0]
    rows = re.findall(r"<tr><th scope=\"row\"><bdi>(.*?)</bdi></th>(.*?)</tr>", inside)
    marks = {name: re.findall(r'<td class="num( best)?"', cells) for name, cells in rows}
    assert marks == {"deep": [" best"] * 3, "linear": [""] * 3, "naive": [""] * 3}
    assert "larger is better" in inside


def test_the_grid_is_shown_as_means_and_not_flat(site):
    found = tables(site.page)
    label = "Regular: 24 scenarios, white noise, mean over cells"
    assert found[label][0][1:] == ["snr db 0", "snr db 10", "snr db 20"]
    (cells,) = [
        rows for name, rows in found.items() if name.startswith("Regular: 24") and "other cells" in name
    ]
    assert cells[0][1:] == ["model A", "model B", "spread 10", "spread 100", "speed 1", "speed 30"]
    assert [float(one) for one in cells[1][5:]] == pytest.approx([0.105, 0.21])
    assert "snr_db=0</" not in site.page


def test_pictures_are_there_and_the_page_is_light(site):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", site.page)
    starts = (
        "Magnitude over time and subcarrier",
        "NMSE over spread and speed",
        "NMSE over speed and spread",
    )
    assert captions[0].startswith(starts[0])
    assert sum(one.startswith(starts[1:]) for one in captions) == 2
    assert any("over the level of each disturbance" in one for one in captions)
    assert any("along each axis" in one for one in captions)
    assert any("trained on" in one for one in captions)
    assert len(site.page) < 400_000


def test_identifiers_of_drawings_are_their_own(site):
    identifiers = re.findall(r' id="([^"]+)"', site.page)
    assert len(identifiers) == len(set(identifiers))
    assert "style=" not in site.page.replace("stylesheet", "")
    assert "data:" not in site.page


def test_the_page_is_the_same_from_shuffled_results(site):
    again = site("again", site.folders[::-1]) / "tasks/cells-4.html"
    assert again.read_text(encoding="utf-8") == site.page
