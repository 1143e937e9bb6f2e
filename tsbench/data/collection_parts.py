"""A split by whole series: which windows belong to which part, and the scale that all series share."""

from collections.abc import Mapping

import numpy as np
import torch

from tsbench.contracts import InputError, SeriesSplit

from .collection import SeriesCollection
from .normalisation import SeriesScale, fit_scale
from .task_data import SplitName

Origins = tuple[np.ndarray, np.ndarray, int]
"""Position of each series' first origin, number of origins, both of shape (series,), and steps between."""


def labels_of(split: SeriesSplit, collection: SeriesCollection) -> np.ndarray:
    """Label of each series, str, shape (series,).

    Raises:
        InputError: where the store has no such coordinate.
    """
    if split.coordinate not in collection.parts:
        known = ", ".join(sorted(collection.parts)) or "none"
        raise InputError(
            f"'{collection.name}' has no coordinate '{split.coordinate}' of its series, by which they "
            f"are split; it has {known}"
        )
    return collection.parts[split.coordinate]


def series_of(collection: SeriesCollection, split: SeriesSplit, label: str) -> tuple[str, ...]:
    """Names of the series with that label."""
    chosen = labels_of(split, collection) == label
    return tuple(name for name, wanted in zip(collection.series, chosen, strict=True) if wanted)


def series_origins(
    split: SeriesSplit, collection: SeriesCollection, horizon: int
) -> Mapping[SplitName, Origins]:
    """The windows of each part: all of the series with its label, one step apart in training."""
    labels = labels_of(split, collection)
    first = np.full_like(collection.sizes, split.shortest_context)
    steps: dict[SplitName, int] = {"train": 1, "validation": split.step, "test": split.step}
    return {
        part: (
            first,
            np.where(labels == getattr(split, part), split.origins(collection.sizes, horizon, step), 0),
            step,
        )
        for part, step in steps.items()
    }


def common_scale(split: SeriesSplit, collection: SeriesCollection, kind: str) -> SeriesScale | None:
    """One scale for all series, fitted on the values of all training series; None where there are none.

    Args:
        split: says which series train.
        collection: the series.
        kind: `none` or `zscore`.
    """
    trained = np.repeat(labels_of(split, collection) == split.train, collection.sizes)
    if not trained.any():
        return None
    one = fit_scale(collection.values[trained], kind)
    return of_all(SeriesScale(one.shift[None], one.factor[None], one.mean[None], one.std[None]), collection)


def of_all(scale: SeriesScale, collection: SeriesCollection) -> SeriesScale:
    """The first map of `scale`, for every series of a collection."""
    count = len(collection.sizes)
    maps = (scale.shift, scale.factor, scale.mean, scale.std)
    return SeriesScale(*(torch.clone(one[:1].expand(count, -1)) for one in maps))
