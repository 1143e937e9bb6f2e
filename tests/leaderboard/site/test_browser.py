"""The pages in a real browser, from file://: no console message, no request outside, sorting by keyboard."""

import shutil
from pathlib import Path

import pytest

from tsbench.leaderboard.site.build import build_site

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def site(bench) -> Path:
    return build_site(
        [bench.suite], bench.save_all(), bench.root.parent / "site", declared=bench.declared
    ).parent


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_every_page_is_quiet_closed_and_as_wide_as_the_screen(browser, site, scheme, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in sorted(site.rglob("*.html")):
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(path.as_uri())
        assert said == []
        assert [url for url in asked if not url.startswith(site.as_uri())] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_a_table_sorts_by_keyboard_and_says_so(browser, site):
    page = browser.new_context().new_page()
    page.goto((site / "suites/synthetic.html").as_uri())
    heading = page.locator("table.standings thead th", has_text="Skill score")
    places = "table.standings tbody tr td:first-child"
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    worst_first = page.locator(places).all_inner_texts()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert page.locator(places).all_inner_texts() == worst_first[::-1]


def test_tables_are_there_without_javascript(browser, site):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((site / "suites/synthetic.html").as_uri())
    assert page.locator("table.standings tbody tr").count() == 3
    assert page.locator("th button").count() == 0
