"""GIFT-Eval: its 97 configurations as tasks, and its folders of Arrow files, in files of the same format."""

import csv

import numpy as np
import pyarrow
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.steps import benchmark_season
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.datasets.gift_eval.adapter import iso_step
from tsbench.evaluation.evaluate import evaluate
from tsbench.models.seasonal_naive.model import SeasonalNaive

BASE = {"M": 12, "W": 8, "D": 30, "H": 48, "T": 48, "S": 60}  # ltsf_protocol, GIFT-Eval
M4 = {"A": 6, "Q": 8, "M": 18, "W": 13, "D": 14, "H": 48}
TERMS = {"short": 1, "medium": 10, "long": 15}
TASKS = {name: task for name, task in registry.tasks().items() if name.startswith("gift_eval-")}


def configuration(task) -> str:
    return task.title.removeprefix("GIFT-Eval ")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Writes a folder as `datasets.save_to_disk` does: `folder("ett1/H", [records], shards=1)`."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def write(place: str, records: list[dict], shards: int = 1, schema=None):
        where = tmp_path / "GiftEval" / place
        where.mkdir(parents=True)
        for number, part in enumerate(np.array_split(np.arange(len(records)), shards)):
            table = pyarrow.Table.from_pylist([records[row] for row in part], schema=schema)
            with pyarrow.ipc.new_stream(
                where / f"data-{number:05d}-of-{shards:05d}.arrow", table.schema
            ) as file:
                file.write_table(table)
        for other in ("dataset_info.json", "state.json"):
            (where / other).write_text("{}")
        (where / "cache-11fee8505f624f99.arrow").write_bytes(b"of another process")
        return tmp_path / "GiftEval"

    return write


def record(item: str, target, freq: str = "H", start: str = "2016-07-01", **more) -> dict:
    stamp = np.datetime64(start, "s").item()
    return {"item_id": item, "start": stamp, "freq": freq, "target": target} | more


def test_there_are_the_97_published_configurations(shared_data):
    with (shared_data / "gift_eval" / "seasonal_naive.csv").open() as file:
        published = {row["dataset"]: int(row["num_variates"]) for row in csv.DictReader(file)}

    assert len(TASKS) == 97
    assert {configuration(task) for task in TASKS.values()} == published.keys()
    assert set(registry.suite("gift-eval").tasks) == TASKS.keys()
    for task in TASKS.values():
        note = registry.dataset(task.dataset).variant.note
        assert f" {published[configuration(task)]} channel" in note


@pytest.mark.parametrize("name", TASKS)
def test_horizon_season_and_windows_follow_the_rules_of_the_benchmark(name):
    task = TASKS[name]
    data, freq, term = configuration(task).split("/")
    unit = freq.lstrip("0123456789")

    assert task.horizon == (M4[unit] if data.startswith("m4") else BASE[unit] * TERMS[term])
    assert task.period == benchmark_season(registry.dataset(task.dataset).variant.parameters["step"])
    lengths = np.array([2000, 900])
    wanted = 1 if data.startswith("m4") else min(max(1, -(-90 // task.horizon)), 20)
    assert task.split.window_count(lengths, task.horizon) == wanted
    assert name == f"gift_eval-{data}-{freq.lower()}-{term}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10S", "10s"), ("S", "s"), ("5T", "5min"), ("7T", "7min"), ("H", "h"), ("2H", "2h"), ("D", "D"),
        ("W-SUN", "W-SUN"), ("M", "ME"), ("Q-DEC", "QE-DEC"), ("A-DEC", "YE-DEC"),
    ],
)  # fmt: skip
def test_the_season_is_that_of_gluonts_under_old_and_new_names_of_a_frequency(old, new):
    from gluonts.time_feature import get_seasonality

    assert iso_step(old) == iso_step(new)
    assert benchmark_season(iso_step(new)) == get_seasonality(new)


def test_a_folder_of_one_channel_becomes_ragged_series(folder):
    source = folder(
        "m4_yearly",
        [record("Y1", [1.0, 2.5, None, 4.0], "A-DEC", "1750-12-31"), record("Y2", [7.0], "A-DEC")],
    )

    opened = open_store(prepare("gift_eval-m4_yearly-a", source))

    np.testing.assert_array_equal(opened["value"], [1.0, 2.5, np.nan, 4.0, 7.0])
    assert opened["row_size"].values.tolist() == [4, 1]
    assert list(opened["series"].values) == ["Y1", "Y2"]
    assert opened["start"].values.astype("datetime64[D]").astype(str).tolist() == ["1750-12-31", "2016-07-01"]
    assert opened.attrs["step"] == "P1Y"


