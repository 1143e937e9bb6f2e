"""The registry: templated tasks, unknown names with the nearest one, mistakes named with their file."""

import re

import pytest

from tsbench import registry
from tsbench.contracts import InputError

TASK = """
tasks:
  - axes:
      - [{data: one, other: two}, {data: two, other: one}]
      - [{horizon: 3}, {horizon: 6}]
    name: "{data}-{horizon}"
    version: 1
    dataset: "{data}"
    horizon: "{horizon}"
    period: 2
    max_context: 10
    split: {kind: ratio, train: 0.6, validation: 0.2, test: 0.2}
    normalisation: none
    space: units
    conditions:
      robustness: {not_applicable: no}
      generalisation: [{dataset: "{other}"}]
    metrics: [mse, mae]
    primary: mse
"""


@pytest.fixture
def declare(tmp_path):
    """Reads a text as tasks.yaml."""

    def read(text: str) -> dict:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "tasks.yaml"
        path.parent.mkdir()
        path.write_text(text)
        return registry._tasks_of(path)

    return read


def test_axes_are_multiplied_and_values_keep_their_types(declare):
    found = declare(TASK.replace("{not_applicable: no}", "{not_applicable: none asked}"))

    assert list(found) == ["one-3", "one-6", "two-3", "two-6"]
    assert found["two-6"].horizon == 6
    assert [scenario.key for scenario in found["two-6"].scenarios()] == [
        "regular",
        "generalisation/dataset=one",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"{data}-{horizon}"', '"{set}-{horizon}"', "task 1: '{set}' is not an axis; there are ['data', 'horizon', 'other']"),
        ("period: 2", "periods: 2", "tasks.yaml: task 1: period: Field required"),
        ("max_context: 10", "max_context: ten", "max_context: Input should be a valid integer"),
        ("primary: mse", "primary: crps", "primary metric 'crps' is not among metrics"),
        ("[mse, mae]", "[mse, mse]", "a metric is named twice"),
        ('"{data}-{horizon}"', '"{data}"', "tasks.yaml: task 'one' is declared twice"),
        ("test: 0.2", "test: 0.5", "the shares of a ratio split must sum to 1, not 1.3"),
        ("tasks:\n", "tasks: [\n", "tasks.yaml: line"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_declaration_is_named_with_its_file(declare, old, new, message):
    right = TASK.replace("{not_applicable: no}", "{not_applicable: none asked}")

    with pytest.raises(InputError) as caught:
        declare(right.replace(old, new, 1))

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_declaration_cannot_construct_objects(declare):
    with pytest.raises(InputError, match="is not YAML"):
        declare("tasks: !!python/object/apply:os.system ['true']\n")


@pytest.mark.parametrize(
    ("find", "name", "message"),
    [
        (
            registry.task,
            "etth1-69",
            "Unknown task 'etth1-69'. Did you mean 'etth1-96'? See: tsbench list tasks",
        ),
        (registry.model, "tpnn", "Unknown model 'tpnn'. Did you mean 'tpgn'? See: tsbench list models"),
        (
            registry.dataset,
            "eth1",
            "Unknown dataset 'eth1'. Did you mean 'etth1'? See: tsbench list datasets",
        ),
        (registry.suite, "quik", "Unknown suite 'quik'. Did you mean 'quick'? See: tsbench list suites"),
        (registry.model, "zzzzzz", "Unknown model 'zzzzzz'. See: tsbench list models"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(find, name, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        find(name)


def test_every_card_task_and_suite_can_be_read_and_fits_the_others():
    for task in registry.tasks().values():
        assert task.dataset in registry.datasets()
        assert {scenario.dataset for scenario in task.scenarios()} <= set(registry.datasets())
        for card in registry.models().values():
            assert card.settings_for(task) is not None or card.gap(task)
    for suite in registry.suites().values():
        assert set(suite.tasks) <= set(registry.tasks())
        assert {entry.model for entry in suite.models} <= set(registry.models())


def test_the_tasks_of_the_sheets_are_declared():
    names = {
        f"{data}-{horizon}"
        for data in ("etth1", "etth2", "ettm1", "ettm2")
        for horizon in (96, 192, 336, 720)
    }
    names |= {
        f"{data}-univariate-{horizon}" for data in ("etth1", "etth2") for horizon in (168, 336, 720, 1440)
    }

    assert names <= set(registry.tasks())


def test_the_robustness_grid_of_etth1_is_that_of_the_issue():
    scenarios = {one.key: one for one in registry.task("etth1-96").scenarios()}

    assert list(scenarios) == [
        "regular",
        "robustness/awgn/snr_db=20",
        "robustness/awgn/snr_db=10",
        "robustness/missing_blocks/fraction=0.1",
        "robustness/missing_blocks/fraction=0.3",
        "generalisation/dataset=etth2",
    ]
    assert scenarios["robustness/missing_blocks/fraction=0.3"].options == {"steps": 24}
    assert scenarios["generalisation/dataset=etth2"].dataset == "etth2"


def test_a_changed_declaration_has_another_hash():
    task = registry.task("etth1-96")

    assert task.model_copy(update={"horizon": 97}).hash != task.hash
    assert type(task).model_validate(task.model_dump()).hash == task.hash
