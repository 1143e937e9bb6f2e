"""The data of a task file become a store and a task: the same values, windows and names as in fev."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.collection import read_collection
from tsbench.data.collection_data import CollectionData
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store, store_path

ALL_KINDS = {
    "known_dynamic_columns": ["price", "weather"],
    "past_dynamic_columns": ["sold"],
    "static_columns": ["size", "kind"],
}


def opened(path, name="made"):
    prepare(f"fev/{name}", path)
    return CollectionData.open(registry.task(f"fev/{name}"))


def test_series_and_columns_of_every_kind_are_those_of_the_file(task_file, rows):
    made = rows()

    prepare("fev/made", task_file({"horizon": 4, **ALL_KINDS}))

    found = read_collection("fev-made")
    assert found.series == ("s0", "s1", "s2")
    assert found.sizes.tolist() == [60, 41, 33]
    np.testing.assert_array_equal(found.values[:, 0], np.concatenate([one["target"] for one in made]))
    assert [str(one) for one in found.starts.astype("datetime64[h]")] == [
        str(np.datetime64(one["timestamp"][0], "h")) for one in made
    ]
    assert found.step == "PT1H"
    assert found.known.names == ("price", "feat_dynamic_cat_weather")
    weather = np.concatenate([one["weather"] for one in made])
    expected = np.searchsorted(["fog", "rain", "sun"], weather)
    np.testing.assert_array_equal(found.known.values[:, 1], expected)
    np.testing.assert_allclose(
        found.known.values[:, 0], np.concatenate([one["price"] for one in made]), rtol=1e-6
    )
    assert found.past.names == ("sold",)
    assert found.static.names == ("size",)
    assert found.static.values[:, 0].tolist() == [0, 1, 2]
    assert found.categorical.names == ("kind",)
    assert found.categorical.values[:, 0].tolist() == [1, 0, 1]  # of a, b


def test_the_definition_is_kept_as_the_file_has_it(task_file):
    prepare("fev/made", task_file({"horizon": 4}))

    kept = json.loads(open_store(store_path("fev-made")).attrs["fev_task"])

    assert kept["dataset_path"] == "data/made.parquet"
    assert kept["horizon"] == 4
    assert kept["initial_cutoff"] == -4


def test_a_long_table_gives_the_same_store_as_a_row_a_series(task_file, rows):
    made = rows()
    prepare("fev/wide", task_file({"horizon": 4, **ALL_KINDS}))
    static = {"size", "kind", "id"}
    long = pd.concat(
        pd.DataFrame({key: one[key] for key in one if key not in static}).assign(
            **{key: one[key] for key in static}
        )
        for one in made[::-1]
    )
    prepare("fev/long", task_file({"horizon": 4, **ALL_KINDS}, data=long))

    one, other = read_collection("fev-wide"), read_collection("fev-long")

    assert one.content == other.content
    assert one.recipe != other.recipe


def test_several_targets_are_channels_under_their_names(task_file, rows):
    data = opened(task_file({"horizon": 4, "target": ["target", "other"]}))

    assert data.collection.channels == ("other", "target")  # as fev sorts them
    expected = np.concatenate([one["other"] for one in rows()])
    np.testing.assert_array_equal(data.collection.values[:, 0], expected)


def test_columns_made_into_series_are_named_as_in_fev(task_file):
    prepare("fev/made", task_file({"horizon": 4, "generate_univariate_targets_from": ["target", "other"]}))

    assert read_collection("fev-made").series == (
        "s0_other",
        "s0_target",
        "s1_other",
        "s1_target",
        "s2_other",
        "s2_target",
    )


def test_missing_values_are_masked(task_file, rows):
    made = rows()
    made[0]["target"][58] = None

    data = opened(task_file({"horizon": 4}, data=made))

    observed, valid = data.windows("test", 8).gather_truth(torch.tensor([0]))
    assert valid.flatten().tolist() == [True, True, False, True]
    assert observed.shape == (1, 4, 1)


@pytest.mark.parametrize(
    "definition",
    [
        {"num_windows": 3, "window_step_size": 2},
        {"num_windows": 2, "initial_cutoff": -15},
        {"num_windows": 2, "min_context_length": 35},
        {"num_windows": 3, "initial_cutoff": "2024-02-29T10:00"},
        {"num_windows": 2, "initial_cutoff": "2024-02-29 10:00", "window_step_size": "3h"},
        {"max_context_length": 20},
    ],
)
@pytest.mark.parametrize("lengths", [(60, 41, 33), (60, 9, 6, 41)])
def test_windows_and_look_backs_are_those_of_fev(task_file, rows, definition, lengths):
    import fev

    path = task_file({"horizon": 4, **definition}, data=rows(lengths))
    data = opened(path)
    windows = data.windows("test", min(data.task.max_context, 60))
    cases = windows.gather(torch.arange(len(windows)))
    truth, _ = windows.gather_truth(torch.arange(len(windows)))
    task = fev.Task(
        **yaml.safe_load(path.read_text())["tasks"][0]
        | {"dataset_path": str(path.parent / "data/made.parquet")}
    )

    found: dict[str, list] = {}
    for case, series in enumerate(windows.series.tolist()):
        length = int(cases["length"][case])
        past = cases["context"][case, -length:, 0].tolist()
        found.setdefault(data.collection.series[series], []).append(
            (past, truth[case, :, 0].float().tolist())
        )
    expected: dict[str, list] = {}
    for window in task.iter_windows(num_proc=1):
        past, _ = window.get_input_data()
        for before, after in zip(past, window.get_ground_truth(), strict=True):
            pair = (before["target"].tolist(), after["target"].tolist())  # float32, as fev gives them
            expected.setdefault(str(before["id"]), []).append(pair)
    assert found == expected


def test_units_are_series_also_where_some_have_fewer_windows(task_file, rows):
    from tsbench.jobs.job import Options
    from tsbench.jobs.run import Conduct, run

    prepare("fev/made", task_file({"horizon": 4, "num_windows": 3}, data=rows((60, 9, 6, 41))))
    (outcome,) = run(
        "last_value", "fev/made", options=Options(context=8, threads=1), conduct=Conduct(track=False)
    )

    units = pd.read_parquet(outcome.folder / "units.parquet")

    # A series of 9 values has two windows with a value before them, one of 6 values has one.
    assert outcome.result.cases == 3 + 2 + 1 + 3
    assert units["unit"].tolist() == [0, 1, 2, 3]
    assert (units["denominator"] / 4).tolist()[::3] == [3, 3]


def test_the_task_is_that_of_the_definition(task_file):
    prepare(
        "fev/made",
        task_file(
            {
                "horizon": 4,
                "num_windows": 2,
                "window_step_size": 3,
                "seasonality": 6,
                "max_context_length": 24,
                "min_context_length": 5,
                "eval_metric": "wql",
                "extra_metrics": [{"name": "MASE", "epsilon": 0.0}],
                "quantile_levels": [0.9, 0.1],
            }
        ),
    )

    task = registry.task("fev/made")

    assert (task.name, task.horizon, task.period, task.max_context) == ("fev-made", 4, 6, 24)
    assert (task.split.windows, task.split.step, task.split.unused, task.split.shortest_context) == (
        2,
        3,
        0,
        5,
    )
    assert task.metrics == ("fev.WQL", "fev.MASE")
    assert task.primary == "fev.WQL"
    assert task.quantiles == (0.1, 0.5, 0.9)


def test_changed_data_are_prepared_anew_and_the_same_are_not(task_file, rows):
    path = task_file({"horizon": 4})
    prepare("fev/made", path)
    first = read_collection("fev-made")
    prepare("fev/made", path)
    assert read_collection("fev-made").recipe == first.recipe

    prepare("fev/made", task_file({"horizon": 4}, data=rows(seed=1)))

    assert read_collection("fev-made").recipe != first.recipe
    assert read_collection("fev-made").content != first.content


def test_other_tasks_of_the_file_do_not_change_a_recipe(task_file):
    prepare("fev/made", task_file({"horizon": 4}))
    alone = read_collection("fev-made").recipe

    prepare("fev/made", task_file({"horizon": 4}, {"horizon": 5, "task_name": "longer"}))

    assert read_collection("fev-made").recipe == alone


def test_names_are_those_of_the_tasks_in_our_letters(task_file):
    from tsbench.fev.definitions import read_definitions

    path = task_file(
        {"task_name": "ETT/15T"},
        {"task_name": "ETT 15T"},
        {"task_name": "ett-15t"},
        {"task_name": "m4_hourly"},
    )

    assert [one.name for one in read_definitions(path)] == ["ett-15t", "ett-15t-2", "ett-15t-3", "m4_hourly"]


def test_one_mapping_is_a_file_of_one_task_that_needs_no_name(task_file):
    path = task_file({"horizon": 4})
    path.write_text(yaml.safe_dump({"dataset_path": "./data/*.parquet", "horizon": 5}))

    prepare("fev/whatever", path)

    assert registry.task("fev/whatever").horizon == 5
    assert read_collection("fev-whatever").sizes.tolist() == [60, 41, 33]


WRONG = [
    ({"horizn": 4}, "task 1: horizn: Unexpected keyword argument"),
    ({"eval_metric": "MAZE"}, "Evaluation metric 'MAZE' is not available"),
    ({"eval_metric": {"epsilon": 1.0}}, "no 'name' is given"),
    ({"eval_metric": {"name": "MASE", "epsilon": 0.5}}, "MASE with epsilon is none of ours; .* at 0.0"),
    ({"eval_metric": "WQL"}, "Please provide quantile_levels"),
    ({"dataset_path": "data/none.parquet"}, "there is no file .*none.parquet"),
    ({"dataset_path": "tasks.yaml"}, "fev refuses tasks.yaml: .* must end in one of"),
    ({"target": "sales"}, "fev refuses data/made.parquet: .*sales"),
    ({"known_dynamic_columns": ["rain"]}, "fev refuses data/made.parquet: .*rain"),
    ({"target": "weather"}, "column 'weather' holds string, not numbers"),
    ({"horizon": 70}, r"no series has min_context_length \(1\) values before"),
    (
        {"initial_cutoff": 20},
        "the cutoff 20 lies 40 values before the end of one series and 21 before that of another",
    ),
    ({"num_windows": 2, "initial_cutoff": -55, "min_context_length": 58}, "no series has min_context_length"),
]


@pytest.mark.parametrize(("definition", "message"), WRONG)
def test_a_wrong_definition_is_told_in_one_line(task_file, definition, message):
    path = task_file({"horizon": 4, **definition})

    with pytest.raises(InputError, match=message) as raised:
        prepare("fev/made", path)
    assert "\n" not in str(raised.value)
    assert not store_path("fev-made").exists()


def test_dates_that_are_not_equally_far_apart_are_told(task_file, rows):
    made = rows((120, 120))
    for one in made:
        one["timestamp"] = pd.date_range("2024-01-01", periods=120, freq="D").to_list()
    path = task_file({"initial_cutoff": "2024-01-31", "num_windows": 3, "window_step_size": "ME"}, data=made)

    with pytest.raises(InputError, match="the cutoffs lie 29, 31 values apart"):
        prepare("fev/made", path)


def test_a_date_before_which_series_end_differently_is_told(task_file, rows):
    made = rows()
    made[1]["timestamp"] = made[0]["timestamp"][:41]

    with pytest.raises(InputError, match="values before the end of one series and .* of another"):
        prepare("fev/made", task_file({"initial_cutoff": "2024-02-28T20:00"}, data=made))


def test_series_of_different_steps_are_told(task_file, rows):
    made = rows()
    made[1]["timestamp"] = pd.date_range("2024-01-01", periods=41, freq="D").to_list()

    with pytest.raises(InputError, match="series 2 does not go on by the step of the first, 'h'"):
        prepare("fev/made", task_file({"horizon": 4}, data=made))


def test_steps_below_a_second_are_told(task_file, rows):
    made = rows((20,))
    made[0]["timestamp"] = pd.date_range("2024-01-01", periods=20, freq="10ms").to_list()

    with pytest.raises(InputError, match="the step is '10ms'; steps of a second and longer are read"):
        prepare("fev/made", task_file({"horizon": 4}, data=made))


@pytest.mark.parametrize("frequency", ["B", "2MS"])
def test_steps_of_different_length_leave_the_calendar_out(task_file, rows, frequency):
    made = rows((30,))
    made[0]["timestamp"] = pd.date_range("2024-01-01", periods=30, freq=frequency).to_list()

    prepare("fev/made", task_file({"horizon": 4}, data=made))

    assert read_collection("fev-made").step is None


def test_files_that_are_no_task_files_are_told(task_file, tmp_path):
    path = task_file({"horizon": 4}, {"horizon": 5, "task_name": "other"})

    with pytest.raises(InputError, match="has no task 'third'; it has made, other"):
        prepare("fev/third", path)
    with pytest.raises(InputError, match=r"--from TASKS.yaml \(0 given\)"):
        prepare("fev/made", tmp_path / "data" / "made.parquet")
    path.write_text("- 1\n- 2\n")
    with pytest.raises(InputError, match="is no task file of fev: it needs the key `tasks`"):
        prepare("fev/made", path)
    path.write_text("tasks: [")
    with pytest.raises(InputError, match="is not YAML"):
        prepare("fev/made", path)


def test_data_of_a_hub_that_cannot_be_reached_are_told(task_file, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    path = task_file({"dataset_path": "nobody/nothing", "dataset_config": "m4"})

    with pytest.raises(InputError, match="nobody/nothing cannot be loaded: ") as raised:
        prepare("fev/made", path)
    assert "\n" not in str(raised.value)


def test_without_fev_one_line_names_the_command(task_file, monkeypatch):
    path = task_file({"horizon": 4})
    for name in [name for name in sys.modules if name.partition(".")[0] == "fev"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fev", None)

    with pytest.raises(InputError, match=r'needs the package fev: pip install "tsbench\[fev\]"'):
        prepare("fev/made", path)
