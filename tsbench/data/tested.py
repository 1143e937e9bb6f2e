"""Which ranges of data a task tests on, and whether a corpus reaches into them."""

from collections.abc import Iterable

from tsbench import registry
from tsbench.contracts import (
    InputError,
    RollingSplit,
    SeriesSplit,
    Split,
    Task,
    TestedOn,
    TrainedOn,
    canonical_hash,
)
from tsbench.contracts.leakage import overlap

from . import prepare, store
from .collection import SeriesCollection, read_collection
from .collection_parts import series_of
from .series import SeriesTable, read_series


def files_of(name: str) -> str | None:
    """Hash of the published files that a data set was made of; None where it was made of none."""
    path = store.store_path(name)
    if not (path / store.ROOT_FILE).is_file():
        return None
    files = store.read_provenance(path).files
    return canonical_hash(sorted(files.values())) if files else None


def tested_on_table(task: Task, table: SeriesTable, context: int) -> tuple[TestedOn, ...]:
    """Ranges of one time series that a task tests on, for a look-back.

    Inputs are counted from the end of the training part, which every fit on the task has seen.
    """
    assert isinstance(task.split, Split)
    train, test, end = task.split.borders(len(table.values))
    variables = table.variables if task.variables == "all" else task.variables
    targets = variables if task.targets == "all" else task.targets
    common = {"dataset": table.name, "files": files_of(table.name)}
    first, last = max(train, test - context), end - task.horizon - 1
    found = [
        TestedOn(
            role="targets",
            variables=targets,
            start=table.stamp(test),
            end=table.stamp(end - 1),
            **common,
        )
    ]
    if first <= last:
        found.append(
            TestedOn(
                role="inputs",
                variables=variables,
                start=table.stamp(first),
                end=table.stamp(last),
                **common,
            )
        )
    return tuple(found)


def tested_on_collection(task: Task, collection: SeriesCollection) -> tuple[TestedOn, ...]:
    """Ranges of each series that a task tests on, as positions from the end, for any look-back.

    Where the split is by series, all of those that are tested on.
    """
    variables = collection.channels if task.variables == "all" else task.variables
    targets = variables if task.targets == "all" else task.targets
    common = {"dataset": collection.name, "files": files_of(collection.name)}
    if isinstance(task.split, SeriesSplit):
        common["series"] = series_of(collection, task.split, task.split.test)
        first, last = task.split.shortest_context, -1 - task.horizon
        return (
            TestedOn(role="targets", variables=targets, start=str(first), end="-1", **common),
            TestedOn(role="inputs", variables=variables, start="0", end=str(last), **common),
        )
    assert isinstance(task.split, RollingSplit)
    test, trained = (one - collection.sizes for one in task.split.borders(collection.sizes, task.horizon))
    first, last = int(test[0]), -task.split.unused - 1
    found = [TestedOn(role="targets", variables=targets, start=str(first), end=str(last), **common)]
    read, before = int(trained[0]), last - task.horizon
    if read <= before:
        found.append(TestedOn(role="inputs", variables=variables, start=str(read), end=str(before), **common))
    return tuple(found)


def refuse_test_data(where: str, ranges: Iterable[TrainedOn]) -> None:
    """Refuse ranges of training data that reach into the test part of a registered task.

    Raises:
        InputError: with the first such range and task, and what would be right.
    """
    # A corpus holds no targets of samples and panels, and no fields.
    tasks = [one for one in registry.tasks().values() if one.samples is None and one.kind == "forecast"]
    for one in ranges:
        # A long horizon changes no test part: a task of each split is enough.
        seen: set[str] = set()
        for task in tasks:
            for name in dict.fromkeys([task.dataset, *(each.dataset for each in task.scenarios())]):
                key = f"{name} {task.split} {task.variables} {task.targets}"
                key += f" {task.horizon}" if task.rolling else ""
                if key in seen or not _may_share(one, name) or not prepare.at_hand(name):
                    continue
                seen.add(key)
                for tested in _targets(task, name):
                    if overlap(one, tested):
                        raise InputError(
                            f"{where}: {one.dataset} from {one.start} to {one.end} reaches into the test "
                            f"part of {task.name} (from {tested.start}); end it before, or say test_data: "
                            "allow, and Results on such tasks are flagged"
                        )


def _targets(task: Task, name: str) -> list[TestedOn]:
    if task.rolling:
        found = tested_on_collection(task, read_collection(name))
    else:
        table = read_series(name)
        assert isinstance(task.split, Split)
        try:
            found = tested_on_table(task, table, context=1)
        except ValueError:
            return []  # data of the user's own that are too short for the task: it cannot be run on them
    return [one for one in found if one.role == "targets"]


def _may_share(one: TrainedOn, name: str) -> bool:
    """Whether a range may lie in a data set: by its name, or because both are made of the same files."""
    if one.dataset == name:
        return True
    known = registry.datasets()
    if one.files is None or name not in known or one.dataset not in known:
        return False
    return bool(known[name].variant.files) and known[name].variant.files == known[one.dataset].variant.files
