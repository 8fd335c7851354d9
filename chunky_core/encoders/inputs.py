"""What all encoders are given, checked before any of them looks at it."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import FLOATS, check_brightness, check_image, check_shape, check_type
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..segments.incoming import check_values
from ..segments.segment_masks import SegmentMasks


def check_inputs(generator: object, photo: Tensor, masks: Tensor | None) -> int:
    """How many codes there will be: one photo goes with many masks, one mask with many photos.

    Raises InvalidInputError unless photo is [B,3,H,W] of finite floats in about [-1,1] and masks are None or [B,1,H,W]
    in [0,1], none of them empty.
    """
    check_type(generator, "the generator", Generator, "it comes first; load_generator reads one")
    check_image(photo, "the photo")
    check_shape(photo, "the photo", ("B", 3, "H", "W"))
    check_brightness(photo, "the photo")
    if masks is None:
        return len(photo)
    if isinstance(masks, SegmentMasks):
        raise InvalidInputError("masks are SegmentMasks; give their tensor, masks.masks, [B,1,H,W]")
    check_type(masks, "masks", Tensor, "one of [B,1,H,W] in [0,1], or None for everything")
    if masks.dtype not in FLOATS or masks.layout != torch.strided or masks.is_meta:
        raise InvalidInputError(f"the masks hold {masks.dtype} numbers; expected a tensor of floats in [0,1]")
    check_shape(masks, "the masks", ("B", 1, *photo.shape[-2:]))
    count = max(len(photo), len(masks))
    if not {len(photo), len(masks)} <= {1, count}:
        raise InvalidInputError(
            f"there are {len(photo)} photos and {len(masks)} masks; give as many of both, or one of either"
        )
    for index, mask in enumerate(masks):
        check_values(f"number {index}", mask)
        if not mask.any():
            raise InvalidInputError(
                f"mask {index} is empty; expected at least one pixel above 0, or leave it out"
            )
    return count