def test_channels_and_past_covariates_are_columns(folder):
    target, past = [[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]], [[0.5, 0.25, 0.125]]
    source = folder("ett1/H", [record("0", target, past_feat_dynamic_real=past)] * 3, shards=2)

    opened = open_store(prepare("gift_eval-ett1-h", source))

    assert opened["value"].values[3:6].tolist() == [[1, 10], [2, 20], [3, 30]]
    assert opened["past_covariates"].values[6:].tolist() == [[0.5], [0.25], [0.125]]
    assert opened["row_size"].values.tolist() == [3, 3, 3]


def test_a_configuration_runs_from_such_a_folder(folder):
    random = np.random.default_rng(0)
    targets = [random.normal(level, level / 10, (2, 700)).astype(np.float32) for level in (1, 100)]
    records = [record(str(number), one.tolist()) for number, one in enumerate(targets)]
    prepare("gift_eval-bizitobs_l2c-h", folder("bizitobs_l2c/H", records))

    data = TaskData.open(registry.task("gift_eval-bizitobs_l2c-h-short"))
    model = SeasonalNaive(data.shape(400))
    found = evaluate(model, {data.name: data}, data.task, data.task.scenarios(), 400)

    # A tenth of 700 hours is two windows of 48, the last 96 hours.
    scaled, wrong, size = [], 0.0, 0.0
    for one in targets:
        for origin in (604, 652):
            past, truth = one[:, :origin].astype(float), one[:, origin : origin + 48].astype(float)
            error = abs(np.tile(past[:, -24:], 2) - truth)
            scaled.append(error / abs(past[:, 24:] - past[:, :-24]).mean(axis=1, keepdims=True))
            wrong, size = wrong + error.sum(), size + abs(truth).sum()
    assert found.cases == 4
    assert found.scores()["mase"]["regular"] == pytest.approx(np.mean(scaled), rel=1e-6)
    assert found.scores()["wql"]["regular"] == pytest.approx(wrong / size, rel=1e-6)
    assert data.shape(400).channels == ("target_0", "target_1")


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            [record("a", [1.0], freq="D")],
            "its frequency is 'D', the card of 'gift_eval-m4_hourly-h' says PT1H",
        ),
        (
            [record("a", [1.0], freq="H"), record("b", [1.0], freq="x")],
            r"record 1 \('b'\): its frequency is 'x'",
        ),
        ([record("b", [1.0]), record("a", [])], r"record 1 \('a'\): it has no values"),
        ([record("a", [1.0, float("inf")])], "it holds an infinite value"),
        ([record("a", [[1.0], [1.0, 2.0]])], "the channels of a record have different lengths"),
        ([record("a", ["x"])], "column 'target': it holds list<.*string>, not lists of numbers"),
        ([record("a", 3.0)], "column 'target': it holds double, not lists of numbers"),
        ([record("a", [1.0]) | {"start": "soon"}], "column 'start': it holds string, not time stamps"),
        ([record("a", [1.0], start="1500-01-01")], "a start lies outside the years 1678 to 2262"),
        ([{"item_id": "a", "target": [1.0]}], "has no column 'start'; it has item_id, target"),
        ([record("a", [1.0], past_feat_dynamic_real=[[1.0, 2.0]])], "2 covariates for 1 values"),
    ],
)
def test_wrong_files_are_refused_in_one_line(folder, records, message):
    source = folder("m4_hourly", records)

    with pytest.raises(InputError, match=message) as refused:
        prepare("gift_eval-m4_hourly-h", source)
    assert "\n" not in str(refused.value)


def test_records_that_do_not_fit_each_other_are_refused(folder):
    source = folder("ett1/H", [record("a", [[1.0], [2.0]]), record("b", [[1.0]])])

    with pytest.raises(InputError, match="1 channels and 0 covariates, the first record has 2 and 0"):
        prepare("gift_eval-ett1-h", source)


@pytest.mark.parametrize("content", [b"", b"ARROW1 not a stream", bytes(64)])
def test_a_damaged_file_is_refused(folder, content):
    source = folder("ett1/H", [record("a", [[1.0]])])
    (source / "ett1" / "H" / "data-00000-of-00001.arrow").write_bytes(content)

    with pytest.raises(InputError, match="is no Arrow stream of records|hold no series|has no column"):
        prepare("gift_eval-ett1-h", source)


def test_a_folder_without_the_data_set_is_refused_with_what_was_looked_for(tmp_path):
    with pytest.raises(InputError, match=r"holds no file like solar/10T/data-\*\.arrow"):
        prepare("gift_eval-solar-10t", tmp_path)
