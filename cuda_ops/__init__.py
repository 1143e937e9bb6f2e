"""Operators with kernels of their own, where models, loaders and metrics spend their time.

Each is a folder: `op.py` (the operator, its registration with `torch.library` and the choice of path),
`reference.py` (plain torch, a few lines), the path in torch operations, and a CUDA or Triton kernel. Which
path runs is chosen in `choice.py`. CUDA sources are compiled at first use by `build.py`, run by `launch.py`.

Import an operator from here: `from tsbench.cuda_ops import moe_ffn`. Importing compiles nothing and loads
neither Triton nor cuda.core.
"""

from .choice import chosen, ops
from .ensemble_crps import EnsembleScores, energy_score, ensemble_crps, ensemble_scores
from .window_gather import Windowed, window_gather

__all__ = [
    "EnsembleScores",
    "Windowed",
    "chosen",
    "energy_score",
    "ensemble_crps",
    "ensemble_scores",
    "ops",
    "window_gather",
]
