"""The exchange rates: eight columns without names or dates, and the borders and figures of published tables."""

import gzip

import numpy as np
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.evaluation.evaluate import evaluate
from tsbench.models.last_value.model import LastValue

COUNTRIES = [
    "australia",
    "united_kingdom",
    "canada",
    "switzerland",
    "china",
    "japan",
    "new_zealand",
    "singapore",
]


@pytest.fixture
def refuse(tmp_path):
    """Prepares the set from a file of that text and gives the message of the refusal."""

    def refused(text: str) -> str:
        (tmp_path / "exchange_rate.txt").write_text(text)
        with pytest.raises(InputError) as caught:
            prepare("exchange", tmp_path, fresh=True, allow_other_checksum=True)
        return str(caught.value)

    return refused


def test_columns_are_the_countries_in_the_order_of_the_publication(stores):
    opened = open_store(stores("exchange"))

    assert list(opened.data_vars) == COUNTRIES
    assert opened.sizes == {"time": 7588}
    first = [0.7855, 1.611, 0.861698, 0.634196, 0.211242, 0.006838, 0.593, 0.525486]  # first line of the file
    assert [float(opened[name][0]) for name in COUNTRIES] == first
    assert {opened[name].attrs["units"] for name in COUNTRIES} == {"1"}


def test_rows_are_dated_one_day_apart_from_1990(stores):
    time = open_store(stores("exchange"))["time"]

    assert np.array_equal(time, np.datetime64("1990-01-01") + np.arange(7588))
    assert time.attrs["step"] == "P1D"


def test_a_week_is_seven_rows_as_the_file_shows(stores):
    """Rows on which a floating currency stands still recur every seven rows: the reason for the period."""
    opened = open_store(stores("exchange"))
    for name in set(COUNTRIES) - {"china"}:
        still = np.diff(opened[name].values) == 0
        still = (still - still.mean()) / still.std()
        like = [(still[lag:] * still[:-lag]).mean() for lag in range(1, 8)]

        assert like[6] > 0.4
        assert max(np.abs(like[:6])) < 0.055
    assert {registry.task(f"exchange-{horizon}").period for horizon in (96, 192, 336, 720)} == {7}


@pytest.mark.parametrize(("horizon", "windows"), [(96, 1422), (192, 1326), (336, 1182), (720, 798)])
def test_borders_are_70_10_and_20_percent_and_every_row_is_used(stores, horizon, windows):
    stores("exchange")
    data = TaskData.open(registry.task(f"exchange-{horizon}"))

    assert data.borders == (int(0.7 * 7588), 7588 - int(0.2 * 7588), 7588)  # ltsf_protocol, borders
    assert len(data.windows("test", 96)) == len(data.windows("test", 3072)) == windows


@pytest.mark.parametrize(("horizon", "mse", "mae"), [(96, 0.081, 0.196), (192, 0.167, 0.289)])
def test_the_last_value_scores_as_published(stores, horizon, mse, mae):
    """Zeng et al. (2023), "Are transformers effective for time series forecasting?", table 2, Repeat."""
    stores("exchange")
    task = registry.task(f"exchange-{horizon}")
    data = TaskData.open(task)
    evaluation = evaluate(LastValue(data.shape(96)), {"exchange": data}, task, [task.scenario("regular")], 96)
    scores = evaluation.scores()

    assert scores["mse"]["regular"] == pytest.approx(mse, abs=5e-4)
    assert scores["mae"]["regular"] == pytest.approx(mae, abs=5e-4)


def test_the_plain_file_gives_the_same_values_as_the_compressed_one(
    stores, shared_data, tmp_path, monkeypatch
):
    expected = open_store(stores("exchange"))
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    packed = (shared_data / "exchange_rate.txt.gz").read_bytes()
    (tmp_path / "exchange_rate.txt").write_bytes(gzip.decompress(packed))

    assert open_store(prepare("exchange", tmp_path, allow_other_checksum=True)).identical(expected)


def test_another_file_of_that_name_is_refused(tmp_path):
    (tmp_path / "exchange_rate.txt").write_text("1,2,3,4,5,6,7,8\n")

    with pytest.raises(InputError, match=r"is not exchange_rate.txt.gz as published: its sha256 is"):
        prepare("exchange", tmp_path)


LINE = "1,2,3,4,5,6,7,8\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "exchange_rate.txt is empty"),
        (LINE + "1,2,3,4,5,6,7\n", "exchange_rate.txt, line 2, column 'singapore': the cell is empty"),
        ("1,2,3,4,5,6,7\n", "exchange_rate.txt has 7 columns, not 8"),
        (LINE + "1,2,x,4,5,6,7,8\n", "exchange_rate.txt, line 2, column 'canada': 'x' is not a number"),
        (LINE + "1,2,,4,5,6,7,8\n", "exchange_rate.txt, line 2, column 'canada': the cell is empty"),
        (
            LINE + "1,2,inf,4,5,6,7,8\n",
            "exchange_rate.txt, line 2, column 'canada': inf is not a finite number",
        ),
        ("a,b,c,d,e,f,g,h\n" + LINE, "exchange_rate.txt, line 1, column 'australia': 'a' is not a number"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_its_place(refuse, text, message):
    assert refuse(text) == message
