"""Errors of maps: values, grey values as images, coverage, and directions of arrival.

Forecast and observed are float64, shape (sample, channel, y, x) or (sample, channel, z, y, x), in units.
`observed` is NaN in buildings and where nothing is known; outdoors, where no path arrives, maps in dB hold
`NO_SIGNAL`, which only coverage counts. `valid` leaves out the cells whose samples the context held; the
inclusive errors, as Geo2SigMap publishes them, count these too. Statistics are sums over the cells of a map,
shape (sample, 1, channel).
"""

import torch
from torch.nn import functional

from tsbench.contracts.field import NO_SIGNAL

from .base import Metric, Statistic

GREY_RANGE = 120.0
"""dB between black (`NO_SIGNAL`) and white, where a map in dB is compared as an image."""
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
"""Of the structural similarity (Wang et al., IEEE Trans. Image Processing 13(4), 2004)."""
THRESHOLDS = (80, 90, 100, 110, 120)
"""Coverage is asked for at -80, -90, ... dB or dBm."""
Statistics = tuple[torch.Tensor, ...]


def squared_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Squared errors and their number over scored cells that a path reaches.

    Example:
        >>> truth = torch.tensor([-90.0, -100.0, NO_SIGNAL, torch.nan]).reshape(1, 1, 2, 2)
        >>> [one.item() for one in squared_error(truth + 3, truth, torch.ones(1), None)]
        [18.0, 2.0]
    """
    return _summed((forecast - observed).square(), _reached(observed) & _mask(observed, valid))


def absolute_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Absolute errors and their number over scored cells that a path reaches."""
    return _summed((forecast - observed).abs(), _reached(observed) & _mask(observed, valid))


