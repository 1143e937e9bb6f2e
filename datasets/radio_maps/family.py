"""Tasks on maps that only their user has: one for each member of a family, made from its prepared store."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import Task
from tsbench.data import prepare, store

if TYPE_CHECKING:
    import xarray as xr

LEARNED_ON = "radio_maps-small"
"""Made maps that a model learns from where the user's own maps have no training part."""
TRANSMITTER = ("transmitter", "log_distance")
KNOWN = ("carrier_frequency", "mast_height")
IN_DECIBELS = ["rmse_outdoor", "mae_outdoor", "nmse_map", "ssim_map", "psnr_map", "coverage_f1_100"]
IN_GREY = ["rmse_outdoor", "mae_outdoor", "nmse_grey", "ssim_grey", "psnr_grey"]
PLACE = {"not_applicable": "the maps are the user's own; other places are other data sets"}


def own_maps_task(name: str) -> Task:
    """Map from buildings and transmitter, learned and tested on the user's own maps.

    Raises:
        InputError: where the data set is not prepared.
    """
    opened = store.open_lazily(prepare.ensure(name))
    grey = "grey" in opened
    target = next(one for one in ("grey", "path_gain", "rss") if one in opened)
    known = [one for one in KNOWN if one in opened.coords]
    return _task(
        name,
        title=f"{name.partition('-')[2]}: {'grey values' if grey else target} from buildings and transmitter",
        dataset=name,
        field={
            "view": "volume" if opened["z"].ndim else "field",
            "context": ["building_height", *TRANSMITTER],
            "target": [target],
            "environment": known,
            "turned": opened.sizes["x"] == opened.sizes["y"],
        },
        # Published grey values are what networks were given.
        normalisation="none" if grey else "zscore",
        conditions={"robustness": _robustness(opened), "generalisation": PLACE},
        metrics=IN_GREY if grey else IN_DECIBELS,
        cluster="scene",
    )


def own_scene_task(name: str) -> Task:
    """Path gain over the user's own buildings, learned on made maps.

    Raises:
        InputError: where the data set is not prepared.
    """
    prepare.ensure(name)
    return _task(
        name,
        title=f"{name.partition('-')[2]}: path gain over a map extract, learned on made maps",
        dataset=LEARNED_ON,
        field={
            "context": ["building_height", *TRANSMITTER],
            "target": ["path_gain"],
            "environment": list(KNOWN),
            "turned": True,
        },
        normalisation="zscore",
        conditions={
            "regular": [{"dataset": name}],
            "robustness": {"not_applicable": "not asked for"},
            "generalisation": PLACE,
        },
        metrics=IN_DECIBELS,
        cluster="dataset",
    )


def measured_task(name: str) -> Task:
    """Held-out blocks of measured power from the others, learned on made maps.

    Where the store knows buildings and the antennas' places, a model is told both, otherwise neither.

    Raises:
        InputError: where the data set is not prepared.
    """
    opened = store.open_lazily(prepare.ensure(name))
    placed = bool(np.isfinite(opened["transmitter_position"].values).all())
    aware = "building_height" in opened and placed and all(one in opened.coords for one in KNOWN)
    return _task(
        name,
        title=f"{name.partition('-')[2]}: measured power in held-out blocks"
        + (", buildings and antennas known" if aware else ""),
        dataset=LEARNED_ON,
        field={
            "context": ["building_height", *TRANSMITTER, "rss"] if aware else ["rss"],
            "target": ["rss"],
            "sparse": {"array": "rss", "count": 200, "least": 20, "most": 800, "noise": 3},
            "position": aware,
            "environment": list(KNOWN) if aware else [],
            "turned": True,
        },
        normalisation="zscore",
        conditions={
            "regular": [{"dataset": name}],
            "robustness": {"not_applicable": "not asked for"},
            "generalisation": PLACE,
        },
        metrics=["rmse_outdoor", "mae_outdoor", "rmse_inclusive", "mae_inclusive"],
        cluster="cell",
    )


def _task(name: str, **declared: Any) -> Task:
    return Task.model_validate(
        {
            "name": name,
            "version": 1,
            "kind": "field",
            "horizon": 1,
            "period": 1,
            "max_context": 1,
            "split": {"kind": "labels", "test": "test-regular"},
            "space": "units",
            "primary": "rmse_outdoor",
            "unit": {"kind": "sample"},
            **declared,
        }
    )


def _robustness(opened: "xr.Dataset") -> list[dict[str, Any]]:
    """A position that is off by one, three and six cells, and missing buildings."""
    cell = float(opened.attrs["cell_size_m"])
    moved = {"name": "position_error", "parameter": "metres", "levels": [cell, 3 * cell, 6 * cell]}
    missing = {"name": "missing_buildings", "parameter": "fraction", "levels": [0.1, 0.3]}
    return [{"disturbance": moved}, {"disturbance": missing}]
