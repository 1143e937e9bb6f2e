"""Builds the store of LLM4CP's data, speeds by speeds, from the published MATLAB files.

Samples are users at a speed: `history_uplink` (sample, antenna, time, subcarrier), `target_uplink` and
`target_downlink` (sample, antenna, lead_time, subcarrier), complex64, with split and speed of every sample as
coordinates. An antenna is a port of the base station. Noise is added to history and target as the authors do
when they read the files (Liu et al., arXiv 2406.14440; data.py of their repository).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest, Part

from .matlab import Responses

if TYPE_CHECKING:
    import xarray as xr

NAMES = {"history_uplink": "H_U_his", "target_uplink": "H_U_pre", "target_downlink": "H_D_pre"}
"""Variable of the store → name of array and file, without the split that ends it."""
STEPS = {"history_uplink": 16, "target_uplink": 4, "target_downlink": 4}
TRAIN_SHARE = 0.9
"""Of the users at each speed; the others validate."""
BLOCK = 25
"""Speeds in a part."""
INTERVAL = 0.5e-3
"""Seconds from snapshot to snapshot."""


@dataclass(frozen=True)
class Block:
    """Speeds of the training or of the test files that follow each other.

    Attributes:
        source: `train` or `test`: which files.
        start: the first of the speeds.
        stop: after the last of them.
    """

    source: str
    start: int
    stop: int

    @classmethod
    def of_name(cls, name: str) -> "Block":
        """From the name of a part."""
        source, start, stop = name.split("-")
        return cls(source, int(start), int(stop))

    @property
    def name(self) -> str:
        """Of the part."""
        return f"{self.source}-{self.start:04d}-{self.stop:04d}"


def parts(request: BuildRequest) -> list[Part]:
    """Blocks of speeds, the training files first.

    Raises:
        InputError: for another size than `full`, and where a file is missing, unreadable or of another shape.
    """
    if request.size != "full":
        raise InputError(f"'{request.name}' has one size, full")
    found = []
    for source in ("train", "test"):
        arrays = _arrays(request, source)
        speeds, users = arrays["history_uplink"].speeds, arrays["history_uplink"].users
        for start in range(0, speeds, BLOCK):
            block = Block(source, start, min(start + BLOCK, speeds))
            found.append(Part(block.name, (block.stop - block.start) * users))
    return found


def build_part(request: BuildRequest, part: Part) -> "xr.Dataset":
    """Read the samples of a block of speeds, and add the noise.

    Raises:
        InputError: where a file is not as it should be.
    """
    block, parameters = Block.of_name(part.name), request.parameters
    arrays = _arrays(request, block.source)
    users = arrays["history_uplink"].users
    values = {name: one.read(block.start, block.stop) for name, one in arrays.items()}
    if parameters["noise"]:
        low, high = parameters["snr"][block.source]
        for number in range(len(values["history_uplink"])):
            # A sample has noise of its own, whatever the blocks are.
            key = [parameters["noise_seed"], block.source == "test", block.start * users + number]
            generator = np.random.default_rng(key)
            for one in values.values():
                one[number] = with_noise(one[number], generator.uniform(low, high), generator)
    speed = _speeds(arrays["history_uplink"].speeds, parameters["speeds"][block.source])
    return _dataset(values, _splits(block, users), speed[block.start : block.stop].repeat(users))


def with_noise(response: np.ndarray, snr: float, generator: np.random.Generator) -> np.ndarray:
    """White circular Gaussian noise on one sample.

    Args:
        response: complex, any shape; its mean power is that of the signal.
        snr: signal to noise in dB.
        generator: draws it.

    Returns:
        complex64, of the same shape.
    """
    power = np.mean(np.square(np.abs(response), dtype=np.float64)) * 10 ** (-snr / 10)
    drawn = generator.standard_normal((*response.shape, 2)) * np.sqrt(power / 2)
    return (response + drawn.view(np.complex128)[..., 0]).astype(np.complex64)


def _arrays(request: BuildRequest, source: str) -> Mapping[str, Responses]:
    """The arrays of the training or of the test files, checked against each other."""
    found = {}
    for variable, name in NAMES.items():
        path = request.files[f"{name}_{source}.mat"]
        found[variable] = Responses(path, f"{name}_{source}", STEPS[variable])
    history = found["history_uplink"]
    for one in found.values():
        if (one.speeds, one.users, one.subcarriers, one.ports) != (
            history.speeds, history.users, history.subcarriers, history.ports,
        ):  # fmt: skip
            raise InputError(
                f"{one.path} holds {one.words}, {history.path.name} {history.words}; they must agree"
            )
    return found


def _speeds(count: int, ends: list[float]) -> np.ndarray:
    """Speeds in km/h, evenly spaced from the first to the last."""
    first, last = ends
    return np.round(np.linspace(first, last, count), 6)


def _splits(block: Block, users: int) -> np.ndarray:
    """Split of each sample: of the users at a speed the first nine tenths train."""
    each = np.array(["test"] * users, dtype=object)
    if block.source == "train":
        each[:] = "validation"
        each[: int(TRAIN_SHARE * users)] = "train"
    return np.tile(each, block.stop - block.start)


def _dataset(values: Mapping[str, np.ndarray], split: np.ndarray, speed: np.ndarray) -> "xr.Dataset":
    import xarray as xr

    past, future = (("sample", "antenna", one, "subcarrier") for one in ("time", "lead_time"))
    words = {
        "history_uplink": "known snapshots of the uplink band",
        "target_uplink": "later snapshots of the uplink band",
        "target_downlink": "later snapshots of the downlink band",
    }
    history = values["history_uplink"]
    steps, horizon = history.shape[2], values["target_uplink"].shape[2]
    seconds: dict[str, Any] = {"units": "s", "long_name": "time since the first snapshot"}
    return xr.Dataset(
        {
            name: (
                past if name == "history_uplink" else future,
                values[name],
                {"units": "1", "long_name": f"frequency response of the channel, {words[name]}"},
            )
            for name in NAMES
        },
        {
            "split": ("sample", split, {"long_name": "part of the data that the sample belongs to"}),
            "speed": ("sample", speed, {"units": "km h-1", "long_name": "speed of the user terminal"}),
            "antenna": ("antenna", np.arange(history.shape[1]), {"long_name": "port of the base station"}),
            "time": ("time", np.arange(steps), {"long_name": "number of the snapshot"}),
            "lead_time": (
                "lead_time",
                np.arange(1, horizon + 1),
                {"long_name": "snapshots after the last known"},
            ),
            "snapshot_time": ("time", INTERVAL * np.arange(steps), seconds),
            "target_time": ("lead_time", INTERVAL * np.arange(steps, steps + horizon), seconds),
        },
        {"snapshot_interval_s": INTERVAL},
    )
