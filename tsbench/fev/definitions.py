"""Task files of fev: reads their definitions, finds their data files, opens them as `fev.Task`.

A file is YAML with the key `tasks`, a list of keyword arguments of `fev.Task` (fev 0.10, arXiv 2509.26468),
or one such mapping. A definition is kept with all of fev's fields, as `fev.Task.to_dict` gives them, and with
the path of its data as the file has it: relative to the file's folder.
"""

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.evaluation.metrics import METRICS
from tsbench.extras import require

USER = "A task file of fev"
NAME_LIMIT = 90
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_.-]+")


@dataclass(frozen=True)
class Definition:
    """A task of a task file.

    Attributes:
        name: of its data set and task, after `fev-`.
        where: file and task, for messages.
        folder: of the file, to which the path of the data is relative; None where they are not local.
        fields: all fields of `fev.Task`.
        metrics: fev's names, the one of `test_error` first.
    """

    name: str
    where: str
    folder: Path | None
    fields: Mapping[str, Any]
    metrics: tuple[str, ...]

    @property
    def local(self) -> bool:
        """Whether the data are files of this machine; else fev loads them from wherever they are."""
        path = str(self.fields["dataset_path"])
        if self.folder is None or "://" in path:
            return False
        return self.fields["dataset_config"] is None or (self.folder / path).is_dir()

    def find_files(self) -> dict[str, Path]:
        """Path from the file's folder → data file; none where the data are not local.

        Raises:
            InputError: where there is no such file.
        """
        if not self.local or self.folder is None:
            return {}
        path = str(self.fields["dataset_path"])
        pattern = path if self.fields["dataset_config"] is None else f"{path}/**"
        # Not Path.glob, which takes no absolute patterns.
        matched = glob.glob(pattern, root_dir=self.folder, recursive=True)  # noqa: PTH207
        found = [self.folder / one for one in sorted(matched)]
        held = [one for one in found if one.is_file()]
        if not held:
            raise InputError(f"{self.where}: there is no file {self.folder / path}")
        outside = Path(path).is_absolute()
        return {str(one) if outside else one.relative_to(self.folder).as_posix(): one for one in held}

    def open(self) -> Any:
        """The `fev.Task`, with the path of local data made absolute.

        Raises:
            InputError: where fev refuses the definition.
        """
        if not self.local or self.folder is None:
            return _fev_task(self.fields, self.where)
        path = str(self.folder / str(self.fields["dataset_path"]))
        return _fev_task({**self.fields, "dataset_path": path}, self.where)

    def load(self) -> tuple[Any, Any]:
        """The `fev.Task` with its data, checked by fev, and these as a `datasets.Dataset`, a row a series.

        Raises:
            InputError: where the data cannot be had, or are not as fev wants them.
        """
        task = self.open()
        path = self.fields["dataset_path"]
        try:
            return task, task.load_full_dataset(num_proc=0)
        except RuntimeError as error:
            # fev names the arguments of its call; what went wrong is the exception behind it.
            reason = first_line(error.__context__ or error)
            raise InputError(f"{self.where}: {path} cannot be loaded: {reason}") from error
        except Exception as error:  # fev asserts what it wants, and packages below it raise what they like
            raise InputError(f"{self.where}: fev refuses {path}: {first_line(error)}") from error


def read_definitions(path: Path) -> list[Definition]:
    """Every task of a task file, in the file's order; one that is named as one before gets a number.

    Raises:
        InputError: where the file is not as fev has it, a definition is wrong, or a metric or an option of
            one is none of ours; where fev is not installed.
    """
    require("fev", "fev", USER)
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    document = registry.read_yaml(path)
    listed = document.get("tasks", [document]) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise InputError(
            f"{path} is no task file of fev: it needs the key `tasks` with a list of definitions"
        )
    made: list[Definition] = []
    for number, given in enumerate(listed, start=1):
        task = _fev_task(given, f"{path}: task {number}")
        where = f"{path}: task {number} ({task.task_name or task.dataset_path})"
        fields = task.to_dict()
        name = _unique(_name_of(task), [one.name for one in made])
        made.append(Definition(name, where, path.parent.absolute(), fields, _metrics(fields, where)))
    return made


def choose(definitions: list[Definition], name: str, path: Path) -> Definition:
    """The definition of that name; a file with one task needs none.

    Raises:
        InputError: where there are several, and none of that name.
    """
    found = next((one for one in definitions if one.name == name), None)
    if found is None and len(definitions) == 1:
        return definitions[0]
    if found is None:
        names = [one.name for one in definitions]
        told = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        raise InputError(f"{path} has no task '{name}'; it has {told}")
    return found


def definition_of(fields: Mapping[str, Any], files: Mapping[str, Path], name: str) -> Definition:
    """A definition that was kept, with the files that it was found with (`Definition.find_files`)."""
    found = next(iter(files.items()), None)
    folder = None if found is None else Path(str(found[1]).removesuffix(found[0]) or "/")
    return Definition(name, f"'{name}'", folder, fields, _metrics(fields, f"'{name}'"))


def _fev_task(fields: Mapping[str, Any], where: str) -> Any:
    fev = require("fev", "fev", USER)
    try:
        return fev.Task(**fields)
    except Exception as error:  # of pydantic, assertions of fev, whatever its metrics raise for an option
        raise InputError(f"{where}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What is wrong with a definition, with the key."""
    listed = getattr(error, "errors", None)
    if not callable(listed):
        return f"no {error} is given" if isinstance(error, KeyError) else first_line(error)
    told: Any = listed()
    first = told[0]
    key = ".".join(str(one) for one in first["loc"][:1])
    return f"{key}: {first['msg']}" if key else str(first["msg"])


def first_line(error: BaseException) -> str:
    """The message of an error of fev, or of a package below it, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _name_of(task: Any) -> str:
    """The task's name in the letters of ours; of a file without folder the file's."""
    text = _NOT_IN_NAMES.sub("-", (task.task_name or "").lower()).strip("-_.")
    text = text or _NOT_IN_NAMES.sub("-", Path(task.dataset_path).stem.lower()).strip("-_.")
    return text[:NAME_LIMIT] or "task"


def _unique(name: str, taken: list[str]) -> str:
    number, made = 1, name
    while made in taken:
        number += 1
        made = f"{name}-{number}"
    return made


def _metrics(fields: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Names of the metrics, `test_error` first.

    Raises:
        InputError: for a metric, or an option of one, that ours do not have.
    """
    metrics = require("fev.metrics", "fev", USER)
    names = []
    for given in (fields["eval_metric"], *fields["extra_metrics"]):
        made = metrics.get_metric(given)
        plain = vars(type(made)())
        if other := sorted(key for key, value in vars(made).items() if plain.get(key) != value):
            raise InputError(
                f"{where}: {made.name} with {', '.join(other)} is none of ours; leave the option out, or "
                f"its value at {', '.join(str(plain.get(key)) for key in other)}"
            )
        if f"fev.{made.name}" not in METRICS:
            raise InputError(
                f"{where}: the metric {made.name} is none of ours; there are {', '.join(_ours())}"
            )
        names.append(made.name)
    return tuple(names)


def _ours() -> list[str]:
    return sorted(name.removeprefix("fev.") for name in METRICS if name.startswith("fev."))
