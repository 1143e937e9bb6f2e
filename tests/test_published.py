"""The register of published tasks: a task that is in it never changes."""

import json

import pytest

from tsbench import published, registry
from tsbench.contracts import InputError


def test_every_task_is_in_the_register_with_its_hash():
    current = {task.id: task.hash for task in registry.tasks().values()}

    register = published.read_register()

    published.check(register)
    assert sorted(current.keys() - register.keys()) == [], "run: make schemas"


def test_a_published_task_that_has_changed_is_refused():
    register = published.read_register() | {"etth1-96@1": "0" * 16}

    with pytest.raises(InputError, match="etth1-96@1 is published and has changed: raise its version"):
        published.check(register)


def test_publishing_adds_what_is_new_and_keeps_what_is_there(tmp_path):
    path = tmp_path / "tasks.json"
    register = published.read_register()
    kept = {key: value for key, value in register.items() if key != "etth1-96@1"} | {
        "retired-task@1": "f" * 16
    }
    path.write_text(json.dumps(kept))

    assert published.publish(path) == ["etth1-96@1"]
    assert published.read_register(path) == register | {"retired-task@1": "f" * 16}
