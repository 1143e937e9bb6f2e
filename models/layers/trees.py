"""A model whose tensors are the trees of LightGBM, so that it has weights; what it reads is its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tsbench.contracts import InputError
from tsbench.extras import require

from .forest import TENSORS, to_tensors, to_text


class GrownTrees(nn.Module):
    """Forests as tensors (see forest.py). Unfitted: forests of one leaf, which say 0.

    Args:
        user: who needs the package, for the message.
        forests: their number.

    Raises:
        InputError: where lightgbm is not installed.
    """

    trees: torch.Tensor
    leaves: torch.Tensor

    def __init__(self, user: str, forests: int = 1) -> None:
        super().__init__()
        self.package = require("lightgbm", extra="baselines", user=user)
        self.forests = forests
        self._boosters: list[Any] = []
        one = torch.ones(forests, dtype=torch.int32)
        none = torch.zeros(0, dtype=torch.int32)
        self._hold({
            "trees": one, "leaves": one.clone(), "feature": none, "default": none.clone(),
            "branches": torch.zeros(0, 2, dtype=torch.int32),
            "threshold": torch.zeros(0, dtype=torch.float64),
            "value": torch.zeros(forests, dtype=torch.float64),
        })  # fmt: skip
        self.register_load_state_dict_post_hook(lambda module, keys: module._boosters.clear())

    def resize(self, sizes: Mapping[str, torch.Size]) -> None:
        """Make room for the trees of a file of weights, whose number no setting determines.

        Args:
            sizes: name of a tensor → its size in the file.
        """
        own = self.state_dict()
        self._hold({
            name: torch.zeros(sizes.get(name, one.shape), dtype=one.dtype) for name, one in own.items()
        })  # fmt: skip

    def take(self, boosters: Sequence[Any]) -> None:
        """Hold the trees of these boosters of LightGBM, one a forest."""
        self._hold(to_tensors(boosters))

    def forecast(self, table: np.ndarray) -> list[np.ndarray]:
        """What each forest says of the rows of a table, shape (row, column): float64, shape (row,) each.

        Raises:
            InputError: where the weights hold another number of forests.
        """
        if not self._boosters:
            texts = to_text(self.state_dict(), table.shape[1])
            if len(texts) != self.forests:
                raise InputError(f"The weights hold {len(texts)} forests, not {self.forests}")
            self._boosters += [self.package.Booster(model_str=text) for text in texts]
        threads = torch.get_num_threads()
        return [booster.predict(table, num_threads=threads) for booster in self._boosters]

    def _hold(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take these tensors for the trees; thresholds and values of leaves are what is learned."""
        for name in TENSORS:
            tensor = tensors[name]
            if tensor.is_floating_point():
                setattr(self, name, nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(name, tensor)
        self._boosters.clear()
