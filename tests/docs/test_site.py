"""The pages: they build without a warning and without a network, and name everything that there is."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

import tsbench
from tsbench.cli.main import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Fails where the build would open a connection; a proxy that answers would hide it.
OFFLINE = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("the build asked for the network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""


def extension(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "extensions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Loaded(HTMLParser):
    """Addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.found.append(values.get("src") or "")
        if tag == "link" and values.get("rel") not in ("search", "index", "next", "prev", "canonical"):
            self.found.append(values.get("href") or "")


@pytest.mark.slow
def test_the_pages_build_strictly_and_load_nothing_from_elsewhere(tmp_path):
    words = ["-b", "html", "--fail-on-warning", "--keep-going", "-q", "-d", str(tmp_path / "doctrees")]
    command = [sys.executable, "-P", "-c", OFFLINE, *words, str(DOCS), str(tmp_path / "site")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path / "site"): path for path in (tmp_path / "site").rglob("*.html")}
    sources = [path.relative_to(DOCS) for kind in ("*.md", "*.ipynb") for path in DOCS.rglob(kind)]
    assert {path.with_suffix(".html") for path in sources if path.parts[0] != "images"} <= set(pages)
    for name, path in pages.items():
        reader = Loaded()
        reader.feed(path.read_text(encoding="utf-8"))
        assert reader.found
        assert [address for address in reader.found if "//" in address] == [], name
    for path in (tmp_path / "site").rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", text), path
    assert '"wiener"' in (tmp_path / "site" / "searchindex.js").read_text(encoding="utf-8")


def test_every_command_and_option_is_on_the_page_of_commands():
    text = extension("command_line").markdown()
    root = typer.main.get_command(app)

    def walk(command, path):
        if hasattr(command, "commands"):
            for name, one in command.commands.items():
                walk(one, f"{path} {name}")
            return
        section = re.search(rf"^#+ {path}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
        assert section, path
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if option.startswith("-"):
                    assert f"`{option}" in section[1], (path, option)

    walk(root, "tsbench")
    assert len(re.findall(r"^## tsbench", text, re.MULTILINE)) == len(root.commands)


def test_every_field_of_a_schema_is_on_the_page_of_schemas():
    from tsbench.contracts import Result, Task

    text = extension("schema_tables").markdown(DOCS / "reference" / "schemas")

    for contract in (Result, Task):
        section = text.split(f"## {contract.__name__}\n")[1]
        for name in contract.model_fields:
            assert f"| `{name}` |" in section


def test_every_public_name_is_on_the_page_of_python():
    text = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\.\. auto\w+:: tsbench\.(\w+)$", text, re.MULTILINE))

    assert named == set(tsbench.__all__)


def test_a_link_to_a_folder_becomes_its_path_and_one_to_nowhere_fails(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "docs" / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS / 'extensions')!r})\n"
        "extensions = ['myst_parser', 'outside_links']\nhtml_theme = 'basic'\n"
    )
    index = tmp_path / "docs" / "index.md"
    words = ["-b", "html", "-W", "-q", str(tmp_path / "docs"), str(tmp_path / "site")]

    def build():
        command = [sys.executable, "-P", "-m", "sphinx", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)

    index.write_text("# Title\n\nSee [the zoo](../models).\n")
    good = build()
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    index.write_text("# Title\n\nSee [the zoo](../modles).\n")
    bad = build()

    assert good.returncode == 0, good.stderr
    assert re.search(r"the zoo \(<code[^>]*><span class=\"pre\">models</span></code>\)", page)
    assert bad.returncode != 0
    assert "../modles" in bad.stderr
