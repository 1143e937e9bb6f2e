"""Links to folders of the repository become the folder's path: the pages are read without the repository.

Links to files outside docs are left to MyST, which puts a copy beside the pages. A link that leads nowhere
stays a warning, and a warning fails the build.
"""

from pathlib import Path
from typing import Any

from docutils import nodes


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-read", _replace)
    return {"parallel_read_safe": True}


def _replace(app: Any, doctree: nodes.document) -> None:
    from sphinx.addnodes import pending_xref

    root = Path(app.srcdir).resolve().parent
    page = Path(app.env.doc2path(app.env.docname)).resolve()
    for link in list(doctree.findall(pending_xref)):
        target = (page.parent / link.get("reftarget", "")).resolve()
        if link.get("reftarget") and target.is_dir() and target.is_relative_to(root):
            path = target.relative_to(root).as_posix()
            text = link.astext()
            shown = [nodes.Text(f"{text} (")] if text != path else []
            closing = [nodes.Text(")")] if shown else []
            link.replace_self([*shown, nodes.literal(path, path), *closing])
