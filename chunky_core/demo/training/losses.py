"""The regression loss of the demo generator: label-weighted L1, L2 and Laplacian, plus coarse and skip terms."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..portraits import LABELS

SMALL_PARTS = ("left_brow", "right_brow", "left_eye", "right_eye", "mouth", "glasses")
MIDDLE_PARTS = ("nose", "ears")


def label_weights(labels: Tensor) -> Tensor:
    """labels: [B,H,W] integer -> [B,1,H,W]; 4 in the small parts, 2 in nose and ears, 1 elsewhere."""
    table = torch.ones(len(LABELS), device=labels.device)
    for name in SMALL_PARTS:
        table[LABELS.index(name)] = 4.0
    for name in MIDDLE_PARTS:
        table[LABELS.index(name)] = 2.0
    return table[labels.long()][:, None]


def high_pass(x: Tensor) -> Tensor:
    """What a 2×2 box filter removes."""
    return x - F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="nearest")


def portrait_loss(pyramid: list[Tensor], target: Tensor, weights: Tensor) -> Tensor:
    """pyramid: the skip images 4×4 … H×W; target: [B,3,H,W] in [-1,1]; weights: [B,1,H,W]. Returns a scalar."""
    error = pyramid[-1] - target
    loss = (error.abs() * weights).mean() + 0.5 * (error.square() * weights).mean()
    loss = loss + 0.7 * (high_pass(error).abs() * weights).mean()
    coarse = error
    for _ in range(3):
        coarse = F.avg_pool2d(coarse, 2)
        loss = loss + 0.5 * coarse.abs().mean()
    for image in pyramid[2:-1]:
        loss = loss + 0.1 * (image - F.avg_pool2d(target, target.shape[-1] // image.shape[-1])).abs().mean()
    return loss
