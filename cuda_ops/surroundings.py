"""What surrounds an operator's call: autocast, gradients, and the transforms of `torch.func`.

Under autocast, arguments are cast once, before the operator, which then runs without it.

`CustomOpDef.register_autocast` fixes one dtype; this follows the dtype that autocast has at the call.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula


def cast(device: torch.device) -> torch.dtype | None:
    """The dtype that autocast asks for on a device now, or None."""
    if not torch.amp.is_autocast_available(device.type) or not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)


def without_autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """A block without autocast, where `cast` gave a dtype; else nothing."""
    return nullcontext() if dtype is None else torch.autocast(device.type, enabled=False)


def transformed() -> bool:
    """Whether `torch.func` (vmap, grad, …) is at work, which sees through chains of torch operations only.

    Torch asks itself the same way in `torch/autograd/function.py`; there is no public name for it.
    """
    return torch._C._are_functorch_transforms_active()


def learned(*tensors: torch.Tensor) -> bool:
    """Whether a gradient of any of these will be asked for."""
    return torch.is_grad_enabled() and any(one.requires_grad for one in tensors)


def count_no_operations(*operators: Any) -> None:
    """Let FLOP counts take operators for 0, as torch counts all that is no product or convolution."""
    register_flop_formula(list(operators))(lambda *arguments, **named: 0)
