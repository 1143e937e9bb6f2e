"""Last year: the target of the period before."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits


class LastYear:
    """Repeats the newest of the past targets.

    Raises:
        InputError: for a task without past targets.
    """

    fits: ClassVar[Fits] = "none"
    uses: ClassVar[frozenset[str]] = frozenset({"past_covariates"})
    views: ClassVar[tuple[str, ...]] = ("panel",)

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        if not shape.past_covariates:
            raise InputError(
                "last_year repeats the target of the period before, which the task does not give"
            )

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1)."""
        return Forecast(batch["past_covariates"][:, -1:])