def squared_error_inclusive(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Squared errors and their number, also of cells that the context held samples of."""
    return squared_error(forecast, observed, scale, None)


def absolute_error_inclusive(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Absolute errors and their number, also of cells that the context held samples of."""
    return absolute_error(forecast, observed, scale, None)


def grey(values: torch.Tensor) -> torch.Tensor:
    """Values in dB as grey values: 0 at `NO_SIGNAL`, 1 at `GREY_RANGE` above it, cut off beyond.

    Example:
        >>> grey(torch.tensor([-200.0, -160.0, -100.0, 0.0])).tolist()
        [0.0, 0.0, 0.5, 1.0]
    """
    return ((values - NO_SIGNAL) / GREY_RANGE).clamp(0, 1)


def error_over_energy(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Σ (f − y)² and Σ y² of grey values over scored cells that a path reaches: 1 for a black forecast."""
    mask = _reached(observed) & _mask(observed, valid)
    return _summed((forecast - observed).square(), mask)[0], _summed(observed.square(), mask)[0]


def range_over_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Range² · number, and squared errors, of grey values over scored cells that a path reaches."""
    error, count = squared_error(forecast, observed, scale, valid)
    return count, error


def similarity(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Structural similarity of grey maps, slice by slice; buildings are black in both, every cell counts.

    Args:
        forecast: grey values.
        observed: grey values, NaN where there is nothing to compare.
        scale: not used.
        valid: not used: a window spans cells that were given.

    Returns:
        Sums of the similarities of the slices, and the number of slices.

    Raises:
        ValueError: where maps are smaller than the window.
    """
    if min(observed.shape[-2:]) < WINDOW:
        raise ValueError(f"structural similarity needs maps of {WINDOW} × {WINDOW} cells")
    outdoor = observed.isfinite()
    first, second = torch.where(outdoor, forecast, 0.0), torch.where(outdoor, observed, 0.0)
    whole = structural_similarity(first, second)  # (sample, channel) or (sample, channel, z)
    slices = whole.reshape(*whole.shape[:2], -1)
    count = torch.full_like(slices[..., 0], slices.shape[-1])
    return slices.sum(dim=-1)[:, None], count[:, None]


def structural_similarity(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity of two images with values between 0 and 1, without padded windows.

    Args:
        first: shape (..., y, x).
        second: same shape.

    Returns:
        Shape (...), at most 1.
    """
    mean_first, mean_second = _blurred(first), _blurred(second)
    spread_first = _blurred(first * first) - mean_first * mean_first
    spread_second = _blurred(second * second) - mean_second * mean_second
    together = _blurred(first * second) - mean_first * mean_second
    luminance = (2 * mean_first * mean_second + K1**2) / (mean_first**2 + mean_second**2 + K1**2)
    structure = (2 * together + K2**2) / (spread_first + spread_second + K2**2)
    return (luminance * structure).mean(dim=(-2, -1))


def coverage(threshold: float) -> Statistic:
    """Twice the hits, and covered + said to be covered, at a threshold; their ratio is the F1 score."""

    def statistic(
        forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
    ) -> Statistics:
        mask = observed.isfinite() & _mask(observed, valid)
        there, said = (observed >= threshold) & mask, (forecast >= threshold) & mask
        return 2 * _count(there & said), _count(there) + _count(said)

    return statistic


def direction_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Angle between two directions in degrees, and the number of cells.

    Args:
        forecast: components east, north, up as channels; the length does not matter, and without any length
            the angle is 90 degrees.
        observed: directions of length 1.
        scale: not used.
        valid: of each component.

    Returns:
        Shape (sample, 1, 1).

    Example:
        >>> east, north = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
        >>> one, other = (values.reshape(1, 3, 1, 1).double() for values in (2 * (east + north), north))
        >>> round(direction_error(one, other, torch.ones(1), None)[0].item(), 6)
        45.0
    """
    across = torch.linalg.vector_norm(torch.linalg.cross(forecast, observed, dim=1), dim=1)
    angle = torch.atan2(across, (forecast * observed).sum(dim=1))
    still = torch.linalg.vector_norm(forecast, dim=1) == 0
    return _of_directions(torch.where(still, torch.pi / 2, angle), observed, valid)


def azimuth_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Difference of the azimuths in degrees, around the circle, and the number of cells."""
    difference = torch.atan2(forecast[:, 1], forecast[:, 0]) - torch.atan2(observed[:, 1], observed[:, 0])
    return _of_directions(torch.atan2(difference.sin(), difference.cos()).abs(), observed, valid)


def zenith_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
) -> Statistics:
    """Difference of the zenith angles in degrees, and the number of cells."""
    first, second = (torch.atan2(one[:, :2].norm(dim=1), one[:, 2]) for one in (forecast, observed))
    return _of_directions((first - second).abs(), observed, valid)


def in_grey(statistic: Statistic) -> Statistic:
    """The statistic of maps in dB, read as grey values."""

    def of_grey(
        forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor, valid: torch.Tensor | None
    ) -> Statistics:
        reached = ~(observed <= NO_SIGNAL)
        # Where no path arrives, an image is black and counts for its structure, but not for errors.
        counted = reached if valid is None else valid & reached
        return statistic(grey(forecast), grey(observed), scale, counted)

    return of_grey


def _mask(observed: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
    return torch.ones_like(observed, dtype=torch.bool) if valid is None else valid


def _reached(observed: torch.Tensor) -> torch.Tensor:
    return observed.isfinite() & (observed > NO_SIGNAL)


def _summed(each: torch.Tensor, mask: torch.Tensor) -> Statistics:
    """Sum over the cells of the mask, and their number, shape (sample, 1, channel) each."""
    return torch.where(mask, each, 0.0).flatten(2).sum(dim=2)[:, None], _count(mask)


def _count(mask: torch.Tensor) -> torch.Tensor:
    return mask.flatten(2).sum(dim=2).double()[:, None]


def _of_directions(angle: torch.Tensor, observed: torch.Tensor, valid: torch.Tensor | None) -> Statistics:
    mask = (observed.isfinite() & _mask(observed, valid)).all(dim=1, keepdim=True)
    return _summed(torch.rad2deg(angle)[:, None], mask)


def _blurred(image: torch.Tensor) -> torch.Tensor:
    """Gaussian mean of every whole window: (..., y, x) → (..., y − 10, x − 10)."""
    offsets = torch.arange(WINDOW, dtype=image.dtype) - WINDOW // 2
    kernel = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    flat = image.reshape(-1, 1, *image.shape[-2:])
    rows = functional.conv2d(flat, kernel.reshape(1, 1, -1, 1))
    both = functional.conv2d(rows, kernel.reshape(1, 1, 1, -1))
    return both.reshape(*image.shape[:-2], *both.shape[-2:])


_OUTDOOR = "over outdoor cells that a path reaches, without those that the context held samples of"
_PUBLISHED = "Geo2SigMap, arXiv 2312.14303, as its notebook computes it: with the cells that were given"
_IMAGE = f"dB as grey values, black at {NO_SIGNAL:g}, white {GREY_RANGE:g} dB above"
_DIRECTION = "the circular error that UrbanRadio3D, arXiv 2507.12166, asks for"
_nmse, _psnr, _similarity = in_grey(error_over_energy), in_grey(range_over_error), in_grey(similarity)


def _metric(name: str, title: str, statistic: Statistic, source: str, **further) -> Metric:
    return Metric(name, title, statistic, source, view="field", also=("volume",), masked=True, **further)


METRICS: tuple[Metric, ...] = (
    _metric(
        "rmse_outdoor", "RMSE outdoors", squared_error, f"root mean squared error {_OUTDOOR}", finish="root"
    ),
    _metric("mae_outdoor", "MAE outdoors", absolute_error, f"mean absolute error {_OUTDOOR}"),
    _metric("rmse_inclusive", "RMSE with given cells", squared_error_inclusive, _PUBLISHED, finish="root"),
    _metric("mae_inclusive", "MAE with given cells", absolute_error_inclusive, _PUBLISHED),
    _metric("nmse_map", "NMSE of grey values", _nmse, f"Σ (f − y)² / Σ y² {_OUTDOOR}; {_IMAGE}"),
    _metric("nmse_grey", "NMSE", error_over_energy, f"RadioUNet, arXiv 1911.09002; pooled, {_OUTDOOR}"),
    _metric(
        "psnr_map", "PSNR (dB)", _psnr, f"of the pooled error {_OUTDOOR}; {_IMAGE}",
        finish="decibel", better="higher",
    ),
    _metric(
        "psnr_grey", "PSNR (dB)", range_over_error, f"of the pooled error {_OUTDOOR}; range 1",
        finish="decibel", better="higher",
    ),
    _metric(
        "ssim_map", "SSIM", _similarity, f"Wang et al. (2004), Gaussian window, slice by slice; {_IMAGE}",
        better="higher",
    ),
    _metric(
        "ssim_grey", "SSIM", similarity, "Wang et al. (2004), Gaussian window, range 1, slice by slice",
        better="higher",
    ),
    *(
        _metric(
            f"coverage_f1_{level}", f"F1 of coverage at −{level} dB", coverage(-level),
            "F1 score of the outdoor cells at or above the threshold, pooled", better="higher",
        )
        for level in THRESHOLDS
    ),
    _metric("toa_error", "ToA error (ns)", absolute_error, f"mean absolute error {_OUTDOOR}"),
    _metric(
        "doa_error", "DoA error (degrees)", direction_error, f"angle between directions; {_DIRECTION}",
        joint=True,
    ),
    _metric("azimuth_error", "Azimuth error (degrees)", azimuth_error, _DIRECTION, joint=True),
    _metric("zenith_error", "Zenith error (degrees)", zenith_error, _DIRECTION, joint=True),
)  # fmt: skip
