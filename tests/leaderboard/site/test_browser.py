"""The pages in a real browser, from file:// and from the server: quiet, closed, accessible, and they work.

Each page is kept as a picture in runs/screenshots, narrow and wide, light and dark, to be looked at.
"""

import shutil
import threading
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from tsbench.leaderboard.collect import Catalogue
from tsbench.leaderboard.site.build import build_site
from tsbench.leaderboard.site.serve import server_of

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
HOSTILE = '<script>alert("x")</script>\u202e"evil\'&'
SERIOUS = ("serious", "critical")
DRAWN = "#plot canvas"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as running:
        if CHROMIUM is None and not Path(running.chromium.executable_path).exists():
            pytest.skip("no Chromium on this machine")
        opened = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def uneven(model: str, task: str, scenario: str, unit: int, seed: int) -> float:
    """Errors by which the order of the models changes from condition to condition."""
    size = {"naive": 0.9, "linear": 0.7, "deep": 0.5}[model] * (1 + 0.02 * seed + 0.05 * (unit % 3))
    return size * {"linear": 1.0, "deep": 1.8}.get(model, 1.2) if "robustness" in scenario else size


@pytest.fixture(scope="module")
def site(tmp_path_factory, make) -> Path:
    """Three tasks with gaps, one with a grid of cells, a second track, a hostile name."""
    bench = make.bench(tmp_path_factory.mktemp("browser") / "results")
    cells = make.cells_task()
    folders = bench.save_all(errors=uneven)
    folders += [bench.save(model, cells, seed, units=2) for model in bench.models for seed in (0, 1)]
    folders += [
        bench.save("deep", bench.tasks[0], 0, "long", track__context=336, track__tuning="published"),
        bench.save(HOSTILE, bench.tasks[1], 0, "hostile", provenance__command=f"tsbench run {HOSTILE} two-4"),
    ]
    declared = bench.declared
    cards = dict(declared.cards) | {"deep": make.card("deep", kind="neural")}
    declared = Catalogue(dict(declared.tasks) | {cells.name: cells}, cards)
    suite = make.suite([*(task.name for task in bench.tasks), cells.name], bench.models, bench.seeds)
    return build_site([suite], folders, bench.root.parent / "site", declared=declared).parent


