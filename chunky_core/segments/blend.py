"""The image that segments make together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..boxes import Box
from ..checks import check_shape
from ..errors import InvalidInputError
from .masks import mask_box
from .segment_masks import SegmentMasks


def blend(
    photo: Tensor,
    segments: SegmentMasks,
    crops: Sequence[Tensor],
    boxes: Sequence[Box],
    *,
    cross_fade: bool = True,
) -> Tensor:
    """O = S^X I + sum_i S_i G(X_i) (P2 = Subrtova et al. 2022, equation 3).

    photo: [1,3,H,W], I; crops: per segment [1,3,h,w], the part of G(X_i) in its box; boxes: must hold every
    pixel > 0 of the segment's mask. Returns [1,3,H,W]. Where the static mask S^X is 1 the photo's numbers are
    returned as they are. Differentiable in the crops and the photo.
    cross_fade: False leaves the photo out wherever a segment has any weight (the segments' shares are scaled
    up to one there), which is the image to hand to `poisson_composite`.
    Raises InvalidInputError for sizes that do not agree and for a box that cuts its mask off.
    """
    _check(photo, segments, crops, boxes)
    masks, static = segments.masks.to(photo), segments.static.to(photo)
    if not cross_fade:
        masks, static = masks / masks.sum(dim=0, keepdim=True).clamp(min=1e-6), (static == 1).to(photo)
    image = photo * static
    for mask, crop, box in zip(masks, crops, boxes, strict=True):
        top, left, bottom, right = box
        image[..., top:bottom, left:right] += mask[:, top:bottom, left:right] * crop
    return torch.where(static == 1, photo, image)


def _check(photo: Tensor, segments: SegmentMasks, crops: Sequence[Tensor], boxes: Sequence[Box]) -> None:
    height, width = segments.size
    check_shape(photo, "the photo", ("B", 3, "H", "W"))
    segments.check_photo(photo)
    if not len(segments.names) == len(crops) == len(boxes):
        raise InvalidInputError(
            f"{len(segments.names)} segments have {len(crops)} crops and {len(boxes)} boxes; give one of each"
        )
    for name, mask, crop, box in zip(segments.names, segments.masks, crops, boxes, strict=True):
        if crop.shape[-2:] != (box.bottom - box.top, box.right - box.left):
            raise InvalidInputError(
                f"the crop of {name!r} is {list(crop.shape)}, which is not the size of {box}"
            )
        needed = mask_box(mask)
        outside = needed.top < box.top or needed.left < box.left or box.bottom < needed.bottom
        if outside or box.right < needed.right or box.bottom > height or box.right > width or min(box) < 0:
            raise InvalidInputError(
                f"the box of {name!r} is {box}; expected one in the image that holds {needed}"
            )
