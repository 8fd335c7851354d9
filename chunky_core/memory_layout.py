"""How the weights and maps of convolutions lie in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def memory_format(device: torch.device) -> torch.memory_format:
    """The layout of a device's weights, which their convolutions' results take over.

    On a CPU the channels of a pixel lie together: its kernels compute in that layout, and rearrange any other in
    every single call.
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def layout_of(x: Tensor) -> torch.memory_format:
    """The layout of x: [B,C,H,W], which may be a part of a larger map."""
    return torch.channels_last if x.shape[1] > 1 and x.stride(1) == 1 else torch.contiguous_format


def new_like(x: Tensor, shape: Sequence[int]) -> Tensor:
    """An uninitialised tensor of that shape, else as x: [B,C,H,W]."""
    return torch.empty(tuple(shape), dtype=x.dtype, device=x.device, memory_format=layout_of(x))
