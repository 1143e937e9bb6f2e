"""A corpus opened: what is drawn, what is held out, what lies in a sequence."""

import json

import numpy as np
import pytest
import torch

from tsbench.contracts import Corpus, InputError, Provenance, Variant
from tsbench.data.cases import Batches
from tsbench.data.corpus import CorpusData
from tsbench.data.store import write_store
from tsbench.data.tested import refuse_test_data


def declared(*members, **changes) -> Corpus:
    return Corpus.model_validate(
        {"name": "mix", "length": 24, "horizon": 8, "epoch": 64, "holdout": 0.2, "members": members} | changes
    )


@pytest.fixture
def sequences(tmp_path):
    """Writes sequences to a file that a corpus can name."""

    def write(*values, name="set.jsonl"):
        lines = [json.dumps({"sequence": [float(one) for one in some]}) for some in values]
        (tmp_path / name).write_text("\n".join(lines))
        return {"path": name}

    return write


@pytest.fixture
def noise():
    def make(length: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal(length)

    return make


@pytest.fixture
def open_(tmp_path):
    return lambda *members, **changes: CorpusData.open(declared(*members, **changes), tmp_path)


def whole(batch) -> torch.Tensor:
    return torch.cat([batch["context"], batch["target"]], dim=1)[..., 0]


def test_a_sequence_is_a_piece_of_its_normalised_series(open_, sequences, noise):
    series = [noise(200, seed) * 5 + 100 for seed in range(6)]
    data = open_(sequences(*series), held_out=("file:set.jsonl/0",), holdout=0)
    pieces = np.concatenate(
        [
            np.lib.stride_tricks.sliding_window_view((one - one.mean()) / one.std(), 24)
            for one in np.float32(series[1:]).astype(float)
        ]
    )

    drawn = whole(next(iter(Batches(data.train, 64, seed=0)))).numpy()

    nearest = np.abs(pieces[:, None] - drawn[None, :, :]).max(axis=2).min(axis=0)
    assert nearest.max() < 1e-5
    assert data.held_out == ("file:set.jsonl/0",)
    assert len(data.validation) == 1


def test_held_out_series_are_chosen_by_name_and_never_drawn(open_, sequences, noise):
    marked = [np.where(np.arange(100) % 2, 1.0, -1.0) + 0.01 * noise(100, 1)]
    plain = [np.cumsum(noise(100, seed)) for seed in range(2, 22)]
    members = sequences(*marked, *plain)
    data = open_(members, held_out=("*/0",))
    again = open_(members, held_out=("*/0",))
    other = open_(members, held_out=("*/0",), seed=1)

    assert data.held_out == again.held_out != other.held_out
    assert data.held_out[0] == "file:set.jsonl/0"
    assert 2 <= len(data.held_out) <= 9
    drawn = torch.cat([whole(batch) for batch in Batches(data.train, 64, seed=0)])
    alternating = (drawn[:, 2:] - drawn[:, :-2]).abs().amax(dim=1) < 0.1
    assert not alternating.any()
    (seen,) = data.trained_on()
    assert seen.without == tuple(name.removeprefix("file:set.jsonl/") for name in data.held_out)


def test_members_are_drawn_by_their_weights(open_, sequences, noise):
    low, high = (
        sequences(noise(90), noise(500, 1), name="a.jsonl"),
        sequences(*[noise(60, 2)] * 3, name="b.jsonl"),
    )
    data = open_(
        {**low, "weight": 1.0}, {**high, "weight": 3.0}, holdout=0, held_out=("*a.jsonl/0",), epoch=4000
    )
    order = data.train.order(torch.Generator().manual_seed(0))

    first = len(data.train.starts[0])
    assert len(order) == 4000
    assert float((order >= first).float().mean()) == pytest.approx(0.75, abs=0.03)


def test_epochs_differ_and_a_seed_repeats_them(open_, sequences, noise):
    data = open_(sequences(*[noise(80, seed) for seed in range(5)]), held_out=("*/0",))

    def epoch(seed: int, number: int) -> torch.Tensor:
        batches = Batches(data.train, 16, seed=seed)
        batches.set_epoch(number)
        return torch.cat([whole(batch) for batch in batches])

    assert torch.equal(epoch(0, 1), epoch(0, 1))
    assert not torch.equal(epoch(0, 0), epoch(0, 1))
    assert not torch.equal(epoch(0, 1), epoch(1, 0))


def test_short_series_are_joined_or_padded(open_, sequences, noise):
    members = sequences(noise(40), noise(15, 1), noise(20, 2), noise(30, 3))
    joined = open_(members, held_out=("*/0",), holdout=0)
    padded = open_(members, held_out=("*/0",), holdout=0, packing=False)

    assert "valid" not in next(iter(Batches(joined.train, 64, seed=0)))
    batch = next(iter(Batches(padded.train, 64, seed=0)))
    mask = torch.cat([batch["observed"], batch["valid"]], dim=1)[..., 0]
    lengths = mask.sum(dim=1)
    assert set(lengths.tolist()) == {15, 20, 24}
    assert torch.equal(mask, torch.arange(24) >= 24 - lengths[:, None])  # on the left
    assert (whole(batch)[~mask] == 0).all()


def test_missing_values_are_filled_from_before_and_masked(tmp_path, monkeypatch, noise):
    values = np.stack([noise(300), noise(300, 1)], axis=1)
    values[50:53, 0] = np.nan
    _store(tmp_path, monkeypatch, values)
    data = CorpusData.open(
        declared({"dataset": "user-pair"}, held_out=("*/b",), holdout=0, epoch=2000), tmp_path
    )

    batch = next(iter(Batches(data.train, 2000, seed=0)))
    mask = torch.cat([batch["observed"], batch["valid"]], dim=1)[..., 0]
    values = whole(batch)
    missing = ~mask
    assert missing.any()
    after = missing[:, 1:]
    assert torch.equal(values[:, 1:][after], values[:, :-1][after])  # as the value before it


def test_sequences_whose_lookback_does_not_move_are_left_out(open_, sequences, noise):
    flat = np.concatenate([np.zeros(100), noise(100)])
    data = open_(sequences(flat, noise(60, 1)), held_out=("*/1",), holdout=0, epoch=500)

    drawn = next(iter(Batches(data.train, 500, seed=0)))

    assert (drawn["context"].std(dim=1, correction=0) > 0.05 - 1e-6).all()


def test_ranges_are_cut_by_rows_and_by_stamps(tmp_path, monkeypatch, noise):
    _store(tmp_path, monkeypatch, np.stack([noise(300), noise(300, 1)], axis=1))
    rows = {"dataset": "user-pair", "start": 10, "end": -101}
    stamps = {"dataset": "user-pair", "start": "2024-01-01T10:00:00", "end": "2024-01-09T07:30:00"}

    for member in (rows, stamps):
        data = CorpusData.open(declared(member, held_out=("*/b",), holdout=0), tmp_path)
        (seen,) = data.trained_on()
        assert (seen.start, seen.end) == ("2024-01-01T10:00:00", "2024-01-09T07:00:00")
        assert seen.variables == ("a",)
        assert data.points == 190


def test_a_range_of_a_collection_counts_from_the_end_of_each_series(tmp_path, monkeypatch, noise):
    _collection(tmp_path, monkeypatch, [noise(50), noise(80, 1), noise(60, 2)])
    data = CorpusData.open(
        declared({"dataset": "user-many", "end": -11}, held_out=("*/s1",), holdout=0), tmp_path
    )

    (seen,) = data.trained_on()
    assert (seen.start, seen.end, seen.without) == ("0", "-11", ("s1",))
    assert data.points == 40 + 50


@pytest.mark.parametrize(
    ("member", "changes", "message"),
    [
        ({"dataset": "nowhere"}, {}, "Unknown dataset 'nowhere'"),
        ({"path": "no.jsonl"}, {}, "There is no file or folder"),
        ({"dataset": "user-pair", "series": ["c"]}, {}, "no variable 'c'"),
        ({"dataset": "user-pair", "start": 400}, {}, "400 to -1 is no range"),
        ({"dataset": "user-pair", "end": "spring"}, {}, "neither a row nor a time stamp"),
        ({"dataset": "user-pair"}, {"holdout": 0}, "no series is held out"),
        ({"dataset": "user-pair"}, {"held_out": ["*"]}, "none is left to train on"),
        ({"dataset": "user-pair", "end": 5}, {"held_out": ["*/b"]}, "user-pair has no sequence of 24 steps"),
    ],
)
def test_what_cannot_be_read_is_one_line(member, changes, message, tmp_path, monkeypatch, noise):
    _store(tmp_path, monkeypatch, np.stack([noise(300), noise(300, 1)], axis=1))

    with pytest.raises(InputError, match=message) as caught:
        CorpusData.open(declared(member, **changes), tmp_path)

    assert "\n" not in str(caught.value)


def test_ranges_in_a_test_part_are_refused_by_task(stores, tmp_path):
    stores("load_demo")
    train = {"dataset": "load_demo", "end": 12263}

    def check(**member):
        corpus = declared(train | member, held_out=("*/price",), holdout=0)
        refuse_test_data("corpus mix", CorpusData.open(corpus, tmp_path).trained_on())

    check()
    check(end=14015)  # the last row before the test part
    check(end=-1, series=["temperature", "price"])  # no target of a task
    with pytest.raises(
        InputError, match="corpus mix: load_demo from .* reaches into the test part of load-demo"
    ):
        check(end=14016)


def _store(folder, monkeypatch, values: np.ndarray) -> None:
    """A store `user-pair` of hourly series a and b."""
    from tsbench.data.tables import Column, series_dataset

    time = np.datetime64("2024-01-01T00", "ns") + np.arange(len(values)) * np.timedelta64(1, "h")
    columns = {Column(name, "1", name): values[:, index] for index, name in enumerate("ab")}
    _write(folder, monkeypatch, "user-pair", series_dataset(time, "PT1H", columns))


def _collection(folder, monkeypatch, series: list[np.ndarray]) -> None:
    """A store `user-many` of series s0, s1, …"""
    import xarray as xr

    names = np.array([f"s{number}" for number in range(len(series))], object)
    units = {"units": "1"}
    dataset = xr.Dataset(
        {
            "value": ("observation", np.concatenate(series), units),
            "row_size": ("series", np.array([len(one) for one in series]), units),
        },
        coords={"series": names},
    )
    _write(folder, monkeypatch, "user-many", dataset)


def _write(folder, monkeypatch, name: str, dataset) -> None:
    monkeypatch.setenv("TSBENCH_DATA", str(folder / "stores"))
    provenance = Provenance(
        dataset=name, adapter="csv", generator_version=1, parameters={}, size="full", seed=None, files={}
    )
    write_store(folder / "stores" / name / "full.zarr", dataset, provenance, Variant(title=name))
