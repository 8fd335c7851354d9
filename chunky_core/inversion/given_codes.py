"""Codes that are there already, sampled or made by another tool, as an inversion of one segment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checks import check_type
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode, convert, synthesis_input
from ..images import from_uint8, to_uint8
from ..segments.segment_masks import SegmentMasks, single_segment
from .record import Inversion
from .segment_codes import SegmentCode, SegmentCodes
from .validation import check_photo


def inversion_from_code(
    generator: Generator,
    code: LatentCode,
    photo: Tensor | None = None,
    masks: SegmentMasks | None = None,
    *,
    noise: Sequence[Tensor] = (),
) -> Inversion:
    """An inversion in which one code draws all segments, to be edited, or to set out from in a projection.

    code: [1,...]; photo: [1,3,H,W] in [-1,1] of the generator's size that it stands for; None = what the code draws, in
    8 bits; masks: the segments, None = one, "all"; noise: maps [r,r] of `Generator.noise_layout` that belong to it.
    Raises InvalidInputError for a code of several pictures or of another generator, and for a photo or masks of another
    size.
    """
    check_type(generator, "the generator", Generator, "load_generator reads one")
    check_type(code, "the code", LatentCode, "load_latent reads one, sample draws one")
    if len(code.tensor) != 1:
        raise InvalidInputError(
            f"{len(code.tensor)} codes were given; expected one: an inversion is of one photo"
        )
    with torch.inference_mode(False), torch.no_grad():
        own = LatentCode(code.space, code.tensor.detach().float().clone())
        on_device = LatentCode(own.space, own.tensor.to(generator.device))
        convert(generator, on_device, "s")  # checks its size
        if photo is None:
            maps = [one.to(generator.device) for one in noise]
            drawn = generator.synthesis(synthesis_input(generator, on_device), noise=maps)
            photo = from_uint8(to_uint8(drawn.float().cpu()))
        segments = masks or single_segment((photo.shape[-2], photo.shape[-1]), photo.device)
        check_photo(generator, photo, segments)
        pairs = zip(segments.names, segments.masks, strict=True)
        return Inversion(
            photo=photo,
            segments=SegmentCodes(SegmentCode(name, mask[None], own) for name, mask in pairs),
            static_mask=segments.static,
            fingerprint=generator.fingerprint,
            noise=tuple(one.detach().clone() for one in noise),
        )


def single_codes(code: LatentCode) -> list[LatentCode]:
    """The codes [1,...] of a batch."""
    return [LatentCode(code.space, one) for one in code.tensor.split(1)]


def as_start(generator: Generator, start: Inversion | LatentCode | None, photo: Tensor) -> Inversion | None:
    """What a projection of `photo` sets out from: an inversion as it is, a code as one of the whole photo."""
    if isinstance(start, LatentCode):
        return inversion_from_code(generator, start, photo)
    return start
