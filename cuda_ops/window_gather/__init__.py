"""Windows by start index from a table of series, on every path the same."""

from .op import bytes_moved, window_gather
from .windowed import Windowed

__all__ = ["Windowed", "bytes_moved", "window_gather"]
