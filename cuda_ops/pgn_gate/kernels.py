"""`pgn_gate` on a CUDA device: the kernels of gate.cu. The gradient's products are torch's, in gate.py."""

from pathlib import Path
from typing import Protocol

import torch

from ..launch import launch
from ..launch import obstacle as not_built

SOURCE = Path(__file__).with_name("gate.cu")
DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}
FEATURES, COLUMNS, THREADS = 32, 64, 256  # as in gate.cu


class Launch(Protocol):
    """Runs a kernel of SOURCE; the tests put one in place that runs it on the processor."""

    def __call__(
        self, source: Path, name: str, grid: tuple[int, int], block: int, arguments: list[torch.Tensor | int]
    ) -> None:
        """As `tsbench.cuda_ops.launch.launch`."""
        ...


def obstacle(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot run on a CUDA device, or None; builds them to find out."""
    if dtype not in DTYPES:
        return f"{dtype} is none of float32, bfloat16, float16"
    return not_built(SOURCE, device)


def forward(
    present: torch.Tensor,
    history: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    run: Launch = launch,
) -> torch.Tensor:
    """Shape (channel, width, column)."""
    out = history.new_empty(history.shape)
    if out.numel():
        given = [one.contiguous() for one in (present, history, weight, bias)]
        _run(run, "gate_forward", [*given, out], present, history)
    return out


def backward(
    gradient: torch.Tensor,
    present: torch.Tensor,
    history: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    run: Launch = launch,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient of the linear map's result (channel, 2 · width, column), and gradient · s."""
    channels, width, columns = history.shape
    of_linear, direct = history.new_empty(channels, 2 * width, columns), history.new_empty(history.shape)
    if direct.numel():
        given = [one.contiguous() for one in (gradient, present, history, weight, bias)]
        _run(run, "gate_backward", [*given, of_linear, direct], present, history)
    return of_linear, direct


def _run(
    run: Launch, kernel: str, tensors: list[torch.Tensor], present: torch.Tensor, history: torch.Tensor
) -> None:
    channels, width, columns = history.shape
    grid = (-(-columns // COLUMNS) * channels, -(-width // FEATURES))
    sizes = [present.shape[1], width, columns]
    run(SOURCE, f"{kernel}_{DTYPES[history.dtype]}", grid, THREADS, [*tensors, *sizes])
