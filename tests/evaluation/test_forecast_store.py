"""Saved forecasts: round trip, the scores of the run that made them, and refusal of what is hostile."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tsbench as tb
from tsbench import atomic
from tsbench.contracts import Forecast, InputError, JobFailed, Scenario
from tsbench.data.task_data import TaskData
from tsbench.evaluation.forecast_store import ForecastWriter, array_name, check_forecast
from tsbench.evaluation.metrics import METRICS
from tsbench.evaluation.record import read_table
from tsbench.jobs.run import Conduct
from tsbench.models.last_value.model import LastValue

SHAPE = (109, 12, 2)
REGULAR = Scenario(key="regular", condition="regular", dataset="user-waves")


@pytest.fixture
def saved(tmp_path, wave_task) -> Path:
    """A forecast of `waves-12`: random values, written in batches."""
    values = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    with atomic.new_folder(tmp_path / "forecast.zarr") as folder:
        writer = ForecastWriter(folder, wave_task(), "mine")
        writer.create(REGULAR, SHAPE)
        for cases in torch.arange(109).split(40):
            writer.write(REGULAR, cases, Forecast(values[cases]))
    return tmp_path / "forecast.zarr"


@pytest.fixture
def check(saved, wave_task):
    """Checks the saved forecast against the task; gives every value."""

    def run() -> torch.Tensor:
        forecast = check_forecast(saved, wave_task(), {"regular": SHAPE})
        return torch.cat([part.values for _, part in forecast.batches(REGULAR)])

    return run


@pytest.fixture
def edit(saved):
    """Edits the metadata of the saved array, or of the group: `edit(shape=[1, 2, 3])`."""

    def change(node: str = "regular", **fields: Any) -> None:
        path = saved / node / "zarr.json"
        metadata = json.loads(path.read_text())
        path.write_text(json.dumps(metadata | fields))

    return change


def test_a_forecast_comes_back_as_it_was_written(check):
    values = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))

    assert torch.equal(check(), values.double())


def test_the_space_of_an_array_name_is_that_of_a_file_name():
    scenario = REGULAR.model_copy(update={"key": "robustness/awgn/snr_db=20"})

    assert array_name(scenario) == "robustness_awgn_snr_db=20"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shape": [109, 12, 3]}, r"has the shape \[109, 12, 3\]; .* is \[109, 12, 2\]"),
        ({"shape": [10**9, 12, 2]}, "has the shape"),
        ({"shape": 5}, "has the shape 5"),
        ({"data_type": "int32"}, "has the dtype 'int32'; it must be one of"),
        ({"data_type": "complex64"}, "has the dtype 'complex64'"),
        ({"data_type": {"name": "object"}}, "has the dtype"),
        ({"codecs": [{"name": "bytes"}, {"name": "pickle"}]}, r"uses the codecs \['pickle'\]; allowed are"),
        ({"codecs": [{"name": ["bytes"]}]}, "uses the codecs"),
        ({"codecs": "bytes"}, "'codecs' must be a list"),
        ({"codecs": [{"name": "sharding_indexed"}]}, r"uses the codecs \['sharding_indexed'\]"),
        ({"storage_transformers": [{"name": "remote"}]}, "storage transformers; none is allowed"),
        (
            {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**9, 12, 2]}}},
            "has chunks of",
        ),
        ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 12, 2]}}}, "3 positive"),
        ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [109, 24]}}}, "3 positive"),
        ({"chunk_grid": {"name": "rectilinear", "configuration": {}}}, "must be regular"),
        ({"chunk_grid": None}, "must be regular"),
        ({"zarr_format": 2}, "does not describe a Zarr v3 array"),
        ({"node_type": "group"}, "does not describe a Zarr v3 array"),
        ({"attributes": [1]}, "'attributes' must be an object"),
        ({"fill_value": "rm -rf"}, "cannot be opened"),
        ({"chunk_key_encoding": {"name": "../../etc"}}, "cannot be opened"),
        ({"dimension_names": 7}, "cannot be opened"),
    ],
)
def test_metadata_that_do_not_describe_the_forecast_are_refused_before_a_chunk_is_read(
    check, edit, fields, message
):
    edit(**fields)

    with pytest.raises(InputError, match=message):
        check()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"task": "waves-24"}, "is a forecast of task 'waves-24', not 'waves-12'"),
        ({"version": 2}, "is a forecast of version '2', not '1'"),
        ({"space": "decibels"}, "attribute 'space' is 'decibels'; it must be"),
        ({"kind": "ensemble"}, "attribute 'kind' is 'ensemble'; it must be one of point, quantiles, samples"),
        ({"kind": ["point"]}, "attribute 'kind' is"),
        ({"kind": "samples"}, "has the shape"),
        ({"kind": "quantiles"}, "'quantiles' must be a list of 1 to 199 levels"),
        ({"kind": "quantiles", "quantiles": []}, "'quantiles' must be a list"),
        ({"kind": "quantiles", "quantiles": [0.5] * 200}, "'quantiles' must be a list"),
        ({"kind": "quantiles", "quantiles": [0.5, 0.1]}, "'quantiles' must ascend within"),
        ({"kind": "quantiles", "quantiles": [0.5, 0.5]}, "'quantiles' must ascend within"),
        ({"kind": "quantiles", "quantiles": [0.0, 0.5]}, "'quantiles' must ascend within"),
        ({"kind": "quantiles", "quantiles": [0.5, 1.5]}, "'quantiles' must ascend within"),
        ({"kind": "quantiles", "quantiles": [True, 0.5]}, "'quantiles' must ascend within"),
        ({"kind": "quantiles", "quantiles": ["0.5"]}, "'quantiles' must ascend within"),
        ({"kind": "quantiles", "quantiles": {"0.5": 1}}, "'quantiles' must be a list"),
        ({"kind": "quantiles", "quantiles": [0.1, 0.5]}, "has the shape"),
        ({"model": "../../etc/passwd"}, "attribute 'model' must be a name"),
        ({"model": "<script>"}, "attribute 'model' must be a name"),
        ({"model": ["a"]}, "attribute 'model' must be a name"),
        ({"model": ".tmp-x"}, "attribute 'model' must be a name"),
        ({"model": "a" * 65}, "attribute 'model' must be a name"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(check, edit, attributes, message):
    edit("", attributes=attributes)

    with pytest.raises(InputError, match=message):
        check()


def test_links_are_refused(check, saved):
    (saved / "regular" / "c").rename(saved / "elsewhere")
    (saved / "regular" / "c").symlink_to(saved / "elsewhere")

    with pytest.raises(InputError, match="holds a link"):
        check()


def test_oversized_metadata_is_refused_unread(check, saved):
    (saved / "zarr.json").write_text(" " * (10**6 + 1) + "{}")

    with pytest.raises(InputError, match="is larger than 1000000 bytes"):
        check()


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, "\xff"])
def test_metadata_that_are_not_an_object_are_refused(check, saved, text):
    (saved / "regular" / "zarr.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(InputError, match=r"is not JSON|does not describe"):
        check()


def test_too_many_files_are_refused(check, saved, monkeypatch):
    monkeypatch.setattr("tsbench.evaluation.array_check.FILE_LIMIT", 3)

    with pytest.raises(InputError, match="is larger than 3 files"):
        check()


def test_a_folder_without_the_regular_scenario_or_without_metadata_is_refused(check, saved):
    (saved / "regular").rename(saved.parent / "irregular")
    with pytest.raises(InputError, match="has no array 'regular'"):
        check()
    (saved / "zarr.json").unlink()
    with pytest.raises(InputError, match=r"is not a Zarr v3 group: it has no zarr.json"):
        check()
    shutil.rmtree(saved)
    with pytest.raises(InputError, match="is not a Zarr directory"):
        check()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_missing_or_not_finite_are_refused(check, saved, value):
    zarr.open_array(saved / "regular")[7, 3, 1] = value

    with pytest.raises(InputError, match="'regular' has values that are missing or not finite"):
        check()


def test_missing_chunks_are_missing_values(check, saved):
    shutil.rmtree(saved / "regular" / "c")

    with pytest.raises(InputError, match="missing or not finite"):
        check()


def test_a_flipped_byte_in_a_chunk_is_noticed(check, saved):
    (chunk,) = [path for path in (saved / "regular" / "c").rglob("*") if path.is_file()]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)

    with pytest.raises(InputError, match="cases from 0 of 'regular' are damaged"):
        check()


class TestScoring:
    @pytest.fixture
    def ran(self, waves_at_hand, wave_task):
        """A Result of linear with its forecasts saved."""
        conduct = Conduct(track=False, save_forecasts=True)
        result = tb.run("linear", wave_task(), conduct=conduct, context=48, threads=1)
        (folder,) = waves_at_hand.rglob("forecast.zarr")
        return result, folder

    def test_a_saved_forecast_scores_as_the_run_that_made_it(self, ran, waves_at_hand):
        result, folder = ran

        scored = tb.score(folder, "waves-12")

        for metric, by_condition in result.scores.items():
            assert scored.scores[metric] == pytest.approx(by_condition, abs=1e-6)
        assert (scored.model.name, scored.cases) == ("linear", result.cases)
        assert (scored.track.tuning, scored.track.learning, scored.track.context) == (
            "unknown",
            "unknown",
            None,
        )
        assert scored.task == result.task
        units = read_table(waves_at_hand / "scored" / "waves-12" / "linear", "units.parquet")
        assert len(units) == -(-109 // 24)

    def test_a_forecast_in_physical_units_scores_the_same(self, ran, wave_task, tmp_path):
        result, folder = ran
        data = TaskData.open(wave_task())
        group = zarr.open_group(folder)
        values = torch.from_numpy(group["regular"][:])
        group.attrs["space"] = "units"
        group["regular"][:] = data.scale.to_units(values.double()).float().numpy()

        scored = tb.score(folder, "waves-12", out=tmp_path / "scored")

        for metric, by_condition in result.scores.items():
            assert scored.scores[metric] == pytest.approx(by_condition, rel=1e-5)

    def test_a_forecast_of_another_task_or_an_unknown_one_is_refused(self, ran, tmp_path):
        _, folder = ran

        with pytest.raises(InputError, match=r"Unknown task 'waves'. Did you mean 'waves-12'"):
            tb.score(folder, "waves")
        with pytest.raises(InputError, match="is not a Zarr directory"):
            tb.score(tmp_path / "nothing.zarr", "waves-12")

    def test_a_folder_that_holds_something_else_is_refused_and_kept(self, ran, tmp_path):
        result, folder = ran
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.txt").write_text("years of work")

        for out in (tmp_path / "thesis", tmp_path / "thesis" / "chapter.txt"):
            with pytest.raises(InputError, match="exists and is no Result"):
                tb.score(folder, "waves-12", out=out)

        assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
        for _ in range(2):  # an older Result is replaced
            assert tb.score(folder, "waves-12", out=tmp_path / "scored").cases == result.cases

    def test_a_refused_forecast_leaves_nothing(self, ran, tmp_path):
        _, folder = ran
        zarr.open_array(folder / "regular")[7, 3, 1] = np.nan

        with pytest.raises(InputError):
            tb.score(folder, "waves-12", out=tmp_path / "scored")
        assert not (tmp_path / "scored").exists()


LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
DRAWN = torch.randn((5, *SHAPE), generator=torch.Generator().manual_seed(1)).sort(dim=0).values
KINDS = {"quantiles": Forecast(DRAWN, "quantiles", LEVELS), "samples": Forecast(DRAWN, "samples")}


@pytest.fixture
def save(tmp_path, wave_task):
    """Saves a forecast in batches: `save(Forecast)` gives the group."""

    def run(forecast: Forecast, name: str = "probable.zarr") -> Path:
        with atomic.new_folder(tmp_path / name) as folder:
            writer = ForecastWriter(folder, wave_task(quantiles=LEVELS), "mine")
            writer.create(REGULAR, SHAPE)
            for cases in torch.arange(109).split(40):
                part = Forecast(forecast.values[:, cases], forecast.kind, forecast.quantiles)
                writer.write(REGULAR, cases, part)
        return tmp_path / name

    return run


class TestKinds:
    @pytest.mark.parametrize("kind", KINDS)
    def test_forecasts_of_a_kind_come_back_as_they_were_written(self, save, wave_task, kind):
        folder = save(KINDS[kind])

        found = check_forecast(folder, wave_task(), {"regular": SHAPE})

        assert (found.kind, found.quantiles) == (kind, KINDS[kind].quantiles)
        parts = [one for _, one in found.batches(REGULAR)]
        assert torch.equal(torch.cat([one.values for one in parts], dim=1), DRAWN.double())
        assert all((one.kind, one.quantiles) == (kind, KINDS[kind].quantiles) for one in parts)
        array = zarr.open_array(folder / "regular")
        name = {"quantiles": "quantile", "samples": "realization"}[kind]
        assert array.shape == (109, 5, 12, 2)
        assert array.metadata.dimension_names == ("sample", name, "lead_time", "channel")

    @pytest.mark.parametrize("kind", KINDS)
    def test_blocks_of_large_cases_are_smaller_and_hold_the_same(self, save, wave_task, monkeypatch, kind):
        monkeypatch.setattr("tsbench.evaluation.blocks.BLOCK_BYTES", 7 * 5 * 12 * 2 * 4)
        found = check_forecast(save(KINDS[kind]), wave_task(), {"regular": SHAPE})

        blocks = [len(cases) for cases, _ in found.batches(REGULAR)]

        assert blocks == [7] * 15 + [4]
        assert found.arrays["regular"].chunk == (7, 5, 12, 2)
        assert torch.equal(
            torch.cat([one.values for _, one in found.batches(REGULAR)], dim=1), DRAWN.double()
        )

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ([109, 1001, 12, 2], "has 1001 members; 1 to 1000 are allowed"),
            ([109, 0, 12, 2], "has 0 members"),
            ([109, True, 12, 2], r"has the shape \[109, True, 12, 2\]"),
            ([109, 5, 12, 3], r"\(sample, realization, lead_time, channel\) is \[109, 5, 12, 2\]"),
            ([109], r"\(sample, realization, lead_time, channel\)"),
            (None, "has the shape None"),
        ],
    )
    def test_members_of_another_shape_are_refused(self, save, wave_task, shape, message):
        path = save(KINDS["samples"]) / "regular" / "zarr.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"shape": shape}))

        with pytest.raises(InputError, match=message):
            check_forecast(path.parents[1], wave_task(), {"regular": SHAPE})

    def test_as_many_levels_as_quantiles_are_needed(self, save, wave_task):
        folder = save(KINDS["quantiles"])
        group = zarr.open_group(folder)
        group.attrs["quantiles"] = [0.1, 0.5, 0.9]

        with pytest.raises(
            InputError, match=r"\(sample, quantile, lead_time, channel\) is \[109, 3, 12, 2\]"
        ):
            check_forecast(folder, wave_task(), {"regular": SHAPE})

    def test_more_values_than_can_be_read_are_refused(self, save, wave_task, monkeypatch):
        monkeypatch.setattr("tsbench.evaluation.forecast_store.VALUE_BYTE_LIMIT", 1000)

        with pytest.raises(InputError, match="holds 52320 bytes of values; at most 1000 are read"):
            check_forecast(save(KINDS["samples"]), wave_task(), {"regular": SHAPE})

    @pytest.mark.parametrize("other", [KINDS["samples"], Forecast(DRAWN[:3], "quantiles", (0.1, 0.5, 0.9))])
    def test_forecasts_of_two_forms_are_not_saved_together(self, tmp_path, wave_task, other):
        writer = ForecastWriter(tmp_path, wave_task(), "mine")
        writer.create(REGULAR, SHAPE)
        writer.write(REGULAR, torch.arange(109), KINDS["quantiles"])

        with pytest.raises(JobFailed, match="need the same kind, levels and members"):
            writer.write(REGULAR, torch.arange(109), other)


class Spread(LastValue):
    """Quantiles around the last value, ever wider."""

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        values = super().predict(batch).values
        steps = torch.arange(1, 13)[:, None] ** 0.5
        return Forecast(torch.stack([values + (one - 0.5) * steps for one in LEVELS]), "quantiles", LEVELS)


class Drawing(LastValue):
    """Members around the last value, from the generator that it is given."""

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        values = super().predict(batch).values
        return Forecast(values + torch.randn((7, *values.shape), generator=generator), "samples")


ALL = [name for name, one in METRICS.items() if one.view == "sequence"]


class TestScoringKinds:
    @pytest.mark.parametrize("space", ["normalised", "units"])
    @pytest.mark.parametrize("model", [LastValue, Spread, Drawing])
    def test_a_saved_forecast_scores_as_the_run_that_made_it(
        self, waves_at_hand, wave_task, monkeypatch, model, space
    ):
        metrics = [name for name in ALL if model is not Spread or name != "energy_score"]
        task = wave_task(metrics=metrics, quantiles=LEVELS, space=space)
        known = tb.registry.tasks()
        monkeypatch.setattr(tb.registry, "tasks", lambda: known | {"waves-12": task})
        conduct = Conduct(track=False, save_forecasts=True)

        result = tb.run(model, task, conduct=conduct, context=48, threads=1)
        (folder,) = waves_at_hand.rglob("forecast.zarr")
        scored = tb.score(folder, "waves-12")

        kind = {LastValue: "point", Spread: "quantiles", Drawing: "samples"}[model]
        assert result.forecast_kind == scored.forecast_kind == kind
        assert set(scored.scores) == set(metrics)
        for metric, by_condition in result.scores.items():
            assert scored.scores[metric] == pytest.approx(by_condition, rel=1e-6, abs=1e-6), metric

    def test_a_forecast_without_a_level_that_the_task_needs_leaves_nothing(
        self, waves_at_hand, wave_task, monkeypatch, save, tmp_path
    ):
        task = wave_task(metrics=["mse", "msis"], quantiles=LEVELS)
        known = tb.registry.tasks()
        monkeypatch.setattr(tb.registry, "tasks", lambda: known | {"waves-12": task})
        folder = save(Forecast(DRAWN[:3], "quantiles", (0.1, 0.5, 0.9)))

        with pytest.raises(
            InputError, match=r"msis needs the quantiles 0.025, 0.975; the forecast has 0.1, 0.5"
        ):
            tb.score(folder, "waves-12", out=tmp_path / "scored")
        assert not (tmp_path / "scored").exists()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**40)
    | st.floats()
    | st.sampled_from(["bytes", "zstd", "", "é/.."]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "configuration", "level", "endian", "cname"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
FIELDS = (
    "attributes", "chunk_grid", "chunk_key_encoding", "codecs", "data_type", "dimension_names", "fill_value",
    "node_type", "shape", "storage_transformers", "zarr_format", "consolidated_metadata",
)  # fmt: skip


@given(field=st.sampled_from(FIELDS), value=JSON, codec=st.none() | JSON)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_metadata_say_the_answer_is_a_refusal_or_the_forecast(saved, check, field, value, codec):
    path = saved / "regular" / "zarr.json"
    whole = path.read_text()
    edited = json.loads(whole) | {field: value}
    if codec is not None:
        edited["codecs"] = [
            {"name": "bytes", "configuration": codec},
            {"name": "blosc", "configuration": codec},
        ]
    path.write_text(json.dumps(edited))
    try:
        with contextlib.suppress(InputError):
            assert check().shape == SHAPE
    finally:
        path.write_text(whole)


def test_an_array_of_no_scenario_is_refused_with_the_nearest(saved, wave_task):
    (saved / "regulra").mkdir()

    with pytest.raises(InputError, match="'regulra' is no scenario of waves-12; did you mean 'regular'?"):
        check_forecast(saved, wave_task(), {"regular": SHAPE})
