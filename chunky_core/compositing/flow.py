"""Dense optical flow between two images, and images warped by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..deprecated import old_names

__getattr__ = old_names(__name__)


_SMALLEST_SIDE = 32  # pixels; below about a dozen the search for motion has no patch to start from
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def optical_flow(source: Tensor, target: Tensor) -> Tensor:
    """Where each pixel of `source` is found in `target`: source(p) is about target(p + flow(p)).

    source, target: [1,3,h,w] in [-1,1]. Returns float32 [1,2,h,w] on the CPU: x (right) and y (down) in pixels.
    Dense inverse search (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search") on 8-bit grey levels;
    smooth where nothing can be told.
    """
    import cv2

    height, width = source.shape[-2:]
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = search.calc(_gray(source), _gray(target), None)[:height, :width]
    return torch.from_numpy(flow.copy()).permute(2, 0, 1)[None]


def backward_warp(image: Tensor, flow: Tensor) -> Tensor:
    """image(p + flow(p)), [1,C,h,w]; bicubic, continued by its border. flow: as `optical_flow` gives it."""
    height, width = image.shape[-2:]
    flow = flow.to(image)
    x = torch.arange(width, device=image.device, dtype=image.dtype) + 0.5 + flow[:, 0]
    y = torch.arange(height, device=image.device, dtype=image.dtype)[:, None] + 0.5 + flow[:, 1]
    grid = torch.stack([x / width * 2 - 1, y / height * 2 - 1], dim=-1)
    return F.grid_sample(image, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _gray(image: Tensor) -> np.ndarray:
    """uint8 [h,w], continued by its border to at least _SMALLEST_SIDE."""
    weights = image.new_tensor(_LUMA)[None, :, None, None]
    gray = ((image * weights).sum(dim=1, keepdim=True).float().clamp(-1, 1) + 1) * 127.5
    height, width = image.shape[-2:]
    missing = (0, max(0, _SMALLEST_SIDE - width), 0, max(0, _SMALLEST_SIDE - height))
    return F.pad(gray, missing, mode="replicate")[0, 0].round().byte().cpu().numpy()
