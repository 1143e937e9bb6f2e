"""Which tasks a part of a model's card is meant for: by name, by view, by kind.

Settings, gaps and search spaces share it. Of views this module knows only which can be had from which; the
functions that present a task in them are in `tsbench.data.views`.
"""

from fnmatch import fnmatchcase
from typing import Literal

from .kinds import Kind
from .strict import Strict
from .task import Task

View = Literal["sequence", "csi", "panel", "field", "volume", "grid"]

PRESENTED: dict[str, tuple[View, ...]] = {
    "sequence": ("sequence",),
    "csi": ("csi", "sequence"),
    "panel": ("panel",),
    "field": ("field",),
    "volume": ("volume",),
    "grid": ("grid",),
}
"""A task's own shape → the views in which a model can have it."""


class Addressed(Strict):
    """What holds for some tasks: those that match every one of `tasks`, `views` and `kinds` that is given."""

    tasks: tuple[str, ...] = ("*",)
    """Shell patterns of names, of which one must match; a leading `!` means every other name."""
    views: tuple[View, ...] = ()
    """The task's own shape is one of these; any where empty."""
    kinds: tuple[Kind, ...] = ()
    """The task is of one of these kinds; any where empty."""

    def matches(self, task: Task | str) -> bool:
        """Whether the task is meant.

        Args:
            task: the task; or a name, of a corpus or of a task that is not at hand: it has no view and no
                kind, and is only meant where neither is asked for.
        """
        if not any(_named(task if isinstance(task, str) else task.name, pattern) for pattern in self.tasks):
            return False
        if isinstance(task, str):
            return not (self.views or self.kinds)
        return (not self.views or task.view in self.views) and (not self.kinds or task.kind in self.kinds)

    @property
    def words(self) -> str:
        """The tasks in words: `*, view csi`."""
        parts = [
            *self.tasks,
            *(f"view {view}" for view in self.views),
            *(f"kind {kind}" for kind in self.kinds),
        ]
        return ", ".join(parts)


def _named(name: str, pattern: str) -> bool:
    if pattern.startswith("!"):
        return not fnmatchcase(name, pattern[1:])
    return fnmatchcase(name, pattern)
