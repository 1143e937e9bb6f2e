"""JSON Schemas of the declared types, generated into docs/reference/schemas: `python -m tsbench.schemas`.

The types are the source; a test fails where a file is not what they give.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tsbench import atomic
from tsbench.contracts import Corpus, DatasetCard, ModelCard, Result, Strict, Suite, Task

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference" / "schemas"

TYPES: dict[str, type[Strict]] = {
    "result": Result,
    "task": Task,
    "suite": Suite,
    "corpus": Corpus,
    "dataset_card": DatasetCard,
    "model_card": ModelCard,
}


def schema(kind: type[Strict]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a declared type: what a file must hold to be read as it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **kind.model_json_schema()}


def texts() -> dict[str, str]:
    """File name → text, for every declared type."""
    return {
        f"{name}.json": json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"
        for name, kind in TYPES.items()
    }


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the schema files; each appears whole or not at all.

    Raises:
        InputError: where the folder cannot be written.
    """
    for name, text in texts().items():
        atomic.write_text(folder / name, text)
    return [folder / name for name in texts()]


if __name__ == "__main__":
    for path in write():
        sys.stdout.write(f"{path}\n")
