"""A task's definition in words, as pairs of a term and what holds."""

from tsbench.contracts import CONDITIONS, NotApplicable, Task
from tsbench.contracts.conditions import Coordinate, ScenarioGrid
from tsbench.contracts.split import LabelledSplit, PeriodSplit, RollingSplit, SeriesSplit
from tsbench.leaderboard.words import metric_words, name_words, value_words

from .. import text
from .kinds import SPACES, foretold, scored, seen

SCALES = {
    "none": "none",
    "zscore": "per variable, by mean and standard deviation of the training part",
    "zscore_parts": (
        "all real parts together and all imaginary parts together, by mean and standard deviation of the "
        "training contexts"
    ),
}
SERIES_SCALE = "of each series by itself, by mean and standard deviation of its training part"
DRAWS = {"once": "drawn once, before training", "each_epoch": "drawn anew in each epoch"}


def in_words(task: Task) -> list[tuple[str, str]]:
    """The definition of a task in words, as pairs of a term and what holds."""
    words = [
        ("Forecast", foretold(task)),
        ("Data set", task.dataset),
        ("Context", seen(task)),
        ("Scored", scored(task)),
        ("Split", _split(task)),
        ("Normalisation", _scale(task)),
        ("Metrics", ", ".join(_metric(task, metric) for metric in task.metrics)),
        ("Missing values", "refused" if task.missing == "refuse" else "masked, never scored, and counted"),
        *((condition.capitalize(), _condition(task, condition)) for condition in CONDITIONS),
        ("Independent unit", _unit(task)),
    ]
    return words + ([("Noise in training", _noise(task))] if task.training_noise else [])


def _scale(task: Task) -> str:
    if task.rolling and task.normalisation == "zscore":
        return SERIES_SCALE
    if task.panel and task.panel.official:
        return (
            f"{SCALES[task.normalisation]}; of the context over all rows, test periods too, as its authors do"
        )
    if task.rollout and task.rollout.logarithm:
        names = ", ".join(map(name_words, task.rollout.logarithm))
        return f"{SCALES[task.normalisation]}; of {names} after the logarithm"
    return SCALES[task.normalisation]


def _split(task: Task) -> str:
    split = task.split
    if isinstance(split, LabelledSplit):
        labels = f"{split.train} for training, {split.validation} for validation, {split.test} for the test"
        return f"by the label of a sample: {labels}"
    if isinstance(split, PeriodSplit):
        train, validation, test = (_range(one) for one in (split.train, split.validation, split.test))
        words = f"by {name_words(split.coordinate)}: {train} for training, {validation} for validation, "
        return words + f"{test} for the test"
    if isinstance(split, SeriesSplit):
        labels = f"{split.train} for training, {split.validation} for validation, {split.test} for the test"
        every = f"every window with {split.shortest_context} values before it, in the test {split.step} apart"
        return f"by the label of a series: {labels}; {every}"
    if isinstance(split, RollingSplit):
        return _rolling(split, task)
    shares = [split.train, split.validation, split.test]
    if split.kind == "ratio":
        train, validation, test = (f"{text.count(100 * share)} % of the rows" for share in shares)
    else:
        train, validation, test = (f"{text.count(share)} rows" for share in shares)
    return f"in order of time: {train} for training, {validation} for validation, {test} for the test"


def _range(ends: tuple[float, float]) -> str:
    first, last = (f"{end:g}" for end in ends)
    return first if first == last else f"{first} to {last}"


def _rolling(split: RollingSplit, task: Task) -> str:
    if isinstance(split.windows, int):
        windows = f"the last {split.windows} windows" if split.windows > 1 else "the last window"
    else:
        share = text.count(100 * split.windows.share)
        windows = (
            f"as many windows as make up {share} % of the shortest series, at most {split.windows.most},"
        )
    steps = split.step or task.horizon
    words = f"of each series {windows} for the test, {steps} steps apart; "
    words += f"{split.validation} before for validation"
    words += f"; the last {split.unused} values are not used" if split.unused else ""
    if split.cut_within:
        words += f"; training by gradient draws one origin a series and epoch, {split.cut_within} values back"
    if split.short_series == "leave_windows_out":
        words += f"; windows with less than {split.shortest_context} values before them are left out"
    if split.short_series == "leave_out":
        words += f"; series with less than {split.shortest_context} values before these are left out"
    return words


def _metric(task: Task, metric: str) -> str:
    title = metric_words(metric).title
    return f"{title} (ranks)" if metric == task.primary else title


def _condition(task: Task, condition: str) -> str:
    grids = getattr(task.conditions, condition)
    if isinstance(grids, NotApplicable):
        return f"not applicable: {grids.not_applicable}"
    parts: list[str] = []
    before = ""
    for grid in grids:
        place = _place(grid, "samples" if task.unit.kind == "sample" else "windows")
        # Grids of the same place follow each other: name it once.
        parts.append(_disturbed(grid) if place == before and grid.disturbance else place + _disturbed(grid))
        before = place
    return "; ".join(part.strip() for part in parts)


def _place(grid: ScenarioGrid, cases: str) -> str:
    words = f"test {cases} of {grid.dataset}" if grid.dataset else "the test part"
    if grid.part:
        words = f"the part {name_words(grid.part)}"
    if grid.cells:
        words += f", each cell of {_cells(grid.cells)}"
    if grid.trained:
        words += (
            f" (those of {_cells(grid.trained)} were trained on and count for the published average only)"
        )
    if grid.disturbance is None and not grid.cells:
        words += ", never trained on" if grid.dataset else " as it is"
    return words


def _cells(cells: dict[str, tuple[Coordinate, ...]]) -> str:
    return " × ".join(f"{name_words(name)} {_values(values)}" for name, values in cells.items())


def _disturbed(grid: ScenarioGrid) -> str:
    words, options = "", {}
    if grid.disturbance:
        options = grid.disturbance.options
        words = f" with {name_words(grid.disturbance.name)} at {name_words(grid.disturbance.parameter)} "
        words += _values(grid.disturbance.levels)
    if grid.counts == "published":
        said = ", ".join(f"{name_words(name)}: {value}" for name, value in options.items())
        words += f" ({said + '; ' if said else ''}for the published average only)"
    if grid.counts == "condition":
        words += " (not for the published average)"
    return words


def _values(values: tuple[Coordinate, ...]) -> str:
    return ", ".join(map(value_words, values))


def _unit(task: Task) -> str:
    cluster = (
        "the data set" if task.cluster == "dataset" else f"the samples of one {name_words(task.cluster)}"
    )
    if task.unit.kind in ("sample", "series"):
        return f"{task.unit.kind}; cluster: {cluster}"
    return f"block of {task.unit_windows} consecutive windows; cluster: {cluster}"


def _noise(task: Task) -> str:
    noise = task.training_noise
    assert noise is not None
    levels = f"level {value_words(noise.low)} to {value_words(noise.high)} for each case"
    return f"{name_words(noise.disturbance)}, {levels}, {DRAWS[noise.draw]}, {SPACES[noise.space]}"
