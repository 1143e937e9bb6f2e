"""Hugging Face folders of Time-MoE: config.json and safetensors, in one file or in parts with an index.

Read without the transformers package. Nothing that can hold code is opened: weights in pickles are refused.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.training.weights import read_tensors

from .configuration import Configuration

CONFIG, WHOLE, INDEX, SUMS = (
    "config.json", "model.safetensors", "model.safetensors.index.json", "SHA256SUMS",
)  # fmt: skip
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
    given = _read_json(path)
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


def read_state(folder: Path, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """Tensors of a folder as float32, checked against the names and shapes that the network has.

    Raises:
        InputError: where a file is missing, damaged or a pickle, where a checksum in SHA256SUMS differs, and
            for a tensor that is missing, superfluous or of another shape.
    """
    sums = _read_sums(folder / SUMS)
    found: dict[str, torch.Tensor] = {}
    for path, names in _parts(folder).items():
        if path.name in sums and _sha256(path) != sums[path.name]:
            raise InputError(f"{path} differs from its checksum in {SUMS}; fetch it again")
        tensors = read_tensors(path)
        if names is not None and names != tensors.keys():
            odd = sorted(names ^ tensors.keys())[:3]
            raise InputError(f"{path} and {INDEX} disagree on the tensors {odd}")
        found |= tensors
    missing, unexpected = sorted(shapes.keys() - found.keys()), sorted(found.keys() - shapes.keys())
    if missing or unexpected:
        raise InputError(
            f"{folder} does not fit: missing {missing[:3] or 'none'}, unexpected {unexpected[:3] or 'none'}"
        )
    for name, tensor in found.items():
        if tensor.shape != shapes[name]:
            raise InputError(
                f"{folder}: '{name}' has the shape {list(tensor.shape)}, not {list(shapes[name])}"
            )
        if not tensor.is_floating_point():
            raise InputError(f"{folder}: '{name}' holds {tensor.dtype}, not floating-point numbers")
    return {name: tensor.float() for name, tensor in found.items()}


def write_folder(folder: Path, configuration: Configuration, state: Mapping[str, torch.Tensor]) -> None:
    """Write config.json, model.safetensors and SHA256SUMS, all or none; an existing folder is replaced."""
    config = asdict(configuration) | FIXED | {"architectures": ["TimeMoeForPrediction"]}
    config["num_key_value_heads"] = configuration.num_attention_heads
    with atomic.new_folder(folder) as temporary:
        (temporary / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(tensors, temporary / WHOLE, metadata={"format": "pt"})
        lines = [f"{_sha256(temporary / name)}  {name}\n" for name in (CONFIG, WHOLE)]
        (temporary / SUMS).write_text("".join(lines), encoding="utf-8")


def _parts(folder: Path) -> dict[Path, set[str] | None]:
    """Files with weights → names of their tensors, or None where no index says."""
    if (folder / WHOLE).is_file():
        return {folder / WHOLE: None}
    if not (folder / INDEX).is_file():
        pickles = sorted(path.name for path in folder.glob("*") if path.suffix in (".bin", ".pt", ".pth"))
        if pickles:
            raise InputError(
                f"{folder} holds weights as a pickle ({pickles[0]}), which can run code and is not opened; "
                f"fetch {WHOLE}, or save the tensors again with safetensors"
            )
        raise InputError(f"{folder} holds neither {WHOLE} nor {INDEX}")
    mapped = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(mapped, dict) or not mapped:
        raise InputError(f"{folder / INDEX}: weight_map must name the file of each tensor")
    parts: dict[Path, set[str] | None] = {}
    for tensor, name in mapped.items():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise InputError(f"{folder / INDEX}: {name!r} is not a safetensors file of the folder")
        names = parts.setdefault(folder / name, set())
        assert names is not None
        names.add(tensor)
    return parts


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} must hold an object")
    return found


def _read_sums(path: Path) -> dict[str, str]:
    """File name → SHA-256, as `sha256sum` writes them; empty where there is no such file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    if any(len(pair) != 2 or len(pair[0]) != 64 for pair in pairs):
        raise InputError(f"{path} is not a list of SHA-256 checksums and file names")
    return {name.strip().removeprefix("*"): digest.lower() for digest, name in pairs}


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
