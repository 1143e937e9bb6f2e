"""The formula of every metric of maps in numpy and scipy, written out independently of `tsbench.evaluation`.

Arguments: forecast, observed (NaN indoors, −160 where no path arrives) and the mask of what is scored, shape
(sample, channel, y, x) or (sample, channel, z, y, x).
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

Formula = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
NOTHING, RANGE = -160.0, 120.0


def _errors(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    known = mask & np.isfinite(observed) & (observed > NOTHING)
    return forecast[known] - observed[known]


def _everywhere(formula: Formula) -> Formula:
    return lambda forecast, observed, mask: formula(forecast, observed, np.ones_like(mask))


def _rmse(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> float:
    return float(np.sqrt(np.mean(_errors(forecast, observed, mask) ** 2)))


def _mae(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> float:
    return float(np.abs(_errors(forecast, observed, mask)).mean())


def _nmse(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> float:
    known = mask & np.isfinite(observed) & (observed > NOTHING)
    return float(((forecast - observed)[known] ** 2).sum() / (observed[known] ** 2).sum())


def _psnr(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean(_errors(forecast, observed, mask) ** 2)))


def _ssim(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> float:
    indoors = np.isnan(observed)
    one, two = (
        np.where(indoors, 0.0, each).reshape(-1, *observed.shape[-2:]) for each in (forecast, observed)
    )

    def blurred(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 1.5, truncate=3.5)[5:-5, 5:-5]

    found = []
    for first, second in zip(one, two, strict=True):
        m1, m2 = blurred(first), blurred(second)
        v1, v2, both = (
            blurred(first**2) - m1**2,
            blurred(second**2) - m2**2,
            blurred(first * second) - m1 * m2,
        )
        found.append(
            ((2 * m1 * m2 + 1e-4) * (2 * both + 9e-4) / ((m1**2 + m2**2 + 1e-4) * (v1 + v2 + 9e-4))).mean()
        )
    return float(np.mean(found))


def _coverage(level: float) -> Formula:
    def formula(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> float:
        known = mask & np.isfinite(observed)
        there, said = observed[known] >= level, forecast[known] >= level
        precision, recall = (there & said).sum() / said.sum(), (there & said).sum() / there.sum()
        return float(2 * precision * recall / (precision + recall))

    return formula


def _in_grey(formula: Formula) -> Formula:
    def of_grey(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> float:
        one, two = (np.clip((each - NOTHING) / RANGE, 0, 1) for each in (forecast, observed))
        return formula(one, two, mask & ~(observed <= NOTHING))

    return of_grey


def _angle(of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Formula:
    """Mean over cells of an angle between forecast and observed directions, (cell, 3) each."""

    def formula(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray) -> float:
        known = (mask & np.isfinite(observed)).all(axis=1)
        one, two = (np.moveaxis(each, 1, -1)[known] for each in (forecast, observed))
        return float(np.degrees(of(one, two)).mean())

    return formula


def _between(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(two, axis=-1)
    return np.arccos(np.clip((one * two).sum(axis=-1) / lengths, -1, 1))


def _azimuths(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.abs(np.angle((one[:, 0] + 1j * one[:, 1]) * (two[:, 0] - 1j * two[:, 1])))


def _zeniths(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    first, second = (np.arccos(each[:, 2] / np.linalg.norm(each, axis=-1)) for each in (one, two))
    return np.abs(first - second)


FORMULAS: dict[str, Formula] = {
    "rmse_outdoor": _rmse,
    "mae_outdoor": _mae,
    "rmse_inclusive": _everywhere(_rmse),
    "mae_inclusive": _everywhere(_mae),
    "nmse_map": _in_grey(_nmse),
    "nmse_grey": _nmse,
    "psnr_map": _in_grey(_psnr),
    "psnr_grey": _psnr,
    "ssim_map": _in_grey(_ssim),
    "ssim_grey": _ssim,
    **{f"coverage_f1_{level}": _coverage(-level) for level in (80, 90, 100, 110, 120)},
    "toa_error": _mae,
    "doa_error": _angle(_between),
    "azimuth_error": _angle(_azimuths),
    "zenith_error": _angle(_zeniths),
}
