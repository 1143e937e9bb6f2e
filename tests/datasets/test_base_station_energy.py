"""Energy of base stations: the challenge's tables, the generator and its floors, the parts of the three tasks."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.datasets.base_station_energy.challenge_tables import COLUMNS, read_tables, write_tables
from tsbench.datasets.base_station_energy.floors import percentage_error, without_station
from tsbench.datasets.base_station_energy.layout import FEATURES, energy_dataset
from tsbench.datasets.base_station_energy.simulation import simulate


@pytest.fixture(scope="module")
def network():
    return simulate(20, 48, np.random.SeedSequence(3))


@pytest.fixture
def folder(tmp_path, network):
    """The three tables on disk."""
    where = tmp_path / "tables"
    where.mkdir()
    write_tables(network.tables, where)
    return where


def edited(folder, name: str, edit) -> None:
    """Rewrites one table after `edit(table)`."""
    table = pd.read_csv(folder / name, float_precision="round_trip")
    changed = edit(table)
    (table if changed is None else changed).to_csv(folder / name, index=False)


def read(folder):
    return read_tables({name: folder / name for name in COLUMNS})


def test_what_is_written_is_read_again(folder, network):  # energy_fingerprint, must show 6
    found = read(folder)

    pd.testing.assert_frame_equal(found.cells, network.tables.cells[list(COLUMNS["BSinfo.csv"])])
    for name in ("loads", "energy"):
        there, wanted = getattr(found, name), getattr(network.tables, name)
        assert np.array_equal(
            there["Time"].to_numpy("datetime64[ns]"), wanted["Time"].to_numpy("datetime64[ns]")
        )
        pd.testing.assert_frame_equal(there.drop(columns="Time"), wanted[list(there)].drop(columns="Time"))


def test_the_published_tables_become_a_store_of_the_same_values(folder, network, tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    store = open_store(prepare("base_station_energy-published", folder))

    made = energy_dataset(network.tables)
    for name in ("hour", "site", "cells", "energy"):
        np.testing.assert_allclose(store[name].values, made[name].values, rtol=1e-6)
    assert store.attrs["hours_without_energy"] == 20 * 48 - len(network.tables.energy)
    data = TaskData.open(registry.task("energy-published-hours"))
    assert len(data.windows("test", 1)) == int((store["part_hours"].values == "test").sum())


def test_a_sample_holds_the_cells_of_its_station_in_that_hour(folder, network):
    dataset = energy_dataset(read(folder))
    tables = network.tables
    for row in (0, 100, len(dataset["energy"]) - 1):
        station, stamp = dataset["station"].values[row], dataset["stamp"].values[row]
        cells = tables.cells[tables.cells["BS"] == station]
        loads = tables.loads[(tables.loads["BS"] == station) & (tables.loads["Time"] == stamp)]
        values = dataset["cells"].values[row]
        there = ~np.isnan(values[:, 0])
        assert there.sum() == len(cells)
        np.testing.assert_allclose(values[there][:, FEATURES.index("load")], loads["load"], rtol=1e-6)
        np.testing.assert_allclose(values[there][:, FEATURES.index("ESMode1")], loads["ESMode1"], rtol=1e-6)
        np.testing.assert_allclose(values[there][:, FEATURES.index("TXpower")], cells["TXpower"], rtol=1e-6)
        codes = [dataset.attrs["RUType_codes"].index(name) + 1 for name in cells["RUType"]]
        assert values[there][:, FEATURES.index("RUType")].tolist() == codes
        energy = tables.energy[(tables.energy["BS"] == station) & (tables.energy["Time"] == stamp)]
        assert dataset["energy"].values[row] == pytest.approx(float(energy["Energy"].iloc[0]))
        angle = 2 * np.pi * pd.Timestamp(stamp).hour / 24
        np.testing.assert_allclose(dataset["hour"].values[row, 0], [np.sin(angle), np.cos(angle)], atol=1e-6)


def test_rows_in_another_order_and_american_stamps_make_the_same_store(folder):
    made = energy_dataset(read(folder))
    for name in COLUMNS:
        edited(folder, name, lambda table: table.sample(frac=1, random_state=0))
    for name in ("CLdata.csv", "ECdata.csv"):
        edited(
            folder,
            name,
            lambda table: table.assign(Time=pd.to_datetime(table["Time"]).dt.strftime("%m/%d/%Y %H:%M")),
        )

    assert energy_dataset(read(folder)).identical(made)


def test_hours_that_lack_an_energy_or_a_load_are_left_out_and_counted(folder):
    whole = energy_dataset(read(folder))
    several = next(name for name, cells in pd.read_csv(folder / "BSinfo.csv").groupby("BS") if len(cells) > 1)
    stamp = whole["stamp"].values[whole["station"].values == several][5]
    edited(
        folder,
        "CLdata.csv",
        lambda table: table.drop(
            table[(table["BS"] == several) & (pd.to_datetime(table["Time"]) == stamp)].index[0]
        ),
    )
    edited(folder, "ECdata.csv", lambda table: table.drop(table[table["BS"] == "B_1"].index[3]))

    found = energy_dataset(read(folder))

    assert len(found["energy"]) == len(whole["energy"]) - 2
    assert found.attrs["hours_without_all_loads"] == 1
    assert found.attrs["hours_without_energy"] == whole.attrs["hours_without_energy"] + 1


def _set(row: int, column: str, value):
    def edit(table):
        return table.assign(**{column: table[column].astype(object).mask(table.index == row, value)})

    return edit


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("ECdata.csv", _set(7, "Energy", -3.2), r"ECdata.csv: Energy of B_0 at 2023-01-01 .* is -3.2, not an"),
        ("ECdata.csv", _set(7, "Energy", "much"), "ECdata.csv: Energy is 'much' in row 9, not a number"),
        ("ECdata.csv", _set(2, "Time", "noon"), "Time must be stamps like"),
        ("ECdata.csv", _set(2, "BS", "B_99"), "BSinfo.csv has no cell of the station B_99"),
        ("CLdata.csv", _set(2, "load", 35.0), r"CLdata.csv: load of B_0 Cell\d at .* is 35, not a share"),
        ("CLdata.csv", _set(0, "CellName", "Cell9"), "no row of the cell Cell9 of the station B_0"),
        ("CLdata.csv", lambda table: pd.concat([table, table.iloc[4:5]]), "CLdata.csv: row .* repeats B_0 Cell"),
        ("ECdata.csv", lambda table: pd.concat([table, table.iloc[4:5]]), "ECdata.csv: row .* repeats B_0 at"),
        ("BSinfo.csv", lambda table: pd.concat([table, table.iloc[:1]]), "BSinfo.csv: row .* repeats B_0 Cell0"),
        ("BSinfo.csv", lambda table: table.drop(columns="TXpower"), "BSinfo.csv has no column TXpower; it has BS"),
        ("BSinfo.csv", _set(0, "RUType", None), "RUType is empty in row 2"),
        ("ECdata.csv", lambda table: table.iloc[:0], "ECdata.csv has no row"),
    ],
)  # fmt: skip
def test_wrong_tables_are_refused_in_one_line(folder, name, edit, message):
    edited(folder, name, edit)

    with pytest.raises(InputError, match=message) as refused:
        read(folder)
    assert "\n" not in str(refused.value)


def test_tables_without_a_common_hour_are_refused(folder):
    edited(folder, "ECdata.csv", lambda table: table.assign(Time="2020-01-01 00:00:00").drop_duplicates("BS"))

    with pytest.raises(InputError, match="No hour has both an energy"):
        energy_dataset(read(folder))


def test_a_missing_table_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    shutil.move(folder / "CLdata.csv", tmp_path / "elsewhere.csv")

    with pytest.raises(InputError, match="holds no CLdata.csv"):
        prepare("base_station_energy-published", folder)


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The full generated store."""
    from tsbench.data.adapter import BuildRequest
    from tsbench.datasets.base_station_energy.adapter import build

    entry = registry.dataset("base_station_energy")
    return build(BuildRequest("base_station_energy", entry.variant, {}, dict(entry.variant.parameters)))


