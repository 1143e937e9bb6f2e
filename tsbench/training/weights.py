"""Weights as safetensors: saved whole or not at all, loaded strictly, named by a hash of their values."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tsbench import atomic
from tsbench.contracts import InputError

FIXTURE_PREFIX = "state_dict/"


def save_weights(module: torch.nn.Module, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Save a module's state_dict."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    with atomic.new_file(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_weights(module: torch.nn.Module, path: Path) -> None:
    """Load weights strictly, after the module's own computed buffers are filled in where the file lacks them.

    Files whose tensors are named `state_dict/<key>` are taken as well. A folder is read by the module's own
    `load_folder(path)`, if it has one: published checkpoints come with a configuration.
    A module whose sizes its weights decide (trees) is told them first: `resize(sizes)`.

    Raises:
        InputError: where the file is damaged, lacks a parameter, has one too many, or one of another shape,
            or a folder is given to a model that reads none.
    """
    if path.is_dir():
        if not hasattr(module, "load_folder"):
            raise InputError(f"{path} is a folder; {type(module).__name__} takes a safetensors file")
        module.load_folder(path)  # type: ignore[operator]
        return
    if hasattr(module, "load_folder") and not module.state_dict():
        raise InputError(
            f"{path} is no folder; {type(module).__name__} takes one with config.json and safetensors"
        )
    tensors = read_tensors(path)
    if any(name.startswith(FIXTURE_PREFIX) for name in tensors):
        tensors = {
            name.removeprefix(FIXTURE_PREFIX): one
            for name, one in tensors.items()
            if name.startswith(FIXTURE_PREFIX)
        }
    if hasattr(module, "resize"):
        module.resize({name: one.shape for name, one in tensors.items()})  # type: ignore[operator]
    if hasattr(module, "adapted"):
        tensors = module.adapted(tensors)  # type: ignore[operator]
    own = module.state_dict()
    parameters = {name for name, _ in module.named_parameters()}
    filled = {name: one for name, one in own.items() if name not in parameters} | tensors
    missing, unexpected = sorted(own.keys() - filled.keys()), sorted(filled.keys() - own.keys())
    if missing or unexpected:
        raise InputError(
            f"{path} does not fit: missing {missing[:3] or 'none'}, unexpected {unexpected[:3] or 'none'}"
        )
    for name, one in filled.items():
        if one.shape != own[name].shape:
            raise InputError(f"{path}: '{name}' has the shape {list(one.shape)}, not {list(own[name].shape)}")
    module.load_state_dict(filled, strict=True)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a safetensors file.

    Raises:
        InputError: where the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dictionary)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        raise InputError(f"{path} is not a safetensors file, or is damaged: {str(error)[:300]}") from error


def weights_hash(module: Any) -> str | None:
    """Hash of names, shapes, dtypes and values of the weights; None for a model without any."""
    if not isinstance(module, torch.nn.Module) or not (state := module.state_dict()):
        return None
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def count_parameters(module: Any) -> int | None:
    """Number of learned parameters; 0 for a model that is no torch module and learns nothing."""
    if not isinstance(module, torch.nn.Module):
        return 0
    return sum(parameter.numel() for parameter in module.parameters())
