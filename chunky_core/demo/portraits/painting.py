"""The whole portrait: every painter in its order, back to front."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...deprecated import old_names
from ...errors import InvalidInputError
from .attributes import ATTRIBUTES, PARTS, Traits, fractions_of, traits_by_part
from .backdrop import paint_background, paint_cloth, paint_neck
from .colors import brow_color
from .eyes import paint_brow, paint_eye, paint_glasses
from .features import paint_mouth, paint_nose
from .hair import paint_back_hair, paint_front_hair, shape_hair
from .head import SIDES, build_head, paint_beard, paint_ears, paint_face
from .raster_canvas import RasterCanvas

__getattr__ = old_names(__name__)

CHUNK_PIXELS = 4 * 256 * 256  # pictures are painted a few at a time, so that their planes stay in the cache
MIN_RESOLUTION = 16


@torch.no_grad()
def draw_portraits(u: Tensor, resolution: int = 256) -> tuple[Tensor, Tensor]:
    """Portraits of people who are given by standard normal numbers.

    u: [B,K], or [B,P,K] with one row for each of PARTS (SHARED_ATTRIBUTES are read from the row of "skin").
    Returns the picture, float32 [B,3,R,R] in [-1, 1], and the label map, uint8 [B,R,R], indices into LABELS.
    Raises InvalidInputError for another shape, numbers that are not finite, or a resolution below 16.
    """
    _check(u, resolution)
    fractions = fractions_of(u.detach().to("cpu", torch.float32))
    size = max(1, CHUNK_PIXELS // resolution**2)
    canvases = [paint_portrait(traits_by_part(some), resolution) for some in fractions.split(size)]
    image = torch.cat([canvas.image for canvas in canvases])
    return image.clamp_(0.0, 1.0).mul_(2.0).sub_(1.0), torch.cat([canvas.labels for canvas in canvases])


def _check(u: Tensor, resolution: int) -> None:
    rows, columns = len(PARTS), len(ATTRIBUTES)
    if u.shape[1:] not in ((columns,), (rows, columns)) or u.shape[0] == 0:
        raise InvalidInputError(
            f"found attributes of shape {tuple(u.shape)}, expected [B,{columns}] or [B,{rows},{columns}]: "
            "give one number per attribute, or one row of them per part."
        )
    if not bool(torch.isfinite(u).all()):
        raise InvalidInputError(
            "found attributes that are NaN or infinite, expected finite numbers: remove them."
        )
    check_resolution(resolution)


def check_resolution(resolution: int) -> None:
    if resolution < MIN_RESOLUTION:
        raise InvalidInputError(
            f"found resolution {resolution}, expected at least {MIN_RESOLUTION}: raise it."
        )


def paint_portrait(traits: Mapping[str, Traits], resolution: int) -> RasterCanvas:
    """The portraits of a batch, on a canvas that others may paint on. Fractions may leave 0..1 a little."""
    canvas = RasterCanvas(len(traits["skin"].fractions), resolution)
    head = build_head(traits["skin"])
    hair = shape_hair(canvas, traits["hair"], head)
    paint_background(canvas, traits["background"])
    paint_back_hair(canvas, hair, head)
    paint_neck(canvas, traits["neck"], head)
    paint_cloth(canvas, traits["cloth"], head)
    paint_ears(canvas, traits["ears"], head)
    paint_face(canvas, traits["skin"], head)
    paint_beard(canvas, traits["skin"], head, brow_color(traits["skin"]))
    paint_mouth(canvas, traits["mouth"], head)
    paint_nose(canvas, traits["nose"], head)
    for sign, side in SIDES:
        paint_eye(canvas, traits[f"{side}_eye"], head, sign, side)
        paint_brow(canvas, traits[f"{side}_brow"], head, sign, side)
    paint_front_hair(canvas, hair, traits["hair"], head)
    paint_glasses(canvas, traits["glasses"], head)
    return canvas