def test_the_generator_is_that_of_the_sheet(generated):  # energy_fingerprint, Synthetic generator
    energy, cells = generated["energy"].values, generated["cells"].values
    feature = {name: cells[..., number] for number, name in enumerate(FEATURES)}
    low = np.nanmean(feature["load"], axis=1) < 0.1
    shapes = {
        name: np.corrcoef(np.nansum(feature[name][low], axis=1), energy[low])[0, 1]
        for name in ("Antennas", "TXpower", "Bandwidth")
    }

    assert len(set(generated["station"].values)) == 120
    assert len(energy) == pytest.approx(0.95 * 120 * 168, rel=0.005)
    assert set((~np.isnan(feature["load"])).sum(axis=1)) == {1, 2, 3, 4}
    # Published: mean 22.5 at low load; correlations 0.83, 0.81, 0.48 with sums over the cells.
    assert energy[low].mean() == pytest.approx(22.5, abs=3)
    assert shapes["Antennas"] == pytest.approx(0.83, abs=0.1)
    assert shapes["TXpower"] == pytest.approx(0.81, abs=0.1)
    assert shapes["Bandwidth"] < min(shapes["Antennas"], shapes["TXpower"])
    # Cells save energy at night below a load of 0.2, and nowhere else.
    saving = (feature["ESMode1"] > 0) | (feature["ESMode6"] > 0)
    hour = np.broadcast_to(pd.DatetimeIndex(generated["stamp"].values).hour.to_numpy()[:, None], saving.shape)
    assert saving.any()
    assert np.nanmax(feature["load"][saving]) < 0.2
    assert hour[saving].max() < 6


def test_the_floor_of_the_noise_is_its_mean_size(network):
    energy, cells = network.tables.energy["Energy"].to_numpy(), network.without_noise - network.fingerprint
    # The noise is 2 % of what the cells take: E|N| = √(2/π).
    expected = 100 * 0.02 * np.sqrt(2 / np.pi) * np.mean(cells / energy)

    assert percentage_error(network.without_noise, energy) == pytest.approx(expected, rel=0.1)


