"""The M4 competition: ragged series from a training and a test file, the same code for six groups."""

import csv

import numpy as np
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store

GROUPS = {  # ltsf_protocol, M4: horizon, frequency
    "hourly": (48, 24),
    "daily": (14, 1),
    "weekly": (13, 1),
    "monthly": (18, 12),
    "quarterly": (8, 4),
    "yearly": (6, 1),
}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Prepares a group from the text of its two files."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def make(train: str, test: str, group: str = "Yearly"):
        (tmp_path / f"{group}-train.csv").write_text(train)
        (tmp_path / f"{group}-test.csv").write_text(test)
        name = f"m4-{group.lower()}"
        return open_store(prepare(name, tmp_path, fresh=True, allow_other_checksum=True))

    return make


@pytest.fixture
def hourly(shared_data, tmp_path, monkeypatch):
    """The store of the hourly group."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    return open_store(prepare("m4-hourly", shared_data))


def test_the_hourly_group_has_414_series_of_two_lengths(hourly):
    assert hourly.sizes == {"observation": 373372, "series": 414}
    assert list(hourly["series"].values[[0, 1, -1]]) == ["H1", "H2", "H414"]
    lengths, counts = np.unique(hourly["train_size"], return_counts=True)
    assert dict(zip(lengths.tolist(), counts.tolist(), strict=True)) == {700: 169, 960: 245}
    assert np.array_equal(hourly["row_size"] - hourly["train_size"], np.full(414, 48))


def test_every_value_is_that_of_the_files(hourly, shared_data):
    expected = []
    parts = [shared_data / f"M4-Hourly-{part}.csv" for part in ("train", "test")]
    for train, test in zip(*(list(csv.reader(part.open()))[1:] for part in parts), strict=True):
        expected += [float(cell) for cell in train[1:] + test[1:] if cell]

    assert np.array_equal(hourly["value"], expected)


def test_the_store_is_a_contiguous_ragged_array(hourly):
    """CF 1.11, section 9.3.3."""
    assert hourly["row_size"].attrs["sample_dimension"] == "observation"
    assert int(hourly["row_size"].sum()) == hourly.sizes["observation"]
    assert hourly["series"].attrs["cf_role"] == "timeseries_id"
    assert hourly["value"].attrs["units"] == "1"
    assert hourly.attrs == {"featureType": "timeSeries", "horizon": 48, "frequency": 24}


def test_every_group_declares_its_horizon_and_frequency():
    for group, (horizon, frequency) in GROUPS.items():
        entry = registry.dataset(f"m4-{group}")

        assert entry.variant.parameters == {"horizon": horizon, "frequency": frequency}
        assert [file.name for file in entry.variant.files] == [
            f"{group.capitalize()}-train.csv",
            f"{group.capitalize()}-test.csv",
        ]


@pytest.mark.parametrize("group", list(GROUPS))
def test_every_group_is_read_by_the_same_code(made, group):
    horizon, frequency = GROUPS[group]
    cells = ",".join(f'"{value}"' for value in range(100, 100 + horizon))
    opened = made(
        '"V1","V2","V3","V4"\n"A1","1","2.5",\n"A2","3","4","-5e-1"\n',
        f'"V1","V2"\n"A1",{cells}\n"A2",{cells}\n',
        group.capitalize(),
    )

    test = list(range(100, 100 + horizon))
    assert opened["value"].values.tolist() == [1, 2.5, *test, 3, 4, -0.5, *test]
    assert opened["train_size"].values.tolist() == [2, 3]
    assert opened["row_size"].values.tolist() == [2 + horizon, 3 + horizon]
    assert opened.attrs["frequency"] == frequency


def test_names_without_quotes_and_lines_of_windows_are_read(made):
    opened = made("V1,V2,V3\r\nA1,7,\r\n\r\n", "V1,V2\r\nA1,1,2,3,4,5,6\r\n")

    assert opened["value"].values.tolist() == [7, 1, 2, 3, 4, 5, 6]


HEAD = '"V1","V2","V3","V4"\n'
TRAIN = HEAD + '"Y1","1","2","3"\n"Y2","4",,\n'
TEST = HEAD + "".join(f'"{name}","1","2","3","4","5","6"\n' for name in ("Y1", "Y2"))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (
            HEAD + '"Y1","1",,"3"\n',
            TEST,
            "Yearly-train.csv, line 2, series 'Y1', column 'V3': the cell is empty, but the series goes on behind it",
        ),
        (
            HEAD + '"Y1","1","2","3"\n"Y2","x",,\n',
            TEST,
            "Yearly-train.csv, line 3, series 'Y2', column 'V2': 'x' is not a number",
        ),
        (
            HEAD + '"Y1","1","nan","3"\n',
            TEST,
            "Yearly-train.csv, line 2, series 'Y1', column 'V3': 'nan' is not a finite number",
        ),
        (HEAD + '"Y1",,,\n', TEST, "Yearly-train.csv, line 2, series 'Y1': it has no values"),
        (HEAD, TEST, "Yearly-train.csv holds no series"),
        ("", TEST, "Yearly-train.csv is no file of M4: its first line is not V1,V2,V3,…"),
        ('"Y1","1"\n', TEST, "Yearly-train.csv is no file of M4: its first line is not V1,V2,V3,…"),
        (TRAIN + '"Y1","9"\n', TEST, "Yearly-train.csv has two series named 'Y1'"),
        (HEAD + '"Y1","1"\n', TEST, "Series 'Y2' is in Yearly-test.csv and not in Yearly-train.csv"),
        (TRAIN + '"Y3","1"\n', TEST, "Series 'Y3' is in Yearly-train.csv and not in Yearly-test.csv"),
        (
            HEAD + '"Y2","1"\n"Y1","1"\n',
            TEST,
            "Yearly-train.csv and Yearly-test.csv list their series in different orders, from 'Y2' on",
        ),
        (
            TRAIN,
            TEST.replace(',"6"\n"Y2"', '\n"Y2"'),
            "Yearly-test.csv, line 2, series 'Y1': 5 values, the horizon of this group is 6",
        ),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_its_place(made, train, test, message):
    with pytest.raises(InputError) as caught:
        made(train, test)

    assert str(caught.value) == message


def test_a_missing_test_file_is_named(tmp_path):
    (tmp_path / "Weekly-train.csv").write_text(TRAIN)

    with pytest.raises(InputError, match=r"holds no Weekly-test.csv or M4-Weekly-test.csv$"):
        prepare("m4-weekly", tmp_path)
