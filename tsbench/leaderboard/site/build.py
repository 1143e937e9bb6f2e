"""Builds the site: a pure function of suites and Results into a folder of static files.

The pages need no server and no network. Everything that comes from Results and cards is escaped by the
templates; the content security policy of each page allows nothing but the files beside it.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from tsbench.atomic import new_folder
from tsbench.contracts import InputError, Suite
from tsbench.contracts.sweep import SweepRecord
from tsbench.leaderboard.aggregate import Missing
from tsbench.leaderboard.collect import Catalogue, Stored, catalogue
from tsbench.leaderboard.entries import shown
from tsbench.leaderboard.kept import kept, kept_in

from .pages.compare import compare_context
from .pages.index import index_context, task_names
from .pages.model import model_context, model_names
from .pages.record import record_context, record_inputs, records
from .pages.scenarios import explored, scenarios_context
from .pages.suite import suite_context
from .pages.sweep import sweep_context, sweep_href, sweeps_context
from .pages.task import task_context
from .view import View, compare_href, model_href, scenarios_href, task_href, views_of

HERE = Path(__file__).parent
ASSETS = ("board.css", "icon.svg", "sort.js", "filter.js", "compare.js", "explorer.js")
BUNDLE, SNIPPET = "vega.js", "window.vegaEmbed = vegaEmbed;"
"""Vega, Vega-Lite and vega-embed with the interpreter, as vl-convert ships them; for the explorer only."""


def build_site(
    suites: Sequence[Suite],
    results: Sequence[Path],
    out: Path,
    *,
    missing: Missing = "impute",
    declared: Catalogue | None = None,
    cache: Path | None = None,
) -> Path:
    """Write the leaderboards of some suites as a site.

    Args:
        suites: in the order of the overview.
        results: Result folders, in any order; those of other suites are ignored.
        out: folder to write; an older site there is replaced as a whole.
        missing: what happens to cells without a value (see `aggregate.resolve_missing`).
        declared: tasks and cards to hold the Results against; what is installed by default.
        cache: folder that keeps what is expensive to make (see `kept`); a later build is faster with it.

    Returns:
        Path of the overview, `out/index.html`.

    Raises:
        InputError: where `out` holds something else than a site, or cannot be written.
    """
    _refuse_other_folder(out)
    declared = declared or catalogue()
    with kept_in(cache):
        return write_site(views_of(suites, results, declared, missing), declared, out)


def write_site(
    views: Sequence[View], declared: Catalogue, out: Path, sweeps: Sequence[SweepRecord] = ()
) -> Path:
    """Write the pages of suites that are ranked already, and of sweeps; returns the path of the overview."""
    _refuse_other_folder(out)
    environment = _environment()
    with new_folder(out) as folder:
        shared = {"menu": _menu(views), "sweeps": len(sweeps)}
        for path, template, context in _pages(views, declared, sweeps):
            _write(folder, environment, path, template, context | shared)
        _write_records(folder, environment, views, shared)
        _write_assets(folder)
    return out / "index.html"


def _pages(
    views: Sequence[View], declared: Catalogue, sweeps: Sequence[SweepRecord]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, template and context of every page but those of the Results."""
    yield "index.html", "index.html", index_context(views, declared.tasks, declared.cards)
    yield "method.html", "method.html", {"title": "Method"}
    for view in views:
        yield view.href, "suite.html", suite_context(view)
        if len(view.entries) > 1:
            yield compare_href(view.collection.suite.name), "compare.html", compare_context(view)
    for name in model_names(views):
        yield model_href(name), "model.html", model_context(name, declared.cards.get(name), views)
    for name in task_names(views):
        task, view = declared.tasks.get(name), _shows(name, views)
        yield task_href(name), "task.html", task_context(name, task, view)
        if task is not None and explored(view, name):
            yield scenarios_href(name), "scenarios.html", scenarios_context(task, view)
    if sweeps:
        yield "sweeps.html", "sweeps.html", sweeps_context(sweeps)
    for record in sweeps:
        yield sweep_href(record.study), "sweep.html", sweep_context(record)


def _write_records(
    folder: Path, environment: jinja2.Environment, views: Sequence[View], shared: dict[str, Any]
) -> None:
    """Write the pages of the Results: most of a site, and each hangs on a few files, so they are kept."""
    for href, stored in records(views).items():
        inputs = [href, shared, record_inputs(stored, views)]

        def make(href: str = href, stored: Sequence[Stored] = stored) -> str:
            return _rendered(environment, href, "record.html", record_context(stored, views) | shared)

        _write_text(folder / href, kept("record.html", inputs, make))


SCRIPTS = {
    "suite.html": ("filter.js",),
    "compare.html": ("compare.js",),
    "scenarios.html": (BUNDLE, "explorer.js"),
}


def _write(
    folder: Path, environment: jinja2.Environment, path: str, template: str, context: dict[str, Any]
) -> None:
    """Write a page, and its data as a script beside it: the policy allows no inline script."""
    scripts = [*SCRIPTS.get(template, ())]
    data = context.pop("data", None) if template in SCRIPTS else None
    if data is not None and context.get("rows"):
        name = Path(path).with_suffix(".js").name
        scripts.insert(-1, f"./{name}")
    else:
        scripts, data = [], None
    _write_text(folder / path, _rendered(environment, path, template, context, scripts))
    if data is not None:
        _write_text((folder / path).with_suffix(".js"), f"window.tsbenchData = {_script(data)};\n")


def _rendered(
    environment: jinja2.Environment,
    path: str,
    template: str,
    context: dict[str, Any],
    scripts: Sequence[str] = (),
) -> str:
    root = "../" * path.count("/")
    return environment.get_template(template).render(root=root, here=path, scripts=scripts, **context)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _script(data: Any) -> str:
    """JSON that is a script: ASCII only, without the characters that could end or start a tag."""
    text = json.dumps(_visible_all(data), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _visible_all(data: Any) -> Any:
    if isinstance(data, dict):
        return {_visible(key): _visible_all(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_visible_all(one) for one in data]
    return _visible(data)


def _write_assets(folder: Path) -> None:
    import vl_convert

    (folder / "assets").mkdir()
    for asset in ASSETS:
        shutil.copyfile(HERE / "assets" / asset, folder / "assets" / asset)
    if any(folder.glob("scenarios/*.html")):
        bundle = kept("bundle", [], lambda: vl_convert.javascript_bundle(SNIPPET))
        (folder / "assets" / BUNDLE).write_text(bundle, encoding="utf-8", newline="\n")


def _menu(views: Sequence[View]) -> list[dict[str, str]]:
    return [{"href": view.href, "title": view.collection.suite.title} for view in views]


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _visible(value: Any) -> Any:
    """Spell out invisible characters in every text that is put on a page, line by line."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
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
