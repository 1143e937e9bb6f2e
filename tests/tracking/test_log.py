"""Results in an MLflow store: whole, once, and never at the price of a run."""

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tsbench.contracts import InputError
from tsbench.tracking import log_leaderboard, log_missing, log_result, log_results, session, tracking_uri
from tsbench.tracking.ledger import Ledger
from tsbench.tracking.location import PROBE_SECONDS


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An empty store, made once: making one takes two seconds."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    session.open_session(f"sqlite:///{path}")
    return path


@pytest.fixture
def store(template, runs):
    """The default store of this test's runs folder, with its tables."""
    runs.mkdir(parents=True, exist_ok=True)
    (runs / "mlflow.db").write_bytes(template.read_bytes())
    return tracking_uri()


def logged_runs(uri, experiment):
    client = session.open_session(uri).client
    identifier = client.get_experiment_by_name(experiment).experiment_id
    return client.search_runs([identifier])


def test_a_result_is_logged_whole(store, make_result, runs):
    folder = make_result(examples=True)
    epochs = [{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}]
    (folder.parent / "fit.json").write_text(json.dumps({"history": epochs}))
    logged = log_result(folder, "quick")
    assert logged.state == "sent"
    client = session.open_session(store).client
    run = client.get_run(logged.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 13_000
    assert run.info.run_name == "dlinear etth1-96 seed 3"
    assert run.data.params == {
        "model": "dlinear",
        "model_version": "1",
        "task": "etth1-96",
        "task_version": "2",
        "dataset": "etth1",
        "seed": "3",
        "context": "336",
        "tuning": "published",
        "learning": "fitted",
        "forecast_kind": "point",
        "primary": "mse",
        "hyperparameters/moving_average": "25",
        "hyperparameters/individual": "false",
        "training/learning_rate": "0.005",
        "training/epochs": "10",
    }
    assert run.data.metrics["mse/regular"] == 0.375
    assert run.data.metrics["cost/fit/flops"] == 3e12
    assert [
        (one.step, one.value) for one in client.get_metric_history(logged.run_id, "history/train_loss")
    ] == [
        (1, 0.5),
        (2, 0.25),
    ]
    assert run.data.tags["tsbench.code"] == "c0dec0dec0dec0de"
    assert run.data.tags["tsbench.parity"] == "none"
    assert run.data.tags["tsbench.host"] == "Linux x86_64, 2 cores, no accelerator"
    data = {one.dataset.name: one for one in run.inputs.dataset_inputs}
    assert data["etth1"].dataset.digest == "1111222233334444/aaaabbbbccccdddd"
    assert data["etth2"].tags[0].value == "evaluation"
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert artifacts.is_relative_to(runs)
    for name in ("result.json", "scores.parquet", "units.parquet", "examples.parquet"):
        assert (artifacts / "result" / name).read_bytes() == (folder / name).read_bytes()
    assert "<svg" in (artifacts / "forecast.svg").read_text()


def test_twice_is_once_with_and_without_the_ledger(store, make_result, runs):
    folder = make_result()
    first = log_result(folder, "quick")
    assert log_result(folder, "quick").state == "already"
    (runs / ".tracking.jsonl").unlink()
    again = log_result(folder, "quick")
    assert (again.state, again.run_id) == ("already", first.run_id)
    assert len(logged_runs(store, "quick")) == 1


def test_a_result_of_two_suites_is_in_both_experiments(store, make_result):
    folder = make_result()
    assert log_result(folder, "quick").state == "sent"
    assert log_result(folder, "ltsf-mini").state == "sent"


def test_a_run_that_was_left_unfinished_is_completed(store, make_result, monkeypatch):
    folder = make_result()
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_inputs", lambda *arguments, **keywords: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            log_result(folder, "quick")
    (left,) = logged_runs(store, "quick")
    assert left.info.status == "RUNNING"
    logged = log_result(folder, "quick")
    assert (logged.state, logged.run_id) == ("sent", left.info.run_id)
    (run,) = logged_runs(store, "quick")
    assert run.info.status == "FINISHED"
    assert len(run.inputs.dataset_inputs) == 2


def test_odd_names_and_long_values_are_logged(store, make_result):
    odd = {"<script>alert(1)</script>": "[red]x[/red]", "../x": {"deep": [1, 2]}, "long": "v" * 10_000}
    many = {f"p{number}": number for number in range(150)}
    made = make_result(model={"hyperparameters": odd | many, "name": "[b]odd/name"}, task={"name": "t'`\"\\"})
    epochs = [{"epoch": number, "train_loss": 1 / number} for number in range(1, 2001)]
    (made.parent / "fit.json").write_text(json.dumps({"history": epochs}))
    logged = log_result(made, "quick")
    assert logged.state == "sent", logged.reason
    client = session.open_session(store).client
    params = client.get_run(logged.run_id).data.params
    assert params["model"] == "[b]odd/name"
    assert len(params["hyperparameters/long"]) == 6000
    assert params["hyperparameters/p149"] == "149"
    assert "[red]x[/red]" in params.values()
    assert len(client.get_metric_history(logged.run_id, "history/train_loss")) == 2000


def test_two_processes_make_one_store_and_one_run(make_result, runs):
    folder = make_result()
    code = "from pathlib import Path; from tsbench.tracking import log_result; "
    code += f"print(log_result(Path({str(folder)!r})))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted("'sent'" in out for out, _ in outputs) == [False, True]
    assert "".join(err for _, err in outputs) == ""
    assert len(logged_runs(tracking_uri(), "single")) == 1
    assert not list(runs.glob(".tmp-*"))


@contextmanager
def silent_server():
    """A socket that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield port


@pytest.mark.parametrize("server", [silent_server, closed_port])
def test_an_unreachable_server_is_one_warning_and_results_are_sent_later(server, make_result, runs, store):
    folders = [make_result(seed=seed) for seed in (1, 2, 3)]
    said: list[str] = []
    with server() as port:
        start = time.monotonic()
        uri = f"http://user:s3cr3t@127.0.0.1:{port}"
        outcomes = log_results(folders, "quick", uri, said.append)
        assert time.monotonic() - start < 2 * PROBE_SECONDS
        log_results(folders, "quick", uri, said.append)
        assert time.monotonic() - start < 2 * PROBE_SECONDS
    assert [outcome.state for outcome in outcomes] == ["failed"] * 3
    assert len(said) == 2
    assert said[0].startswith(f"Warning: not logged to MLflow at http://***@127.0.0.1:{port}: ")
    assert said[0].endswith("send them later with: tsbench results log")
    assert "s3cr3t" not in said[0] + outcomes[0].reason + (runs / ".tracking.jsonl").read_text()
    sent = log_missing(runs, store)
    assert [(entry.experiment, logged.state) for entry, logged in sent] == [("quick", "sent")] * 3
    assert {logged.state for _, logged in log_missing(runs, store)} == {"already"}


def test_a_server_that_falls_silent_is_given_up_in_time(make_result, monkeypatch):
    """It answers the probe, then nothing: MLflow's own defaults would wait for minutes."""
    assert PROBE_SECONDS + int(session.SETTINGS["MLFLOW_HTTP_REQUEST_TIMEOUT"]) < 10
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # what the user sets is kept

    def serve(listener):
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.close()

    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        start = time.monotonic()
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        log_results([make_result()], "quick", uri, said.append)
    assert time.monotonic() - start < 4
    assert len(said) == 1


def test_a_damaged_store_is_a_warning(make_result, runs):
    folder = make_result()
    (runs / "mlflow.db").write_text("no database at all, " * 100)
    said: list[str] = []
    assert log_result(folder, say=said.append).reason == "file is not a database"
    assert len(said) == 1


def test_what_mlflow_lost_is_sent_again(store, make_result, runs):
    logged = log_result(make_result(), "quick")
    session.open_session(store).client.delete_run(logged.run_id)
    ((entry, again),) = log_missing(runs, store)
    assert (entry.experiment, again.state) == ("quick", "sent")


def test_a_result_unknown_to_the_ledger_goes_to_single_unless_mlflow_has_it(store, make_result, runs):
    log_result(make_result(seed=1), "quick")
    make_result(seed=2)
    (runs / ".tracking.jsonl").unlink()
    found = {
        entry.result.seed: (entry.experiment, logged.state) for entry, logged in log_missing(runs, store)
    }
    assert found == {1: ("quick", "already"), 2: ("single", "sent")}


def test_an_experiment_in_the_trash_is_a_warning_that_says_how_to_restore_it(store, make_result):
    client = session.open_session(store).client
    client.delete_experiment(client.create_experiment("quick"))
    said: list[str] = []
    assert log_result(make_result(), "quick", say=said.append).state == "failed"
    assert "mlflow experiments restore" in said[0]
    assert log_result(make_result(), "single").state == "sent"


def test_a_leaderboard_is_a_run_with_table_and_page(store, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<p>page</p>")
    table = pd.DataFrame({"entry": ["dlinear", "tpgn"], "mean_rank": [1.0, 2.0]})
    logged = log_leaderboard("quick", table, site)
    assert logged.state == "sent"
    assert log_leaderboard("quick", table, site).state == "already"
    assert log_leaderboard("quick", table.assign(mean_rank=1.5), site).state == "sent"
    client = session.open_session(store).client
    run = client.get_run(logged.run_id)
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert client.get_experiment(run.info.experiment_id).name == "leaderboard/quick"
    assert (artifacts / "site" / "index.html").read_text() == "<p>page</p>"
    assert pd.read_csv(artifacts / "standings.csv").equals(table)
    assert json.loads((artifacts / "standings.json").read_text())["columns"] == ["entry", "mean_rank"]


def test_a_folder_that_is_no_result_is_wrong_input(tmp_path):
    with pytest.raises(InputError, match="is not a Result"):
        log_result(tmp_path)


def test_neither_torch_nor_mlflow_is_imported_by_the_package_and_torch_never(make_result, runs, store):
    folder = make_result(examples=True)
    code = f"""
import sys
from pathlib import Path
from tsbench import tracking
assert not {{"mlflow", "torch", "pandas", "altair"}} & set(sys.modules), "imported too early"
assert tracking.log_result(Path({str(folder)!r})).state == "sent"
assert not {{"torch", "sklearn", "matplotlib"}} & set(sys.modules), "imported for nothing"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_torn_line_of_the_ledger_is_passed_over(runs):
    ledger = Ledger(runs)
    ledger.belongs("a" * 16, "quick")
    with ledger.path.open("a") as file:
        file.write('{"result": "bbb')
    assert Ledger(runs).experiments("a" * 16) == ["quick"]