def test_no_constant_of_a_configuration_is_better_than_the_floor_without_the_station(network):
    energy, clean, own = (
        network.tables.energy["Energy"].to_numpy(),
        network.without_noise,
        network.fingerprint,
    )
    best = without_station(energy, clean, own, network.configuration)

    for one in np.unique(network.configuration):
        rows = network.configuration == one
        floor = percentage_error(best[rows], energy[rows])
        tried = [
            percentage_error((clean - own)[rows] + more, energy[rows]) for more in np.linspace(1, 25, 400)
        ]
        assert floor <= min(tried) + 1e-9
        assert floor == pytest.approx(min(tried), abs=0.05)


def test_a_generated_store_states_its_floors(generated):
    energy, clean = generated["energy"].values, generated["energy_without_noise"].values
    test = generated["part_hours"].values == "test"
    attributes = generated.attrs

    assert attributes["mape_of_noise"] == pytest.approx(percentage_error(clean, energy), abs=1e-4)
    assert attributes["mape_of_noise_hours"] == pytest.approx(
        percentage_error(clean[test], energy[test]), abs=1e-4
    )
    # The sheet: about 10 to 13 % without the station.
    assert 10 < attributes["mape_without_station"] < 13
    assert 10 < attributes["mape_without_station_hours"] < 13
    assert attributes["mape_of_noise"] < 2


def test_configurations_do_not_give_away_the_station(generated):
    """Several stations have all properties in common, and their loads run alike."""
    properties = (
        generated["cells"].values[..., FEATURES.index("Frequency") :].reshape(len(generated["energy"]), -1)
    )
    station = generated["station"].values
    kinds = {name: properties[station == name][0].tobytes() for name in dict.fromkeys(station)}
    sharing = [sum(other == kind for other in kinds.values()) for kind in kinds.values()]

    assert len(set(kinds.values())) == 15
    assert np.median(sharing) >= 6
    load = np.nanmean(generated["cells"].values[..., 0], axis=1)
    largest = max(kinds.values(), key=list(kinds.values()).count)
    means = [load[station == name].mean() for name, kind in kinds.items() if kind == largest]
    assert np.std(means) < 0.1 * np.mean(means)


def test_known_stations_are_tested_on_their_last_hours(generated):
    label, station, stamp = (generated[name].values for name in ("part_hours", "station", "stamp"))
    for name in ("B_0", "B_7", "B_119"):
        rows = station == name
        last = {part: stamp[rows & (label == part)] for part in ("train", "validation", "test")}
        assert last["train"].max() < last["validation"].min() <= last["validation"].max() < last["test"].min()
        assert len(last["test"]) == int(0.2 * rows.sum())


def test_unseen_stations_and_bandwidths_are_in_no_other_part(generated):
    station = generated["station"].values
    width = generated["cells"].values[..., FEATURES.index("Bandwidth")]
    for task in ("part_stations", "part_configurations"):
        of = {part: set(station[generated[task].values == part]) for part in ("train", "validation", "test")}
        assert not of["train"] & of["test"]
        assert not of["validation"] & (of["train"] | of["test"])
        assert 10 <= len(of["test"]) <= 16
    unseen = generated["part_configurations"].values == "test"
    held_out = generated.attrs["held_out_bandwidth"]
    assert (width[unseen] == held_out).any(axis=1).all()
    assert not (width[~unseen] == held_out).any()


def test_two_stations_cannot_be_divided(network):
    tables = network.tables
    few = replace(tables, energy=tables.energy[tables.energy["BS"].isin(["B_0", "B_1"])])

    with pytest.raises(InputError, match="2 stations with complete hours cannot be divided"):
        energy_dataset(few)


def test_the_seed_decides_the_network():
    one, same, other = (simulate(3, 24, np.random.SeedSequence(seed)).without_noise for seed in (0, 0, 1))

    assert np.array_equal(one, same)
    assert len(one) != len(other) or not np.allclose(one, other)


def test_a_task_gives_cells_with_their_mask_and_the_number_of_the_station(stores):
    stores("base_station_energy")
    data = TaskData.open(registry.task("energy-stations"))
    shape = data.shape(1)
    batch = (
        data.windows("test", 1)
        .using("target", "entity", "entity_mask", "categorical")
        .gather(torch.arange(40))
    )

    assert shape.entity_features == FEATURES
    assert dict(shape.categories) == {"station": 121}
    assert dict(shape.entity_categories) == {"RUType": 9, "Mode": 3}
    assert batch["entity"].shape == (40, 4, 13)
    assert batch["target"].shape == (40, 1, 1)
    assert bool((batch["entity"][~batch["entity_mask"]] == 0).all())
    train = data.windows("train", 1).using("categorical").gather(torch.arange(2000))["categorical"]
    assert not set(train.flatten().tolist()) & set(batch["categorical"].flatten().tolist())
