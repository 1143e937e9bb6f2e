"""The gate of a parallel gated network, and the convolution that gives it its history."""

from .history import pgn_history
from .op import pgn_gate

__all__ = ["pgn_gate", "pgn_history"]
