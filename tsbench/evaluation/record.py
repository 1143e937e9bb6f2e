"""Writes and reads Result folders. Imports no torch: the leaderboard and the tracker read Results with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsbench import atomic
from tsbench.contracts import InputError, Result, parse
from tsbench.contracts.result import (
    EXAMPLE_BOUNDS,
    EXAMPLE_COLUMNS,
    EXAMPLES_FILE,
    RESULT_FILE,
    RESULT_LIMIT,
    SCORE_COLUMNS,
    SCORES_FILE,
    UNIT_COLUMNS,
    UNITS_FILE,
)
from tsbench.contracts.strict import parse_json
from tsbench.folders import ARTIFACTS

if TYPE_CHECKING:
    import pandas as pd

ROW_LIMIT, TABLE_LIMIT = 20_000_000, 2**28
"""Rows and bytes of a table: ten times what the largest suite writes."""
NUMBERS = {"numerator", "denominator", "observed", "forecast", "lead_time", "case", *EXAMPLE_BOUNDS}
TEXTS = {"scenario", "condition", "metric"}

FLOATS = ("numerator", "denominator")

Columns = Mapping[str, Sequence[Any]]

TABLES = {SCORES_FILE: SCORE_COLUMNS, UNITS_FILE: UNIT_COLUMNS, EXAMPLES_FILE: EXAMPLE_COLUMNS}
OPTIONAL = {EXAMPLES_FILE: EXAMPLE_BOUNDS}
"""Table → columns that follow, all of them or none."""


def write_result(
    folder: Path, result: Result, scores: Columns, units: Columns, examples: Columns | None
) -> None:
    """Write a Result folder under a temporary name, flush it to disk and rename it.

    Args:
        folder: the folder to create; an older one is replaced.
        result: the record.
        scores: columns of scores.parquet, in the order of `SCORE_COLUMNS`.
        units: columns of units.parquet, in the order of `UNIT_COLUMNS`.
        examples: columns of examples.parquet (`EXAMPLE_COLUMNS`, then perhaps `EXAMPLE_BOUNDS`), or None.

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
    return parse(Result, parse_json(path.read_bytes(), path), path)


def read_table(folder: Path, name: str) -> "pd.DataFrame":
    """Read scores.parquet, units.parquet or examples.parquet of a Result folder.

    Raises:
        InputError: where the table is missing, damaged or too large, or has other columns or types.
    """
    import pyarrow.parquet

    path = folder / name
    if not path.is_file():
        raise InputError(f"{path} cannot be read: there is no such file")
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_table(path, file.schema_arrow, file.metadata)
            # Without the hints for pandas, which a stranger may have written.
            return file.read().replace_schema_metadata(None).to_pandas()
    except InputError:
        raise
    except Exception as error:  # a damaged file raises almost anything
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path} cannot be read: {reason[:300]}") from error


def find_results(root: Path) -> list[Path]:
    """Result folders below `root`, sorted by path; half-written ones and MLflow's copies are not seen."""
    found = (path.parent.relative_to(root) for path in root.rglob(RESULT_FILE))
    return sorted(
        root / folder
        for folder in found
        if atomic.TEMPORARY not in str(folder) and ARTIFACTS not in folder.parts
    )


def _check_table(path: Path, schema: Any, metadata: Any) -> None:
    """Columns, types and number of rows, before a row is decoded: a small page of zeros holds billions."""
    import pyarrow

    columns = TABLES[path.name]
    if tuple(schema.names) not in _possible(path.name):
        raise InputError(f"{path} has the columns {str(schema.names)[:300]}, not {list(columns)}")
    if metadata.num_rows > ROW_LIMIT or path.stat().st_size > TABLE_LIMIT:
        raise InputError(f"{path} is larger than {ROW_LIMIT} rows or {TABLE_LIMIT} bytes")
    for field in schema:
        kind = field.type
        number = pyarrow.types.is_floating(kind) or pyarrow.types.is_integer(kind)
        wanted = "numbers" if field.name in NUMBERS else "text" if field.name in TEXTS else "text or numbers"
        text = pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)
        fits = {"numbers": number, "text": text, "text or numbers": number or text}[wanted]
        if not fits and not pyarrow.types.is_null(kind):
            raise InputError(f"{path}: column '{field.name}' holds {str(kind)[:100]}, not {wanted}")


def _possible(name: str) -> tuple[tuple[str, ...], ...]:
    """Columns that a table may have."""
    return TABLES[name], TABLES[name] + OPTIONAL.get(name, ())


def _write_table(path: Path, columns: Columns) -> None:
    import pyarrow
    import pyarrow.parquet

    if tuple(columns) not in _possible(path.name):
        raise ValueError(f"{path.name} has the columns {list(columns)}, not {list(TABLES[path.name])}")
    table = pyarrow.table(dict(columns))
    if path.name == UNITS_FILE:
        # Thousands of scenarios have tens of thousands of units; intervals need no more than seven digits.
        for name in FLOATS:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table[name].cast(pyarrow.float32()))
    split = [name for name in FLOATS if name in table.column_names]
    named = [name for name in table.column_names if name not in split]
    # pyarrow's own annotations know these two as flags only.
    encodings: dict[str, Any] = {"use_dictionary": named, "use_byte_stream_split": split}
    pyarrow.parquet.write_table(table, path, compression="zstd", **encodings)
