"""The finished picture of an inversion: its segments set into the photo without a seam."""

from __future__ import annotations

from torch import Tensor

from ..generator.generator import Generator
from ..inversion.inversion import Inversion
from .between_segments import join_segments, shift_segments
from .modes import Mode, check_mode, set_in
from .render import render, segment_pictures


def composite(
    generator: Generator,
    inversion: Inversion,
    *,
    mode: Mode = "full",
    mixed: bool = False,
    band: int = 16,
    between: bool = False,
) -> Tensor:
    """[1,3,H,W]: the edited segments with the photo's colours along the static part's border, where there is one.

    mode, mixed, band: see `set_in`. between: the borders between segments count, too: their seams are solved for
    together with that toward the photo (`join_segments`), or each segment's colours are shifted by one offset so
    that they fit each other and the photo (`shift_segments`).
    Where the static mask is 1 the photo's numbers are returned as they are. Without a photo (see `render`) the
    picture keeps its own colours, or its mean colour with `between`. Raises what `render` raises, and
    InvalidInputError for an unknown mode and a band under 1.
    """
    check_mode(mode, band)
    if between and len(inversion.segments) > 1:
        crops, boxes = segment_pictures(generator, inversion, margin=1)
        backdrop, masks = inversion.backdrop(), inversion.masks()
        mixed = mixed and inversion.photo is not None
        if mode == "colour shift only":
            return shift_segments(backdrop, masks, crops, boxes, mixed=mixed)
        reach = band if mode == "seam only" else None
        return join_segments(backdrop, masks, crops, boxes, mixed=mixed, band=reach)
    # No cross-fade: the Poisson equation would keep the ramp from photo to picture as if it were detail.
    picture = render(generator, inversion, cross_fade=False)
    if inversion.photo is None:
        return picture
    return set_in(
        picture, inversion.photo, 1 - inversion.static_mask, mode=mode, mixed=mixed, band=band, rim="soft"
    )
