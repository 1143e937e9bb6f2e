"""One process that has imported everything and forks commands, and scratch folders of their own for the worlds."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def _load(name: str):
    # Tests are no package; these two modules are imported under their plain names.
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def faults():
    """The module `faults.py`."""
    return _load("faults")


@pytest.fixture(scope="session")
def world(faults):
    """The module `world.py`."""
    return _load("world")


@pytest.fixture(scope="session")
def package(world, tmp_path_factory) -> Path:
    """Folder with the package that declares the small data sets, task and suite."""
    folder = tmp_path_factory.mktemp("package")
    world.write_package(folder)
    return folder


@pytest.fixture(scope="session")
def warm(faults, package):
    """A process that forks commands."""
    found = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    with faults.Warm({"PYTHONPATH": found, "OMP_NUM_THREADS": "1"}) as process:
        yield process


@pytest.fixture(scope="session")
def trials(world, warm, tmp_path_factory):
    """Kills commands and looks at what is left; what has to be there before a command is made once."""
    return world.Trials(warm, tmp_path_factory.mktemp("worlds"))
