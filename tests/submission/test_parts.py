"""Large forecasts: hashes first, then a part that nobody could choose; whatever was changed is refused.

Large is here what holds more than `LIMIT` bytes.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import zarr

from tsbench.contracts import InputError
from tsbench.contracts.commitment import Commitment, CommittedArray, Verified
from tsbench.leaderboard.verified import verified_at
from tsbench.submission.accept import accept
from tsbench.submission.check import check
from tsbench.submission.commitment import commit
from tsbench.submission.confined import check_confined
from tsbench.submission.draw import draw
from tsbench.submission.pack import answer, pack

LIMIT, CHALLENGE, OTHER = 100_000, "drawn-0001", "drawn-0002"


@pytest.fixture(scope="module")
def forecast(outcome, tmp_path_factory) -> Path:
    """The forecasts in plain chunks of 64 cases, so that there are rows enough to draw from."""
    source = zarr.open_group(outcome.job.folder / "forecast.zarr", mode="r")
    folder = tmp_path_factory.mktemp("forecast") / "forecast.zarr"
    copy = zarr.open_group(folder, mode="w", zarr_format=3)
    copy.attrs.update(dict(source.attrs))
    for name, array in source.arrays():
        made = copy.create_array(
            name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=(64, *array.shape[1:]),
            compressors=None,
            fill_value=float("nan"),
        )
        made[:] = array[:]
    return folder


@pytest.fixture(scope="module")
def packed(outcome, forecast, tmp_path_factory) -> Path:
    """A submission of hashes."""
    out = tmp_path_factory.mktemp("packed") / "submission"
    return pack(outcome.folder, forecast=forecast, out=out, limit=LIMIT)


@pytest.fixture(scope="module")
def answered(packed, forecast, stores_root, tmp_path_factory) -> Path:
    """The same with the part that belongs to `CHALLENGE`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSBENCH_DATA", str(stores_root))
        folder = Path(shutil.copytree(packed, tmp_path_factory.mktemp("answered") / "submission"))
        answer(folder, forecast, CHALLENGE, LIMIT)
        return folder


@pytest.fixture
def submission(answered, tmp_path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(answered, tmp_path / "submission"))


def rows_of(folder: Path) -> list[Path]:
    return sorted((folder / "forecast.zarr").glob("*/c/*"))


