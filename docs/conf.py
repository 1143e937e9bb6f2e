"""How Sphinx makes the pages: nothing from a network, warnings are errors (`make docs`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "tsbench"
author = "The tsbench authors"
copyright = author
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "command_line",
    "notebooks",
    "outside_links",
    "schema_tables",
]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
exclude_patterns = ["extensions", "images/README.md"]

# Links lead to headings as GitHub names them, so that one text serves both.
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# `--data` stays `--data`.
smartquotes = False

html_theme = "furo"
html_title = "tsbench"
html_copy_source = False
html_domain_indices = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": False, "top_of_page_buttons": []}
