"""What commands print: tables that fit 80 columns, short notes on standard error, JSON for machines."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

WIDTH = 80


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print a table; columns whose cells are all numbers are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if title:
        # On a line of its own: as rich's title it would be broken to the width of the table.
        sys.stdout.write(f"{title}\n")
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(
            isinstance(row[index], int | float) for row in rows if row[index] is not None
        )
        # Names are never broken: a name that is read off must be the name that can be typed.
        first = index == 0
        drawn.add_column(escape(name), justify="right" if numeric else "left", overflow="fold", no_wrap=first)
    for row in rows:
        drawn.add_row(*(escape(_cell(value)) for value in row))
    terminal = shutil.get_terminal_size((WIDTH, 24)).columns
    Console(file=sys.stdout, width=terminal if sys.stdout.isatty() else max(WIDTH, terminal)).print(drawn)


def as_json(data: Any) -> None:
    """Print JSON for machines."""
    sys.stdout.write(json.dumps(data, indent=1, default=str) + "\n")


def note(text: str) -> None:
    """One line for the person at the terminal, on standard error."""
    sys.stderr.write(f"{text}\n")


def warn(text: str) -> None:
    """One warning line on standard error."""
    note(f"Warning: {text}")


def interactive() -> bool:
    """Whether progress may be drawn."""
    return sys.stderr.isatty() and "CI" not in os.environ


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
