"""Charts as SVG text, made once at build time: nothing is drawn or fetched in the reader's browser."""

from .board import condition_chart, cost_chart
from .forecasts import data_chart, forecast_chart, lead_time_chart
from .grid import Panel, curve_chart, heat_maps
from .matrix import rank_chart, win_chart
from .places import place_maps
from .response import response_images

__all__ = [
    "Panel",
    "condition_chart",
    "cost_chart",
    "curve_chart",
    "data_chart",
    "forecast_chart",
    "heat_maps",
    "lead_time_chart",
    "place_maps",
    "rank_chart",
    "response_images",
    "win_chart",
]
