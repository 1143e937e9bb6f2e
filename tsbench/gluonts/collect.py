"""Entries of a GluonTS data set as a store of series of different length."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError

from .entries import KNOWN, PAST, Entry
from .files import Metadata
from .frequency import step_of

if TYPE_CHECKING:
    import xarray as xr


def dataset_of(metadata: Metadata, train: Sequence[Entry], test: Sequence[Entry], name: str) -> "xr.Dataset":
    """Join training and test part of each series: the longest test entry, and where its training part ends.

    Several test entries of a series are the windows of a rolling evaluation, each a step longer. What a task
    needs is kept in the attributes `step`, `frequency`, `horizon`, `windows` and `window_step`.

    Raises:
        InputError: where series differ in their features, are named twice, or where a test part does not go
            on from its training part.
    """
    import xarray as xr

    names = [entry.item if entry.item is not None else str(row) for row, entry in enumerate(train)]
    _refuse_twice(names, name)
    _refuse_different([*train, *test], name)
    whole, window_step, windows = list(train), None, 1
    if test:
        groups = _groups(train, test, names, name)
        whole = [group[-1] for group in groups]
        windows, window_step = _rolling(groups, names, name)
        for entry, longest, label in zip(train, whole, names, strict=True):
            _refuse_other_start(entry, longest, f"'{name}', series '{label}'")
    arrays, coordinates = _arrays(whole, metadata)
    if test:
        sizes = np.array([entry.steps for entry in train], np.int64)
        arrays["train_size"] = ("series", sizes, _attributes("number of values of the training part"))
    horizon = metadata.prediction_length or _horizon(train, whole, windows, window_step)
    attributes = {
        "featureType": "timeSeries",
        "frequency": metadata.frequency,
        "step": step_of(metadata.frequency),
        "horizon": horizon,
        "windows": windows,
        "window_step": window_step,
        "cardinality": list(metadata.cardinality) or None,
    }
    coordinates["series"] = ("series", np.array(names, object), {"cf_role": "timeseries_id"})
    return xr.Dataset(
        arrays, coordinates, {key: value for key, value in attributes.items() if value is not None}
    )


def _arrays(entries: Sequence[Entry], metadata: Metadata) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data variables and coordinates of the whole series."""
    multivariate = entries[0].target.ndim == 2
    dimensions = ("observation", "channel") if multivariate else ("observation",)
    values = np.concatenate([entry.target.T for entry in entries])
    size = _attributes("number of values of the series") | {"sample_dimension": "observation"}
    sizes = np.array([entry.steps for entry in entries], np.int64)
    arrays: dict[str, Any] = {
        "value": (dimensions, values, _attributes("value")),
        "row_size": ("series", sizes, size),
    }
    coordinates: dict[str, Any] = {}
    if multivariate:
        coordinates["channel"] = np.array([f"channel_{index}" for index in range(values.shape[1])], object)
    if entries[0].start is not None:
        starts = np.array([entry.start for entry in entries], "datetime64[ns]")
        coordinates["start"] = ("series", starts, {"long_name": "time of the first value"})
    groups = {
        "known_covariates": (KNOWN, ("observation", "known_covariate")),
        "past_covariates": (PAST, ("observation", "past_covariate")),
        "static": (("feat_static_real",), ("series", "feature")),
        "categorical": (("feat_static_cat",), ("series", "attribute")),
    }
    for array, (fields, dims) in groups.items():
        held = [one for one in fields if one in entries[0].features]
        if not held:
            continue
        rows = [np.concatenate([entry.features[one] for one in held]).T for entry in entries]
        stacked = np.concatenate(rows) if dims[0] == "observation" else np.stack(rows)
        if array == "categorical":
            stacked = stacked.astype(np.int64)
        arrays[array] = (dims, stacked, _attributes(array.replace("_", " ")))
        labels = [label for one in held for label in _labels(one, len(entries[0].features[one]), metadata)]
        coordinates[dims[1]] = np.array(labels, object)
    return arrays, coordinates


