"""Builds the stores of CSI-RRG cell by cell: generated with Sionna PHY, or read from the published folders.

Every part is one cell. Its samples follow each other in the store: `history_uplink` (sample, antenna, time,
subcarrier), `target_uplink` and `target_downlink` (sample, antenna, lead_time, subcarrier), complex64, with
the split, channel model, delay spread, speed and cell of every sample as coordinates.
"""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest, Part

from .grid import SPLIT_SEED, TRAIN_SHARE, Cell, Link, Profile

if TYPE_CHECKING:
    import xarray as xr


def parts(request: BuildRequest) -> list[Part]:
    """The cells of a data set, split after split.

    Raises:
        InputError: for another size than `full`, or where published folders are missing or unreadable.
    """
    if request.size != "full":
        raise InputError(
            f"'{request.name}' has one size, full; smaller ones are data sets: csi_rrg-tiny, csi_rrg-small"
        )
    profile = Profile.of_parameters(request.parameters)
    if request.variant.tree:
        from .published import find_cells

        return find_cells(profile, request.files, complete=request.parameters["complete"])
    return [Part(cell.path, profile.axes[cell.split].samples) for cell in profile.cells()]


def build_part(request: BuildRequest, part: Part) -> "xr.Dataset":
    """Draw or read the samples of one cell.

    Raises:
        InputError: where Sionna cannot be imported, or a published file is not as it should be.
    """
    profile, cell = Profile.of_parameters(request.parameters), Cell.of_path(part.name)
    if request.variant.tree:
        from .published import read_cell

        return cell_dataset(profile.link, cell, *read_cell(profile.link, cell, request.files))
    from .channel import draw_cell

    drawn = draw_cell(profile, cell, part.rows, request.seed)
    uplink, downlink = np.split(drawn, 2, axis=-1)
    steps = profile.link.history
    return cell_dataset(
        profile.link, cell, uplink[:, :, :steps], uplink[:, :, steps:], downlink[:, :, steps:]
    )


def cell_dataset(
    link: Link, cell: Cell, history: np.ndarray, uplink: np.ndarray, downlink: np.ndarray
) -> "xr.Dataset":
    """The samples of a cell with their coordinates.

    Args:
        link: that they were drawn for.
        cell: they belong to.
        history: uplink band, shape (sample, antenna, 16, subcarrier).
        uplink: uplink band later, shape (sample, antenna, 4, subcarrier).
        downlink: downlink band at the same snapshots as `uplink`, same shape.

    Returns:
        A Dataset with the dimensions sample, antenna, time, lead_time, subcarrier.
    """
    import xarray as xr

    past, future = (
        ("sample", "antenna", "time", "subcarrier"),
        ("sample", "antenna", "lead_time", "subcarrier"),
    )
    samples = len(history)

    def same(value: str) -> np.ndarray:
        return np.array([value] * samples, dtype=object)

    seconds = link.interval * np.arange(link.snapshots)
    return xr.Dataset(
        {
            "history_uplink": (past, history, _response("known snapshots of the uplink band")),
            "target_uplink": (future, uplink, _response("later snapshots of the uplink band")),
            "target_downlink": (future, downlink, _response("later snapshots of the downlink band")),
        },
        {
            "split": (
                "sample",
                splits(cell, samples),
                {"long_name": "part of the data that the sample belongs to"},
            ),
            "channel_model": ("sample", same(cell.model), {"long_name": "CDL model of 3GPP TR 38.901"}),
            "delay_spread": (
                "sample",
                np.full(samples, float(cell.delay_spread)),
                {"units": "ns", "long_name": "root-mean-square delay spread"},
            ),
            "speed": (
                "sample",
                np.full(samples, float(cell.speed)),
                {
                    "units": "m s-1",
                    "long_name": "speed of the user terminal, direction drawn for each sample",
                },
            ),
            "cell": (
                "sample",
                same(cell.folder),
                {"long_name": "name of the folder in the published format"},
            ),
            "antenna": ("antenna", np.arange(history.shape[1]), {"long_name": "antenna of the base station"}),
            "time": ("time", np.arange(link.history), {"long_name": "number of the snapshot"}),
            "lead_time": (
                "lead_time",
                np.arange(1, link.horizon + 1),
                {"long_name": "snapshots after the last known"},
            ),
            "snapshot_time": (
                "time",
                seconds[: link.history],
                {"units": "s", "long_name": "time since the first snapshot"},
            ),
            "target_time": (
                "lead_time",
                seconds[link.history :],
                {"units": "s", "long_name": "time since the first snapshot"},
            ),
            "uplink_frequency": _frequency(link, link.uplink, "uplink"),
            "downlink_frequency": _frequency(link, link.downlink, "downlink"),
        },
        {
            "carrier_frequency_hz": link.carrier,
            "subcarrier_spacing_hz": link.spacing,
            "snapshot_interval_s": link.interval,
            "doppler": link.doppler,
        },
    )


def splits(cell: Cell, samples: int) -> np.ndarray:
    """Split of each sample of a cell: a training cell is divided 90/10 by a permutation with seed 42.

    The permutation is torch's, as in the published code.
    """
    if cell.split != "train":
        return np.array([cell.split] * samples, dtype=object)
    import torch

    order = torch.randperm(samples, generator=torch.Generator().manual_seed(SPLIT_SEED)).numpy()
    labels = np.array(["train"] * samples, dtype=object)
    labels[order[int(samples * TRAIN_SHARE) :]] = "validation"
    return labels


def _response(which: str) -> dict[str, str]:
    return {"units": "1", "long_name": f"frequency response of the channel, {which}"}


def _frequency(link: Link, kept: range, band: str) -> tuple[str, np.ndarray, dict[str, str]]:
    offsets = np.array([link.offset(subcarrier) for subcarrier in kept])
    return "subcarrier", offsets, {"units": "Hz", "long_name": f"{band} frequency relative to the carrier"}
