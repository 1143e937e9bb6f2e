"""The weather station: columns by position, declared flaws, rows as published and the regular grid."""

import numpy as np
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.evaluation.evaluate import evaluate
from tsbench.models.last_value.model import LastValue

HEADER = (
    "date,p (mbar),T (degC),Tpot (K),Tdew (degC),rh (%),VPmax (mbar),VPact (mbar),VPdef (mbar),sh (g/kg),"
    "H2OC (mmol/mol),rho (g/m**3),wv (m/s),max. wv (m/s),wd (deg),rain (mm),raining (s),SWDR (W/m²),"
    "PAR (µmol/m²/s),max. PAR (µmol/m²/s),Tlog (degC),OT"
)


def line(stamp: str, first: float = 0.0) -> str:
    """A line of the file: `first`, `first` + 1, … in the 21 columns."""
    return ",".join([f"2020-01-01 {stamp}:00", *(f"{first + index:g}" for index in range(21))])


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Prepares a variant from lines below a header, in that encoding."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def make(name: str, *lines: str, header: str = HEADER, encoding: str = "utf-8"):
        (tmp_path / "weather.csv").write_bytes("\r\n".join([header, *lines, ""]).encode(encoding))
        return open_store(prepare(name, tmp_path, fresh=True, allow_other_checksum=True))

    return make


def test_rows_as_published_keep_codes_repeated_stamp_and_gap(stores):
    opened = open_store(stores("weather"))
    values = opened.to_dataarray().values

    assert values.shape == (21, 52696)
    assert (values == -9999).sum() == 81
    assert {
        name: int((opened[name] == -9999).sum()) for name in ("wind_speed", "par_max", "carbon_dioxide")
    } == {
        "wind_speed": 1,
        "par_max": 30,
        "carbon_dioxide": 50,
    }
    time = opened["time"].values
    assert time[19044] == time[19043] == np.datetime64("2020-05-12T06:00")
    assert time[21514] - time[21513] == np.timedelta64(100, "m")


def test_columns_have_the_quantities_of_the_file(stores):
    opened = open_store(stores("weather"))
    row = {name: float(opened[name][0]) for name in opened.data_vars}

    assert list(row)[-1] == "carbon_dioxide"
    assert (row["air_pressure"], row["air_temperature"], row["potential_temperature"]) == (
        1008.89,
        0.71,
        273.18,
    )
    assert (row["wind_direction"], row["logger_temperature"], row["carbon_dioxide"]) == (224.3, 11.45, 428.1)
    assert opened["air_pressure"].attrs == {
        "units": "hPa",
        "long_name": "air pressure",
        "standard_name": "air_pressure",
    }


def test_the_quantities_are_related_as_their_names_say(stores):
    opened = open_store(stores("weather"))

    kelvin = opened["air_temperature"] + 273.15
    deficit = opened["saturation_vapour_pressure"] - opened["vapour_pressure"]
    density = opened["air_pressure"] * 100 / (287.05 * kelvin) * 1000  # dry air, g m-3
    assert float(abs(opened["vapour_pressure_deficit"] - deficit).max()) < 0.02
    assert float(abs(density / opened["air_density"] - 1).max()) < 0.02
    assert bool((opened["wind_gust"] >= opened["wind_speed"]).all())
    assert bool((opened["dew_point"] <= opened["air_temperature"] + 0.011).all())
    assert float(opened["rain_duration"].max()) == 600


def test_the_regular_grid_covers_the_year_and_holds_nan_where_nothing_was_measured(stores):
    published, clean = open_store(stores("weather")), open_store(stores("weather-clean"))
    time = clean["time"].values
    values = clean.to_dataarray().values

    assert np.array_equal(
        time, np.datetime64("2020-01-01T00:10") + np.arange(52704) * np.timedelta64(10, "m")
    )
    assert np.isnan(values).sum() == 81 + 9 * 21
    rows = np.isnan(values).all(axis=0)
    assert list(np.flatnonzero(rows)) == list(range(21513, 21522))  # one row less before the gap
    kept = published.to_dataarray().values[:, np.delete(np.arange(52696), 19044)]
    np.testing.assert_array_equal(values[:, ~rows], np.where(kept == -9999, np.nan, kept))


