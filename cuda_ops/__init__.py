"""Operators with kernels of their own, where models, loaders and metrics spend their time.

Each is a folder: `op.py` (the operator, its registration with `torch.library` and the choice of path),
`reference.py` (plain torch, a few lines), the path in torch operations, and a CUDA or Triton kernel. Which
path runs is chosen in `choice.py`. CUDA sources are compiled at first use by `build.py`, run by `launch.py`.

Import an operator from here: `from tsbench.cuda_ops import moe_ffn`. Importing compiles nothing and loads
neither Triton nor cuda.core (torch's FLOP counter, with which operators register, loads Triton where it is).
"""

from .choice import chosen, ops, recorded
from .ensemble_crps import EnsembleScores, energy_score, ensemble_crps, ensemble_scores, ordered_members
from .moe_ffn.op import moe_ffn
from .pgn_gate.history import pgn_history
from .pgn_gate.op import pgn_gate
from .window_gather import Windowed, window_gather

__all__ = [
    "EnsembleScores",
    "Windowed",
    "chosen",
    "energy_score",
    "ensemble_crps",
    "ensemble_scores",
    "moe_ffn",
    "ops",
    "ordered_members",
    "pgn_gate",
    "pgn_history",
    "recorded",
    "window_gather",
]
