"""Boosted trees as tensors: out of LightGBM's text form and back into it.

Weights of others are not handed to LightGBM as text, which its parser takes on trust: trees are rebuilt from
numbers whose every index has been checked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsbench.contracts import InputError

TENSORS = ("trees", "leaves", "feature", "default", "branches", "threshold", "value")
"""Of a forest: number of trees of each output; leaves of each tree; of all splits, one after the other, their
feature, LightGBM's code of where missing values go, two branches (a split of the same tree, counted from 0,
or a leaf as -1, -2, …) and threshold; of all leaves their value."""
DECISIONS = range(0, 16, 2)
"""Codes of numerical splits; odd ones are categorical."""

Tensors = Mapping[str, torch.Tensor]


def to_tensors(boosters: Sequence[Any]) -> dict[str, torch.Tensor]:
    """The trees of one booster an output, as the tensors of `TENSORS`."""
    forests = [_trees(booster.model_to_string()) for booster in boosters]
    trees = [tree for forest in forests for tree in forest]

    def joined(key: str, dtype: Any) -> torch.Tensor:
        found = np.concatenate([np.zeros(0), *(_numbers(tree.get(key, "")) for tree in trees)])
        return torch.from_numpy(found.astype(dtype))

    left, right = joined("left_child", np.int32), joined("right_child", np.int32)
    return {
        "trees": torch.tensor([len(forest) for forest in forests], dtype=torch.int32),
        "leaves": torch.tensor([int(tree["num_leaves"]) for tree in trees], dtype=torch.int32),
        "feature": joined("split_feature", np.int32),
        "default": joined("decision_type", np.int32),
        "branches": torch.stack([left, right], dim=1),
        "threshold": joined("threshold", np.float64),
        "value": joined("leaf_value", np.float64),
    }


def to_text(tensors: Tensors, features: int) -> list[str]:
    """LightGBM's text form of each output's trees.

    Args:
        tensors: as `to_tensors` gives them.
        features: columns of the table that the trees look at.

    Raises:
        InputError: where the tensors are no trees on so many columns.
    """
    arrays = {name: tensors[name].detach().cpu().numpy() for name in TENSORS}
    _check(arrays, features)
    names = " ".join(f"Column_{column}" for column in range(features))
    head = (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        f"max_feature_idx={features - 1}\nfeature_names={names}\n"
        f"feature_infos={' '.join(['none'] * features)}\n\n"
    )
    texts, tree, split, leaf = [], 0, 0, 0
    for count in arrays["trees"]:
        lines = [head]
        for number in range(count):
            leaves = int(arrays["leaves"][tree])
            own = slice(split, split + leaves - 1)
            lines.append(f"Tree={number}\nnum_leaves={leaves}\nnum_cat=0\n")
            if leaves > 1:
                lines.append(
                    f"split_feature={_joined(arrays['feature'][own])}\n"
                    f"threshold={_joined(arrays['threshold'][own])}\n"
                    f"decision_type={_joined(arrays['default'][own])}\n"
                    f"left_child={_joined(arrays['branches'][own, 0])}\n"
                    f"right_child={_joined(arrays['branches'][own, 1])}\n"
                )
            lines.append(f"leaf_value={_joined(arrays['value'][leaf : leaf + leaves])}\nshrinkage=1\n\n\n")
            tree, split, leaf = tree + 1, split + leaves - 1, leaf + leaves
        texts.append("".join([*lines, "end of trees\n"]))
    return texts


def _trees(text: str) -> list[dict[str, str]]:
    """Key and value of each line of each tree."""
    blocks = text.partition("end of trees")[0].split("Tree=")[1:]
    return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]


def _numbers(text: str) -> npt.NDArray[np.float64]:
    return np.array(text.split(), np.float64)


def _joined(values: npt.NDArray[Any]) -> str:
    return " ".join(map(repr, values.tolist()))


def _check(arrays: Mapping[str, npt.NDArray[Any]], features: int) -> None:
    """Refuse what would make LightGBM read beyond its arrays, or go round in circles."""
    leaves = arrays["leaves"].astype(np.int64)
    splits = leaves - 1
    if (leaves < 1).any() or (arrays["trees"] < 0).any() or arrays["trees"].sum() != len(leaves):
        raise InputError("The weights hold no trees: their numbers of trees and leaves do not agree")
    if len(arrays["feature"]) != splits.sum() or len(arrays["value"]) != leaves.sum():
        raise InputError("The weights hold no trees: their numbers of leaves, splits and values do not agree")
    if ((arrays["feature"] < 0) | (arrays["feature"] >= features)).any():
        raise InputError(
            f"The weights hold a tree that looks at a column outside the {features} of this task"
        )
    if not np.isin(arrays["default"], DECISIONS).all():
        raise InputError("The weights hold a tree with a split of unknown kind")
    # A split comes after the one that leads to it, so that every path ends in a leaf.
    number = np.concatenate([np.arange(count) for count in splits] or [np.zeros(0)])[:, None]
    last, lowest = (np.repeat(counts, splits)[:, None] for counts in (splits, -leaves))
    branches = arrays["branches"]
    if ((branches < lowest) | (branches >= last) | ((branches >= 0) & (branches <= number))).any():
        raise InputError("The weights hold a tree whose branches lead nowhere")
    # A split of what is there from what is missing has an infinite threshold.
    if np.isnan(arrays["threshold"]).any() or not np.isfinite(arrays["value"]).all():
        raise InputError("The weights hold a tree with a number that is not finite")
