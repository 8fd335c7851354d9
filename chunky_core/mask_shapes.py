"""The shapes in which one mask is given: [H,W] or [1,1,H,W]; several are a stack [N,1,H,W]."""

from __future__ import annotations

from torch import Tensor


def as_stack(mask: Tensor) -> Tensor:
    """A mask [H,W] as [1,1,H,W]; any other shape as it is, for the caller's own check to name."""
    return mask[None, None] if mask.ndim == 2 else mask


def as_plane(mask: Tensor) -> Tensor:
    """A mask [1,1,H,W] as [H,W]; any other shape as it is, for the caller's own check to name."""
    return mask[0, 0] if mask.ndim == 4 and mask.shape[:2] == (1, 1) else mask
