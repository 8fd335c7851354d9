"""An inversion in one pass: the codes that an encoder names for a photo's segments."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..checks import check_image, check_type
from ..encoders.encoder import Encoder, check_encoder
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..segments.segment_masks import SegmentMasks
from .given_codes import inversion_from_code, single_codes
from .record import Inversion
from .segment_codes import SegmentCode, SegmentCodes


def inversion_from_encoder(
    generator: Generator, encoder: Encoder, photo: Tensor, masks: SegmentMasks | None = None
) -> Inversion:
    """A draft without a projection, or what one sets out from: each segment with the code that the encoder names.

    photo: [1,3,H,W] in [-1,1] of the generator's size; masks: the segments, None = one, "all". An encoder that takes
    no masks sees the whole photo, and all segments get one code.
    Raises WrongGeneratorError for an encoder of another generator, InvalidInputError for a photo or masks of another
    size.
    """
    check_type(generator, "the generator", Generator, "load_generator reads one")
    check_encoder(encoder)
    check_image(photo, "the photo", batch=1)
    if masks is not None:
        check_type(masks, "masks", SegmentMasks, "segments_from_masks makes them of single masks")
    with torch.inference_mode(False), torch.no_grad():
        seen = masks.masks if masks is not None and encoder.takes_masks else None
        codes = [
            LatentCode(code.space, code.tensor.cpu())
            for code in single_codes(encoder.encode(generator, photo, seen))
        ]
        record = inversion_from_code(generator, codes[0], photo, masks)
        each = codes if len(codes) == len(record.segments) else codes * len(record.segments)
        segments = SegmentCodes(
            SegmentCode(segment.name, segment.mask, code)
            for segment, code in zip(record.segments, each, strict=True)
        )
        return replace(record, segments=segments)
