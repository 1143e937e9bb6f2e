"""Checks a submission that holds hashes of all forecasts and a part of them that was drawn by lot.

Computed again are the errors of the drawn units, and every row of a scenario whose cases all were drawn. What
the rest says must fit together: units with totals, totals with aggregates. The rest itself is the maker's
word, and the record says how much that is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tsbench.contracts import CONDITIONS, Forecast, InputError, Result, Scenario, Task, averages
from tsbench.contracts.commitment import Commitment, CommittedArray, Verified
from tsbench.contracts.result import SCORES_FILE, UNITS_FILE
from tsbench.contracts.submission import FORECAST_FOLDER, SUBMISSION_FILE, Submission
from tsbench.data.sources import sha256
from tsbench.data.task_data import TaskData
from tsbench.evaluation.blocks import SavedArray, itemsize
from tsbench.evaluation.evaluate import Evaluation, tally_for
from tsbench.evaluation.forecast_store import SavedForecast, array_name
from tsbench.evaluation.metrics import metric
from tsbench.evaluation.tally import Tally
from tsbench.jobs.job import scenarios_at_hand
from tsbench.jobs.limited import LimitedReader
from tsbench.jobs.score import Scored, open_forecast

from .check import Checked, check_data, check_frame, check_listed, read_parts
from .commitment import CHUNKS, layout, read_commitment, row_of, rows_there
from .compare import Key, aggregates, difference, rows, told_rows
from .draw import Drawn, draw

TABLES = "its own tables give"
SPARE_BYTES = 4096
"""Of a chunk beside its values: headers and checksums."""


@dataclass(frozen=True)
class Opened:
    """A committed forecast beside the data that it answers.

    Attributes:
        saved: metadata of all arrays; of the values a part may be there.
        data: data set → the task opened on it.
        tallies: array → an empty tally of its scenario.
        commitment: sizes and hashes of all forecasts.
    """

    saved: SavedForecast
    data: dict[str, TaskData]
    tallies: dict[str, Tally]
    commitment: Commitment

    def drawn(self, folder: Path, challenge: str, limit: int) -> Drawn:
        """The part that belongs to a challenge."""
        arrays = {array.name: array for array in self.commitment.arrays}
        units = {name: _units(tally, arrays[name].cases) for name, tally in self.tallies.items()}
        # A tenth of the limit is left to tables and metadata.
        part = limit - limit // 10
        return draw(self.commitment, units, sha256(folder / SUBMISSION_FILE), challenge, part)


def check_part(folder: Path, manifest: Submission, challenge: str, limit: int) -> Checked:
    """Check a submission with hashes; arguments as for `check`.

    Raises:
        InputError: with the first thing that is wrong.
    """
    chunks = _chunk_files(folder)
    check_listed(folder, manifest, chunks)
    result, task = read_parts(folder, manifest)
    opened = open_committed(folder, task)
    if not challenge:
        raise InputError(
            f"{folder} holds hashes of its forecasts: draw a part by `--challenge`, with a text of 8 to 64 "
            "letters and digits that the maker could not know when he made them"
        )
    drawn = opened.drawn(folder, challenge, limit)
    _check_rows(folder, opened.commitment, drawn)
    evaluation = _evaluated(opened, drawn)
    scored = Scored(opened.saved, evaluation, opened.data, {})
    notes = check_data(folder, result, scored)
    check_frame(folder, result, scored, task)
    differences = _compared(folder, opened, drawn, evaluation)
    differences += _consistent(folder, result, task, opened)
    scores = sum(len(one) for one in result.scores.values())
    verified = _verified(folder, challenge, opened, drawn)
    return Checked(
        result.model.name,
        task.name,
        result.seed,
        scores,
        len(differences) - scores,
        max(differences, default=0.0),
        (*notes, verified.words),
        verified,
    )


def open_committed(folder: Path, task: Task) -> Opened:
    """Open the metadata of a committed forecast, and the data of its task.

    Raises:
        InputError: where hashes and metadata are of different arrays, or hashes name impossible sizes.
    """
    commitment = read_commitment(folder)
    scenarios, _ = scenarios_at_hand(task, CONDITIONS)
    data = {name: TaskData.open(task, name) for name in {scenario.dataset for scenario in scenarios}}
    saved = open_forecast(folder / FORECAST_FOLDER, task, scenarios, data)
    arrays = {array.name: array for array in commitment.arrays}
    if set(arrays) != {array_name(scenario) for scenario in saved.scenarios}:
        raise InputError(f"{folder}: hashes and forecasts are not of the same scenarios")
    tallies = {}
    for scenario in saved.scenarios:
        array, held = arrays[array_name(scenario)], saved.arrays[scenario.key]
        _check_sizes(folder, array, held)
        cases = len(data[scenario.dataset].test_cases(scenario, task.period))
        tallies[array.name] = tally_for(task, scenario, data[scenario.dataset], cases)
    return Opened(saved, data, tallies, commitment)


def _check_sizes(folder: Path, array: CommittedArray, held: SavedArray) -> None:
    """No row of chunks can be larger than its values: a size that lies would keep a row from the draw."""
    if layout(held.folder) != (array.cases, array.rows) or array.cases != held.shape[0]:
        raise InputError(f"{folder}: the hashes of '{array.name}' are of another number of cases or rows")
    grid = [-(-size // chunk) for size, chunk in zip(held.shape[1:], held.chunk[1:], strict=True)]
    chunks = int(np.prod(grid))
    most = chunks * (2 * int(np.prod(held.chunk)) * itemsize(held.dtype) + SPARE_BYTES)
    for row, size in enumerate(array.sizes):
        if not 0 < size <= most:
            raise InputError(
                f"{folder}: row {row} of '{array.name}' is said to hold {size} bytes; it takes 1 to {most}"
            )


def _chunk_files(folder: Path) -> frozenset[str]:
    """Files of chunks in a submission; what they are is looked at row by row."""
    forecast = folder / FORECAST_FOLDER
    found = (path for path in forecast.glob(f"*/{CHUNKS}/**/*") if path.is_file())
    return frozenset(path.relative_to(folder).as_posix() for path in found)


def _check_rows(folder: Path, commitment: Commitment, drawn: Drawn) -> None:
    """The rows of chunks that were drawn are there, as they were hashed, and no others."""
    for array in commitment.arrays:
        place = folder / FORECAST_FOLDER / array.name
        wanted = {str(row) for row in drawn.rows[array.name]}
        there = rows_there(place)
        if missing := sorted(wanted - there, key=int):
            raise InputError(
                f"{folder} lacks row {missing[0]} of '{array.name}', which was drawn. Its maker adds what "
                "belongs to a challenge with: tsbench board answer"
            )
        if odd := sorted(there - wanted):
            raise InputError(f"{folder}: row {odd[0][:80]} of '{array.name}' was not drawn")
        for row in drawn.rows[array.name]:
            size, digest = row_of(place, row)
            if size != array.sizes[row] or digest != array.hashes[row]:
                raise InputError(
                    f"{folder}: row {row} of '{array.name}' has another size or hash than was fixed"
                )


def _evaluated(opened: Opened, drawn: Drawn) -> Evaluation:
    """Tallies of the drawn cases."""
    evaluation = Evaluation(kind=opened.saved.kind)
    arrays = {array.name: array for array in opened.commitment.arrays}
    with LimitedReader(list(opened.saved.arrays.values())) as reader:
        for scenario in opened.saved.scenarios:
            name = array_name(scenario)
            tally, data = opened.tallies[name], opened.data[scenario.dataset]
            cases = data.test_cases(scenario, data.task.period)
            for index, forecast in _forecasts(opened, scenario, drawn.cases(arrays[name]), reader):
                observed, valid = cases.gather_truth(index)
                tally.update(forecast, observed, valid, partial(cases.seasonal_error, index), index)
            evaluation.tallies.append(tally)
            if scenario.condition == "regular" and not evaluation.cases:
                evaluation.cases = len(cases)
    return evaluation


def _forecasts(
    opened: Opened, scenario: Scenario, cases: np.ndarray, reader: LimitedReader
) -> Iterator[tuple[torch.Tensor, Forecast]]:
    """Case indices and forecasts of the drawn cases alone, in the space of the task's scores."""
    data = opened.data[scenario.dataset]
    there = np.zeros(opened.saved.arrays[scenario.key].shape[0], bool)
    there[cases] = True

    def read(array: SavedArray) -> Iterator[np.ndarray]:
        start = 0
        for block in reader.read(array) if len(cases) else ():
            mine = there[start : start + len(block)]
            start += len(block)
            if mine.any():
                yield block[mine]

    test = data.test_cases(scenario, data.task.period)
    for places, forecast in opened.saved.batches(scenario, read):
        index = torch.from_numpy(cases)[places]
        if opened.saved.space != data.task.space:
            brought = test.from_units if opened.saved.space == "units" else test.to_metric_space
            forecast = replace(forecast, values=brought(forecast.values, index))
        yield index, forecast


