"""GluonTS data sets in and out: what is read is what was written, and what is wrong is told in one line."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from gluonts.dataset.arrow import ArrowWriter
from gluonts.dataset.common import ListDataset, load_datasets
from gluonts.dataset.jsonl import JsonLinesWriter
from gluonts.dataset.pandas import PandasDataset

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.collection import read_collection
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store, store_path
from tsbench.gluonts.datasets import prepare_gluonts
from tsbench.gluonts.export import gluonts_dataset, write_folder

HORIZON = 6


@pytest.fixture(autouse=True)
def stores_of_this_test(monkeypatch, tmp_path):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))


def made(features: bool = True, windows: int = 1) -> tuple[list[dict], list[dict]]:
    """Train and test entries of three series of different length; one value is missing."""
    random = np.random.default_rng(0)
    train, test = [], []
    for series, steps in enumerate((50, 41, 63)):
        values = random.standard_normal(steps)
        values[3] = np.nan
        whole = {
            "item_id": f"s{series}",
            "start": pd.Period(f"2021-03-0{series + 1} 05:00", "h"),
            "target": values,
        }
        if features:
            whole |= {
                "feat_static_cat": np.array([series, 1]),
                "feat_static_real": np.array([0.5 * series]),
                "feat_dynamic_real": random.standard_normal((2, steps)),
                "past_feat_dynamic_real": random.standard_normal((1, steps)),
            }
        for window in range(windows):
            test.append(cut(whole, steps - HORIZON * (windows - 1 - window)))
        train.append(cut(whole, steps - HORIZON * windows))
    return train, test


def cut(entry: dict, steps: int) -> dict:
    series = ("target", "feat_dynamic_real", "past_feat_dynamic_real", "feat_dynamic_cat")
    return {name: one[..., :steps] if name in series else one for name, one in entry.items()}


@pytest.fixture
def folder(tmp_path) -> Callable[..., Path]:
    """Writes a repository folder with the writers of GluonTS itself."""

    def write(writer=None, name: str = "in", metadata: dict | None = None, **chosen) -> Path:
        path = tmp_path / name
        train, test = made(**chosen)
        for part, entries in (("train", train), ("test", test)):
            (path / part).mkdir(parents=True)
            (writer or JsonLinesWriter()).write_to_folder(entries, path / part)
        told = {"freq": "H", "prediction_length": HORIZON} if metadata is None else metadata
        (path / "metadata.json").write_text(json.dumps(told))
        return path

    return write


def stored(name: str):
    return open_store(store_path(name))


@pytest.mark.parametrize(
    "writer",
    [
        JsonLinesWriter(),
        JsonLinesWriter(use_gzip=False),
        ArrowWriter(),
        ArrowWriter(stream=True, suffix=".arrow"),
        ArrowWriter(flatten_arrays=False),
    ],
)
def test_what_gluonts_wrote_is_read(folder, writer):
    prepare("gluonts/made", folder(writer))

    _, test = made()
    data, opened = read_collection("gluonts-made"), stored("gluonts-made")
    assert data.series == ("s0", "s1", "s2")
    assert data.sizes.tolist() == [50, 41, 63]
    assert data.train_sizes.tolist() == [44, 35, 57]
    assert data.step == "PT1H"
    assert data.stamp(1, 2) == "2021-03-02T07:00:00"
    np.testing.assert_allclose(data.values[:, 0], np.concatenate([one["target"] for one in test]), rtol=1e-12)
    known = np.concatenate([one["feat_dynamic_real"].T for one in test])
    np.testing.assert_allclose(opened["known_covariates"], known, rtol=1e-12)
    past = np.concatenate([one["past_feat_dynamic_real"].T for one in test])
    np.testing.assert_allclose(opened["past_covariates"], past, rtol=1e-12)
    assert opened["static"].values.ravel().tolist() == [0.0, 0.5, 1.0]
    assert opened["categorical"].values.tolist() == [[0, 1], [1, 1], [2, 1]]


@pytest.mark.parametrize("layout", ["json", "arrow"])
@pytest.mark.parametrize("windows", [1, 2])
def test_out_and_in_again_gives_the_same_store(folder, tmp_path, layout, windows):
    metadata = {
        "freq": "H",
        "prediction_length": HORIZON,
        "feat_static_cat": [{"name": "site", "cardinality": "3"}, {"name": "kind", "cardinality": "2"}],
        "feat_dynamic_real": [{"name": "price"}, {"name": "wind"}],
    }
    prepare("gluonts/first", folder(windows=windows, metadata=metadata))

    counts = write_folder("gluonts/first", tmp_path / "out", layout)
    prepare("gluonts/second", tmp_path / "out")

    first, second = stored("gluonts-first"), stored("gluonts-second")
    assert counts == {"train": 3, "test": 3 * windows}
    assert first.identical(second)
    assert first.attrs["windows"] == windows
    assert first["known_covariate"].values.tolist() == ["price", "wind"]


def test_what_was_written_is_read_by_gluonts(folder, tmp_path):
    prepare("gluonts/made", folder(features=False))
    write_folder("gluonts/made", tmp_path / "out")

    read = load_datasets(tmp_path / "out", tmp_path / "out" / "train", tmp_path / "out" / "test")

    _, test = made(features=False)
    assert read.metadata.prediction_length == HORIZON
    for entry, wanted in zip(read.test, test, strict=True):
        assert entry["start"] == wanted["start"]
        np.testing.assert_allclose(entry["target"], wanted["target"], rtol=1e-6)


def test_the_same_data_give_the_same_bytes(folder, tmp_path):
    prepare("gluonts/made", folder())
    for name in ("one", "two"):
        write_folder("gluonts/made", tmp_path / name)

    assert (tmp_path / "one/test/data.json.gz").read_bytes() == (
        tmp_path / "two/test/data.json.gz"
    ).read_bytes()


def test_a_data_set_in_python_becomes_the_same_store_as_its_folder(folder):
    prepare("gluonts/folder", folder(features=False))
    train, test = made(features=False)

    name = prepare_gluonts(ListDataset(train, freq="h"), "python", test=test, prediction_length=HORIZON)

    assert name == "gluonts-python"
    one, other = read_collection("gluonts-folder"), read_collection("gluonts-python")
    np.testing.assert_allclose(one.values, other.values, rtol=1e-6)
    assert one.train_sizes.tolist() == other.train_sizes.tolist()
    assert (one.starts == other.starts).all()


def test_a_pandas_data_set_brings_its_features():
    hours = pd.date_range("2022-01-01", periods=60, freq="h")
    frames = {
        item: pd.DataFrame({"target": np.arange(60.0) + shift, "price": np.arange(60.0) * 2}, index=hours)
        for item, shift in (("a", 0), ("b", 100))
    }
    static = pd.DataFrame({"site": pd.Categorical(["x", "y"]), "size": [1.5, 2.5]}, index=["a", "b"])
    dataset = PandasDataset(frames, target="target", feat_dynamic_real=["price"], static_features=static)

    prepare_gluonts(dataset, "pandas", prediction_length=HORIZON)

    data = read_collection("gluonts-pandas")
    assert data.series == ("a", "b")
    assert data.categorical.values.tolist() == [[0], [1]]
    assert data.static.values.ravel().tolist() == [1.5, 2.5]
    assert data.known.values[:3, 0].tolist() == [0.0, 2.0, 4.0]
    assert data.values[60, 0] == 100.0
    assert data.stamp(0, 1) == "2022-01-01T01:00:00"


def test_a_multivariate_series_keeps_its_channels(tmp_path):
    target = np.arange(24.0).reshape(2, 12)
    prepare_gluonts([{"start": pd.Period("2022-01-01", "D"), "target": target}], "wide")

    write_folder("gluonts/wide", tmp_path / "out")
    prepare("gluonts/again", tmp_path / "out")

    again = read_collection("gluonts-again")
    assert again.channels == ("channel_0", "channel_1")
    np.testing.assert_array_equal(again.values, target.T)
    (entry,) = gluonts_dataset("gluonts/wide")
    np.testing.assert_array_equal(entry["target"], target)


def test_a_file_alone_is_read_where_its_lines_tell_the_frequency(tmp_path):
    path = tmp_path / "two.jsonl"
    path.write_text('{"start": "2021-01-01", "target": [1, null, "NaN", NaN, 2.5], "freq": "D"}\n\n')

    prepare("gluonts/two", path)

    values = read_collection("gluonts-two").values[:, 0]
    np.testing.assert_array_equal(values, [1, np.nan, np.nan, np.nan, 2.5])


def test_a_series_without_a_start_has_no_calendar(tmp_path):
    (tmp_path / "data.json").write_text('{"target": [1, 2, 3], "freq": "D"}\n')

    prepare("gluonts/bare", tmp_path / "data.json")

    assert read_collection("gluonts-bare").starts is None
    (entry,) = gluonts_dataset("gluonts-bare")
    assert entry["start"] == pd.Period("2000-01-01", "D")


ENTRY = '{"start": "2021-01-01", "target": [1, 2, 3], "freq": "D"'


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            '{"start": "2021-01-01", "target": [1, "two", 3]}',
            "line 1: target: value 2 is 'two', not a number",
        ),
        (
            '{"start": "2021-01-01", "target": [1, true, 3]}',
            "line 1: target: value 2 is 'True', not a number",
        ),
        ('{"start": "2021-01-01", "target": [1, {}, 3]}', r"value 2 is '\{\}', not a number"),
        ('{"start": "2021-01-01", "target": [1, 1e400]}', "target: it holds an infinite value"),
        ('{"start": "2021-01-01", "target": [1, Infinity]}', "target: it holds an infinite value"),
        ('{"start": "2021-01-01", "target": []}', "not empty"),
        ('{"start": "2021-01-01", "target": "abc"}', "'abc' is no list of numbers"),
        ('{"start": "2021-01-01", "target": [[1, 2], [3]]}', r"its rows have different lengths \(2, 1\)"),
        ('{"start": "2021-01-01"}', "the entry has no `target`"),
        ("[1, 2]", "an entry is an object with `target`, not list"),
        ('{"start": "2021-01-01", "target": [1', "line 1 is not JSON"),
        ('{"start": "soon", "target": [1]}', "start is 'soon', not a date"),
        ('{"start": "2021-13-45", "target": [1]}', "start is no time stamp"),
        ('{"start": 7, "target": [1]}', "start is '7', not a date"),
        (ENTRY + ', "feat_dynamic_real": [[1, 2]]}', "feat_dynamic_real: it has 2 steps, target has 3"),
        (ENTRY + ', "past_feat_dynamic_real": [[1, 2, 3, 4]]}', "it has 4 steps, target has 3"),
        (ENTRY + ', "feat_static_cat": [1.5]}', "feat_static_cat: categories are whole numbers from 0 on"),
        (ENTRY + ', "feat_static_cat": [-1]}', "categories are whole numbers from 0 on"),
        (ENTRY + ', "feat_static_cat": [null]}', "categories are whole numbers from 0 on"),
        (ENTRY + ', "feat_static_real": [[1]]}', "a static feature is a list of numbers"),
        (
            ENTRY + '}\n{"start": "2021-01-01", "target": [1], "feat_static_cat": [0]}',
            "entry 2 has one channel",
        ),
        (ENTRY + ', "item_id": "a"}\n' + ENTRY + ', "item_id": "a"}', "two series .* are named 'a'"),
        ('{"start": "2021-01-01", "target": [1]}', "tells no frequency: its folder needs a metadata.json"),
        ('{"start": "2021-01-01", "target": [1], "freq": "often"}', "'often' is no frequency"),
        ("", "holds no series"),
    ],
)
def test_a_wrong_line_is_told(tmp_path, line, text):
    (tmp_path / "data.json").write_text(line)

    with pytest.raises(InputError, match=text) as raised:
        prepare("gluonts/wrong", tmp_path / "data.json")
    assert "\n" not in str(raised.value)
    assert not store_path("gluonts-wrong").exists()


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ("{", "metadata.json is not JSON"),
        ("[]", 'there is no "freq"'),
        ('{"freq": 7}', 'there is no "freq"'),
        ('{"freq": "h", "prediction_length": "6"}', "prediction_length is a number of steps, not '6'"),
        ('{"freq": "h", "prediction_length": true}', "prediction_length is a number of steps, not True"),
    ],
)
def test_wrong_metadata_are_told(folder, metadata, text):
    path = folder()
    (path / "metadata.json").write_text(metadata)

    with pytest.raises(InputError, match=text):
        prepare("gluonts/wrong", path)


def test_truncated_files_are_told(folder):
    path = folder()
    packed = path / "train/data.json.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(InputError, match="train/data.json.gz is no whole gzip file"):
        prepare("gluonts/wrong", path)
    packed.write_bytes(b"no gzip")
    with pytest.raises(InputError, match="train/data.json.gz is no whole gzip file"):
        prepare("gluonts/wrong", path)


def test_broken_arrow_files_are_told(folder, tmp_path):
    path = folder(ArrowWriter())
    file = path / "train/data.feather"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match=r"train/data.feather is no Arrow or Parquet file"):
        prepare("gluonts/wrong", path)

    table = pa.table({"target": [[1.0, 2.0, 3.0]], "target._np_shape": [[2, 2]], "freq": ["D"]})
    with pa.OSFile(str(tmp_path / "odd.arrow"), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputError, match=r"row 1: target has 3 values, its shape is \[2, 2\]"):
        prepare("gluonts/odd", tmp_path / "odd.arrow")
    table = pa.table({"target": [["a", "b"]], "freq": ["D"]})
    with pa.OSFile(str(tmp_path / "text.arrow"), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(InputError, match="row 1: target: value 1 is 'a', not a number"):
        prepare("gluonts/text", tmp_path / "text.arrow")


def _rewritten(path: Path, change: Callable[[list[dict]], list[dict]]) -> None:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    changed = change([json.loads(line) for line in lines])
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, changed)).encode()))


def _other_past(entries):
    entries[1]["target"][0] = 99.0
    return entries


def _other_name(entries):
    entries[2]["item_id"] = "s9"
    return entries


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_other_past, "series 's1': its test part does not begin with its training part"),
        (lambda entries: entries[:2], "series 's2' is in the training part and not in the test part"),
        (lambda entries: [*entries, entries[0]], r"has \[1, 2\] windows a series"),
        (
            lambda entries: [*_other_name(entries), entries[0]],
            "has 4 entries, the training part 3 series, and 's9'",
        ),
    ],
)
def test_a_test_part_that_does_not_go_on_from_the_training_part_is_refused(folder, change, text):
    path = folder(features=False)
    _rewritten(path / "test/data.json.gz", change)

    with pytest.raises(InputError, match=text):
        prepare("gluonts/wrong", path)


def test_test_entries_without_names_belong_to_series_by_their_order(folder):
    path = folder(features=False, windows=2)
    for part in ("train", "test"):
        _rewritten(path / part / "data.json.gz", _by_window_without_names)

    prepare("gluonts/unnamed", path)

    data = read_collection("gluonts-unnamed")
    assert data.sizes.tolist() == [50, 41, 63]
    assert data.series == ("0", "1", "2")


def _by_window_without_names(entries: list[dict]) -> list[dict]:
    last = sorted(entries, key=lambda entry: len(entry["target"]) in (50, 41, 63))
    return [{name: one for name, one in entry.items() if name != "item_id"} for entry in last]


def test_a_member_that_is_not_prepared_is_told_how(tmp_path):
    for call in (lambda: registry.task("gluonts/none"), lambda: prepare("gluonts/none")):
        with pytest.raises(InputError, match="not prepared: tsbench data get gluonts/none --from DIR"):
            call()
    with pytest.raises(InputError, match="holds many data sets: tsbench data get gluonts/NAME --from DIR"):
        prepare("gluonts", tmp_path)
    with pytest.raises(InputError, match="Unknown dataset"):
        registry.dataset("gluon/none")
    with pytest.raises(InputError, match="Unknown dataset"):
        registry.dataset("gluonts/../x")


def test_a_folder_that_is_not_empty_is_not_written_over(folder, tmp_path):
    path = folder()
    prepare("gluonts/made", path)

    with pytest.raises(InputError, match="is not empty; name a new folder"):
        write_folder("gluonts/made", path)
    assert sorted(one.name for one in path.iterdir()) == ["metadata.json", "test", "train"]


def test_an_empty_data_set_and_one_without_a_frequency_are_refused():
    with pytest.raises(InputError, match="the data set is empty"):
        prepare_gluonts([], "empty", frequency="h")
    with pytest.raises(InputError, match="give its frequency, such as frequency='h'"):
        prepare_gluonts([{"start": "2020-01-01", "target": [1.0]}], "none")
    with pytest.raises(InputError, match="dataset, entry 1: target: value 1 is 'x'"):
        prepare_gluonts([{"start": "2020-01-01", "target": ["x"]}], "text", frequency="h")
