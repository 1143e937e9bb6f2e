"""Which columns of a task's past or future covariates are calendar marks."""

from collections.abc import Mapping, Sequence

import torch

from tsbench.data.calendar import PREFIX

MINUTE = PREFIX + "minute"


def mark_columns(names: Sequence[str], minute: bool) -> list[int]:
    """Positions of the calendar marks among the names of covariates.

    Args:
        names: of the columns, as in `TaskShape.past_covariates`.
        minute: whether the minute of the hour counts, where there is one.
    """
    return [
        index
        for index, name in enumerate(names)
        if name.startswith(PREFIX) and (minute or name != MINUTE)
    ]  # fmt: skip


def marks_of(batch: Mapping[str, torch.Tensor], name: str, columns: Sequence[int]) -> torch.Tensor | None:
    """The marks of a batch, shape (sample, step, mark), or None where there are none.

    Args:
        batch: of a model on the view `sequence`.
        name: `past_covariates` or `future_covariates`.
        columns: from `mark_columns`.
    """
    return batch[name][..., list(columns)] if columns and name in batch else None
