"""The folder format in which CSI-RRG is published: reading, writing, and its statistics.

A folder holds `H_U_hist.pt`, `H_U_pred.pt` and `H_D_pred.pt`: complex64 tensors (sample, antenna, snapshot,
subcarrier). Nothing is unpickled that could run code: tensors with torch's `weights_only`, statistics by an
unpickler that admits floats and nothing else.
"""

import io
import pickle
import pickletools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import Part
from tsbench.data.normalisation import part_moments

from .grid import ROOTS, Cell, Link, Profile, Split

if TYPE_CHECKING:
    import xarray as xr

FILES = {"history_uplink": "H_U_hist.pt", "target_uplink": "H_U_pred.pt", "target_downlink": "H_D_pred.pt"}
"""Variable of the store → file of the folder."""
STATISTICS = ("mean_r", "std_r", "mean_i", "std_i")
STATISTICS_LIMIT = 10_000
"""Bytes of a file of statistics; four floats need about a hundred."""
_SPLITS: dict[str, Split] = {root: split for split, root in ROOTS.items()}
# Folders below their root, or with the root in the name as on Hugging Face: train_regular_cm_A_ds_030_ms_001.
_FILE = re.compile(
    r"(?:^|.*/)(train|test)[/_](regular|generalization)[/_]cm_([A-E])_ds_(\d{3})_ms_(\d{3})/(H_[UD]_\w+\.pt)"
)


def find_cells(profile: Profile, files: Mapping[str, Path], complete: bool) -> list[Part]:
    """The folders that are there, in the order of the grid, with their number of samples.

    Args:
        profile: with the cells of the benchmark.
        files: path below the user's folder → path.
        complete: whether every cell of the benchmark must be there.

    Raises:
        InputError: where a folder or one of its files is missing, or a history cannot be read.
    """
    found = _by_cell(files)
    if not found:
        raise InputError(
            f"No folder like {ROOTS['train']}/cm_A_ds_030_ms_001 with its files among those given"
        )
    missing = [cell.path for cell in profile.cells() if cell not in found]
    if complete and missing:
        raise InputError(
            f"{len(missing)} of {len(profile.cells())} folders are missing, the first is {missing[0]}. "
            "For some of the folders: tsbench data get csi_rrg-published-part --from DIR"
        )
    order = {cell: number for number, cell in enumerate(profile.cells())}
    cells = sorted(found, key=lambda cell: (order.get(cell, len(order)), cell.path))
    return [Part(cell.path, len(_load(profile.link, cell, "history_uplink", files))) for cell in cells]


