"""Reads the folders of DeepMIMO scenarios, version 4 or 3, into rays. No pickle is opened.

Version 4: `params.json` with `rt_params.frequency` (Hz) and `txrx_sets`, and for each transmitter of a set
and each receiver set the matrices `power` (dB), `phase` (degrees), `delay` (s), `aod_az`, `aod_el`, `aoa_az`,
`aoa_el` (degrees, `el` from the zenith), each (receiver, path), NaN where there is no path, in files such as
`power_t001_tx000_r000.mat` (or .npz, .npy). Version 3: `params.mat` with `carrier_freq`, and
`BS1_UE_0-1024.mat` whose cell array `channels` has a matrix for each user: rows phase, delay, power,
arrival azimuth and zenith, departure azimuth and zenith, line of sight.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.contracts.strict import parse_json

from .rays import Rays, direction

QUANTITIES = ("power", "phase", "delay", "aod_az", "aod_el", "aoa_az", "aoa_el")
_FOURTH = re.compile(r"power_t(\d{3})_tx(\d{3})_r(\d{3})\.(mat|npz|npy)")
_THIRD = re.compile(r"BS(\d+)_UE_(\d+)-(\d+)\.mat")
ROWS = 8
"""Rows of a user's matrix in version 3; those after them hold what a ray tracer knows of Doppler."""


def read_folder(files: Mapping[str, Path]) -> tuple[float, Rays]:
    """Carrier frequency in Hz, and the rays of every user who has any, base station after base station.

    Args:
        files: path below the user's folder → path.

    Raises:
        InputError: where there is no scenario or several, a file is missing or damaged, or matrices are not
            as the format says.
    """
    known = [path for name, path in files.items() if Path(name).name in ("params.json", "params.mat")]
    if len(known) != 1:
        found = "no params.json or params.mat" if not known else f"{len(known)} files of parameters"
        raise InputError(
            f"There is {found} among the files; give the folder of one scenario, or of one scene"
        )
    (parameters,) = known
    beside = {path.name: path for path in files.values() if path.parent == parameters.parent}
    fourth = parameters.suffix == ".json"
    frequency, read = _fourth(parameters, beside) if fourth else _third(parameters, beside)
    if not np.isfinite(frequency) or frequency <= 0:
        raise InputError(f"{parameters}: the carrier frequency is {frequency}; it must be above 0 Hz")
    return frequency, _joined(parameters.parent, read)