def change_json(path: Path, change) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def listed_again(folder: Path) -> None:
    """Make the manifest true again, but for chunks: those come after it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and "/c/" not in path.as_posix()]

    def change(manifest):
        manifest["files"] = [
            {
                "path": path.relative_to(folder).as_posix(),
                "size": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in paths
            if path.name != "submission.json"
        ]

    change_json(folder / "submission.json", change)


def answered_again(folder: Path, forecast: Path) -> None:
    """What a maker does after a change: a new manifest, and the part that its hash now draws."""
    listed_again(folder)
    answer(folder, forecast, CHALLENGE, LIMIT)


def test_hashes_alone_are_small_and_hold_no_forecast(packed, forecast):
    assert not rows_of(packed)
    assert len(list((packed / "forecast.zarr").glob("*/zarr.json"))) > 1
    committed = Commitment.model_validate_json((packed / "forecast.json").read_text())
    held = sum(path.stat().st_size for path in forecast.glob("*/c/**/*") if path.is_file())
    assert sum(sum(array.sizes) for array in committed.arrays) == held > 5 * LIMIT


def test_a_forecast_up_to_the_limit_is_packed_whole(outcome, forecast, tmp_path):
    folder = pack(outcome.folder, forecast=forecast, out=tmp_path / "whole", limit=10**8)

    found = check(folder)

    assert not (folder / "forecast.json").exists()
    assert found.verified.whole
    assert found.verified.bytes == found.verified.bytes_in_all > 5 * LIMIT


def test_the_drawn_part_passes_and_the_record_says_how_much_it_is(answered):
    found = check(answered, CHALLENGE, LIMIT)

    seen = found.verified
    assert 0 < seen.units < seen.units_in_all
    held = [path.stat().st_size for row in rows_of(answered) for path in row.rglob("*") if path.is_file()]
    assert seen.bytes == sum(held) <= LIMIT
    assert f"{seen.units} of {seen.units_in_all} units" in found.notes[-1]
    assert found.largest < 1e-6
    assert found.rows >= seen.units


def test_the_same_in_a_process_with_limits(answered):
    assert check_confined(answered, challenge=CHALLENGE, limit=LIMIT) == check(answered, CHALLENGE, LIMIT)


def test_without_a_challenge_nothing_is_believed(packed, submission):
    for folder in (packed, submission):
        with pytest.raises(InputError, match="draw a part by `--challenge`"):
            check(folder, limit=LIMIT)
    with pytest.raises(InputError, match="8 to 64 letters"):
        check_confined(submission, challenge="a b", limit=LIMIT)


def test_another_challenge_draws_other_rows(packed, submission, forecast):
    with pytest.raises(InputError, match=r"lacks row \d+ of '.*', which was drawn.*tsbench board answer"):
        check(submission, OTHER, LIMIT)
    before = {row.relative_to(submission) for row in rows_of(submission)}
    answer(submission, forecast, OTHER, LIMIT)
    assert {row.relative_to(submission) for row in rows_of(submission)} != before
    assert check(submission, OTHER, LIMIT).verified.challenge == OTHER


def test_a_changed_manifest_draws_another_part(submission):
    change_json(submission / "result.json", lambda one: one["provenance"].update(host="elsewhere"))
    listed_again(submission)
    with pytest.raises(InputError, match="which was drawn|was not drawn"):
        check(submission, CHALLENGE, LIMIT)


def test_a_row_that_is_missing_changed_or_too_much_is_refused(submission, forecast):
    row = rows_of(submission)[0]
    chunk = next(path for path in row.rglob("*") if path.is_file())
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=rf"row {row.name} of '.*' has another size or hash than was fixed"):
        check(submission, CHALLENGE, LIMIT)
    chunk.unlink()
    with pytest.raises(InputError, match="has another size or hash than was fixed"):
        check(submission, CHALLENGE, LIMIT)
    shutil.rmtree(row)
    with pytest.raises(InputError, match=f"lacks row {row.name} of"):
        check(submission, CHALLENGE, LIMIT)


def test_rows_that_were_not_drawn_are_refused(submission, forecast):
    there = {row.relative_to(submission / "forecast.zarr") for row in rows_of(submission)}
    other = next(
        path.relative_to(forecast)
        for path in sorted(forecast.glob("*/c/*"))
        if path.relative_to(forecast) not in there
    )
    shutil.copytree(forecast / other, submission / "forecast.zarr" / other)
    with pytest.raises(InputError, match=f"row {other.name} of '.*' was not drawn"):
        check(submission, CHALLENGE, LIMIT)


def test_a_file_among_the_chunks_that_is_no_row_is_refused(submission):
    array = rows_of(submission)[0].parents[1]
    (array / "c" / "run.sh").write_text("echo")
    with pytest.raises(InputError, match=r"row run.sh of '.*' was not drawn"):
        check(submission, CHALLENGE, LIMIT)


def test_a_link_in_place_of_a_chunk_is_refused(submission):
    chunk = next(path for path in rows_of(submission)[0].rglob("*") if path.is_file())
    chunk.unlink()
    chunk.symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="holds a link"):
        check(submission, CHALLENGE, LIMIT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one["arrays"][0]["sizes"].__setitem__(0, 10**9), "is said to hold 1000000000 bytes"),
        (lambda one: one["arrays"][0]["sizes"].__setitem__(0, 0), "is said to hold 0 bytes"),
        (lambda one: one["arrays"][0]["sizes"].__setitem__(0, -5), "greater than or equal to 0"),
        (lambda one: one["arrays"][0]["sizes"].pop(), "need as many sizes and hashes"),
        (lambda one: one["arrays"][0]["hashes"].pop(), "need as many sizes and hashes"),
        (
            lambda one: one["arrays"][0].update(cases=1, sizes=[1], hashes=["0" * 64]),
            "another number of cases",
        ),
        (lambda one: one["arrays"].pop(), "not of the same scenarios"),
        (lambda one: one["arrays"].append(one["arrays"][0]), "an array is named twice"),
        (lambda one: one["arrays"][0].update(name="../x"), "should match pattern"),
        (lambda one: one.update(note="x"), "Extra inputs are not permitted"),
    ],
)
def test_hashes_that_lie_about_sizes_or_shape_are_refused(submission, change, reason):
    change_json(submission / "forecast.json", change)
    listed_again(submission)
    with pytest.raises(InputError, match=reason):
        check(submission, CHALLENGE, LIMIT)


def test_a_size_that_is_a_little_off_is_found_where_the_row_is_drawn(submission, forecast):
    def change(one):
        for array in one["arrays"]:
            array["sizes"] = [size + 1 for size in array["sizes"]]

    change_json(submission / "forecast.json", change)
    listed_again(submission)
    with pytest.raises(InputError, match="is not what was hashed"):
        answer(submission, forecast, CHALLENGE, LIMIT)


def test_errors_of_drawn_units_that_differ_are_refused(submission, forecast):
    """A maker whose table says less than the forecasts give is found in whatever unit is drawn."""
    table = pyarrow.parquet.read_table(submission / "units.parquet")
    place = table.schema.get_field_index("numerator")
    smaller = pyarrow.array(table["numerator"].to_numpy() * 0.9, table.schema.field("numerator").type)
    pyarrow.parquet.write_table(table.set_column(place, "numerator", smaller), submission / "units.parquet")
    answered_again(submission, forecast)
    with pytest.raises(InputError, match=r"units.parquet, .* in the Result; the forecasts give"):
        check(submission, CHALLENGE, LIMIT)


def test_totals_that_do_not_follow_from_units_are_refused(submission, forecast):
    table = pyarrow.parquet.read_table(submission / "scores.parquet")
    place = table.schema.get_field_index("numerator")
    smaller = pyarrow.array(table["numerator"].to_numpy() * 0.9, table.schema.field("numerator").type)
    pyarrow.parquet.write_table(table.set_column(place, "numerator", smaller), submission / "scores.parquet")
    answered_again(submission, forecast)
    with pytest.raises(InputError, match="in the Result; its own tables give"):
        check(submission, CHALLENGE, LIMIT)

    def scale(one):
        for values in one["scores"].values():
            for name in values:
                values[name] = None if values[name] is None else values[name] * 0.9

    change_json(submission / "result.json", lambda one: scale(one))
    answered_again(submission, forecast)
    with pytest.raises(InputError, match="in the Result; (its units|its own tables|the forecasts) give"):
        check(submission, CHALLENGE, LIMIT)


def test_an_aggregate_that_does_not_follow_from_the_tables_is_refused(submission, forecast):
    change_json(
        submission / "result.json",
        lambda one: one["scores"]["mae"].update(regular=one["scores"]["mae"]["regular"] * 0.99),
    )
    answered_again(submission, forecast)
    with pytest.raises(InputError, match="mae under regular is .* its own tables give"):
        check(submission, CHALLENGE, LIMIT)


def test_a_maker_cannot_answer_with_other_forecasts(submission, forecast, tmp_path):
    other = Path(shutil.copytree(forecast, tmp_path / "other.zarr"))
    for _, array in zarr.open_group(other, mode="r+").arrays():
        array[:] = np.asarray(array[:]) + 1
    with pytest.raises(InputError, match="is not what was hashed; pack the Result again"):
        answer(submission, other, CHALLENGE, LIMIT)


def test_a_challenge_for_whole_forecasts_is_refused(outcome, tmp_path):
    folder = pack(outcome.folder, out=tmp_path / "whole")
    with pytest.raises(InputError, match="holds its forecasts whole"):
        check(folder, CHALLENGE)
    with pytest.raises(InputError, match=r"holds no forecast.json"):
        answer(folder, folder / "forecast.zarr", CHALLENGE)


def test_a_forecast_with_files_that_are_no_chunks_is_not_hashed(forecast, tmp_path):
    other = Path(shutil.copytree(forecast, tmp_path / "other.zarr"))
    (other / "regular" / "c" / "x").write_text("x")
    with pytest.raises(InputError, match="which is no chunk of it"):
        commit(other)


def test_an_accepted_result_keeps_what_was_seen_and_nothing_of_the_maker(submission, tmp_path):
    found = check(submission, CHALLENGE, LIMIT)

    folder = accept(submission, found, tmp_path / "accepted")

    assert folder == tmp_path / "accepted" / "load-demo-24" / "last_value" / "seed-0"
    assert verified_at(folder) == found.verified
    assert {path.name for path in folder.iterdir()} == {
        "result.json", "scores.parquet", "units.parquet", "examples.parquet", "verified.json",
    }  # fmt: skip
    (submission / "result.json").write_text("{}")
    with pytest.raises(InputError, match="has changed since the check"):
        accept(submission, found, tmp_path / "again")


def test_a_submission_cannot_bring_a_record_of_its_own_check(submission, forecast):
    (submission / "verified.json").write_text("{}")
    with pytest.raises(InputError, match=r"verified.json is not in the manifest"):
        check(submission, CHALLENGE, LIMIT)
    listed_again(submission)
    with pytest.raises(InputError, match=r"verified.json does not belong to a submission"):
        check(submission, CHALLENGE, LIMIT)


def arrays_of(sizes: dict[str, list[int]], rows: int = 4) -> Commitment:
    return Commitment(
        arrays=tuple(
            CommittedArray(
                name=name,
                cases=rows * len(mine),
                rows=rows,
                sizes=tuple(mine),
                hashes=("0" * 64,) * len(mine),
            )
            for name, mine in sizes.items()
        )
    )


def test_a_unit_is_drawn_with_all_rows_that_hold_its_cases():
    commitment = arrays_of({"a": [10] * 6})
    units = {"a": np.arange(24) // 6}  # unit 0 is in rows 0 and 1, unit 1 in rows 1 and 2

    drawn = draw(commitment, units, "m", "c", 20)

    assert drawn.size == 20
    (unit,) = drawn.units["a"]
    assert drawn.rows["a"] == tuple(sorted({6 * unit // 4, (6 * unit + 5) // 4}))
    assert drawn.cases(commitment.arrays[0]).tolist() == [
        case for row in drawn.rows["a"] for case in range(4 * row, 4 * row + 4)
    ]


def test_every_unit_is_drawn_equally_often():
    commitment = arrays_of({"a": [10] * 8, "b": [10] * 8})
    units = {name: np.arange(32) // 4 for name in "ab"}
    counts = np.zeros((2, 8))
    for turn in range(800):
        drawn = draw(commitment, units, "m", str(turn), 40)
        for place, name in enumerate("ab"):
            counts[place, list(drawn.units[name])] += 1
    assert counts.sum() == 800 * 4
    assert np.abs(counts / 800 - 0.25).max() < 0.06


def test_a_part_never_exceeds_the_limit_and_the_first_unit_must_fit():
    commitment = arrays_of({"a": [10, 90, 10, 40]})
    units = {"a": np.arange(16) // 4}
    for turn in range(50):
        assert draw(commitment, units, "m", str(turn), 100).size <= 100
    with pytest.raises(InputError, match="larger than the 5 bytes"):
        draw(commitment, units, "m", "c", 5)


def test_words_say_the_share():
    shown = {"manifest": "0" * 64, "bytes": 1, "bytes_in_all": 9}
    part = Verified(units=1, units_in_all=2000, challenge=CHALLENGE, **shown)
    assert part.words.startswith("1 of 2000 units (0.05 %), drawn by lot")
    assert Verified(units=7, units_in_all=7, **shown).words.startswith("all 7 units")
    with pytest.raises(ValueError, match="a part is larger than the whole"):
        Verified(units=8, units_in_all=7, **shown)