def _compared(folder: Path, opened: Opened, drawn: Drawn, evaluation: Evaluation) -> list[float]:
    """Rows of the drawn units, and all rows of scenarios that were drawn whole."""
    arrays = {array.name: array for array in opened.commitment.arrays}
    units = {
        opened.tallies[name].scenario.key: {str(unit) for unit in mine} for name, mine in drawn.units.items()
    }
    whole = {
        opened.tallies[name].scenario.key
        for name, array in arrays.items()
        if len(drawn.rows[name]) == len(array.sizes)
    }

    def is_drawn(key: Key) -> bool:
        return str(key[3]) in units.get(str(key[0]), set())

    return [
        *rows(folder, UNITS_FILE, evaluation.unit_columns(), is_drawn),
        *rows(folder, SCORES_FILE, evaluation.score_columns(), lambda key: key[0] in whole),
    ]


def _consistent(folder: Path, result: Result, task: Task, opened: Opened) -> list[float]:
    """Units add up to totals, and totals have the aggregates as their means."""
    totals = {
        (str(key[0]), str(key[6])): sums
        for key, sums in told_rows(folder, SCORES_FILE).items()
        if key[2] is None and key[5] is None
    }
    scenarios = {scenario.key for scenario in opened.saved.scenarios}
    if {key for key, _ in totals} != scenarios:
        raise InputError(f"{folder / SCORES_FILE} is of other scenarios than the forecasts")
    values = {key: metric(key[1]).value(*sums) for key, sums in totals.items() if key[1] in task.metrics}
    found: dict[str, dict[str, float | None]] = {}
    for name in task.metrics:
        found[name] = {}
        for average, keys in averages(opened.saved.scenarios).items():
            parts = [values.get((key, name)) for key in keys]
            known = [value for value in parts if value is not None]
            found[name][average] = sum(known) / len(known) if len(known) == len(parts) else None
    return [
        *aggregates(folder, result.scores, found, TABLES),
        *_totals_of_units(folder, task, opened, totals),
    ]


