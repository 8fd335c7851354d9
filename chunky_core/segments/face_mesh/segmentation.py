"""The regions of a face as masks and as segments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from ...boxes import AnySize, as_size
from ...errors import InvalidInputError
from ...images.image_files import MAX_PIXELS
from ..label_names import check_addressable, known_renames, renamed_masks
from ..names import Roles, roles
from ..partition import Gaps, segments_from_masks
from ..segment_masks import SegmentMasks
from .landmarks import FaceLandmarks, check_mesh
from .polygons import ellipse, grown_polygon, polygon_mask
from .regions import EYES, IRISES, LEFT_EYE_CENTER, OVAL, REGIONS, RIGHT_EYE_CENTER, RINGS

# Of the distance between the eyes: the mesh's brows are thinner than those that people draw (CelebAMask-HQ).
BROW_GROWTH = 0.03
# Of the squared distance between the eyes: closed lips and eyes leave slivers that are no segments.
SMALLEST_AREA = 0.003  # closed lips have up to .001, open ones more than .1
ROUNDING = 1e-6


def face_regions(landmarks: FaceLandmarks | Tensor, size: AnySize) -> dict[str, Tensor]:
    """The regions of a face that can be seen in a picture of a size, float32 [H,W] in [0,1] by name.

    landmarks: MediaPipe's mesh as in `segment_face`. They add up to at most 1: skin is the oval without the
    rest of the face, an eye is without its iris. A closed mouth or eye, what lies outside the picture, and the irises
    of a mesh of 468 are left out. Raises InvalidInputError for another shape, NaN, and two eyes in one place.
    """
    height, width = as_size(size)
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise InvalidInputError(
            f"the size is {width}x{height}; expected that of the picture, at most {MAX_PIXELS:,} pixels"
        )
    points = _mesh_points(landmarks)
    eyes = points[list(LEFT_EYE_CENTER)].mean(0) - points[list(RIGHT_EYE_CENTER)].mean(0)
    distance = eyes.norm().item()
    if not distance:
        raise InvalidInputError("both eyes of the mesh lie in one place; detect the face again")
    shape = (height, width)
    masks = {name: polygon_mask(_ring(points, name, distance), shape).float() for name in RINGS}
    for name, indices in IRISES.items() if len(points) > max(IRISES["left_iris"]) else ():
        disc = polygon_mask(ellipse(points[indices[0]], points[list(indices[1:])]), shape).float()
        masks[name] = torch.minimum(disc, masks[EYES[name]])
        masks[EYES[name]] = masks[EYES[name]] - masks[name]
    oval = polygon_mask(points[list(OVAL)], shape).float()
    seen = _disjoint({**masks, "skin": oval})  # skin is below all others
    least = SMALLEST_AREA * distance * distance
    return {name: seen[name] for name in REGIONS if name in seen and seen[name].sum() > least}


def segment_face(
    landmarks: FaceLandmarks | Tensor,
    size: AnySize,
    *,
    rename: Mapping[str, str] | None = None,
    static: Collection[str] = (),
    only: Collection[str] = (),
    grow: int = 0,
    feather: float = 0.0,
    gaps: Gaps = "static",
) -> SegmentMasks:
    """The segments of a face: skin, left_eye, right_eye, left_brow, right_brow, nose, upper_lip, lower_lip, mouth (what
    the open lips show), left_iris, right_iris; left and right are the person's. All else is static.

    landmarks: the mesh of `read_face_landmarks`, or MediaPipe's 478 points (or 468, without irises) [478,2], x and y in
        pixels of the picture, the center of its first pixel being (0.5, 0.5). size: (height, width) or a square's side.
    rename: old name -> new name; regions of one name merge, {"upper_lip": "lips", "lower_lip": "lips"}.
    static, only, grow, feather, gaps: as in `segments_from_masks`, by the new names. Regions that can't be seen, such
        as a closed mouth, may be named.

    Raises InvalidInputError for names that are no regions, new ones that no list of names could hold, if none is left,
    and as `face_regions` does.
    """
    rules = known_renames({} if rename is None else rename, REGIONS)
    parts = wanted_regions(rules, static, only)
    masks = face_regions(landmarks, size)
    masks = renamed_masks(masks, {old: new for old, new in rules.items() if old in masks})
    chosen, kept = ([name for name in some if name in masks] for some in (parts.chosen, parts.static))
    if not chosen:
        raise InvalidInputError(
            f"none of {', '.join(parts.chosen)} can be seen in this face; there are {', '.join(masks) or 'none'}"
        )
    options: dict[str, Any] = {"grow": grow, "feather": feather, "gaps": gaps}
    return segments_from_masks(masks, static=kept, only=chosen, **options)


def wanted_regions(
    rename: Mapping[str, str], static: Collection[str] = (), only: Collection[str] = ()
) -> Roles:
    """What becomes of each region by its new name, whether a face shows it or not; errors as in `segment_face`."""
    rules = known_renames(rename, REGIONS)
    for name in rules.values():
        check_addressable(name, "rename")
    return roles(tuple(dict.fromkeys(rules.get(name, name) for name in REGIONS)), static, only)


def _mesh_points(landmarks: FaceLandmarks | Tensor) -> Tensor:
    """float64 [N,2] on the CPU. Raises InvalidInputError for what is no mesh."""
    if isinstance(landmarks, FaceLandmarks):
        return landmarks.points.double().cpu()
    try:
        points = torch.as_tensor(landmarks, dtype=torch.float64, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(
            f"the landmarks are of type {type(landmarks).__name__}; expected FaceLandmarks, as read_face_landmarks "
            "gives them, or MediaPipe's points [478,2]"
        ) from error
    check_mesh(points)
    return points


def _ring(points: Tensor, name: str, distance: float) -> Tensor:
    ring = points[list(RINGS[name])]
    return grown_polygon(ring, BROW_GROWTH * distance) if name.endswith("_brow") else ring


def _disjoint(masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Where regions overlap, as in profile, the earlier one lies on top."""
    left = torch.ones_like(next(iter(masks.values())))
    made = {}
    for name, mask in masks.items():
        made[name] = torch.minimum(mask, left)
        left = left - made[name]
        left[left < ROUNDING] = 0
    return made
