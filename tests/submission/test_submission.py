"""Submissions: what is packed passes, and everything that was changed is refused in one line."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import yaml
import zarr

from tsbench.contracts import InputError
from tsbench.submission.check import check
from tsbench.submission.confined import check_confined
from tsbench.submission.pack import pack

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "submission.yml"


@pytest.fixture(scope="module")
def packed(tmp_path_factory, outcome):
    """A submission of the last value on load-demo-24, made once."""
    return pack(outcome.folder, out=tmp_path_factory.mktemp("packed") / "submission"), outcome


@pytest.fixture
def submission(packed, tmp_path):
    """A copy that may be changed."""
    return Path(shutil.copytree(packed[0], tmp_path / "submission"))


def listed_again(folder: Path) -> None:
    """Make the manifest true again: whoever changes a file can do so too."""
    manifest = json.loads((folder / "submission.json").read_text())
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "submission.json")
    manifest["files"] = [
        {
            "path": path.relative_to(folder).as_posix(),
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
    ]
    (folder / "submission.json").write_text(json.dumps(manifest))


def change_result(folder: Path, change) -> None:
    record = json.loads((folder / "result.json").read_text())
    change(record)
    (folder / "result.json").write_text(json.dumps(record))
    listed_again(folder)


def test_a_packed_result_passes_and_its_scores_are_those_of_the_forecasts(packed, submission):
    found = check(submission)

    assert (found.model, found.task, found.seed) == ("last_value", "load-demo-24", 0)
    assert found.scores == sum(len(one) for one in packed[1].result.scores.values())
    assert found.rows > 100
    assert found.largest < 1e-6
    assert "maker's word" in found.notes[-1]


def test_the_same_in_a_process_with_limits(submission):
    assert check_confined(submission) == check(submission)


def test_a_process_that_needs_more_than_it_may_is_one_line(submission):
    with pytest.raises(InputError, match=r"cannot be checked within 0.001 minutes"):
        check_confined(submission, minutes=0.001)
    with pytest.raises(InputError, match=r"cannot be checked with 0.001 GB of memory"):
        check_confined(submission, memory_gb=0.001)


def test_a_refusal_comes_out_of_the_process_as_it_is(submission):
    (submission / "card.json").write_text("{}")
    with pytest.raises(InputError, match=r"card.json has another size or hash than the manifest says"):
        check_confined(submission)


@pytest.mark.parametrize("apart", [2e-6, -2e-6, 1.0])
def test_a_score_that_differs_is_refused(submission, apart):
    change_result(
        submission,
        lambda one: one["scores"]["mae"].update(regular=one["scores"]["mae"]["regular"] * (1 + apart)),
    )

    with pytest.raises(InputError, match=r"mae under regular is .* in the Result; the forecasts give"):
        check(submission)


def test_a_difference_of_rounding_passes(submission):
    change_result(
        submission,
        lambda one: one["scores"]["mae"].update(regular=one["scores"]["mae"]["regular"] * (1 + 1e-8)),
    )

    assert check(submission).largest >= 5e-9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one["scores"]["mae"].pop("regular"), "is not a score of both sides"),
        (lambda one: one["scores"]["mae"].update(regular=None), "mae under regular is None"),
        (lambda one: one["task"].update(hash="0" * 16), "is of version 1 of load-demo-24"),
        (lambda one: one["task"]["recipe"].update(load_demo="0" * 16), "was made on load_demo of recipe"),
        (lambda one: one.update(parity={"drop_last": 256}), "is a parity run"),
        (lambda one: one.update(cases=1), "number of cases"),
        (lambda one: one.update(forecast_kind="samples"), "kind of the forecasts"),
        (lambda one: one.update(primary="mse2"), "primary metric"),
        (lambda one: one.update(seed=7), "not of the same model, task and seed"),
        (lambda one: one["model"].update(name="dlinear"), "not of the same model, task and seed"),
        (lambda one: one.update(note="x"), "note: Extra inputs are not permitted"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(submission, change, reason):
    change_result(submission, change)

    with pytest.raises(InputError, match=reason):
        check(submission)


@pytest.mark.parametrize("name", ["scores.parquet", "units.parquet"])
@pytest.mark.parametrize("column", ["numerator", "denominator"])
def test_a_row_of_a_table_that_differs_is_refused(submission, name, column):
    table = pyarrow.parquet.read_table(submission / name)
    values = table[column].to_numpy().copy()
    values[-1] *= 1.001
    place = table.schema.get_field_index(column)
    table = table.set_column(place, column, pyarrow.array(values, table.schema.field(column).type))
    pyarrow.parquet.write_table(table, submission / name)
    listed_again(submission)

    with pytest.raises(InputError, match="in the Result; the forecasts give"):
        check(submission)


def test_a_missing_row_is_refused(submission):
    table = pyarrow.parquet.read_table(submission / "units.parquet")
    pyarrow.parquet.write_table(table.slice(1), submission / "units.parquet")
    listed_again(submission)

    with pytest.raises(InputError, match="has other rows than the forecasts give"):
        check(submission)


def test_forecasts_that_differ_are_refused(submission):
    array = zarr.open_group(submission / "forecast.zarr", mode="r+")["regular"]
    array[0] = np.asarray(array[0]) + 1
    listed_again(submission)

    with pytest.raises(InputError, match="in the Result; the forecasts give"):
        check(submission)


def test_files_that_do_not_belong_there_are_refused(submission):
    (submission / "run.sh").write_text("echo")
    with pytest.raises(InputError, match=r"run.sh is not in the manifest"):
        check(submission)
    listed_again(submission)
    with pytest.raises(InputError, match=r"run.sh does not belong to a submission"):
        check(submission)


def test_a_file_that_is_gone_and_a_link_are_refused(submission):
    (submission / "units.parquet").unlink()
    with pytest.raises(InputError, match=r"units.parquet is in the manifest and not there"):
        check(submission)
    (submission / "units.parquet").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="holds a link"):
        check(submission)


@pytest.mark.parametrize("path", ["../result.json", "/etc/passwd", "a/../b", "a//b", "", "a b"])
def test_a_manifest_cannot_name_a_path_elsewhere(submission, path):
    manifest = json.loads((submission / "submission.json").read_text())
    manifest["files"][0]["path"] = path
    (submission / "submission.json").write_text(json.dumps(manifest))

    with pytest.raises(InputError, match=r"files.0.path|is in the manifest and not there"):
        check(submission)


def test_packing_says_what_is_missing(packed, tmp_path, stores_root):
    folder = shutil.copytree(packed[1].folder, tmp_path / "run" / "result")
    with pytest.raises(
        InputError, match="Keep the forecasts with: tsbench run last_value load-demo-24 .*--save-forecasts"
    ):
        pack(Path(folder))
    with pytest.raises(InputError, match="exists; choose another folder with --out"):
        pack(packed[1].folder, out=tmp_path)
    with pytest.raises(InputError, match="is not a Result"):
        pack(tmp_path)


def test_a_model_that_is_not_installed_brings_its_card(packed, tmp_path):
    run_folder = Path(shutil.copytree(packed[1].job.folder, tmp_path / "run"))
    folder = run_folder / packed[1].folder.name
    record = json.loads((folder / "result.json").read_text())
    record["model"]["name"] = "somebody_elses"
    (folder / "result.json").write_text(json.dumps(record))
    zarr.open_group(run_folder / "forecast.zarr", mode="r+").attrs["model"] = "somebody_elses"
    with pytest.raises(
        InputError, match="somebody_elses is not installed here; name its card.yaml with --card"
    ):
        pack(folder, out=tmp_path / "a")
    card = tmp_path / "card.yaml"
    card.write_text(
        "name: somebody_elses\ntitle: T\nsummary: S\nkind: neural\nclass_name: C\n"
        "settings: [{tasks: ['*'], context: 24}]\n"
    )

    assert check(pack(folder, card=card, out=tmp_path / "b")).model == "somebody_elses"


def test_the_workflow_reads_the_pull_request_as_data_without_rights():
    flow = yaml.safe_load(WORKFLOW.read_text())
    steps = flow["jobs"]["check"]["steps"]

    assert set(flow[True]) == {"pull_request"}  # YAML reads the key `on` so
    assert flow["permissions"] == {"contents": "read"}
    assert "secrets." not in WORKFLOW.read_text()
    assert steps[0]["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    # What the pull request says reaches the shell in variables only.
    assert not any("${{" in step.get("run", "") for step in steps)
    assert all(step["with"]["persist-credentials"] is False for step in steps[:2])
