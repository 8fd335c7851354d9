"""What an edit uncovers of the photo: continued by inpainting, where that tells the photo better than the generator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..images import from_uint8, to_uint8
from ..segments.masks import grow

# Lengths in pixels of an image of 256; larger ones scale them.
RIM = 6.0  # the width of what is known beside the mask and left out on trial
GAP = 2.0  # between the mask and the rim: soft boundaries
RADIUS = 5.0  # of the neighborhood that a pixel is inpainted from
_KNOWN = 0.98  # the weight from which on the photo shows the part alone
_ENOUGH = 16  # pixels of a rim that tell anything


@torch.no_grad()
def inpainted_part(
    photo: Tensor, plain: Tensor, known: Tensor, mask: Tensor, scale: float = 1.0
) -> Tensor | None:
    """The photo [1,3,h,w] with one of its parts continued over `mask`, or None where its rendering tells it better.

    photo, plain: [1,3,h,w] in [-1,1], the photo and how the generator draws the part without edits; known: [1,1,h,w] in
    [0,1], the part's weight in the photo; mask: [1,1,h,w], above 0 where it is to be continued. scale: the photo's
    longer side in pixels / 256. Both are tried on the rim of what is known beside the mask: inpainting without the
    rim (Telea 2004, "An Image Inpainting Technique Based on the Fast Marching Method") against the rendering, by the
    squared distance to the photo. None, too, where too little of the part is known.
    """
    sure = (known >= _KNOWN) & (mask <= 0)
    rim = sure & (grow((mask > 0).float(), round((RIM + GAP) * scale)) > 0)
    if int(rim.sum()) < _ENOUGH or not (sure & ~rim).any():
        return None
    trial = _inpainted(photo, sure & ~rim, scale)
    by_inpainting, by_rendering = (
        ((one - photo).square().mean(dim=1, keepdim=True) * rim).sum() for one in (trial, plain.to(photo))
    )
    return _inpainted(photo, sure, scale) if by_inpainting < by_rendering else None


def _inpainted(photo: Tensor, sure: Tensor, scale: float) -> Tensor:
    """The photo, in its 8-bit levels, filled where a pixel isn't sure."""
    import cv2

    pixels = to_uint8(photo)[0].cpu().numpy()
    hole = (~sure[0, 0]).to(torch.uint8).cpu().numpy()
    filled = cv2.inpaint(np.ascontiguousarray(pixels), hole, RADIUS * scale, cv2.INPAINT_TELEA)
    return from_uint8(torch.from_numpy(filled)[None]).to(photo)