def _fourth(parameters: Path, beside: Mapping[str, Path]) -> tuple[float, list[np.ndarray]]:
    """Carrier, and for each pair the quantities, shape (quantity, user, path)."""
    declared = parse_json(parameters.read_bytes(), parameters)
    try:
        frequency = float(declared["rt_params"]["frequency"])
        sets = declared["txrx_sets"].values()
        only_receive = {int(one["id"]) for one in sets if one["is_rx"] and not one["is_tx"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{parameters} must hold rt_params.frequency and txrx_sets with id, is_tx and is_rx"
        ) from error
    pairs = sorted(match.groups() for name in beside if (match := _FOURTH.fullmatch(name)))
    # Sets that also send are base stations seen from base stations.
    users = [pair for pair in pairs if int(pair[2]) in only_receive] or pairs
    if not users:
        raise InputError(f"{parameters.parent} holds no matrix like power_t001_tx000_r000.mat")
    read = []
    for transmitters, number, receivers, form in users:
        ending = f"t{transmitters}_tx{number}_r{receivers}.{form}"
        arrays = [_matrix(beside, f"{name}_{ending}", name, parameters.parent) for name in QUANTITIES]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1 or arrays[0].ndim != 2:
            raise InputError(
                f"{parameters.parent}: matrices of {ending} have the shapes {sorted(shapes)}, not one shape "
                "(receiver, path)"
            )
        read.append(np.stack(arrays))
    return frequency, read


def _third(parameters: Path, beside: Mapping[str, Path]) -> tuple[float, list[np.ndarray]]:
    found = _matlab(parameters)
    try:
        frequency = float(np.asarray(found["carrier_freq"], dtype=float).item())
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{parameters} must hold the number carrier_freq") from error
    named = sorted(
        (int(match[1]), int(match[2]), name) for name in beside if (match := _THIRD.fullmatch(name))
    )
    if not named:
        raise InputError(f"{parameters.parent} holds no file like BS1_UE_0-1024.mat")
    return frequency, [_users(beside[name]) for _, _, name in named]


def _users(path: Path) -> np.ndarray:
    """Quantities of the users of one file of version 3, (quantity, user, path), NaN where no path is."""
    held = _matlab(path)
    cells = held.get("channels", held.get("channels_VV"))
    if cells is None:
        raise InputError(f"{path} holds neither 'channels' nor 'channels_VV'")
    try:
        users = [np.asarray(cell[0][0][0], dtype=float) for cell in np.asarray(cells)[0]]
        wrong = next((one.shape for one in users if one.size and (one.ndim != 2 or len(one) < ROWS)), None)
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: 'channels' is no cell array of one matrix for each user") from error
    if wrong is not None:
        raise InputError(f"{path}: a user's matrix has the shape {wrong}, not ({ROWS}, path)")
    longest = max((one.shape[1] for one in users if one.size), default=0)
    padded = np.full((ROWS, len(users), longest), np.nan)
    for number, one in enumerate(users):
        if one.size:
            padded[:, number, : one.shape[1]] = one[:ROWS]
    phase, delay, power, aoa_az, aoa_el, aod_az, aod_el, _ = padded
    return np.stack([power, phase, delay, aod_az, aod_el, aoa_az, aoa_el])


def _joined(folder: Path, read: list[np.ndarray]) -> Rays:
    """Rays of the users who have any."""
    longest = max(one.shape[2] for one in read)
    padding = [((0, 0), (0, 0), (0, longest - one.shape[2])) for one in read]
    values = np.concatenate(
        [
            np.pad(one.astype(float), width, constant_values=np.nan)
            for one, width in zip(read, padding, strict=True)
        ],
        axis=1,
    )
    there = np.isfinite(values[0])  # (user, path)
    if (wrong := there & ~np.isfinite(values).all(axis=0)).any():
        user, path = np.argwhere(wrong)[0]
        raise InputError(f"{folder}: path {path} of user {user} has a power, but not every other quantity")
    if (negative := there & (np.where(there, values[2], 0) < 0)).any():
        user, path = np.argwhere(negative)[0]
        raise InputError(f"{folder}: path {path} of user {user} has a delay below 0")
    seen = there.any(axis=1)
    if not seen.any():
        raise InputError(f"{folder}: no user has a path")
    power, phase, delay, aod_az, aod_el, aoa_az, aoa_el = np.where(there, values, 0)[:, seen]
    # Powers of a user are compared with its own strongest: no sum of them leaves the range of numbers.
    strongest = np.where(there[seen], power, -np.inf).max(axis=1, keepdims=True)
    linear = np.where(there[seen], 10 ** ((power - strongest) / 10), 0.0)
    return Rays(linear, np.deg2rad(phase), delay, direction(aod_az, aod_el), direction(aoa_az, aoa_el))


def _matrix(beside: Mapping[str, Path], name: str, key: str, folder: Path) -> np.ndarray:
    if name not in beside:
        raise InputError(f"{folder} holds no {name}")
    path = beside[name]
    if path.suffix == ".mat":
        held = _matlab(path)
    else:
        try:
            loaded = np.load(path, allow_pickle=False)
            held = {key: loaded} if path.suffix == ".npy" else dict(loaded)
        except Exception as error:  # a damaged file raises almost anything
            raise InputError(f"{path} is no whole file of numbers: {_first_line(error)}") from error
    if key not in held or np.asarray(held[key]).dtype.kind not in "fiu":
        raise InputError(f"{path} holds no real matrix '{key}'")
    return np.asarray(held[key])


def _matlab(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        return loadmat(path)
    except NotImplementedError as error:
        raise InputError(f"{path} is a MATLAB file of version 7.3; save it with -v7") from error
    except Exception as error:  # a damaged file raises almost anything
        raise InputError(f"{path} is no whole MATLAB file: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
