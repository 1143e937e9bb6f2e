"""Every task of the registry passes its audit, where its data are at hand or made in minutes."""

import os
from pathlib import Path

import pytest

from tsbench import registry

# Read before any test takes the variable out of the environment: stores that take hours are not made here.
STORES = os.environ.get("TSBENCH_DATA")
QUICK = {"load_demo", "load_demo_south", "csi_rrg-tiny", "csi_rrg-small"}
"""Generated data that are made in a minute."""


@pytest.fixture
def prepared(request, monkeypatch, stores):
    """Prepares the data of a task, or skips with the reason."""

    def prepare(name: str) -> None:
        entry = registry.dataset(name)
        if STORES and (Path(STORES) / name / "full.zarr" / "zarr.json").is_file():
            monkeypatch.setenv("TSBENCH_DATA", STORES)
            return
        if entry.variant.tree or (entry.origin == "generated" and name not in QUICK):
            pytest.skip(f"{name} takes long to make; set TSBENCH_DATA to a folder that holds its store")
        if entry.origin == "published":
            shared = request.getfixturevalue("shared_data")
            lacking = [file.name for file in entry.variant.files if not any(shared.glob(f"{file.name}*"))]
            if lacking:
                pytest.skip(
                    f"the shared data never hold {lacking[0]}; tsbench audit {name} where it is at hand"
                )
            monkeypatch.setenv("TSBENCH_DATA_SOURCE", str(shared))
        stores(name)

    return prepare


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(registry.tasks()))
def test_it_passes(name, prepared):
    from tsbench.audit.checks import audit
    from tsbench.audit.subject import open_subject

    prepared(registry.task(name).dataset)

    findings = list(audit(open_subject(name)))

    assert {one.name: one.faults for one in findings if not one.passed} == {}