def read_cell(link: Link, cell: Cell, files: Mapping[str, Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """History, later uplink and later downlink of a cell, each (sample, antenna, snapshot, subcarrier).

    Raises:
        InputError: where a file is missing, truncated, of another shape or type, or holds NaN, infinite
            values or a channel of zeros.
    """
    arrays = []
    for variable in FILES:
        array = _load(link, cell, variable, files)
        if arrays and len(array) != len(arrays[0]):
            raise InputError(
                f"{_path(cell, variable, files)} holds {len(array)} samples, "
                f"{FILES['history_uplink']} {len(arrays[0])}"
            )
        _require_channels(array, _path(cell, variable, files))
        arrays.append(array)
    return arrays[0], arrays[1], arrays[2]


def write_folders(dataset: "xr.Dataset", folder: Path) -> list[Path]:
    """Write a store in the published format, cell by cell.

    Args:
        dataset: a store of this adapter; opened lazily it is read one cell at a time.
        folder: receives the roots train/regular, test/regular and test/generalization.

    Returns:
        The folders that were written.
    """
    import torch

    split = dataset["split"].values.astype(object)
    split = np.where(split == "validation", "train", split)
    paths = np.array(
        [f"{ROOTS[one]}/{name}" for one, name in zip(split, dataset["cell"].values, strict=True)]
    )
    written = []
    for path in dict.fromkeys(paths.tolist()):
        rows = np.flatnonzero(paths == path)
        target = folder / path
        target.mkdir(parents=True, exist_ok=True)
        for variable, name in FILES.items():
            values = dataset[variable][rows[0] : rows[-1] + 1].values
            torch.save(torch.from_numpy(np.ascontiguousarray(values)), target / name)
        written.append(target)
    return written


def training_statistics(dataset: "xr.Dataset", block: int = 256) -> dict[str, float]:
    """Mean and population standard deviation of real and imaginary part over every training history.

    Validation samples count, as in the published statistics. Reads `block` samples at a time.
    """
    rows = np.flatnonzero(np.isin(dataset["split"].values.astype(object), ["train", "validation"]))
    if not len(rows):
        raise InputError("There are no training samples to take statistics from")
    mean, deviation = part_moments(
        dataset["history_uplink"][rows[start : start + block]].values for start in range(0, len(rows), block)
    )
    return dict(zip(STATISTICS, map(float, (mean[0], deviation[0], mean[1], deviation[1])), strict=True))


def write_statistics(path: Path, statistics: Mapping[str, float]) -> None:
    """Write statistics as they are published: a pickled dict of four floats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({name: float(statistics[name]) for name in STATISTICS}))


def read_statistics(path: Path) -> dict[str, float]:
    """Read published statistics.

    Raises:
        InputError: where the file holds anything else than a dict of the four floats.
    """
    try:
        if path.stat().st_size > STATISTICS_LIMIT:
            raise InputError(f"{path} is larger than {STATISTICS_LIMIT} bytes")
        found = _FloatsOnly.read(path.read_bytes())
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}") from error
    except Exception as error:  # a damaged pickle raises almost anything
        raise InputError(f"{path} is not a pickled dict of four floats: {_first_line(error)}") from error
    good = isinstance(found, dict) and set(found) == set(STATISTICS)
    if not good or not all(type(value) is float and np.isfinite(value) for value in found.values()):
        raise InputError(f"{path} is not a pickled dict of four floats ({', '.join(STATISTICS)})")
    return found


class _FloatsOnly(pickle.Unpickler):
    """Builds plain dicts, strings and floats; whatever needs a class or a function is refused."""

    @classmethod
    def read(cls, content: bytes) -> Any:
        # The unpickler in C makes room for whatever place of its memo these two name.
        for code, place, _ in pickletools.genops(content):
            if code.name in ("PUT", "LONG_BINPUT") and int(place or 0) > len(content):
                raise pickle.UnpicklingError(f"it names place {place} of its memo")
        return cls(io.BytesIO(content)).load()

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside")


def _by_cell(files: Mapping[str, Path]) -> dict[Cell, dict[str, Path]]:
    """Cell → file name → path."""
    cells: dict[Cell, dict[str, Path]] = {}
    for name, path in files.items():
        if match := _FILE.fullmatch(name):
            use, kind, model, delay_spread, speed, file = match.groups()
            split = _SPLITS.get(f"{use}/{kind}")
            if split is not None:
                cell = Cell(split, model, int(delay_spread), int(speed))
                cells.setdefault(cell, {})[file] = path
    return cells


def _path(cell: Cell, variable: str, files: Mapping[str, Path]) -> Path:
    at_hand = _by_cell(files)[cell]
    if FILES[variable] not in at_hand:
        raise InputError(f"{next(iter(at_hand.values())).parent} holds no {FILES[variable]}")
    return at_hand[FILES[variable]]


def _load(link: Link, cell: Cell, variable: str, files: Mapping[str, Path]) -> np.ndarray:
    """The array of one file, mapped from disk: values are read when they are used."""
    import torch

    path = _path(cell, variable, files)
    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(f"{path} is no whole file of a tensor: {_first_line(error)}") from error
    snapshots = link.history if variable == "history_uplink" else link.horizon
    expected = (link.array.antennas, snapshots, len(link.uplink))
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.complex64:
        kind = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise InputError(f"{path} holds {kind}, not a complex64 tensor")
    if tensor.ndim != 4 or tensor.shape[1:] != expected or not len(tensor):
        raise InputError(
            f"{path} has the shape {tuple(tensor.shape)}, not (samples, {', '.join(map(str, expected))})"
        )
    if tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
        # Strides of zero let a small file claim any size: reading it as an array would fill the memory.
        raise InputError(f"{path} holds fewer values than its shape {tuple(tensor.shape)} says")
    return tensor.resolve_conj().numpy()


def _require_channels(array: np.ndarray, path: Path) -> None:
    energy = np.square(np.abs(array)).sum(axis=(2, 3), dtype=np.float64)  # (sample, antenna)
    for wrong, what in ((~np.isfinite(energy), "NaN or infinite values"), (energy == 0, "nothing but zeros")):
        if wrong.any():
            sample, antenna = np.argwhere(wrong)[0]
            raise InputError(f"{path}: sample {sample}, antenna {antenna} holds {what}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
