"""Planted credentials are searched for in everything that a run, a board and a log leave behind or print."""

import base64
import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tsbench.tracking import session

USER, PASSWORD, TOKEN, LOGIN = "ada-planted", "pl@nted/p:w+rd 1", "planted-token-77", "planted-login-88"
"""Of the tracking address, of a query, and of MLFLOW_TRACKING_PASSWORD."""
TAKEN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"


def forms(secret: str) -> dict[str, bytes]:
    """A secret as it is, and as it is written in addresses and headers."""
    login = f"{USER}:{secret}"
    return {
        "plain": secret.encode(),
        "in an address": quote(secret, safe="").encode(),
        "in a query": quote(secret).encode(),
        "base64": base64.b64encode(secret.encode()).rstrip(b"="),
        "in a header": base64.b64encode(login.encode()).rstrip(b"="),
    }


def leaks(content: bytes) -> list[str]:
    """Names of the secrets that are in a text, in any form."""
    named = {"password": PASSWORD, "token": TOKEN, "login": LOGIN}
    return [
        f"{name} {how}" for name, one in named.items() for how, form in forms(one).items() if form in content
    ]


@pytest.fixture(autouse=True)
def own_session(monkeypatch) -> None:
    """No test sees another's session with a store."""
    for name in session.SETTINGS:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(session, "_opened", {})
    monkeypatch.setattr(session, "_failed", {})
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", LOGIN)


@pytest.fixture
def answering() -> Iterator[int]:
    """Port of a server that refuses everything, and repeats in its answer what it was sent."""

    class Echo(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = f"{self.path} {self.headers.get('Authorization', '')}"
            body = f"who is {sent}? {base64.b64decode(sent.rpartition(' ')[2] + '==')!r}".encode()
            self.send_response(200 if self.path.endswith("/health") else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture
def command(monkeypatch, capfd, caplog) -> Callable[..., tuple[int, bytes]]:
    """Runs the command in this process; gives the exit code and all that was printed or logged."""
    from tsbench.cli.main import main

    def run(*words: Any) -> tuple[int, bytes]:
        monkeypatch.setattr(sys, "argv", ["tsbench", *map(str, words)])
        code: Any = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        out, error = capfd.readouterr()
        return int(code or 0), f"{out}{error}{caplog.text}".encode()

    return run


def found_below(*folders: Path) -> list[str]:
    """Files (and their names) in which a planted secret is."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            found += [f"{path}: name holds the {leak}" for leak in leaks(str(path).encode())]
            if path.is_file():
                found += [f"{path}: {leak}" for leak in leaks(path.read_bytes())]
    return found


def everything(command: Callable[..., tuple[int, bytes]], runs: Path) -> bytes:
    """Runs a job, builds a board, sends what is missing, shows what there is; gives all that was printed."""
    printed = b""
    for words in (
        ("run", "last_value", "waves-12", "--context", "24"),
        ("results", "log"),
        ("results", "log", "--json"),
        ("results", "list"),
        ("results", "show", "last_value"),
        ("board", "build", "quick", "--out", runs / "pages"),
        ("doctor",),
    ):
        code, text = command(*words)
        assert code == 0, (words, text)
        printed += text
    assert list(runs.rglob("result.json"))
    assert list(runs.rglob("index.html"))
    return printed


ADDRESSES = {
    "a server that is not there": f"http://{TAKEN}@127.0.0.1:1/mlflow?token={TOKEN}",
    "a name that does not resolve": f"https://{TAKEN}@nobody.invalid/?token={TOKEN}",
    "a database that is not there": f"postgresql://{TAKEN}@127.0.0.1:1/db?password={TOKEN}",
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)
def test_credentials_of_a_store_that_is_not_there(address, command, waves_at_hand, waves_folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)

    printed = everything(command, waves_at_hand)

    assert leaks(printed) == []
    assert b"not logged to MLflow" in printed
    assert found_below(waves_at_hand, waves_folder) == []


@pytest.mark.slow
def test_credentials_of_a_server_that_repeats_them(
    answering, command, waves_at_hand, waves_folder, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{TAKEN}@127.0.0.1:{answering}/mlflow?token={TOKEN}")

    printed = everything(command, waves_at_hand)

    assert leaks(printed) == []
    assert b"not logged to MLflow" in printed
    assert found_below(waves_at_hand, waves_folder) == []


@pytest.mark.slow
def test_credentials_in_the_environment_of_a_run_that_is_logged(
    command, waves_at_hand, waves_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{TAKEN}@db/x")

    printed = everything(command, waves_at_hand)

    assert leaks(printed) == []
    assert (tmp_path / "mlflow" / "mlflow.db").is_file()
    assert found_below(waves_at_hand, waves_folder, tmp_path / "mlflow") == []


@pytest.mark.parametrize(
    "uri", [f"ftp://{TAKEN}@host/x", f"http://{TAKEN}@host:99999/", f"http://{TAKEN}@:0/?{TOKEN}"]
)
def test_credentials_in_an_address_that_is_refused(uri, command, waves_at_hand):
    code, printed = command("results", "log", "--uri", uri)

    assert code == 2
    assert leaks(printed) == []


@pytest.mark.parametrize("variable", ["TSBENCH_DATA", "TSBENCH_DATA_SOURCE"])
@pytest.mark.parametrize("scheme", ["s3", "https"])
def test_an_address_with_credentials_where_a_folder_belongs(variable, scheme, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, f"{scheme}://{TAKEN}@bucket/stores?X-Amz-Signature={TOKEN}")

    code, printed = command("data", "get", "etth1")

    assert code == 2
    assert f"{variable} holds an address; it must name a folder".encode() in printed
    assert leaks(printed) == []
    assert found_below(tmp_path) == []


def test_credentials_in_the_address_of_a_download(command, tmp_path, monkeypatch):
    from tsbench import registry

    known = registry.dataset("etth1")
    file = known.variant.files[0].model_copy(
        update={"url": f"http://{TAKEN}@127.0.0.1:1/ETTh1.csv?token={TOKEN}#{TOKEN}"}
    )
    other = known.variant.model_copy(update={"files": (file,)})
    entry = registry.DatasetEntry(known.name, known.card, other, known.folder)
    monkeypatch.setattr(registry, "dataset", lambda name: entry)
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    code, printed = command("data", "get", "etth1")

    assert code == 2
    assert b"Cannot download http://127.0.0.1:1/ETTh1.csv" in printed
    assert leaks(printed) == []
    assert found_below(tmp_path) == []


def test_the_process_that_decodes_gets_no_credentials(monkeypatch):
    from tsbench.jobs import limited

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", TOKEN)
    given = {}
    monkeypatch.setattr(limited.subprocess, "Popen", lambda *_, env, **__: given.update(env) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        limited.LimitedReader([]).__enter__()

    assert given["PATH"]
    assert leaks(repr(given).encode()) == []


def test_the_search_finds_what_is_planted(tmp_path):
    for number, form in enumerate(forms(TOKEN).values()):
        (tmp_path / f"{number}.bin").write_bytes(b"x" + form + b"y")

    assert len({line.partition(":")[0] for line in found_below(tmp_path)}) == len(forms(TOKEN))
