"""The picture that an inversion stands for: O = S^X I + sum_i S_i G(X_i) (P2 = Subrtova et al. 2022, equation
3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..editing.edits import applicable_edits, edited_code
from ..generator.generator import Generator
from ..generator.spaces import LatentCode, synthesis_input
from ..inversion.inversion import Inversion, check_generator
from ..segments.blend import blend
from ..segments.masks import mask_box


@torch.no_grad()
def render(
    generator: Generator, inversion: Inversion, *, edited: bool = True, cross_fade: bool = True
) -> Tensor:
    """[1,3,H,W] on the photo's device: every segment synthesised on its mask's box and blended; where the
    static mask is 1, the photo.

    edited: False leaves all edits out. cross_fade: see `blend`. Raises WrongGeneratorError if the
    inversion belongs to another generator, InvalidInputError if a direction doesn't fit it.
    """
    check_generator(inversion, generator)
    masks, crops, boxes = inversion.masks(), [], []
    for segment in inversion.segments:
        edits = applicable_edits(masks, segment.name, inversion.edits) if edited else []
        own = LatentCode(segment.code.space, segment.code.tensor.to(generator.device))
        code = edited_code(generator, own, edits)
        boxes.append(mask_box(segment.mask, margin=0))
        crop = generator.synthesis(synthesis_input(generator, code), box=boxes[-1])
        crops.append(crop.to(inversion.photo))
    return blend(inversion.photo, masks, crops, boxes, cross_fade=cross_fade)
