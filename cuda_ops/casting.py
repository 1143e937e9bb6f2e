"""Autocast for operators: arguments are cast once, before the operator, which then runs without it.

`CustomOpDef.register_autocast` fixes one dtype; this follows the dtype that autocast has at the call.
"""

from contextlib import AbstractContextManager, nullcontext

import torch


def cast(device: torch.device) -> torch.dtype | None:
    """The dtype that autocast asks for on a device now, or None."""
    if not torch.amp.is_autocast_available(device.type) or not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)


def without_autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """A block without autocast, where `cast` gave a dtype; else nothing."""
    return nullcontext() if dtype is None else torch.autocast(device.type, enabled=False)
