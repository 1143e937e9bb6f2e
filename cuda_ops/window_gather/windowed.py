"""What is asked of `window_gather` and what it gives back, and the one place where requests are refused."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from tsbench.contracts import InputError

NUMBERS = {
    torch.uint8: torch.float64,
    torch.int16: torch.float64,
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}
"""Storage that can be scaled and normalised → precision in which that is done."""

Tensors = tuple[
    torch.Tensor,
    torch.Tensor,
    torch.Tensor | None,
    torch.Tensor | None,
    torch.Tensor | None,
    torch.Tensor | None,
]
Masks = tuple[torch.Tensor | None, torch.Tensor | None]


class Windowed(NamedTuple):
    """Windows of a batch; context and target may be views of one tensor.

    Attributes:
        context: shape (window, context, channel); 0 where the series had not begun.
        target: shape (window, horizon, channel).
        context_mask, target_mask: rows that lie in the window's own series, bool, shape (window, context) and
            (window, horizon); None without bounds.
        mean, deviation: of each context, shape (window, 1, channel); None where it was not asked for.
    """

    context: torch.Tensor
    target: torch.Tensor
    context_mask: torch.Tensor | None = None
    target_mask: torch.Tensor | None = None
    mean: torch.Tensor | None = None
    deviation: torch.Tensor | None = None


@dataclass(frozen=True)
class Request:
    """Arguments of `window_gather` beside the series and the starts; see there."""

    context: int
    horizon: int
    channels: torch.Tensor | None = None
    bounds: torch.Tensor | None = None
    owner: torch.Tensor | None = None
    scale: torch.Tensor | None = None
    offset: torch.Tensor | None = None
    normalise: bool = False
    epsilon: float = 1e-5
    repeat: bool = False

    @property
    def copies(self) -> bool:
        """Whether values stay as they are stored."""
        return self.scale is None and not self.normalise

    def numbers(self, windows: torch.Tensor) -> torch.Tensor:
        """Stored values (..., channel) as numbers; unchanged where they are only copied."""
        if self.copies:
            return windows
        precision = NUMBERS[windows.dtype]
        if self.scale is None:
            return windows.to(precision)
        assert self.offset is not None
        scale, offset = self.scale, self.offset
        if self.channels is not None:
            scale, offset = scale[self.channels], offset[self.channels]
        # In double precision with two roundings, whatever the storage: the same bits on each path.
        return (windows.double() * scale + offset).to(precision)

    def finished(
        self,
        stored: torch.dtype,
        context: torch.Tensor,
        target: torch.Tensor,
        masks: Masks,
        mean: torch.Tensor | None,
        deviation: torch.Tensor | None,
    ) -> Tensors:
        """In the precision that is given back: as stored, float64 of float64, else float32."""
        out = self.result_type(stored)
        if mean is not None and deviation is not None:
            mean, deviation = mean.to(out), deviation.to(out)
        return context.to(out).contiguous(), target.to(out).contiguous(), *masks, mean, deviation

    def on(self, device: torch.device) -> "Request":
        """The same request with its tensors on a device."""
        if self.channels is None and self.bounds is None and self.scale is None:
            return self
        names = ("channels", "bounds", "owner", "scale", "offset")
        held = {name: getattr(self, name) for name in names}
        if all(one is None or one.device == device for one in held.values()):
            return self
        return replace(self, **{name: None if one is None else one.to(device) for name, one in held.items()})

    def result_type(self, stored: torch.dtype) -> torch.dtype:
        """Type of what is given back."""
        if self.copies:
            return stored
        return torch.float64 if stored == torch.float64 else torch.float32


def check(series: torch.Tensor, start: torch.Tensor, request: Request) -> None:
    """Refuse what no path can compute; looks at shapes and types only.

    Raises:
        InputError: names the argument, what it is and what would be right.
    """
    if series.dim() != 2:
        raise InputError(f"series has shape {tuple(series.shape)}; it must be (row, channel)")
    if start.dim() != 1 or start.dtype != torch.int64:
        raise InputError(
            f"start has shape {tuple(start.shape)} of {start.dtype}; it must be (window,) of int64"
        )
    if request.context < 1 or request.horizon < 0:
        raise InputError(
            f"context {request.context} and horizon {request.horizon}: a context has at least one step, "
            "a horizon none or more"
        )
    if not request.copies and series.dtype not in NUMBERS:
        raise InputError(
            f"series of {series.dtype} can be copied, not scaled or normalised; those of "
            f"{', '.join(str(one).removeprefix('torch.') for one in NUMBERS)} can"
        )
    if request.epsilon < 0:
        raise InputError(f"epsilon is {request.epsilon}; it must not be negative")
    _check_scale(series, request)
    _check_bounds(start, request)
    channels = request.channels
    if channels is not None and (channels.dim() != 1 or channels.dtype != torch.int64):
        raise InputError(
            f"channels has shape {tuple(channels.shape)} of {channels.dtype}; it must be (chosen,) of int64"
        )


def check_places(series: torch.Tensor, start: torch.Tensor, request: Request) -> None:
    """Refuse windows that do not lie where they may; reads the values, which waits for a device.

    Raises:
        InputError: names the first wrong window, the rows that it needs and those that there are.
    """
    columns, channels = series.shape[1], request.channels
    if channels is not None and len(channels) and not _within(channels, 0, columns):
        wrong = int(channels[(channels < 0) | (channels >= columns)][0])
        raise InputError(f"channel {wrong} is not in the series, which has the channels 0 to {columns - 1}")
    if not len(start):
        return
    length = request.context + request.horizon
    if request.bounds is None:
        if not _within(start, 0, len(series) - length + 1):
            window = int(torch.nonzero((start < 0) | (start > len(series) - length))[0])
            _refuse(window, int(start[window]), length, f"the series has {len(series)} rows")
        return
    assert request.owner is not None
    if not _within(request.owner, 0, len(request.bounds)):
        window = int(torch.nonzero((request.owner < 0) | (request.owner >= len(request.bounds)))[0])
        raise InputError(
            f"window {window} is of series {int(request.owner[window])}; there are {len(request.bounds)}"
        )
    wrong = _misplaced(start, request)
    outside = (request.bounds[:, 0] < 0) | (request.bounds[:, 1] > len(series))
    if bool(outside.any()):
        one = int(torch.nonzero(outside)[0])
        raise InputError(
            f"bounds of series {one} are {request.bounds[one].tolist()}; there are {len(series)} rows"
        )
    if bool(wrong.any()):
        window = int(torch.nonzero(wrong)[0])
        first, end = request.bounds[request.owner[window]].tolist()
        place = f"its series has the rows {first} to {end - 1}, and only a context may reach before them"
        _refuse(window, int(start[window]), length, place)


def _misplaced(start: torch.Tensor, request: Request) -> torch.Tensor:
    """Windows whose forecast origin or end lies outside their series."""
    assert request.bounds is not None
    assert request.owner is not None
    first, end = request.bounds[request.owner].unbind(dim=1)
    origin = start + request.context
    if not request.repeat:
        return (origin < first) | (origin + request.horizon > end)
    nothing = (end <= first) if request.horizon else torch.zeros_like(end, dtype=torch.bool)
    return (origin < first) | (origin > end) | nothing


def _refuse(window: int, start: int, length: int, place: str) -> None:
    raise InputError(f"window {window} starts at row {start} and needs {length} rows; {place}")


def _check_scale(series: torch.Tensor, request: Request) -> None:
    if (request.scale is None) != (request.offset is None):
        raise InputError("scale and offset go together: give both or neither")
    for name, one in (("scale", request.scale), ("offset", request.offset)):
        if one is not None and (one.shape != series.shape[1:] or one.dtype != torch.float64):
            raise InputError(
                f"{name} has shape {tuple(one.shape)} of {one.dtype}; "
                f"it must be ({series.shape[1]},) of float64"
            )


def _check_bounds(start: torch.Tensor, request: Request) -> None:
    bounds, owner = request.bounds, request.owner
    if (bounds is None) != (owner is None):
        raise InputError("bounds and owner go together: give both or neither")
    if bounds is None or owner is None:
        if request.repeat:
            raise InputError("repeat is for series with bounds")
        return
    if bounds.dim() != 2 or bounds.shape[1] != 2 or bounds.dtype != torch.int64:
        raise InputError(
            f"bounds has shape {tuple(bounds.shape)} of {bounds.dtype}; it must be (series, 2) of int64"
        )
    if owner.shape != start.shape or owner.dtype != torch.int64:
        raise InputError(
            f"owner has shape {tuple(owner.shape)} of {owner.dtype}; it must be that of start, "
            f"{tuple(start.shape)} of int64"
        )


def _within(numbers: torch.Tensor, low: int, high: int) -> bool:
    least, most = numbers.aminmax()
    return low <= int(least) and int(most) < high
