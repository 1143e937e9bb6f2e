"""The site: complete, closed, escaped, byte for byte the same, and its numbers are those of the aggregate."""

import html.parser
import re
from pathlib import Path

import pytest

from tsbench.contracts import InputError
from tsbench.leaderboard.site import text
from tsbench.leaderboard.site.build import ASSETS, BUNDLE, build_site
from tsbench.leaderboard.standings import leaderboard

HOSTILE = '<script>alert("x")</script>\u202e"evil\'&'
VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}


class Page(html.parser.HTMLParser):
    """Ids, links, resources, attributes and texts of a page; checks that tags close in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.attributes, self.cells, self.open = set(), [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.attributes |= set(values)
        if "id" in values:
            assert tag == "clippath" or values["id"] not in self.ids, f"id {values['id']} twice"
            self.ids.add(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        elif "src" in values or "href" in values:
            self.loaded.append(values.get("src") or values["href"])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.cells.append(data.strip())


@pytest.fixture(scope="module")
def site(tmp_path_factory, make):
    """Builds a suite with another track, gaps, a skipped condition, an outdated and a hostile Result."""
    bench = make.bench(tmp_path_factory.mktemp("site") / "results")
    folders = [one for one in bench.save_all() if not one.name.startswith("linear-two")]
    one, two = bench.tasks[:2]
    folders += [
        bench.save("deep", one, 0, "long", track__context=336),
        bench.save("deep", one, 1, "old", task__version=9, task__hash="old"),
        bench.save(HOSTILE, two, 0, "hostile", provenance__command=f"tsbench run {HOSTILE} two-4"),
        bench.save("late", one, 0, "late", skip={"generalisation/dataset=other": "other is not at hand"}),
    ]
    declared = bench.declared
    declared.cards["deep"] = make.card(
        "deep",
        kind="neural",
        paper={"title": "A <Paper>", "authors": "A. & B.", "year": 2024, "url": "javascript:alert(1)"},
        published=[
            {"task": "one-4", "metric": "mse", "value": 0.386, "context": 96, "source": "table 1"},
            {"task": "one-4", "metric": "mse", "value": 0.375, "context": 512, "source": "table 2"},
        ],
    )
    gap = {"tasks": ["three-*"], "reason": "needs covariates"}
    declared.cards["late"] = make.card("late", not_applicable=[gap])

    def build(name: str, results=folders) -> Path:
        return build_site([bench.suite], results, bench.root.parent / name, declared=declared)

    build.suite, build.folders, build.declared, build.root = bench.suite, folders, declared, bench.root
    build.index = build("out")
    return build


def pages(index: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(index.parent.resolve().rglob("*.html"))}


def test_a_page_for_the_overview_each_suite_model_and_task(site):
    root = site.index.parent
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    expected = {f"tasks/{name}.html" for name in ("one-4", "two-4", "three-4")}
    expected |= {f"models/{text.slug(name)}.html" for name in ("naive", "linear", "deep", "late", HOSTILE)}
    expected |= {
        f"scenarios/{name}.{end}" for name in ("one-4", "two-4", "three-4") for end in ("html", "js")
    }
    expected |= {f"{folder}/synthetic.{end}" for folder in ("suites", "compare") for end in ("html", "js")}
    expected |= {f"assets/{name}" for name in (*ASSETS, BUNDLE)} | {"index.html", "method.html"}
    records = {name for name in found if name.startswith("results/")}
    # Four entries on three tasks, one of them without Results, and three more on one task each.
    assert len(records) == 3 * 3 - 1 + 3
    assert found - records == expected


def test_a_rebuild_from_shuffled_results_is_the_same_byte_for_byte(site):
    first, second = site.index.parent, site("second", site.folders[::-1]).parent
    for path in sorted(first.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path


def test_links_resolve_and_nothing_is_loaded_from_elsewhere(site):
    found = pages(site.index)
    for path, page in found.items():
        assert not any("//" in one or ":" in one for one in page.loaded)
        assert all((path.parent / one).resolve().is_file() for one in page.loaded)
        for link in page.links:
            if link.startswith("https://"):
                continue
            target, _, anchor = link.partition("#")
            aim = (path.parent / target).resolve() if target else path
            assert aim in found, link
            assert (
                not anchor or anchor in next(p for q, p in found.items() if q.resolve() == aim.resolve()).ids
            )
    assert "url(" not in (site.index.parent / "assets/board.css").read_text()


def test_each_page_allows_only_its_own_files_and_holds_no_inline_code(site):
    for page in pages(site.index).values():
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page.text)[1]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "style" not in page.attributes
        assert not [name for name in page.attributes if name.startswith("on")]
        assert page.text.count("<script") == page.text.count("<script src=")
        assert "javascript:" not in page.text


def test_names_with_markup_are_shown_and_not_run(site):
    index = site.index
    shown = HOSTILE.replace("\u202e", "⟨U+202E⟩")
    page = Page(index.parent / "models" / f"{text.slug(HOSTILE)}.html")
    assert shown in page.cells
    for one in [*index.parent.rglob("*.html"), *index.parent.glob("[!a]*/*.js")]:
        content = one.read_text(encoding="utf-8")
        assert "<script>alert" not in content
        assert "\u202e" not in content
        assert "u202e" not in content


def test_no_local_path_is_on_a_page(site):
    for page in pages(site.index).values():
        assert str(site.root) not in page.text


def test_the_numbers_of_the_suite_page_are_those_of_the_aggregate(site):
    table = leaderboard(site.suite, site.folders, declared=site.declared)
    page = Page(site.index.parent / "suites/synthetic.html").text
    keys = re.findall(r'<tr[^>]*>\s*<td class="num" data-key="\d+">\d+</td>(.*?)</tr>', page, flags=re.DOTALL)
    assert len(keys) == len(table)
    for html_row, (_, row) in zip(keys, table.iterrows(), strict=True):
        found = re.findall(r'data-key="([^"]*)"', html_row)
        assert found[:3] == [repr(float(row[name])) for name in ("mean_rank", "win_rate", "skill")]
        assert text.percent(row["skill"]) in html_row


def test_empty_cells_are_told_apart_and_explained(site):
    page = Page(site.index.parent / "suites/synthetic.html")
    for state, reason in (
        ("skipped", "generalisation/dataset=other: other is not at hand"),
        ("not_applicable", "needs covariates"),
        ("not_applicable", "no second set of this kind"),
        ("missing", "no Result"),
    ):
        assert f'class="state {state}"' in page.text
        assert reason in page.cells
    assert any(cell.startswith("outdated: made for version 9") for cell in page.cells)


def test_published_figures_stand_beside_ours_only_where_the_context_agrees(site):
    page = Page(site.index.parent / "models/deep.html")
    at = page.cells.index("Published beside reproduced")
    rows = page.cells[at:]
    assert rows[rows.index("0.386") + 1] != "not run"
    assert rows[rows.index("0.375") + 1] == "not run"


def test_every_score_has_its_command(site):
    page = Page(site.index.parent / "tasks/one-4.html")
    assert "tsbench run deep one-4 --seed 0" in page.cells
    assert "tsbench run deep one-4 --seed 1" in page.cells


def test_each_number_of_the_suite_is_a_link_to_its_results_and_their_commands(site):
    suite = site.index.parent / "suites/synthetic.html"
    table = re.search(r'aria-label="Scores by task, regular".*?</table>', suite.read_text(), flags=re.S)[0]
    row = re.search(r"<bdi>linear</bdi>.*?</tr>", table, flags=re.S)[0]
    ((href, shown),) = re.findall(r'<td[^>]*><a href="([^"]+one-4[^"]+)">([^<]+)</a>', row)
    record = Page(suite.parent / href)
    assert shown in record.cells
    assert {"tsbench run linear one-4 --seed 0", "tsbench run linear one-4 --seed 1"} <= set(record.cells)


def test_the_two_tracks_of_a_model_have_pages_of_their_own(site):
    pages_of_deep = sorted((site.index.parent / "results/deep").glob("one-4-*.html"))
    contexts = {Page(path).cells[Page(path).cells.index("Context") + 1] for path in pages_of_deep}
    assert contexts == {"96", "336"}


def test_a_suite_without_results_says_how_to_make_them(site):
    page = Page(site("empty", []).parent / "suites/synthetic.html")
    assert "tsbench run synthetic" in page.cells


def test_a_folder_that_is_no_site_is_never_replaced(site):
    mine = site.root.parent / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds no leaderboard pages"):
        site("thesis")
    assert (mine / "chapter.txt").read_text() == "years of work"