@pytest.fixture(scope="module", params=["file", "server"])
def address(request, site):
    """Where the site is: its folder, and the same from `board serve`."""
    if request.param == "file":
        yield site.as_uri()
        return
    server = server_of(site, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def paths(site: Path) -> list[str]:
    """One page of each template, and those with the hostile name."""
    records = sorted((site / "results").rglob("*.html"))
    named = [one for one in records if "script" in str(one)]
    chosen = [records[0], *named, *(one for one in (site / "models").glob("*.html") if "script" in one.name)]
    fixed = ["index.html", "method.html", "suites/synthetic.html", "compare/synthetic.html"]
    fixed += [f"{folder}/{name}.html" for folder in ("tasks", "scenarios") for name in ("one-4", "cells-4")]
    return [*fixed, "models/deep.html", *(str(one.relative_to(site)) for one in chosen)]


def opened(browser, address: str, path: str, **context):
    """A page that has settled, what it said, and what it asked for."""
    page, said, asked = browser.new_context(**context).new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/{path}")
    if path.startswith("scenarios/"):
        page.wait_for_selector(DRAWN)
    return page, said, asked


def test_every_page_is_quiet_and_closed(browser, site, address):
    for path in paths(site):
        page, said, asked = opened(browser, address, path)
        assert (path, said) == (path, [])
        outside = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
        assert (path, outside) == (path, [])
        page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_every_page_is_as_wide_as_the_screen_and_accessible(browser, site, request, width, scheme):
    axe = Axe()
    pictures = request.config.rootpath / "runs/screenshots"
    pictures.mkdir(parents=True, exist_ok=True)
    for path in paths(site):
        viewport = {"width": width, "height": 900}
        page, said, _ = opened(browser, site.as_uri(), path, viewport=viewport, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        name = path.removesuffix(".html").replace("/", "-")[:60]
        page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)
        for one in page.query_selector_all("details:not([open]) > summary"):
            one.click()
        found = axe.run(page, options={"preload": False}).response["violations"]
        serious = [(one["id"], one["nodes"][0]["html"][:150]) for one in found if one["impact"] in SERIOUS]
        assert (path, serious) == (path, [])
        assert said == []
        page.context.close()


def test_a_table_sorts_by_keyboard_and_says_so(browser, site):
    page, _, _ = opened(browser, site.as_uri(), "suites/synthetic.html")
    heading = page.locator("table.standings thead th", has_text="Skill score")
    places = "table.standings tbody tr td:first-child"
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    worst_first = page.locator(places).all_inner_texts()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.locator(places).all_inner_texts() == worst_first[::-1]


def test_every_control_and_link_is_reached_with_the_tab_key(browser, site):
    page, _, _ = opened(browser, site.as_uri(), "suites/synthetic.html")
    wanted = page.locator("select:visible, input:visible, button:visible, a:visible, summary:visible").count()
    seen = set()
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        at = page.evaluate(
            "() => { const all = [...document.querySelectorAll('select,input,button,a,summary')];"
            " return all.indexOf(document.activeElement); }"
        )
        if at in seen and len(seen) >= wanted:
            break
        seen |= {at} - {-1}
    assert len(seen) == wanted


def test_filters_narrow_entries_and_cells(browser, site):
    page, said, _ = opened(browser, site.as_uri(), "suites/synthetic.html")
    rows = page.locator("table.standings tbody tr:visible")
    everyone = rows.count()
    whole = page.locator("table.standings tbody").inner_text()
    page.select_option("[data-filter=kind]", "neural")
    assert rows.count() == 2  # deep and its other track
    assert page.locator("table.heat >> nth=0").locator("tbody tr:visible").count() == 2
    assert "2 of 5 entries" in page.locator("#filtered").inner_text()
    page.select_option("[data-filter=tuning]", "published")
    assert rows.count() == 1
    page.click("#reset")
    assert rows.count() == everyone == 5
    page.select_option("[data-filter=condition]", "robustness")
    assert page.locator("details.scores:visible").count() == 1
    assert "4 cells" in page.locator("#filtered").inner_text()
    page.fill("[data-filter=entry]", "<script>")
    assert rows.count() == 1
    page.click("#reset")
    assert page.locator("table.standings tbody").inner_text() == whole
    assert said == []


def test_narrowed_standings_are_those_of_the_aggregate(browser, site):
    page, _, _ = opened(browser, site.as_uri(), "suites/synthetic.html")
    cell = "table.standings tbody tr[data-entry=linear] td:nth-child(5)"
    before = page.locator(cell).inner_text()
    page.select_option("[data-filter=condition]", "regular")
    narrowed = page.locator(cell).inner_text()
    by_condition = page.locator("[aria-label='Under each condition'] tr", has_text="linear")
    assert narrowed == by_condition.locator("td").first.inner_text()
    assert narrowed != before


def test_two_to_five_entries_are_compared_and_the_address_keeps_the_choice(browser, site):
    page, said, _ = opened(browser, site.as_uri(), "compare/synthetic.html#deep,linear")
    chosen = page.locator("#chosen li")
    assert chosen.locator("bdi").all_inner_texts() == ["deep", "linear"]
    assert chosen.locator("button").first.is_disabled()
    page.select_option("#add", "naive")
    assert chosen.locator("bdi").all_inner_texts() == ["deep", "linear", "naive"]
    assert page.url.endswith("#deep,linear,naive")
    texts = page.locator("[aria-label=Scores] tbody tr").first.locator("td.num").all_inner_texts()
    assert len(texts) == 3
    page.locator("#chosen button").first.click()
    assert chosen.locator("bdi").all_inner_texts() == ["linear", "naive"]
    page.goto(f"{site.as_uri()}/compare/synthetic.html#%E0%A4,nobody")
    page.reload()
    assert chosen.count() == 3
    assert said == []


def test_scenarios_are_drawn_along_any_coordinate_with_the_same_numbers_in_a_table(browser, site):
    page, said, _ = opened(browser, site.as_uri(), "scenarios/cells-4.html")
    page.select_option("#condition", "regular")
    page.select_option("#across", "spread")
    page.select_option("#split", "")
    page.wait_for_function("document.querySelectorAll('#plot canvas').length === 1")
    rows = page.locator("#values tbody tr")
    assert rows.locator("th").all_inner_texts() == ["10", "100"]
    assert "24 scenarios" in page.locator("#caption").inner_text()
    assert said == []


def test_tables_are_there_without_javascript(browser, site):
    for path, table in (
        ("suites/synthetic.html", "table.standings tbody tr"),
        ("compare/synthetic.html", "#result tbody tr"),
        ("scenarios/one-4.html", "[aria-label='Every scenario'] tbody tr"),
        ("tasks/one-4.html", "[aria-label=Scores] tbody tr"),
        ("index.html", "table.coverage tbody tr"),
    ):
        page, _, _ = opened_without_scripts(browser, site, path)
        assert page.locator(table).count() > 2, path
        assert page.locator("th button").count() == 0
        assert page.locator("select:visible, input:visible").count() == 0
        page.context.close()


def opened_without_scripts(browser, site: Path, path: str):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((site / path).as_uri())
    return page, [], []


def test_a_hostile_name_is_shown_and_not_run(browser, site):
    page, said, _ = opened(browser, site.as_uri(), "compare/synthetic.html")
    page.evaluate(
        "() => { const add = document.getElementById('add'); window.names = [...add.options].map((o) => o.value); }"
    )
    (name,) = [one for one in page.evaluate("window.names") if "script" in one]
    page.select_option("#add", name)
    shown = page.locator("#chosen li bdi").last.inner_text()
    assert shown.startswith('<script>alert("x")</script>⟨U+202E⟩"evil\'&')
    assert said == []
