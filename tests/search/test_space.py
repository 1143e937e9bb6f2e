"""Search spaces: what a range holds, what is refused, and that the cards' spaces hold possible settings only."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbench import registry
from tsbench.contracts import InputError, Range, SearchSpace
from tsbench.jobs.source import find_model
from tsbench.search.plan import read_space
from tsbench.search.sampling import distributions
from tsbench.training.settings import TrainingSettings, fill

CARDS = {name: card for name, card in registry.models().items() if card.search_space}
MODELS = ("csi_cnn_small", "csi_rnn_small", "dlinear", "itransformer", "patchtst", "timemixer", "tpgn")


def test_the_neural_models_of_the_zoo_have_spaces_for_every_task():
    assert set(MODELS) <= set(CARDS)
    for name in MODELS:
        assert all(
            CARDS[name].space_for(registry.task(task)) is not None
            for task in ("etth1-96", "csi-rrg-tdd", "m4-daily")
        )


@pytest.mark.parametrize("name", sorted(CARDS))
def test_every_combination_of_a_space_is_a_possible_setting(name):
    record, draw = find_model(name).load().Hyperparameters, random.Random(0)
    for space in CARDS[name].search_space:
        task = next(task for task in registry.tasks().values() if space.matches(task))
        settings = CARDS[name].settings_for(task)
        for part, kind, base in (
            (space.hyperparameters, record, settings.hyperparameters),
            (space.training, TrainingSettings, settings.training),
        ):
            values = [one.choices or (one.low, one.high) for one in part.values()]
            combinations = list(itertools.product(*values))
            for chosen in draw.sample(combinations, min(200, len(combinations))):
                fill(kind, base | dict(zip(part, chosen, strict=True)), name)


@pytest.mark.parametrize("name", sorted(CARDS))
def test_every_space_says_where_its_ranges_come_from(name):
    assert all(len(space.source.split()) >= 8 for space in CARDS[name].search_space)


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({}, "give choices, or low and high"),
        ({"low": 1}, "give choices, or low and high"),
        ({"low": 2, "high": 1}, "low must be below high"),
        ({"low": 1, "high": float("inf")}, "both finite"),
        ({"choices": [1, 2], "low": 0}, "not both"),
        ({"choices": [1, 1]}, "there twice"),
        ({"low": 0, "high": 1, "log": True}, "starts above 0"),
        ({"low": 0, "high": 1, "step": 2}, "step must be positive and fit"),
    ],
)
def test_a_range_that_says_nothing_or_too_much_is_refused(declared, reason):
    with pytest.raises(ValueError, match=reason):
        Range.model_validate(declared)


def test_a_space_that_would_compare_different_losses_is_refused():
    with pytest.raises(ValueError, match="validation losses would not be comparable"):
        SearchSpace(training={"loss": Range(choices=("mse", "mae"))}, source="made")


@given(low=st.integers(-50, 50), width=st.integers(1, 50), step=st.integers(1, 5), at=st.integers(-200, 200))
def test_a_range_of_whole_numbers_holds_what_its_steps_reach(low, width, step, at):
    high = low + width
    one = Range(low=low, high=high, step=min(step, width))

    assert one.holds(at) == (at in range(low, high + 1, min(step, width)))


def test_a_flag_is_no_number_and_a_number_no_flag():
    assert not Range(low=0, high=2).holds(True)
    assert not Range(choices=(False, True)).holds(1)
    assert Range(choices=(False, True)).holds(True)


def test_distributions_are_optunas_of_the_same_bounds():
    space = SearchSpace(
        hyperparameters={"layers": Range(low=1, high=4), "norm": Range(choices=(False, True))},
        training={"learning_rate": Range(low=0.001, high=0.1, log=True)},
        source="made",
    )
    found = distributions(space)

    assert (found["hyperparameters/layers"].low, found["hyperparameters/layers"].high) == (1, 4)
    assert found["hyperparameters/norm"].choices == (False, True)
    assert found["training/learning_rate"].log
    assert found["training/learning_rate"].high == 0.1


def test_what_is_fixed_by_hand_is_not_varied():
    space = CARDS["dlinear"].space_for("etth1-96")

    assert "training/decay" not in space.without({}, {"decay": 0.5}).ranges()
    assert space.without(space.hyperparameters, space.training) is None


def test_a_space_is_read_from_a_file_and_a_wrong_one_names_its_key(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("source: made\ntraining: {learning_rate: {low: 0.001, high: 0.1, log: true}}\n")
    assert read_space(path).training["learning_rate"].log

    path.write_text("source: made\ntraining: {learning_rate: {lowest: 0.001}}\n")
    with pytest.raises(InputError, match=r"space.yaml: training.learning_rate.lowest"):
        read_space(path)
    with pytest.raises(InputError, match="There is no file"):
        read_space(tmp_path / "nothing.yaml")
