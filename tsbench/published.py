"""The register of published tasks, docs/reference/tasks.json: `python -m tsbench.published`.

A published task never changes, since Results of different declarations cannot be compared: a change makes a
new version. The register holds the hash of every version; a task that no longer fits its entry is refused.
"""

import json
import sys
from pathlib import Path

from tsbench import atomic, registry
from tsbench.contracts import InputError

REGISTER = Path(__file__).resolve().parents[1] / "docs" / "reference" / "tasks.json"


def read_register(path: Path = REGISTER) -> dict[str, str]:
    """Task name and version → hash of its declaration."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def check(published: dict[str, str]) -> None:
    """Compare every declared task with the register.

    Raises:
        InputError: where a published task has changed.
    """
    for task in registry.tasks().values():
        if published.get(task.id, task.hash) != task.hash:
            raise InputError(f"{task.id} is published and has changed: raise its version in tasks.yaml")


def publish(path: Path = REGISTER) -> list[str]:
    """Add tasks that are not yet in the register; entries that are there stay as they are.

    Returns:
        What was added.

    Raises:
        InputError: where a published task has changed.
    """
    published = read_register(path)
    check(published)
    new = {task.id: task.hash for task in registry.tasks().values() if task.id not in published}
    atomic.write_text(path, json.dumps(published | new, indent=1, sort_keys=True) + "\n")
    return sorted(new)


if __name__ == "__main__":
    for name in publish():
        sys.stdout.write(f"{name}\n")
