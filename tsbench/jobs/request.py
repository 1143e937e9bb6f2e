"""Writes the request of a task: what a model that runs in an environment of its own has to answer."""

from collections.abc import Sequence
from pathlib import Path

from tsbench import atomic, registry
from tsbench.contracts import CONDITIONS, InputError
from tsbench.data.task_data import TaskData
from tsbench.evaluation.request_store import write_request

from .job import scenarios_at_hand

LOOK_BACK = 512


def request(
    task_name: str, out: Path, context: int | None = None, scenarios: Sequence[str] = ()
) -> tuple[Path, dict[str, str]]:
    """Write the contexts of a task's scenarios for a model that runs elsewhere.

    Args:
        task_name: the task.
        out: the Zarr v3 directory, which must not exist.
        context: look-back in steps; by default 512, or what the task allows.
        scenarios: keys or patterns of keys; every scenario whose data are at hand where empty.

    Returns:
        The directory, and why scenarios are left out.

    Raises:
        InputError: for an unknown task or scenario, a look-back that the task does not allow, or an `out`
            that exists.
    """
    task = registry.task(task_name)
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} exists; choose another folder")
    chosen, skipped = scenarios_at_hand(task, CONDITIONS, scenarios)
    if not chosen:
        raise InputError(f"{task.name}: no scenario can be asked for ({'; '.join(skipped.values())})")
    steps = context or min(LOOK_BACK, task.max_context)
    data = {name: TaskData.open(task, name) for name in {one.dataset for one in chosen}}
    with atomic.new_folder(out) as temporary:
        write_request(temporary, task, [(one, data[one.dataset]) for one in chosen], steps)
    return out, skipped
