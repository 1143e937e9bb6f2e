"""What the suite is built from: bounded ranges, and licences that allow a library under Apache-2.0."""

import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supply_chain", ROOT / "tools" / "supply_chain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", REQUIREMENTS)
def test_every_dependency_has_a_lower_and_an_upper_bound(text):
    requirement = Requirement(text)
    if requirement.name == PROJECT["name"]:  # an extra that is made of others
        return
    operators = {one.operator for one in requirement.specifier}

    assert operators & {">=", "==", "~=", ">"}, text
    assert operators & {"<", "<=", "==", "~="}, text
    assert requirement.url is None, text


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("MIT", False),
        ("Apache-2.0 AND MIT", False),
        ("GNU General Public License v3 (GPLv3)", True),
        ("AGPL-3.0-only", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("GPL-2.0-only OR MIT", False),
        ("Mozilla Public License 2.0 (MPL 2.0)", False),
    ],
)
def test_licences_that_bind_users_are_refused(tool, licence, refused):
    assert tool.is_copyleft(licence) is refused


def test_a_licence_that_was_looked_into_passes_for_its_package_alone(tool, monkeypatch, capsys):
    class Done:
        stdout = (
            "Name,Version,License,URL\n"
            "docutils,1,Public Domain; BSD License; GNU General Public License (GPL),u\n"
        )

    monkeypatch.setattr(tool, "_run", lambda *_: Done)
    assert tool.licences(None) == 0

    Done.stdout = Done.stdout.replace("docutils", "other")
    assert tool.licences(None) == 1
    assert "other 1 has the licence" in capsys.readouterr().out


def test_a_known_weakness_fails_and_an_unreachable_service_does_not(tool, monkeypatch, capsys):
    class Done:
        stdout = ""

    monkeypatch.setattr(tool, "_run", lambda *_: Done)
    assert tool.weaknesses() == 0
    assert "cannot be reached" in capsys.readouterr().out

    Done.stdout = (
        '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]},'
        ' {"name": "b", "skip_reason": "not there"}]}'
    )
    assert tool.weaknesses() == 1
    out = capsys.readouterr().out
    assert "a 1: CVE-1, mended in 2" in out
    assert "1 packages looked up, 1 that the advisory service does not know, 1 with known weaknesses" in out


def test_the_threat_model_says_what_is_not_proved():
    text = " ".join((ROOT / "SECURITY.md").read_text().split())

    assert "proves the arithmetic, not that the test targets were unseen" in text
    assert len(text) < 8000  # a page or two
