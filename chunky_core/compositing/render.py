"""The image that an inversion stands for: O = S^X I + sum_i S_i G(X_i) (P2 = Subrtova et al. 2022, equation
3).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..boxes import Box
from ..deprecated import old_names
from ..editing.edits import applicable_edits, edited_code
from ..editing.harmonies import warn_of_harmonies_left_out
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode, synthesis_input
from ..inversion import Edit, Inversion, SegmentCode
from ..inversion.record import check_same_generator
from ..inversion.tuning import segment_generator, segment_generators
from ..segments.blend import blend
from ..segments.masks import mask_box

__getattr__ = old_names(__name__)


@torch.no_grad()
def render(
    generator: Generator, inversion: Inversion, *, edited: bool = True, cross_fade: bool = True
) -> Tensor:
    """[1,3,H,W] on the photo's device: every segment synthesised on its mask's box and blended; where the
    static mask is 1, the photo.

    edited: False leaves all edits out. cross_fade: see `blend`. An inversion without photo is drawn, in
    float32 on its masks' device, if its static mask is 0 everywhere. Raises WrongGeneratorError if the
    inversion belongs to another generator, InvalidInputError if a direction, a delta or the noise doesn't fit
    it, or where the photo is needed and absent.
    """
    renderings, boxes = render_segments(generator, inversion, edited=edited)
    if edited:
        warn_of_harmonies_left_out(inversion)
    return blend(inversion.backdrop(), inversion.masks, renderings, boxes, cross_fade=cross_fade)


@torch.no_grad()
def render_segments(
    generator: Generator, inversion: Inversion, *, edited: bool = True, margin: int = 0
) -> tuple[list[Tensor], list[Box]]:
    """Every segment's own rendering [1,3,h,w], on the photo's device, and where it lies: its mask's box with a
    margin in pixels. edited and what is raised: as in `render`.
    """
    check_same_generator(generator, inversion)
    backdrop, masks = inversion.backdrop(), inversion.masks
    boxes = [mask_box(segment.mask, margin=margin) for segment in inversion.segments]
    renderings = []
    generators = segment_generators(generator, inversion)
    for own, segment, box in zip(generators, inversion.segments, boxes, strict=True):
        edits = applicable_edits(masks, segment.name, inversion.edits) if edited else []
        renderings.append(draw_segment(own, inversion, segment, edits, box).to(backdrop))
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


def draw_segment(
    own: Generator,
    inversion: Inversion,
    segment: SegmentCode,
    edits: Sequence[Edit],
    box: Box | None = None,
) -> Tensor:
    """The same by a generator of `segment_generators`, which has the deltas of inversion and segment already."""
    noise = [values.to(own.device, own.dtype) for values in inversion.noise] or None
    code = LatentCode(segment.code.space, segment.code.tensor.to(own.device))
    moved = edited_code(own, code, edits)
    if not moved.tensor.isfinite().all():
        raise InvalidInputError(
            f"the code of segment {segment.name!r}{', edited,' * bool(edits)} holds NaN or infinite values, so that it "
            "shows nothing; take another inversion, or remove the edit"
        )
    return own.synthesis(synthesis_input(own, moved), box=box, noise=noise)
