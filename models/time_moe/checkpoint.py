"""Configuration of a published Time-MoE folder, and writing one; tensors are read as those of any folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.data.sources import sha256
from tsbench.training.published_folder import CONFIG, SUMS, WHOLE, read_object

from .configuration import Configuration

FIXED = {"model_type": "time_moe", "input_size": 1, "hidden_act": "silu", "attention_dropout": 0}
"""Keys of config.json with the one value that the network is built for; all may be absent but the first."""
REQUIRED = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_experts",
    "num_experts_per_tok", "horizon_lengths",
)  # fmt: skip


def read_configuration(folder: Path) -> Configuration:
    """The configuration of a folder. Keys that say nothing of the network are passed over.

    Raises:
        InputError: where config.json is missing, lacks a key, or asks for another network than this one.
    """
    path = folder / CONFIG
    given = read_object(path)
    if given.get("model_type") != FIXED["model_type"]:
        raise InputError(f"{path}: model_type must be 'time_moe', not {given.get('model_type')!r}")
    for key, value in FIXED.items():
        if given.get(key, value) != value:
            raise InputError(f"{path}: {key} must be {value!r}, not {given[key]!r}")
    if missing := [key for key in REQUIRED if key not in given]:
        raise InputError(f"{path}: {', '.join(missing)} must be given")
    keys = given.get("num_key_value_heads", given["num_attention_heads"])
    if keys != given["num_attention_heads"]:
        raise InputError(f"{path}: num_key_value_heads must equal num_attention_heads, not {keys!r}")
    chosen: dict[str, Any] = {one.name: given[one.name] for one in fields(Configuration) if one.name in given}
    for name, value in chosen.items():
        if not _fits(value, Configuration.__annotations__[name]):
            raise InputError(f"{path}: {name} cannot be {value!r}")
    chosen["horizon_lengths"] = tuple(chosen["horizon_lengths"])
    try:
        return Configuration(**chosen)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def write_folder(folder: Path, configuration: Configuration, state: Mapping[str, torch.Tensor]) -> None:
    """Write config.json, model.safetensors and SHA256SUMS, all or none; an existing folder is replaced."""
    config = asdict(configuration) | FIXED | {"architectures": ["TimeMoeForPrediction"]}
    config["num_key_value_heads"] = configuration.num_attention_heads
    with atomic.new_folder(folder) as temporary:
        (temporary / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(tensors, temporary / WHOLE, metadata={"format": "pt"})
        lines = [f"{sha256(temporary / name)}  {name}\n" for name in (CONFIG, WHOLE)]
        (temporary / SUMS).write_text("".join(lines), encoding="utf-8")


def _fits(value: Any, kind: Any) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind is int:
        return isinstance(value, int)
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, list) and all(type(one) is int for one in value)
