"""Views present a task in another shape, as functions with an inverse. Nothing is copied in the store.

A task has a shape of its own, in which disturbances work and metrics are computed; a model names the views
that it takes. `sequence` (sample, time, channel; real) is what every time-series model takes. `csi` is the
frequency response of a wireless channel, (sample, antenna, time, subcarrier; complex).
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from einops import rearrange

from tsbench.contracts import Forecast, InputError, TaskShape

from .batch import DIMENSIONS, Batch

RESPONSE = ("sample", "antenna", "time", "subcarrier")
CONTEXT_DIMENSIONS = {
    "sequence": DIMENSIONS["context"],
    "csi": RESPONSE,
    "panel": DIMENSIONS["context"],
    "field": ("sample", "channel", "y", "x"),
    "volume": ("sample", "channel", "z", "y", "x"),
    "grid": ("sample", "time", "channel", "latitude", "longitude"),
}
"""View → dimensions of the context; the target has `lead_time` in place of `time`."""
CASE_DIMENSIONS = {"sequence": (), "csi": ("antenna",), "panel": (), "field": (), "volume": (), "grid": ()}
"""View → dimensions over which the view `sequence` of a case holds a sequence each."""


def is_complex(view: str) -> bool:
    """Whether the values of a view are complex."""
    return view == "csi"


def target_dimensions(view: str) -> tuple[str, ...]:
    """Dimensions of target and forecast in a view."""
    return tuple("lead_time" if name == "time" else name for name in CONTEXT_DIMENSIONS[view])


def dimensions(view: str) -> dict[str, tuple[str, ...]]:
    """Dimensions of context and target in a view, as a Batch takes them."""
    return {"context": CONTEXT_DIMENSIONS[view], "target": target_dimensions(view)}


class View:
    """The identity: a task in its own shape."""

    def shape(self, shape: TaskShape) -> TaskShape:
        """What a model is built for, seen through the view."""
        return shape

    def batch(self, batch: Batch) -> Batch:
        """A batch of the task, seen through the view."""
        return batch

    def forecast(self, forecast: Forecast, batch: Batch) -> Forecast:
        """A forecast of the viewed batch, in the task's own shape.

        Args:
            forecast: of the model, in the view's shape.
            batch: the batch in the task's own shape.
        """
        return forecast


class ResponseAsSequence(View):
    """`csi` as `sequence`: an antenna is a sequence, its channels are re, im of each subcarrier in turn."""

    def shape(self, shape: TaskShape) -> TaskShape:
        """Two real channels a subcarrier; context and target channels share names by position."""
        names = tuple(
            f"{number}.{part}" for number in range(shape.sizes["subcarrier"]) for part in ("re", "im")
        )
        return replace(shape, channels=names, targets=names, sizes={})

    def batch(self, batch: Batch) -> Batch:
        """Sequences of one sample share its `group`; `index` counts sequences; covariates have no columns."""
        antennas = batch["context"].shape[1]
        tensors = {name: _as_sequence(batch[name]) for name in ("context", "target") if name in batch}
        group = batch["index"].repeat_interleave(antennas)
        place = torch.arange(antennas, device=group.device).repeat(batch.size)
        tensors["past_covariates"] = tensors["context"][..., :0]
        return Batch(**tensors, index=group * antennas + place, group=group)

    def forecast(self, forecast: Forecast, batch: Batch) -> Forecast:
        """Antennas and complex values again, in the task's own shape."""
        values = rearrange(forecast.values, "... (s a) t (k part) -> ... s a t k part", s=batch.size, part=2)
        return replace(forecast, values=torch.view_as_complex(values.contiguous()))


VIEWS: dict[tuple[str, str], View] = {
    ("sequence", "sequence"): View(),
    ("csi", "csi"): View(),
    ("panel", "panel"): View(),
    ("field", "field"): View(),
    ("volume", "volume"): View(),
    ("grid", "grid"): View(),
    ("csi", "sequence"): ResponseAsSequence(),
}
"""(the task's own shape, wanted view) → view."""


def view_for(own: str, accepted: Sequence[str], who: str = "The model") -> View:
    """The first of the accepted views in which a task of the shape `own` can be presented.

    Raises:
        InputError: where there is none.
    """
    for wanted in accepted:
        if (own, wanted) in VIEWS:
            return VIEWS[own, wanted]
    offered = ", ".join(wanted for has, wanted in VIEWS if has == own)
    raise InputError(f"{who} takes the views {', '.join(accepted)}; the task offers {offered}")


def magnitudes(response: torch.Tensor) -> torch.Tensor:
    """Magnitude over time and subcarrier at the first antenna, for pictures.

    Args:
        response: complex, shape (antenna, time, subcarrier).

    Returns:
        Real, shape (time, subcarrier).
    """
    return response[0].abs()


def _as_sequence(response: torch.Tensor) -> torch.Tensor:
    parts = torch.view_as_real(response)  # (sample, antenna, time, subcarrier, part)
    return rearrange(parts, "s a t k part -> (s a) t (k part)")
