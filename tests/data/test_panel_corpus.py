"""A corpus of inputs without targets: sequences of whole periods, places held out, what was seen."""

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import ValidationError

from tsbench.contracts import Corpus, InputError, Provenance, TestedOn, Variant
from tsbench.contracts.leakage import overlap
from tsbench.data.cases import Batches
from tsbench.data.corpus import open_corpus
from tsbench.data.panel.corpus import PanelCorpusData
from tsbench.data.store import store_path, write_store
from tsbench.data.tested import refuse_test_data

STEPS, YEARS, REGIONS = 4, range(2000, 2006), 10


@pytest.fixture(scope="module", autouse=True)
def regions(stores_root):
    """A store of weather by region and year: 1000·region + 10·(year − 2000) + step, and its negative."""
    region, year, step = np.ix_(range(REGIONS), YEARS, range(STEPS))
    value = 1000.0 * region + 10 * (year - 2000) + step
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSBENCH_DATA", str(stores_root))
        for name, array in (("user-regions", value), ("user-holes", np.where(value == 1011, np.nan, value))):
            dataset = xr.Dataset(
                {
                    "weather": (
                        ("region", "season", "step", "channel"), np.stack([array, -array], -1), {"units": "1"},
                    )
                },
                coords={
                    "region": np.array([f"r{number}" for number in range(REGIONS)], object),
                    "season": list(YEARS),
                    "channel": np.array(["up", "down"], object),
                    "latitude": ("region", 40.0 + np.arange(REGIONS)),
                    "longitude": ("region", -90.0 - np.arange(REGIONS)),
                },
                attrs={"step": "P7D"},
            )  # fmt: skip
            made = Provenance(
                dataset=name,
                adapter="csv",
                generator_version=1,
                parameters={},
                size="full",
                seed=None,
                files={},
            )
            write_store(store_path(name), dataset, made, Variant(title=name))


def declared(member: dict | None = None, **changes) -> Corpus:
    return Corpus.model_validate(
        {
            "name": "weather",
            "length": 2 * STEPS,
            "horizon": 1,
            "period": STEPS,
            "epoch": 50,
            "holdout": 0,
            "held_out": ["*/r3"],
            "panel": {
                "array": "weather",
                "place": "region",
                "period": "season",
                "position": ["latitude", "longitude"],
            },
            "members": [{"dataset": "user-regions", "end": 2003} | (member or {})],
        }
        | changes
    )


def opened(tmp_path, *arguments, **changes) -> PanelCorpusData:
    found = open_corpus(declared(*arguments, **changes), tmp_path)
    assert isinstance(found, PanelCorpusData)
    return found


def test_sequences_are_whole_periods_in_order_of_the_training_places(tmp_path):
    data = opened(tmp_path)
    every = data.train.gather(torch.arange(len(data.train.starts)))
    # 9 places, and 3 pairs of the years 2000 to 2003.
    assert every["context"].shape == (27, 2 * STEPS, 2)
    assert torch.equal(every["context"][..., 0], -every["context"][..., 1])
    scale = (every["context"][0, 4, 0] - every["context"][0, 0, 0]) / 10
    assert ((every["context"][:, 4, 0] - every["context"][:, 0, 0]) / scale).numpy() == pytest.approx(
        np.full(27, 10), abs=1e-3
    )
    assert every["position"][0].tolist() == [40, -90]
    stamps = every["time"][1].numpy().astype("datetime64[ns]").astype("datetime64[D]")
    assert [str(stamps[0]), str(stamps[4]), str(stamps[5])] == ["2001-01-01", "2002-01-01", "2002-01-08"]
    held = data.validation.gather(torch.arange(len(data.validation)))
    assert held["position"][:, 0].unique().tolist() == [43]
    assert data.held_out == ("user-regions/r3",)
    assert data.points == 9 * 4 * STEPS * 2
    assert data.shape.channels == ("up", "down")
    assert data.shape.context == 2 * STEPS


def test_variables_are_normalised_over_the_training_places_and_years(tmp_path):
    data = opened(tmp_path)
    region, year, step = np.ix_([one for one in range(REGIONS) if one != 3], range(4), range(STEPS))
    value = 1000.0 * region + 10 * year + step
    batch = data.train.gather(torch.tensor([5]))  # second place, third pair
    expected = ((value - value.mean()) / value.std())[1, 2:4].reshape(-1)
    assert batch["context"][0, :, 0].numpy() == pytest.approx(expected, abs=1e-5)


def test_an_epoch_draws_places_by_the_seed_alone(tmp_path):
    data = opened(tmp_path)
    first, again, other = (Batches(data.train, 8, seed=seed).order() for seed in (1, 1, 2))
    assert len(first) == 50
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("end", "leaks"), [(2003, False), (2004, True), (-1, True)])
def test_what_was_seen_says_whether_test_inputs_were(tmp_path, end, leaks):
    data = opened(tmp_path, {"end": end})
    (seen,) = data.trained_on()
    assert seen.stage == "pretraining"
    assert "r3" not in seen.series
    tested = TestedOn(
        role="inputs", dataset="user-regions", variables=("up",), start="2004-01-01", end="2004-12-31"
    )
    assert overlap(seen, tested) is leaks
    # Inputs alone are no reason to refuse the corpus, whatever tasks there are on the data set.
    refuse_test_data("corpus weather", data.trained_on())


@pytest.mark.parametrize(
    ("member", "changes", "message"),
    [
        ({"end": 2007}, {}, "has the periods 2000 to 2005; 0 to 2007 is no range"),
        ({"end": "2003-01-01"}, {}, "give periods as numbers"),
        ({"series": ["r77"]}, {}, "has no place 'r77'"),
        ({"dataset": "user-holes"}, {}, "lacks values"),
        ({"end": 2000}, {}, "no place to train on with 2 periods in a row; it has 10 places and 1 periods"),
        ({}, {"length": 6}, "must be a multiple of the 4 steps"),
        ({}, {"held_out": []}, "no place is held out"),
        ({}, {"panel": {"array": "rain", "place": "region", "period": "season"}}, "no array 'rain'"),
        (
            {},
            {"panel": {"array": "weather", "place": "region", "period": "season", "position": ["height"]}},
            "no coordinate 'height'",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, member, changes, message):
    with pytest.raises(InputError, match=message):
        opened(tmp_path, member, **changes)


def test_files_are_no_panel():
    with pytest.raises(ValidationError, match="takes data sets"):
        declared(members=[{"path": "set.npy"}])
