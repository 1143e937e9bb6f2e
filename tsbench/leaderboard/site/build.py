"""Builds the site: a pure function of suites and Results into a folder of static files.

The pages need no server and no network. Everything that comes from Results and cards is escaped by the
templates; the content security policy of each page allows nothing but the two files beside it.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from tsbench.atomic import new_folder
from tsbench.contracts import InputError, Suite
from tsbench.leaderboard.aggregate import Missing
from tsbench.leaderboard.collect import Catalogue, catalogue
from tsbench.leaderboard.entries import shown

from .pages.index import index_context, task_names
from .pages.model import model_context, model_names
from .pages.suite import suite_context
from .pages.task import task_context
from .view import View, model_href, task_href, views_of

HERE = Path(__file__).parent
ASSETS = ("board.css", "sort.js")


def build_site(
    suites: Sequence[Suite],
    results: Sequence[Path],
    out: Path,
    *,
    missing: Missing = "impute",
    declared: Catalogue | None = None,
) -> Path:
    """Write the leaderboards of some suites as a site.

    Args:
        suites: in the order of the overview.
        results: Result folders, in any order; those of other suites are ignored.
        out: folder to write; an older site there is replaced as a whole.
        missing: what happens to cells without a value (see `aggregate.resolve_missing`).
        declared: tasks and cards to hold the Results against; what is installed by default.

    Returns:
        Path of the overview, `out/index.html`.

    Raises:
        InputError: where `out` holds something else than a site, or cannot be written.
    """
    _refuse_other_folder(out)
    declared = declared or catalogue()
    return write_site(views_of(suites, results, declared, missing), declared, out)


def write_site(views: Sequence[View], declared: Catalogue, out: Path) -> Path:
    """Write the pages of suites that are ranked already; returns the path of the overview."""
    _refuse_other_folder(out)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shared = {
        "menu": [{"href": view.href, "title": view.collection.suite.title} for view in views],
        "total": len({id(stored) for view in views for stored in view.collection.stored.values()}),
    }

    with new_folder(out) as folder:

        def page(path: str, template: str, context: dict[str, Any]) -> None:
            root = "../" * path.count("/")
            html = environment.get_template(template).render(root=root, here=path, **shared, **context)
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(html, encoding="utf-8", newline="\n")

        page("index.html", "index.html", index_context(views, declared.tasks, declared.cards))
        for view in views:
            page(view.href, "suite.html", suite_context(view))
        for name in model_names(views):
            page(model_href(name), "model.html", model_context(name, declared.cards.get(name), views))
        for name in task_names(views):
            page(
                task_href(name),
                "task.html",
                task_context(name, declared.tasks.get(name), _shows(name, views)),
            )
        (folder / "assets").mkdir()
        for asset in ASSETS:
            shutil.copyfile(HERE / "assets" / asset, folder / "assets" / asset)
    return out / "index.html"


def _visible(value: Any) -> Any:
    """Spell out invisible characters in every text that is put on a page, line by line."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(map(shown, value.split("\n")))


def _shows(task: str, views: Sequence[View]) -> View:
    """The suite with the most Results of the task, the first of equals."""
    having = [view for view in views if task in view.collection.suite.tasks]
    return max(having, key=lambda view: sum(of == task for _, of, _ in view.collection.stored))


def _refuse_other_folder(out: Path) -> None:
    """The folder is replaced as a whole: never replace one that is not a site."""
    if out.exists() and not (out / "assets" / ASSETS[0]).is_file() and (out.is_file() or any(out.iterdir())):
        raise InputError(f"{out} exists and holds no leaderboard pages; choose another folder with --out")
