"""Charts as SVG text, made once at build time: nothing is drawn or fetched in the reader's browser."""

from .board import condition_chart, cost_chart
from .forecasts import forecast_chart, lead_time_chart
from .grid import Panel, curve_chart, heat_maps
from .response import response_images

__all__ = [
    "Panel",
    "condition_chart",
    "cost_chart",
    "curve_chart",
    "forecast_chart",
    "heat_maps",
    "lead_time_chart",
    "response_images",
]
