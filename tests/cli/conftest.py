"""What the tests of commands share: the command in this process, and a user's CSV file."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, standard output, lines on standard error."""

    code: int
    out: str
    lines: list[str]


@pytest.fixture
def tsbench(monkeypatch, capsys) -> Callable[..., Done]:
    """Runs the command in this process: `tsbench("run", "dlinear", "etth1-96")`."""
    from tsbench.cli.main import main

    def run(*words: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["tsbench", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, error = capsys.readouterr()
        return Done(code, out, error.splitlines())

    return run


@pytest.fixture
def refused(tsbench) -> Callable[..., str]:
    """Runs a command that must be refused: exit code 2 and one line on standard error, which it gives."""

    def run(*words: str | Path) -> str:
        done = tsbench(*words)
        assert done.code == 2, (done.out, done.lines)
        assert len(done.lines) == 1, done.lines
        assert done.lines[0].startswith("Error: ")
        assert done.out == ""
        return done.lines[0]

    return run


@pytest.fixture
def csv(tmp_path) -> Callable[..., Path]:
    """Writes an hourly file of two variables: `csv({41: "2024-01-01T00:00,1,2"})` replaces a row; None drops it."""

    def write(
        changes: dict[int, str | None] | None = None, rows: int = 300, header: str = "date,load,price"
    ) -> Path:
        lines: Sequence[str | None] = [
            f"2024-{1 + hour // 720:02d}-{1 + hour % 720 // 24:02d} {hour % 24:02d}:00:00,{hour % 24 + 0.5},{hour % 7}"
            for hour in range(rows)
        ]
        lines = [(changes or {}).get(row, line) for row, line in enumerate(lines)]
        path = tmp_path / "mine.csv"
        path.write_text("\n".join([header, *(line for line in lines if line is not None)]) + "\n")
        return path

    return write
