"""Demo photos: portraits whose parts don't belong together under one code, as in real photographs.

Every part is drawn with its own deviation from the person (two different eyes, brows unlike the hair, the
neck unlike the face), disturbed in ways that the generator never saw, and covered by extras where asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..images import from_uint8, to_uint8
from .extras import paint_extra
from .nuisances import add_nuisances, develop
from .portraits.attributes import (
    ATTRIBUTES,
    EXTRAS,
    INDEX,
    PARTS,
    SHARED_ATTRIBUTES,
    fractions_of,
    traits_by_part,
)
from .portraits.head import build_head
from .portraits.painting import check_resolution, paint_portrait
from .portraits.raster_canvas import RasterCanvas

PERSON_SPREAD = 0.8  # with the parts' own deviation of 0.8 on top, about the spread of the generator's people
GAZE_SHARE = 0.4  # of the deviation: eyes that look in quite different directions are no portrait
BEYOND = 1.3  # yaw and light reach this much further than in the pictures that a generator is trained on
NO_GLASSES = -3.0


@dataclass(frozen=True)
class Photo:
    """A photo and the truth about it.

    image: float32 [1,3,R,R] in [-1,1], of 256 levels. labels: uint8 [R,R], indices into portraits.LABELS.
    attributes: [P,K], the standard normal numbers of every part, before nuisances. extras: what was added.
    """

    image: Tensor
    labels: Tensor
    attributes: Tensor
    extras: tuple[str, ...]


@torch.no_grad()
def demo_photo(
    seed: int,
    *,
    resolution: int = 256,
    extras: Sequence[str] = (),
    part_deviation: float = 0.8,
    nuisances: bool = True,
    changes: Mapping[str, float] | None = None,
) -> Photo:
    """A photo of an invented person; the same seed gives the same person at every resolution.

    part_deviation: standard deviation of every part's attributes from the person's (0 to about 1), apart from
    SHARED_ATTRIBUTES. extras: any of portraits.EXTRAS, painted in the order given. nuisances: freckles,
    moles, strands, patterns, a textured background, colour cast, vignette, grain, stronger yaw and light.
    changes: by how many deviations attributes of all parts are moved; the rest of the photo is drawn as without, which
    makes it what an edit of the photo is to look like.
    Raises InvalidInputError for an unknown extra or attribute, a negative deviation or a resolution below 16.
    """
    changes = changes or {}
    _check(extras, part_deviation, changes)
    check_resolution(resolution)
    people, disturbances, things = (torch.Generator().manual_seed(3 * seed + stream) for stream in range(3))
    attributes = _draw_attributes(people, part_deviation)
    for name, amount in changes.items():
        attributes[:, INDEX[name]] += amount
    if "odd_glasses" in extras:
        attributes[:, INDEX["glasses"]] = NO_GLASSES
    canvas = paint_photos(attributes[None], resolution, extras, disturbances if nuisances else None, things)
    image = from_uint8(to_uint8(canvas.image * 2.0 - 1.0))
    return Photo(image, canvas.labels[0], attributes, tuple(extras))


def paint_photos(
    attributes: Tensor,
    resolution: int,
    extras: Sequence[str],
    disturbances: torch.Generator | None,
    things: torch.Generator,
) -> RasterCanvas:
    """Photos of the people `attributes` [B,P,K]; the image of the canvas is in [0,1].

    disturbances: draws the nuisances, the same ones for the whole batch; None = none. things: draws the extras;
    with extras, B is 1.
    """
    fractions = fractions_of(attributes)
    if disturbances is not None:
        turned = [INDEX["yaw"], INDEX["light"]]
        fractions[..., turned] = 0.5 + BEYOND * (fractions[..., turned] - 0.5)
    traits = traits_by_part(fractions)
    canvas, head = paint_portrait(traits, resolution), build_head(traits["skin"])
    if disturbances is not None:
        add_nuisances(canvas, head, disturbances)
    for name in extras:
        paint_extra(name, canvas, head, things)
    if disturbances is not None:
        develop(canvas, disturbances)
    canvas.image.clamp_(0.0, 1.0)
    return canvas


def _draw_attributes(rng: torch.Generator, deviation: float) -> Tensor:
    person = PERSON_SPREAD * torch.randn(1, len(ATTRIBUTES), generator=rng)
    own = deviation * torch.randn(len(PARTS), len(ATTRIBUTES), generator=rng)
    own[:, [INDEX["gaze_x"], INDEX["gaze_y"]]] *= GAZE_SHARE
    own[:, [INDEX[name] for name in SHARED_ATTRIBUTES]] = 0.0
    return person + own


def _check(extras: Sequence[str], deviation: float, changes: Mapping[str, float]) -> None:
    strange = [name for name in changes if name not in INDEX]
    if strange:
        raise InvalidInputError(f"found the attribute {strange[0]!r}, expected some of: {', '.join(INDEX)}.")
    unknown = [name for name in extras if name not in EXTRAS]
    if unknown:
        raise InvalidInputError(f"found the extra {unknown[0]!r}, expected some of: {', '.join(EXTRAS)}.")
    if not (math.isfinite(deviation) and deviation >= 0.0):
        raise InvalidInputError(f"found a part deviation of {deviation}, expected 0 or more: try 0.8.")
