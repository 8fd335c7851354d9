"""What an edit uncovers of the photo: what is known beside it, continued by inpainting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..boxes import Box
from ..images import from_uint8, to_uint8
from ..inversion import Inversion
from ..segments.edit_segments import STATIC
from ..segments.masks import grow, mask_box
from .followed_masks import FollowedMasks

# Of whom what is uncovered is inpainted: codes know least of what isn't a part of the face.
INPAINTED = ("background", STATIC)
# Lengths in pixels of an image of 256; larger ones scale them.
RIM = 8.0  # the width around the mask in which enough of the part must be known
CONTEXT = 24.0  # around what is inpainted, from which it is
RADIUS = 5.0  # of the neighborhood that a pixel is inpainted from
_KNOWN = 0.98  # the weight from which on the photo shows the part alone
_LEAST_KNOWN = 0.1  # of the rim


@torch.no_grad()
def inpainted_part(photo: Tensor, known: Tensor, mask: Tensor, scale: float = 1.0) -> Tensor | None:
    """The photo [1,3,h,w] in [-1,1] with one of its parts continued over a mask, or None if too little of it is known.

    known: [1,1,h,w] in [0,1], the part's weight in the photo; mask: [1,1,h,w], above 0 where it is to be continued.
    scale: the photo's longer side in pixels / 256. Every pixel that isn't the part's alone is inpainted (Telea 2004,
    "An Image Inpainting Technique Based on the Fast Marching Method"), the others keep their numbers. A tenth of the
    pixels within 8 pixels (of 256) of the mask must be known.
    """
    wanted = mask > 0
    sure = (known >= _KNOWN) & ~wanted
    rim = (grow(wanted.float(), round(RIM * scale)) > 0) & ~wanted
    if int((sure & rim).sum()) <= _LEAST_KNOWN * int(rim.sum()):
        return None
    return torch.where(sure, photo, _inpainted(photo, sure, scale))


def with_inpainting(
    inversion: Inversion, followed: FollowedMasks, renderings: Sequence[Tensor], boxes: Sequence[Box]
) -> list[Tensor]:
    """The renderings [1,3,h,w] of segments in their boxes, and in the place of uncovered background and static parts
    the photo inpainted, if there is a photo and enough of them is known in it.
    """
    if not followed.uncovered or inversion.photo is None:
        return list(renderings)
    photo, scale = inversion.photo, max(1.0, max(inversion.photo.shape[-2:]) / 256)
    found = []
    for segment, rendering, box in zip(inversion.segments, renderings, boxes, strict=True):
        image = None
        if followed.uncovered.get(segment.name) in INPAINTED:
            near = mask_box(segment.mask, margin=round(CONTEXT * scale))
            inside = (..., slice(near.top, near.bottom), slice(near.left, near.right))
            known = followed.before[segment.name].to(photo)
            image = inpainted_part(photo[inside], known[inside], segment.mask.to(photo)[inside], scale)
        if image is None:
            found.append(rendering)
        else:
            top, left, bottom, right = box.within(near)
            found.append(image[..., top:bottom, left:right])
    return found


def _inpainted(photo: Tensor, sure: Tensor, scale: float) -> Tensor:
    """The photo, in its 8-bit levels, filled where a pixel isn't sure."""
    import cv2

    pixels = to_uint8(photo)[0].cpu().numpy()
    hole = (~sure[0, 0]).to(torch.uint8).cpu().numpy()
    filled = cv2.inpaint(np.ascontiguousarray(pixels), hole, RADIUS * scale, cv2.INPAINT_TELEA)
    return from_uint8(torch.from_numpy(filled)[None]).to(photo)
