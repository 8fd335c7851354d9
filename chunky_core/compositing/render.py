"""The image that an inversion stands for: O = S^X I + sum_i S_i G(X_i) (P2 = Subrtova et al. 2022, equation
3).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..boxes import Box
from ..deprecated import old_names
from ..editing.edits import applicable_edits
from ..editing.harmonies import warn_of_harmonies_left_out
from ..generator.generator import Generator
from ..inversion import Edit, Inversion, SegmentCode
from ..inversion.record import check_same_generator
from ..inversion.tuning import segment_generator
from ..segments.blend import blend
from ..segments.masks import mask_box
from .renderings import Renderings, renderings_of
from .segment_drawing import draw_segment

__getattr__ = old_names(__name__)


@torch.no_grad()
def render(
    generator: Generator,
    inversion: Inversion,
    *,
    edited: bool = True,
    cross_fade: bool = True,
    kept: Renderings | None = None,
) -> Tensor:
    """[1,3,H,W] on the photo's device: every segment synthesised on its mask's box and blended; where the
    static mask is 1, the photo.

    edited: False leaves all edits out. cross_fade: see `blend`. An inversion without photo is drawn, in
    float32 on its masks' device, if its static mask is 0 everywhere. kept: what was drawn before, which is taken from
    there and not drawn again. Raises WrongGeneratorError if the
    inversion belongs to another generator, InvalidInputError if a direction, a delta or the noise doesn't fit
    it, or where the photo is needed and absent.
    """
    backdrop = inversion.backdrop()
    renderings, boxes = render_segments(generator, inversion, edited=edited, kept=kept)
    if edited:
        warn_of_harmonies_left_out(inversion)
    return blend(backdrop, inversion.masks, renderings, boxes, cross_fade=cross_fade)


@torch.no_grad()
def render_segments(
    generator: Generator,
    inversion: Inversion,
    *,
    edited: bool = True,
    margin: int = 0,
    kept: Renderings | None = None,
) -> tuple[list[Tensor], list[Box]]:
    """Every segment's own rendering [1,3,h,w], on the photo's device, and where it lies: its mask's box with a
    margin in pixels. They are to be read only. edited, kept and what is raised: as in `render`.
    """
    check_same_generator(generator, inversion)
    kept = renderings_of(generator, kept)
    boxes = [mask_box(segment.mask, margin=margin) for segment in inversion.segments]
    renderings = []
    for segment, box in zip(inversion.segments, boxes, strict=True):
        edits = applicable_edits(inversion.segments, segment.name, inversion.edits) if edited else []
        renderings.append(kept.draw(inversion, segment, edits, box))
    return renderings, boxes


def render_segment(
    generator: Generator,
    inversion: Inversion,
    segment: SegmentCode,
    edits: Sequence[Edit],
    box: Box | None = None,
) -> Tensor:
    """G(X_i) with edits, on the generator's device: the whole image [1,3,H,W] and not only what its mask shows,
    or the pixels of a box of it. Raises InvalidInputError for a code that isn't finite.
    """
    own = segment_generator(generator, inversion, segment)
    return draw_segment(own, inversion, segment, edits, box)
