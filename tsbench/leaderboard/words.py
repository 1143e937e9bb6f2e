"""Words for what Results name by a key: metrics with their direction, scenarios, axes of a scenario grid."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tsbench.contracts import CONDITIONS
from tsbench.contracts.conditions import PUBLISHED

FEATURES = {"csi": "subcarrier"}
"""View → what the variables of its examples are; examples of views but `sequence` are drawn as images."""
Finish = Literal["mean", "root", "decibel", "median"]


@dataclass(frozen=True)
class MetricWords:
    """How a metric is written and read.

    The same facts as in `tsbench.evaluation.metrics`, which imports torch; a test holds the two together.

    Attributes:
        title: as pages write it.
        better: which direction is good; `nominal`: neither, the value should be near `nominal`.
        finish: what turns numerator / denominator into the value.
        nominal: the value of a calibrated forecast.
    """

    title: str
    better: Literal["lower", "higher", "nominal"] = "lower"
    finish: Finish = "mean"
    nominal: float | None = None

    @property
    def advice(self) -> str:
        """The direction in words."""
        if self.nominal is not None:
            return f"closer to {self.nominal:g} is better"
        return "smaller is better" if self.better == "lower" else "larger is better"

    def value(self, ratio: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Values of ratios numerator / denominator, any shape; NaN where there is none."""
        if self.finish == "root":
            return np.sqrt(ratio)
        if self.finish == "decibel":
            return 10 * np.log10(np.where(ratio > 0, ratio, np.nan))
        return ratio


_FEV = (
    "MAE", "MSE", "RMSE", "MASE", "RMSSE", "WAPE", "MAPE", "SMAPE", "RMSLE", "MQL", "WQL", "SQL", "MAEB",
    "WAPEB",
)  # fmt: skip
METRICS = {
    "mse": MetricWords("MSE"),
    "mae": MetricWords("MAE"),
    "rmse": MetricWords("RMSE", finish="root"),
    "smape": MetricWords("sMAPE"),
    "mase": MetricWords("MASE"),
    "crps": MetricWords("CRPS"),
    "crps_fair": MetricWords("CRPS (fair)"),
    "energy_score": MetricWords("Energy score"),
    "mql": MetricWords("Mean quantile loss"),
    "wql": MetricWords("Weighted quantile loss"),
    "sql": MetricWords("Scaled quantile loss"),
    "coverage_80": MetricWords("Coverage of 80 % intervals", better="nominal", nominal=0.8),
    "coverage_error_80": MetricWords("Coverage error of 80 % intervals"),
    "width_80": MetricWords("Width of 80 % intervals"),
    "coverage_95": MetricWords("Coverage of 95 % intervals", better="nominal", nominal=0.95),
    "coverage_error_95": MetricWords("Coverage error of 95 % intervals"),
    "width_95": MetricWords("Width of 95 % intervals"),
    "msis": MetricWords("MSIS"),
    **{f"fev.{name}": MetricWords(f"{name} (fev)") for name in _FEV},
    "nmse": MetricWords("NMSE"),
    "nmse_median": MetricWords("NMSE (median)", finish="median"),
    "nmse_db": MetricWords("NMSE of sums (dB)", finish="decibel"),
    "sse": MetricWords("Sum of squared errors"),
    "se": MetricWords("Spectral efficiency (bit/s/Hz)", better="higher"),
    "beam_gain": MetricWords(
        "Beamforming gain relative to perfect CSI (dB)", better="higher", finish="decibel"
    ),
    "rmse_outdoor": MetricWords("RMSE outdoors", finish="root"),
    "mae_outdoor": MetricWords("MAE outdoors"),
    "rmse_inclusive": MetricWords("RMSE with given cells", finish="root"),
    "mae_inclusive": MetricWords("MAE with given cells"),
    "nmse_map": MetricWords("NMSE of grey values"),
    "nmse_grey": MetricWords("NMSE"),
    "psnr_map": MetricWords("PSNR (dB)", better="higher", finish="decibel"),
    "psnr_grey": MetricWords("PSNR (dB)", better="higher", finish="decibel"),
    "ssim_map": MetricWords("SSIM", better="higher"),
    "ssim_grey": MetricWords("SSIM", better="higher"),
    **{
        f"coverage_f1_{level}": MetricWords(f"F1 of coverage at −{level} dB", better="higher")
        for level in (80, 90, 100, 110, 120)
    },
    "toa_error": MetricWords("ToA error (ns)"),
    "doa_error": MetricWords("DoA error (degrees)"),
    "azimuth_error": MetricWords("Azimuth error (degrees)"),
    "zenith_error": MetricWords("Zenith error (degrees)"),
    "r2": MetricWords("R²", better="higher"),
    "r2_official": MetricWords("R² against the training spread", better="higher"),
    "mape": MetricWords("MAPE"),
    "weighted_mape": MetricWords("weighted MAPE"),
    "rmse_ratio": MetricWords("RMSE / spread"),
    "wb.rmse": MetricWords("RMSE", finish="root"),
    "wb.mae": MetricWords("MAE"),
    "wb.bias": MetricWords("Bias", better="nominal", nominal=0.0),
    "wb.acc": MetricWords("ACC", better="higher"),
    "wb.wind_vector_rmse": MetricWords("Wind vector RMSE", finish="root"),
    "wb.crps": MetricWords("CRPS"),
    "spread_skill": MetricWords("Spread / skill", better="nominal", nominal=1.0),
    "small_scale_power": MetricWords("Small-scale power", better="nominal", nominal=1.0),
}


def metric_words(name: str) -> MetricWords:
    """The words of a metric; one that is not known here is written in capitals, smaller is better."""
    return METRICS.get(name) or MetricWords(name.upper())


def name_words(name: str) -> str:
    """The name of a coordinate, disturbance or parameter in words.

    >>> name_words("delay_spread")
    'delay spread'
    """
    return name.replace("_", " ").strip()


def average_words(average: str) -> str:
    """The name of an average of a Result in words.

    >>> average_words("robustness-published")
    'Robustness, as published'
    """
    condition = average.removesuffix(PUBLISHED).capitalize()
    return f"{condition}, as published" if average.endswith(PUBLISHED) else condition


def scenario_words(key: str) -> str:
    """A scenario's key in words.

    >>> scenario_words("generalisation/channel_model=B/speed=3/sample_awgn/snr_db=-5")
    'generalisation · channel model B · speed 3 · sample awgn, snr db −5'
    >>> scenario_words("robustness/packet_drop/probability=0.1-published")
    'robustness · packet drop, probability 0.1, as published'
    >>> scenario_words("channel_model=A/sample_awgn/snr_db=0")
    'channel model A · sample awgn, snr db 0'
    """
    plain = key.removesuffix(PUBLISHED)
    words: list[str] = []
    disturbed = False
    for part in plain.split("/"):
        name, found, value = part.partition("=")
        said = f"{name_words(name)} {value_words(value)}" if found else name_words(name)
        if disturbed:
            words[-1] += f", {said}"
        else:
            words.append(said)
        disturbed = disturbed or (not found and part not in CONDITIONS)
    return " · ".join(words) + (", as published" if plain != key else "")


def value_words(value: str | float) -> str:
    """A coordinate's value or a level: numbers in short, text as it is."""
    said = value if isinstance(value, str) else f"{value:g}"
    return f"−{said[1:]}" if said.startswith("-") else said