def _labels(field: str, count: int, metadata: Metadata) -> list[str]:
    """Names of the columns of a field; those of dynamic categories say so, since they lie beside numbers."""
    given = metadata.names.get(field, ())
    if len(given) != count or len(set(given)) != count:
        return [f"{field}_{index}" for index in range(count)]
    return [f"{field}_{one}" for one in given] if field.endswith("dynamic_cat") else list(given)


def _attributes(name: str) -> dict[str, str]:
    return {"units": "1", "long_name": name}


def _refuse_twice(names: Sequence[str], name: str) -> None:
    if len(set(names)) < len(names):
        twice = next(one for position, one in enumerate(names) if one in names[:position])
        raise InputError(f"'{name}': two series of the training part are named '{twice}'")


def _refuse_different(entries: Sequence[Entry], name: str) -> None:
    for row, entry in enumerate(entries):
        if entry.layout != entries[0].layout:
            raise InputError(
                f"'{name}': entry {row + 1} has {_told(entry)}, the first one has {_told(entries[0])}; all "
                "series of a data set need the same"
            )


def _told(entry: Entry) -> str:
    channels, undated, features = entry.layout
    parts = [f"{channels} channels" if channels else "one channel", "no start" if undated else "a start"]
    return ", ".join(parts + [f"{count} × {field}" for field, count in features])


def _groups(
    train: Sequence[Entry], test: Sequence[Entry], names: Sequence[str], name: str
) -> list[list[Entry]]:
    """The test entries of each training series, shortest first: by name, else by their order."""
    groups: list[list[Entry]] = [[] for _ in train]
    place = {label: row for row, label in enumerate(names)}
    by_name = all(entry.item in place for entry in test)
    if not by_name and len(test) % len(train):
        lost = next((entry.item for entry in test if entry.item not in place), None)
        raise InputError(
            f"'{name}': the test part has {len(test)} entries, the training part {len(train)} series, and "
            f"'{lost}' is not one of them"
        )
    for row, entry in enumerate(test):
        groups[place[str(entry.item)] if by_name else row % len(train)].append(entry)
    for label, group in zip(names, groups, strict=True):
        if not group:
            raise InputError(f"'{name}': series '{label}' is in the training part and not in the test part")
        group.sort(key=lambda entry: entry.steps)
    return groups


def _rolling(groups: Sequence[Sequence[Entry]], names: Sequence[str], name: str) -> tuple[int, int | None]:
    """Number of test windows of each series, and the steps between them."""
    counts = {len(group) for group in groups}
    steps = {after.steps - before.steps for group in groups for before, after in pairwise(group)}
    if len(counts) > 1 or len(steps) > 1 or 0 in steps:
        odd = next((names[row] for row, group in enumerate(groups) if len(group) != len(groups[0])), names[0])
        raise InputError(
            f"'{name}': the test part has {sorted(counts)} windows a series, {sorted(steps)} steps apart "
            f"(look at series '{odd}'); every series needs as many, and equally far apart"
        )
    return counts.pop(), steps.pop() if steps else None


def _refuse_other_start(train: Entry, test: Entry, where: str) -> None:
    # GluonTS's own data sets hold float32, so the two parts may be rounded differently.
    before, after = (one.target[..., : train.steps].astype(np.float32) for one in (train, test))
    same = np.array_equal(before, after, equal_nan=True)
    if not same or train.start != test.start:
        raise InputError(f"{where}: its test part does not begin with its training part")


def _horizon(train: Sequence[Entry], whole: Sequence[Entry], windows: int, step: int | None) -> int | None:
    """What the test part of every series is longer by, for one window."""
    longer = {entry.steps - before.steps for before, entry in zip(train, whole, strict=True)}
    length = longer.pop() - (windows - 1) * (step or 0) if len(longer) == 1 else 0
    return length if length > 0 else None
