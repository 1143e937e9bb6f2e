"""The normalisation, and the scale of MASE, by their formulas from the training part alone."""

import math
from collections.abc import Iterator

import numpy as np

from tsbench.contracts import LabelledSplit
from tsbench.data.collection_data import CollectionData
from tsbench.data.sample_data import SampleData
from tsbench.data.series_data import SeriesData

from .borders import declared_borders
from .collections import scale_faults
from .subject import Finding, Subject

TOLERANCE = 1e-9
WHOLE_BYTES = 2**30
"""Larger training parts are not read as a whole: the scale is fitted and checked on some of their samples."""
BLOCK = 64


def scale(subject: Subject) -> Finding:
    """Fit the normalisation by its formula on the training part and compare."""
    if isinstance(subject.own, SampleData):
        return _of_samples(subject)
    faults, compared = [], []
    for name, data in subject.data.items():
        if isinstance(data, CollectionData):
            faults += [f"{name}: {fault}" for fault in scale_faults(data, subject.context)]
            compared.append(f"series of {name}")
            continue
        assert isinstance(data, SeriesData)
        train = declared_borders(data.task, len(data.table.values))[0]
        faults += [f"{name}: {fault}" for fault in _row_faults(data, train)]
        compared.append(f"{train} rows of {name}")
    what = f"{subject.task.normalisation} and seasonal difference of the training part"
    return Finding("scale", f"{what}: {', '.join(compared)}", tuple(faults))


def training_statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each column, in exact sums; NaN is left out."""
    means, deviations = [], []
    for column in values.T:
        known = column[~np.isnan(column)].tolist()
        mean = math.fsum(known) / len(known)
        means.append(mean)
        deviations.append(math.sqrt(math.fsum((value - mean) ** 2 for value in known) / len(known)))
    return np.array(means), np.array(deviations)


def seasonal_difference(values: np.ndarray, period: int) -> np.ndarray:
    """Mean absolute difference of values one period apart, of each column; NaN where there is none."""
    differences = np.abs(values[period:] - values[: max(0, len(values) - period)])
    known = np.isfinite(differences)
    with np.errstate(invalid="ignore"):
        return np.where(known, differences, 0).sum(axis=0) / known.sum(axis=0)


def _row_faults(data: SeriesData, train: int) -> Iterator[str]:
    mean, deviation = training_statistics(data.table.values[:train])
    # A variable that never changes is divided by 1; rounding leaves it a spread of about 1e-16 of its size.
    still = deviation <= 1e-12 * np.abs(mean)
    factor = np.where(still, data.scale.factor.numpy(), deviation)
    shift = mean
    if data.task.normalisation == "none":
        shift, factor = np.zeros_like(mean), np.ones_like(deviation)
    wanted = {
        "shift": shift,
        "factor": factor,
        "mean": mean,
        "std": np.where(still, data.scale.std, deviation),
    }
    for name, values in wanted.items():
        found = getattr(data.scale, name).numpy()
        if not np.allclose(found, values, rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(deviation).max())):
            worst = int(np.abs(found - values).argmax())
            yield f"{name} of {data.table.variables[worst]} is {found[worst]:.6g}, not {values[worst]:.6g}"
    columns = [data.table.variables.index(name) for name in data.targets]
    # In the metric space as the data stand in it; the map itself is compared above.
    shown = data.table.values[:train, columns]
    if data.task.space == "normalised":
        shown = shown / data.scale.factor.numpy()[columns]
    seasonal, found = seasonal_difference(shown, data.task.period), data.seasonal_error.numpy()
    if not np.allclose(found, seasonal, rtol=1e-5, equal_nan=True):
        yield f"the seasonal difference is {found.tolist()}, not {seasonal.tolist()}"


def _of_samples(subject: Subject) -> Finding:
    """The scale of the whole training part, and one that is fitted anew on some of its samples."""
    whole, small = subject.own, subject.small
    assert isinstance(whole, SampleData)
    assert isinstance(small, SampleData)
    # The scale of a whole store is kept beside it, so that it may be older than the code that fits it.
    checked = {f"fitted anew on {len(_training_rows(small))} of them": small}
    if _training_bytes(whole) <= WHOLE_BYTES:
        checked = {"kept for all of them": whole} | checked
    faults = [f"{which}: {fault}" for which, data in checked.items() for fault in _part_faults(data)]
    count = len(_training_rows(whole))
    compared = f"{whole.task.normalisation} of the contexts of {count} training samples; {', '.join(checked)}"
    return Finding("scale", compared, tuple(faults))


def _part_faults(data: SampleData) -> Iterator[str]:
    mean, deviation = _part_statistics(data)
    # The small number keeps a part of zeros from being divided by 0; its authors add it everywhere.
    shift, factor = mean, deviation + 1e-8
    if data.task.normalisation == "none":
        shift, factor = np.zeros(2), np.ones(2)
    for name, wanted in (("shift", shift), ("factor", factor)):
        found = getattr(data.scale, name).numpy()
        if not np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE * float(factor.max())):
            yield f"{name} of real and imaginary part is {found.tolist()}, not {wanted.tolist()}"


def _training_rows(data: SampleData) -> np.ndarray:
    assert isinstance(data.task.split, LabelledSplit)
    labels = np.asarray(data.opened[data.task.split.coordinate].values)
    return np.flatnonzero(labels == data.task.split.train)


def _training_bytes(data: SampleData) -> int:
    assert data.task.samples is not None
    array = data.opened[data.task.samples.context]
    return len(_training_rows(data)) * int(np.prod(array.shape[1:])) * array.dtype.itemsize


def _part_statistics(data: SampleData) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of real and imaginary parts."""
    assert data.task.samples is not None
    array, rows = data.opened[data.task.samples.context], _training_rows(data)
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    sums = [_parts(array[block].values).sum(axis=1) for block in blocks]
    values = len(rows) * int(np.prod(array.shape[1:]))
    mean = np.array([math.fsum(part) for part in zip(*sums, strict=True)]) / values
    squares = [((_parts(array[block].values) - mean[:, None]) ** 2).sum(axis=1) for block in blocks]
    variance = np.array([math.fsum(part) for part in zip(*squares, strict=True)]) / values
    return mean, np.sqrt(variance)


def _parts(values: np.ndarray) -> np.ndarray:
    """Real and imaginary parts in double precision, shape (2, value)."""
    flat = values.astype(np.complex128).ravel()
    return np.stack([flat.real, flat.imag])
