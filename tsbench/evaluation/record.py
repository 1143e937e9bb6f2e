"""Writes and reads Result folders. Imports no torch: the leaderboard and the tracker read Results with it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsbench import atomic
from tsbench.contracts import InputError, Result, parse
from tsbench.contracts.result import (
    EXAMPLE_COLUMNS,
    EXAMPLES_FILE,
    RESULT_FILE,
    RESULT_LIMIT,
    SCORE_COLUMNS,
    SCORES_FILE,
    UNIT_COLUMNS,
    UNITS_FILE,
)
from tsbench.folders import ARTIFACTS

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, Sequence[Any]]

TABLES = {SCORES_FILE: SCORE_COLUMNS, UNITS_FILE: UNIT_COLUMNS, EXAMPLES_FILE: EXAMPLE_COLUMNS}


def write_result(
    folder: Path, result: Result, scores: Columns, units: Columns, examples: Columns | None
) -> None:
    """Write a Result folder under a temporary name, flush it to disk and rename it.

    Args:
        folder: the folder to create; an older one is replaced.
        result: the record.
        scores: columns of scores.parquet, in the order of `SCORE_COLUMNS`.
        units: columns of units.parquet, in the order of `UNIT_COLUMNS`.
        examples: columns of examples.parquet, or None.

    Raises:
        ValueError: where the record is larger than 64 kB or a table has other columns.
        InputError: where the parent folder cannot be written.
    """
    text = result.model_dump_json(indent=1) + "\n"
    if len(text.encode()) > RESULT_LIMIT:
        raise ValueError(f"result.json would hold {len(text.encode())} bytes; the limit is {RESULT_LIMIT}")
    with atomic.new_folder(folder) as temporary:
        (temporary / RESULT_FILE).write_text(text, encoding="utf-8")
        for name, columns in ((SCORES_FILE, scores), (UNITS_FILE, units), (EXAMPLES_FILE, examples)):
            if columns is not None:
                _write_table(temporary / name, columns)


def read_result(folder: Path) -> Result:
    """Read result.json of a Result folder.

    Raises:
        InputError: where there is none, it is larger than 64 kB, or does not follow the schema.
    """
    path = folder / RESULT_FILE
    if not path.is_file():
        raise InputError(f"{folder} is not a Result: it holds no {RESULT_FILE}")
    if path.stat().st_size > RESULT_LIMIT:
        raise InputError(f"{path} is larger than {RESULT_LIMIT} bytes")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    return parse(Result, data, path)


def read_table(folder: Path, name: str) -> "pd.DataFrame":
    """Read scores.parquet, units.parquet or examples.parquet of a Result folder.

    Raises:
        InputError: where the table is missing or has other columns.
    """
    import pyarrow.parquet

    path = folder / name
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if tuple(table.column_names) != TABLES[name]:
        raise InputError(f"{path} has the columns {table.column_names}, not {list(TABLES[name])}")
    return table.to_pandas()


def find_results(root: Path) -> list[Path]:
    """Result folders below `root`, sorted by path; half-written ones and MLflow's copies are not seen."""
    found = (path.parent.relative_to(root) for path in root.rglob(RESULT_FILE))
    return sorted(
        root / folder
        for folder in found
        if atomic.TEMPORARY not in str(folder) and ARTIFACTS not in folder.parts
    )


def _write_table(path: Path, columns: Columns) -> None:
    import pyarrow
    import pyarrow.parquet

    if tuple(columns) != TABLES[path.name]:
        raise ValueError(f"{path.name} has the columns {list(columns)}, not {list(TABLES[path.name])}")
    table = pyarrow.table(dict(columns))
    pyarrow.parquet.write_table(table, path, compression="zstd", use_dictionary=True)
