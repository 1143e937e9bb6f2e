"""What a dataset must satisfy to become a store: units, finite values, a time axis as its card declares.

Imports no xarray: it looks at a Dataset that somebody else has built.
"""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError, Sentinel, Variant

from .steps import Irregular, irregularities

if TYPE_CHECKING:
    import xarray as xr


def validate(dataset: "xr.Dataset", name: str, variant: Variant) -> None:
    """Check a dataset against its declaration.

    Args:
        dataset: as an adapter returns it.
        name: of the data set, for messages.
        variant: what the card declares.

    Raises:
        InputError: with the first thing that is wrong.
    """
    for label, variable in dataset.data_vars.items():
        # Time stamps have their units in how they are stored.
        if not variable.attrs.get("units") and variable.dtype.kind != "M":
            raise InputError(f"'{name}': variable '{label}' has no units")
        if variable.dtype.kind in "fc" and bool(np.isinf(variable.values).any()):
            raise InputError(f"'{name}': variable '{label}' holds an infinite value")
    if "time" in dataset.coords:
        _check_time(dataset["time"].values, name, variant)
    if variant.rows is not None and variant.rows == dataset.sizes.get("time"):
        for sentinel in variant.sentinels:
            _count(dataset, name, sentinel)


def _check_time(time: np.ndarray, name: str, variant: Variant) -> None:
    found = irregularities(time, variant.time.step)
    declared = {"unsorted": 0, "repeated": variant.time.repeated_stamps, "gap": variant.time.gaps}
    counts: dict[str, list[Irregular]] = {kind: [] for kind in declared}
    for one in found:
        counts[one.kind].append(one)
    for kind, ones in counts.items():
        if len(ones) > declared[kind]:
            raise InputError(
                f"'{name}': {len(ones)} × {kind} in time, the card declares {declared[kind]}; the last is "
                f"{ones[-1].text} at row {ones[-1].row}"
            )


def _count(dataset: "xr.Dataset", name: str, sentinel: Sentinel) -> None:
    labels = list(dataset.data_vars) if sentinel.variables == "all" else list(sentinel.variables)
    cells = sum(int((dataset[label].values == sentinel.code).sum()) for label in labels)
    # An adapter either keeps the code or replaces every one of them by NaN.
    if sentinel.cells is not None and cells not in (0, sentinel.cells):
        raise InputError(
            f"'{name}': {cells} cells hold {sentinel.code:g}, the card declares {sentinel.cells}"
        )
