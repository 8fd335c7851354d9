"""What of a photo a fit has to bring back: its difference from a copy of itself of 8x8 pixels.

Of pictures that the demo generator doesn't know (a cat, a cup, bricks, a real face) one code in W+ leaves 1.04 to 1.3
times that difference, of the demo's portraits .54 to .58, of one with a hat, odd glasses and jewellery .94
(docs/projection.md).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..boxes import crop
from ..losses.pixel import masked_mean
from ..segments.masks import mask_box
from ..segments.segment_masks import SegmentMasks
from .segment_synthesis import GRAY_LEVELS

_SIDE = 8  # pixels


def segment_details(photo: Tensor, masks: SegmentMasks) -> list[float]:
    """Root mean square difference within each segment's mask, over pixels and channels, in grey levels (0 to 255).

    photo: [1,3,H,W] in [-1,1].
    """
    tiny = interpolate(photo, (_SIDE, _SIDE), mode="area")
    lost = (photo - interpolate(tiny, photo.shape[-2:], mode="bilinear", align_corners=False)).square()
    boxes = [mask_box(mask) for mask in masks.masks]
    means = [
        masked_mean(crop(lost, box), crop(mask, box)[None])
        for mask, box in zip(masks.masks, boxes, strict=True)
    ]
    return (GRAY_LEVELS * torch.stack(means).sqrt()).tolist()