def _totals_of_units(
    folder: Path, task: Task, opened: Opened, totals: dict[tuple[str, str], tuple[float, float]]
) -> list[float]:
    """The primary metric's total of each scenario against the sum of its units, where it is such a sum."""
    columns = next(iter(opened.tallies.values())).by_unit.shape[2]
    primary = metric(task.primary)
    if primary.finish == "median" or primary.composed(columns):
        return []
    sums: dict[str, np.ndarray] = {}
    for key, pair in told_rows(folder, UNITS_FILE).items():
        sums[str(key[0])] = sums.get(str(key[0]), np.zeros(2)) + np.array(pair)
    differences = []
    for scenario in opened.saved.scenarios:
        mine = sums.get(scenario.key, np.zeros(2))
        total = totals[scenario.key, task.primary]
        where = f"{task.primary} of {scenario.key}"
        said, found = (one[0] / one[1] if one[1] else None for one in (total, mine))
        differences.append(difference(folder, where, said, found, "its units give"))
    return differences


def _verified(folder: Path, challenge: str, opened: Opened, drawn: Drawn) -> Verified:
    arrays = opened.commitment.arrays
    units = sum(len(np.unique(_units(opened.tallies[array.name], array.cases))) for array in arrays)
    return Verified(
        manifest=sha256(folder / SUBMISSION_FILE),
        challenge=challenge,
        units=sum(map(len, drawn.units.values())),
        units_in_all=units,
        bytes=drawn.size,
        bytes_in_all=sum(sum(array.sizes) for array in arrays),
    )


def _units(tally: Tally, cases: int) -> np.ndarray:
    """Unit of each case, shape (case,)."""
    if tally.unit_of is not None:
        return tally.unit_of.numpy()
    return np.arange(cases) // tally.unit_windows
