"""Which tasks settings, gaps and search spaces are meant for: by name, by view, by kind."""

import pytest

from tsbench import registry
from tsbench.contracts import DeclaredGap, InputError, ModelCard, ModelSettings, SearchSpace, Task, parse
from tsbench.contracts.addressed import PRESENTED
from tsbench.data.views import VIEWS
from tsbench.jobs.job import Options, resolve
from tsbench.jobs.source import find_model

SERIES, CHANNELS = registry.task("etth1-96"), registry.task("csi-rrg-fdd-tiny")
ELSEWHERE = CHANNELS.model_copy(update={"name": "deepmimo-street-fdd"})


def maps(view: str = "field", name: str = "maps-1") -> Task:
    """A task of maps, as a data set of maps declares it."""
    return Task.model_validate(
        {
            "name": name,
            "version": 1,
            "kind": "field",
            "dataset": "maps",
            "field": {"view": view, "context": ["height"], "target": ["gain"]},
            "horizon": 1,
            "period": 1,
            "max_context": 1,
            "split": {"kind": "labels", "train": "train", "validation": "validation", "test": "test"},
            "normalisation": "none",
            "space": "units",
            "unit": {"kind": "sample"},
            "metrics": ["mae"],
            "primary": "mae",
            "conditions": {
                "robustness": {"not_applicable": "not asked for"},
                "generalisation": {"not_applicable": "not asked for"},
            },
        }
    )


def card(**declared) -> ModelCard:
    return ModelCard.model_validate(
        {
            "name": "some",
            "title": "Some",
            "summary": "A model.",
            "kind": "neural",
            "class_name": "Some",
            "settings": [{"views": ["csi"], "context": 16}, {"context": 96}],
            **declared,
        }
    )


@pytest.mark.parametrize("kind", [ModelSettings, DeclaredGap, SearchSpace])
def test_a_part_of_a_card_matches_by_view_whatever_the_task_is_called(kind):
    given = {
        ModelSettings: {"context": 16},
        DeclaredGap: {"reason": "No season."},
        SearchSpace: {"training": {"learning_rate": {"low": 0.1, "high": 1}}, "source": "Here."},
    }[kind]
    part = kind.model_validate({"views": ["csi"], **given})

    assert part.matches(CHANNELS)
    assert part.matches(ELSEWHERE)
    assert not part.matches(SERIES)
    assert not part.matches(maps())


def test_a_part_matches_by_kind_and_name_together():
    part = ModelSettings(tasks=("maps-*",), kinds=("field",), context=1)

    assert part.matches(maps("field"))
    assert part.matches(maps("volume"))
    assert not part.matches(maps(name="other-1"))
    assert not part.matches(SERIES.model_copy(update={"name": "maps-1"}))


def test_a_pattern_with_an_exclamation_mark_means_every_other_name():
    part = ModelSettings(tasks=("!*-fdd*",), views=("csi",), context=16)

    assert not part.matches(ELSEWHERE)
    assert part.matches(registry.task("csi-rrg-tdd-tiny"))


def test_a_bare_name_has_no_view():
    """Of a corpus, or of a task whose declaration is not at hand, nothing but the name is known."""
    assert not ModelSettings(views=("csi",), context=16).matches("csi-rrg-tdd")
    assert not ModelSettings(kinds=("forecast",), context=16).matches("corpus:mixture")
    assert ModelSettings(tasks=("corpus:*",), context=16).matches("corpus:mixture")
    assert card(views=["field"]).gap("corpus:mixture") is None


def test_the_first_settings_that_match_count():
    assert card().settings_for(ELSEWHERE).context == 16
    assert card().settings_for(SERIES).context == 96


@pytest.mark.parametrize("key", ["views", "kinds"])
def test_an_unknown_view_or_kind_is_refused_with_those_that_exist(key):
    with pytest.raises(InputError, match=rf"card.yaml: settings.0.{key}.0: Input should be .*'field'"):
        parse(ModelCard, card().model_dump() | {"settings": [{key: ["maps"], "context": 1}]}, "card.yaml")


def test_a_task_in_a_view_that_the_model_does_not_take_is_a_gap():
    series, channels, field = card(), card(views=["csi"]), card(views=["field", "volume"])

    assert series.gap(SERIES) is None
    assert series.gap(CHANNELS) is None, "channels can be presented as sequences"
    assert series.gap(maps()).reason == "It takes the view sequence; the task is of the view field."
    assert channels.gap(SERIES).reason == "It takes the view csi; the task is of the view sequence."
    assert field.gap(maps("volume")) is None
    assert (
        field.gap(CHANNELS).reason
        == "It takes the view field or volume; the task is of the view csi or sequence."
    )
    assert card(views=None).gap(maps()) is None, "nobody has said what it takes"


def test_a_declared_reason_is_told_before_that_of_the_view():
    declared = card(not_applicable=[{"kinds": ["field"], "reason": "Maps are no series."}])

    assert declared.gap(maps()).reason == "Maps are no series."


def test_every_model_of_the_zoo_that_takes_sequences_alone_leaves_maps_out():
    for one in registry.models().values():
        if one.views == ("sequence",):
            assert one.gap(maps()), one.name


def test_a_run_of_a_pair_that_does_not_go_together_is_refused_in_one_line():
    with pytest.raises(InputError) as caught:
        resolve("dlinear", maps(), 0, Options())

    assert str(caught.value) == (
        "dlinear does not apply to maps-1: It takes the view sequence; the task is of the view field."
    )


@pytest.mark.parametrize("name", sorted(registry.models()))
def test_a_card_says_which_views_its_class_takes(name):
    """The card is read without torch, the class is what evaluation asks."""
    declared = registry.model(name).views

    assert declared == tuple(getattr(find_model(name).load(), "views", ("sequence",)))


def test_a_class_of_the_users_own_says_which_views_it_takes(tmp_path):
    class Mine:
        views = ("csi",)

    file = tmp_path / "own.py"
    file.write_text("class Own: ...\n")

    assert find_model(Mine).card.gap(SERIES) is not None
    assert find_model(f"{file}:Own").card.gap(maps()) is None, "a file is not read before it is needed"


def test_what_can_be_presented_is_what_there_are_views_for():
    assert {(own, wanted) for own, offered in PRESENTED.items() for wanted in offered} == set(VIEWS)
