"""Where Results are logged; credentials never show."""

import pytest

from tsbench.contracts import InputError
from tsbench.tracking import mask, tracking_uri
from tsbench.tracking.location import why_unreachable


def test_argument_beats_variable_beats_the_runs_folder(runs, monkeypatch):
    assert tracking_uri() == f"sqlite:///{runs}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri() == "http://127.0.0.1:5000"
    assert tracking_uri("https://example.org") == "https://example.org"


@pytest.mark.parametrize(
    "uri", ["ftp://host", "folder", "file:///x", "sqlite://", "http://", "http://h:99999"]
)
def test_an_uri_that_mlflow_could_not_log_to_is_wrong_input(uri):
    with pytest.raises(InputError, match="Tracking URI"):
        tracking_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "http://user:s3cr3t@host/path",
        "https://s3cr3t@host",
        "postgresql+psycopg://user:p%40s3cr3t@host:5432/db",
        "postgresql://host/db?user=me&password=s3cr3t",
        "http://user:with@s3cr3t@host",
    ],
)
def test_credentials_are_masked(uri):
    assert "s3cr3t" not in mask(uri)
    assert "host" in mask(uri)
    assert "s3cr3t" not in mask(f"could not reach {uri}: no route", uri)


def test_a_password_by_itself_is_masked(monkeypatch):
    assert (
        mask("login of user:p@ss1 failed for p@ss1", "http://user:p%40ss1@host")
        == "login of user:*** failed for ***"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok3n")
    assert mask("bearer tok3n was refused") == "bearer *** was refused"


def test_wrong_uris_are_reported_without_their_credentials():
    with pytest.raises(InputError) as caught:
        tracking_uri("http://user:s3cr3t@host:port")
    assert "s3cr3t" not in str(caught.value)


def test_a_damaged_file_is_found_at_once(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database at all, " * 100)
    assert why_unreachable(f"sqlite:///{tmp_path}/mlflow.db") == "file is not a database"
