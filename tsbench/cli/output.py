"""What commands print: tables that fit 80 columns, short notes on standard error, JSON for machines."""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

WIDTH = 80
LONGEST_LINE = 2000
COMMANDS = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: control, format (among them the direction of writing), surrogates, line separators."""


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "", *, whole_names: bool = True
) -> None:
    """Print a table; columns whose cells are all numbers are aligned to the right.

    Args:
        columns: titles.
        rows: cells, a row each.
        title: on a line above.
        whole_names: never break the first column: a name that is read off must be the name that can be typed.
    """
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if title:
        # On a line of its own: as rich's title it would be broken to the width of the table.
        sys.stdout.write(f"{harmless(title)}\n")
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(
            isinstance(row[index], int | float) for row in rows if row[index] is not None
        )
        whole = (whole_names and index == 0) or numeric
        drawn.add_column(
            escape(harmless(name)), justify="right" if numeric else "left", overflow="fold", no_wrap=whole
        )
    for row in rows:
        drawn.add_row(*(escape(_cell(value)) for value in row))
    terminal = shutil.get_terminal_size((WIDTH, 24)).columns
    Console(file=sys.stdout, width=terminal if sys.stdout.isatty() else max(WIDTH, terminal)).print(drawn)


def as_json(data: Any) -> None:
    """Print JSON for machines."""
    sys.stdout.write(json.dumps(data, indent=1, default=str) + "\n")


def note(text: str) -> None:
    """One line for the person at the terminal, on standard error."""
    sys.stderr.write(f"{harmless(text)}\n")


def one_line(error: Exception) -> str:
    """The message of an error as one line of bounded length."""
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"


def harmless(text: str) -> str:
    r"""Text without characters that command a terminal or turn the direction of writing.

    Names come from files of others. What is not shown as itself is written as its escape: `\x1b`, `\u202e`.
    """
    if text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode() if unicodedata.category(one) in COMMANDS else one
        for one in text
    )


def warn(text: str) -> None:
    """One warning line on standard error."""
    note(f"Warning: {text}")


def interactive() -> bool:
    """Whether progress may be drawn."""
    return sys.stderr.isatty() and "CI" not in os.environ


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else harmless(str(value))