@pytest.mark.parametrize(("horizon", "windows"), [(96, 10444), (192, 10348), (336, 10204), (720, 9820)])
def test_borders_are_70_10_and_20_percent_and_every_row_is_used(stores, horizon, windows):
    stores("weather")
    data = TaskData.open(registry.task(f"weather-{horizon}"))

    assert data.borders == (int(0.7 * 52696), 52696 - int(0.2 * 52696), 52696)  # ltsf_protocol, borders
    assert len(data.windows("test", 96)) == windows
    assert data.observed is None


@pytest.mark.parametrize("horizon", [96, 192, 336, 720])
def test_tasks_on_the_regular_grid_mask_what_is_missing(stores, horizon):
    stores("weather-clean")
    data = TaskData.open(registry.task(f"weather-clean-{horizon}"))

    assert int((~data.observed).sum()) == 81 + 9 * 21
    assert bool(data.values.isfinite().all())
    assert float(data.scale.std.ravel()[-1]) == pytest.approx(18.18, abs=0.01)  # 384 with the codes


def test_the_last_value_scores_as_published(stores):
    """Zeng et al. (2023), "Are transformers effective for time series forecasting?", table 2, Repeat."""
    stores("weather")
    task = registry.task("weather-96")
    data = TaskData.open(task)
    evaluation = evaluate(LastValue(data.shape(96)), {"weather": data}, task, [task.scenario("regular")], 96)
    scores = evaluation.scores()

    assert scores["mse"]["regular"] == pytest.approx(0.259, abs=5e-4)
    assert scores["mae"]["regular"] == pytest.approx(0.254, abs=5e-4)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_header_is_read_in_either_encoding(made, encoding):
    opened = made("weather", line("00:10"), line("00:20", 5), encoding=encoding)

    assert list(opened["par_max"].values) == [18, 23]


def test_the_header_is_read_without_its_lost_signs(made):
    lost = HEADER.replace("²", "\ufffd").replace("µ", "\ufffd")

    assert float(made("weather", line("00:10"), header=lost)["carbon_dioxide"][0]) == 20


def test_the_grid_takes_out_an_identical_row_and_fills_gaps_and_codes(made):
    coded = line("00:40", 7).replace(",8,", ",-9999,")
    opened = made("weather-clean", line("00:10"), line("00:10"), line("00:20", 5), coded)

    assert opened.sizes == {"time": 4}
    np.testing.assert_array_equal(opened["air_pressure"], [0, 5, np.nan, 7])
    np.testing.assert_array_equal(opened["air_temperature"], [1, 6, np.nan, np.nan])


ROW = line("00:10")


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        (
            "weather",
            [ROW, "noon" + ROW[19:]],
            "weather.csv, line 3, column 'date': 'noon' is not a time stamp",
        ),
        (
            "weather",
            [ROW.replace(",7,", ",x,")],
            "weather.csv, line 2, column 'vapour_pressure_deficit': 'x' is not",
        ),
        (
            "weather",
            [ROW, ROW, ROW],
            "'weather': 2 × repeated in time, the card declares 1; the last is repeated",
        ),
        ("weather", [line("00:20"), ROW], "'weather': 1 × unsorted in time, the card declares 0"),
        (
            "weather-clean",
            [ROW, line("00:10", 1)],
            "line 3: repeated time stamp 2020-01-01T00:10:00 with other values",
        ),
        (
            "weather-clean",
            [line("00:20"), ROW],
            "line 3: time stamp 2020-01-01T00:10:00 after 2020-01-01T00:20:00",
        ),
        ("weather-clean", [ROW, line("00:15")], "line 3: 2020-01-01T00:15:00 is not on the ten-minute grid"),
        ("weather", ["1" + ROW[19:]], "weather.csv: column 'date' holds numbers, not time stamps"),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_its_place(made, name, lines, message):
    with pytest.raises(InputError) as caught:
        made(name, *lines)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("Tpot (K),", ""), "weather.csv has 21 columns; the weather file has 22"),
        (
            HEADER.replace("T (degC),Tpot (K)", "Tpot (K),T (degC)", 1),
            "weather.csv, column 3: 'Tpot (K)'; the weather file has 'T' there",
        ),
        (HEADER.replace("date", "time"), "weather.csv, column 1: 'time'; the weather file has 'date' there"),
    ],
)
def test_another_header_is_refused_by_name(made, header, message):
    with pytest.raises(InputError) as caught:
        made("weather", ",".join(ROW.split(",")[: header.count(",") + 1]), header=header)

    assert str(caught.value) == message
