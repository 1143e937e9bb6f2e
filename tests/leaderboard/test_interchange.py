"""Tables of fev and GIFT-Eval: read as Results that say where they come from, written so that fev reads them."""

import json
import warnings

import pandas as pd
import pytest
from typer.testing import CliRunner

from tsbench import registry
from tsbench.cli.main import app
from tsbench.contracts import InputError
from tsbench.leaderboard.interchange import (
    GIFT_EVAL_COLUMNS,
    IMPORTED,
    as_result,
    export_table,
    find_task,
    read_table,
)


@pytest.fixture
def row(tmp_path):
    """A table of one GIFT-Eval row: `row(column=value)` writes it and gives its path."""

    def write(**changes):
        whole = {"dataset": "m4_hourly/H/short", "model": "Mine", "domain": "x"} | {
            column: 2.0 for column in GIFT_EVAL_COLUMNS
        }
        path = tmp_path / "all_results.csv"
        pd.DataFrame([whole | changes]).to_csv(path, index=False)
        return path

    return write


def results_of(path, form):
    tasks = registry.tasks()
    return [
        (one.model, as_result(one, task, form, path.name))
        for one in read_table(path, form)
        if (task := find_task(one.task, tasks, form))
    ]


def test_every_published_configuration_is_a_task(shared_data):
    for path in sorted((shared_data / "gift_eval").glob("*.csv")):
        rows = read_table(path, "gift-eval")

        assert len({find_task(one.task, registry.tasks(), "gift-eval").name for one in rows}) == 97


def test_what_was_read_is_written_as_it_was(shared_data):
    path = shared_data / "gift_eval" / "chronos_bolt_base.csv"
    ours = [
        (name, result.model_copy(update={"parity": {}})) for name, result in results_of(path, "gift-eval")
    ]

    made = export_table(ours, registry.tasks(), "gift-eval").set_index("dataset")

    published = pd.read_csv(path).set_index("dataset").loc[made.index]
    assert len(made) == 97
    for column in GIFT_EVAL_COLUMNS:
        pd.testing.assert_series_equal(made[column], published[column], rtol=1e-12)


def test_an_imported_result_says_so_and_is_never_exported(row):
    path = row()
    ((_, result),) = found = results_of(path, "gift-eval")

    assert result.parity == {IMPORTED: "gift-eval"}
    assert result.scores["smape"]["regular"] == 200.0
    assert result.scores["wql"]["regular"] == 2.0
    with pytest.raises(InputError, match="no Result of a task that a table of gift-eval can hold"):
        export_table(found, registry.tasks(), "gift-eval")


def test_fev_reads_what_is_written_for_it(row):
    import fev

    ours = [(name, one.model_copy(update={"parity": {}})) for name, one in results_of(row(), "gift-eval")]
    results = [
        (name, one.model_copy(update={"scores": {"wql": {"regular": factor}, "mase": {"regular": 1.0}}}))
        for name, factor in (("seasonal_naive", 2.0), ("other", 1.0))
        for _, one in ours
    ]

    table = export_table(results, registry.tasks(), "fev")

    assert list(table["eval_metric"]) == ["WQL", "WQL"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        board = fev.leaderboard(table)
    assert board.loc["other", "skill_score"] == pytest.approx(0.5)


def test_a_table_of_fev_is_read_from_csv_and_json(tmp_path):
    record = {
        "model_name": "m",
        "dataset_path": "m4-hourly",
        "eval_metric": "MASE",
        "test_error": 1.5,
        "MAE": 3.0,
    }
    (tmp_path / "a.json").write_text(json.dumps([record]))
    pd.DataFrame([record]).to_csv(tmp_path / "a.csv", index=False)

    for name in ("a.json", "a.csv"):
        ((_, result),) = results_of(tmp_path / name, "fev")
        assert result.scores == {"mase": {"regular": 1.5}, "mae": {"regular": 3.0}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eval_metrics/MASE[0.5]": "much"}, r"row 1: 'eval_metrics/MASE\[0.5\]' is 'much', not a number"),
    ],
)
def test_a_wrong_table_is_told_in_one_line(row, change, message):
    with pytest.raises(InputError, match=message):
        read_table(row(**change), "gift-eval")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "is not a table of gift-eval: it has no column 'dataset'"),
        ("", "is not a table of gift-eval"),
        ('a,b\n1,"2\n', "is not a table of gift-eval"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_text(content)

    with pytest.raises(InputError, match=message):
        read_table(path, "gift-eval")


def test_the_published_board_comes_from_imported_tables(shared_data, tmp_path):
    # ltsf_protocol.md, must show 6: Chronos-Bolt base 0.808 and 0.574, DLinear 1.061 and 0.846.
    files = [str(path) for path in sorted((shared_data / "gift_eval").glob("*.csv"))]
    runs, call = str(tmp_path), CliRunner().invoke

    assert call(app, ["results", "import", *files, "--format", "gift-eval", "--runs", runs]).exit_code == 0
    shown = call(app, ["board", "show", "gift-eval", "--runs", runs, "--as", "gift-eval", "--json"])

    board = {row["entry"].lower(): row for row in json.loads(shown.stdout)}
    assert len(board) == 7
    chronos = next(row for name, row in board.items() if "chronos" in name)
    assert chronos["mase"] == pytest.approx(0.808, abs=1e-3)
    assert chronos["crps"] == pytest.approx(0.574, abs=1e-3)
    assert board["dlinear"]["crps"] == pytest.approx(0.846, abs=1e-3)
    ours = call(app, ["board", "show", "gift-eval", "--runs", runs, "--json"])
    assert json.loads(ours.stdout) == []  # what was not recomputed is never ranked
