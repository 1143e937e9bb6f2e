"""Published weights: folders with config.json and safetensors, in one file or in parts with an index.

This is how Hugging Face lays checkpoints out. They are read without its packages, and nothing that can hold
code is opened: weights in pickles are refused.
"""

import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from tsbench.contracts import InputError
from tsbench.data.sources import sha256

from .weights import read_tensors

CONFIG, WHOLE, INDEX, SUMS = (
    "config.json", "model.safetensors", "model.safetensors.index.json", "SHA256SUMS",
)  # fmt: skip
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        InputError: where it is missing or holds anything else.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} must hold an object")
    return found


def read_state(
    folder: Path, shapes: Mapping[str, Sequence[int]], *, ignored: Container[str] = ()
) -> dict[str, torch.Tensor]:
    """Tensors of a folder as float32, checked against the names and shapes that the network has.

    Args:
        folder: the folder.
        shapes: name → shape in the network.
        ignored: names that may be superfluous, and are left out.

    Raises:
        InputError: where a file is missing, damaged or a pickle, where a checksum in SHA256SUMS differs, and
            for a tensor that is missing, superfluous or of another shape.
    """
    check_sums(folder)
    found: dict[str, torch.Tensor] = {}
    for path, names in _parts(folder).items():
        tensors = read_tensors(path)
        _agree(folder, path, names, tensors)
        found |= {name: tensor for name, tensor in tensors.items() if name not in ignored}
    _fit(folder, {name: tensor.shape for name, tensor in found.items()}, shapes)
    for name, tensor in found.items():
        if not tensor.is_floating_point():
            raise InputError(f"{folder}: '{name}' holds {tensor.dtype}, not floating-point numbers")
    return {name: tensor.float() for name, tensor in found.items()}


def check_state(
    folder: Path,
    shapes: Mapping[str, Sequence[int]],
    *,
    optional: Container[str] = (),
    ignored: Container[str] = (),
) -> None:
    """Check names and shapes of a folder's tensors against those of a network, reading headers only.

    Args:
        folder: the folder.
        shapes: name → shape in the network.
        optional: names that may be missing: copies of another tensor.
        ignored: names that may be superfluous.

    Raises:
        InputError: as `read_state`.
    """
    found = read_shapes(folder)
    wanted = {name: shape for name, shape in shapes.items() if name in found or name not in optional}
    _fit(folder, {name: shape for name, shape in found.items() if name not in ignored}, wanted)


def read_shapes(folder: Path) -> dict[str, Sequence[int]]:
    """Name → shape of every tensor of a folder, from the headers of its files.

    Raises:
        InputError: where a file is missing, damaged or a pickle.
    """
    found: dict[str, Sequence[int]] = {}
    for path, names in _parts(folder).items():
        present = _read_shapes(path)
        _agree(folder, path, names, present)
        found |= present
    return found


def check_sums(folder: Path) -> None:
    """Compare the files of a folder that SHA256SUMS lists (there need be none) with their checksums.

    Raises:
        InputError: where a file is missing or another one, and where there are no weights, or a pickle.
    """
    sums = _read_sums(folder / SUMS)
    for path in (*_parts(folder), folder / CONFIG):
        if not path.is_file():
            raise InputError(f"There is no file {path}")
        if path.name in sums and sha256(path) != sums[path.name]:
            raise InputError(f"{path} differs from its checksum in {SUMS}; fetch it again")


def _parts(folder: Path) -> dict[Path, set[str] | None]:
    """Files with weights → names of their tensors, or None where no index says."""
    if (folder / WHOLE).is_file():
        return {folder / WHOLE: None}
    if not (folder / INDEX).is_file():
        pickles = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES)
        if pickles:
            raise InputError(
                f"{folder} holds weights as a pickle ({pickles[0]}), which can run code and is not opened; "
                f"fetch {WHOLE}, or save the tensors again with safetensors"
            )
        raise InputError(f"{folder} holds neither {WHOLE} nor {INDEX}")
    mapped = read_object(folder / INDEX).get("weight_map")
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


def _agree(folder: Path, path: Path, names: set[str] | None, found: Mapping[str, Any]) -> None:
    if names is not None and names != found.keys():
        odd = sorted(names ^ found.keys())[:3]
        raise InputError(f"{path} and {folder / INDEX} disagree on the tensors {odd}")


def _fit(folder: Path, found: Mapping[str, Sequence[int]], shapes: Mapping[str, Sequence[int]]) -> None:
    missing, unexpected = sorted(shapes.keys() - found.keys()), sorted(found.keys() - shapes.keys())
    if missing or unexpected:
        raise InputError(
            f"{folder} does not fit: missing {missing[:3] or 'none'}, unexpected {unexpected[:3] or 'none'}"
        )
    for name, shape in found.items():
        if tuple(shape) != tuple(shapes[name]):
            raise InputError(f"{folder}: '{name}' has the shape {list(shape)}, not {list(shapes[name])}")


def _read_shapes(path: Path) -> dict[str, Sequence[int]]:
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a safetensors file, or is damaged: {str(error)[:300]}") from error


def _read_sums(path: Path) -> dict[str, str]:
    """File name → SHA-256, as `sha256sum` writes them; empty where there is no such file."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    if any(len(pair) != 2 or len(pair[0]) != 64 for pair in pairs):
        raise InputError(f"{path} is not a list of SHA-256 checksums and file names")
    return {name.strip().removeprefix("*"): digest.lower() for digest, name in pairs}
