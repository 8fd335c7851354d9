"""Boundaries that move to where photo and rendering disagree (level set; P1 = Futschik et al. 2021, section 2.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ...checks import check_shape
from ...deprecated.keywords import old_keywords
from ...errors import InvalidInputError
from ...mask_shapes import as_stack
from ...wording import in_pixels, pictures
from ..masks import feather, mask_box
from ..relayer import relayer
from ..segment_masks import SegmentMasks
from .narrow_band import BAND_HALF_WIDTH, soft_mask
from .upwind import LevelSet

# Full speed takes a difference of 13 gray levels at least, so that what a good fit leaves moves nothing much.
SMALLEST_SCALE = 0.1


@torch.no_grad()
def evolve(
    mask: Tensor,
    speed: Tensor,
    *,
    distance: float,
    sign: int,
    curvature: float = 0.0,
    allowed: Tensor | None = None,
    callback: Callable[[float, Tensor], None] | None = None,
) -> Tensor:
    """Moves the 0.5 level of a mask along its normal: phi_t = sign F |grad phi|, phi > 0 inside (P1, 2.3).

    mask, speed: [H,W] or [1,1,H,W] in [0,1]; the speed is F.
    distance: pixels that a boundary with F = 1 moves in all. sign: 1 grows, -1 shrinks.
    curvature: b of the smoothing term b kappa |grad phi|, in pixels, against F = 1 (an arc of radius b stands
        still under F = 1); sensible 0..2.
    allowed: of the same shape in [0,1], where the mask may change; everywhere if absent.
    callback: called now and then with the pixels moved so far (of `distance`) and the mask [1,1,H,W] of that
        moment; what it raises ends the motion.

    Upwind differences of second order (Osher and Sethian 1988; Shu and Osher 1989), steps bounded by the CFL
    condition, in a band of a few pixels that is laid and made a signed distance anew before the boundary
    leaves it. Returns float32 [1,1,H,W] with an edge one pixel wide where the boundary moved; where it did not
    move, and outside `allowed`, the mask is as before. Without curvature it never falls when growing and
    never rises when shrinking. A mask without a boundary comes back as it is. Raises InvalidInputError for
    other shapes, values or options.
    """
    mask, speed, allowed = as_stack(mask), as_stack(speed), None if allowed is None else as_stack(allowed)
    _check_evolve(mask, speed, distance, sign, curvature, allowed)
    old = mask.to(torch.float32)
    speed = speed.to(old)
    gate = None if allowed is None else allowed.to(old)
    if gate is not None:
        speed = speed * gate
    crossed = ((old > 0.5) != (old[..., :1, :1] > 0.5)).any()
    if not crossed or distance == 0 or not (speed.any() or curvature):
        return old.clone()
    top, left, bottom, right = mask_box(
        old > 0.5, math.ceil(BAND_HALF_WIDTH + (distance if sign > 0 else 0)) + 2
    )
    window = (0, 0, slice(top, bottom), slice(left, right))  # nothing changes outside it
    gated = None if gate is None else gate[window]
    level_set = LevelSet((old[window] - 0.5) * sign, speed[window], curvature, gated)
    result = old.clone()
    for moved in level_set.run(distance):
        if callback is not None:
            result[window] = _soft(level_set, old[window], sign, curvature, gated)
            callback(moved, result.clone())
    result[window] = _soft(level_set, old[window], sign, curvature, gated)
    return result


def _soft(level_set: LevelSet, old: Tensor, sign: int, curvature: float, gate: Tensor | None) -> Tensor:
    """The mask of a level set's present state; the old one where it has not moved."""
    now, before = (sign * phi.view_as(old) for phi in (level_set.phi, level_set.first))
    new = old + (now - before).abs().clamp(max=1) * (soft_mask(now) - old)
    if curvature == 0:
        new = torch.maximum(new, old) if sign > 0 else torch.minimum(new, old)
    return new if gate is None else old + gate * (new - old)


@torch.no_grad()
@old_keywords(picture="rendering")
def boundary_speed(
    photo: Tensor,
    rendering: Tensor,
    *,
    blur: float = 1.0,
    percentile: float = 99.0,
    scale: float | None = None,
) -> Tensor:
    """F = |I - I_W| (P1, 2.3): how much a rendering differs from the photo at each pixel, in [0,1].

    photo, rendering: [1,C,H,W] in [-1,1].
    blur: sigma in pixels of a Gaussian over the differences (mean over channels), 0 for none.
    percentile: F is 1 at the difference that this share, in percent, of the pixels that differ stays below,
        though not below 0.1.
    scale: the difference, in units of the images, where F is 1, instead of a percentile.

    Returns float32 [1,1,H,W]. Raises InvalidInputError for sizes that differ or options out of range.
    """
    if photo.shape != rendering.shape or photo.ndim != 4 or len(photo) != 1:
        raise InvalidInputError(
            f"the photo is {pictures(photo)}, what it is compared with {pictures(rendering)}; expected one of each, in "
            "one size: resize one of them"
        )
    difference = (photo.to(torch.float32) - rendering.to(photo.device, torch.float32)).abs().mean(dim=1)[0]
    return _normalized(difference, blur, percentile, scale, SMALLEST_SCALE)


@torch.no_grad()
def feature_speed(
    features: Sequence[Tensor],
    others: Sequence[Tensor],
    size: tuple[int, int],
    *,
    blur: float = 0.0,
    percentile: float = 99.0,
    scale: float | None = None,
) -> Tensor:
    """F from what a perceptual network sees in the photo and in the rendering, in [0,1].

    features, others: maps [1,C,h,w] of the two (`PerceptualNetwork.features`), any sizes; size: (height,
    width) of the result. The squared differences, summed over channels, are brought to this size, added up
    over the maps, and their root is F. blur, percentile, scale: as in `boundary_speed`.

    Returns float32 [1,1,*size]. Raises InvalidInputError for maps that do not match or options out of range.
    """
    shapes, other_shapes = ([list(map_.shape) for map_ in maps] for maps in (features, others))
    if not shapes or shapes != other_shapes or any(len(shape) != 4 or shape[0] != 1 for shape in shapes):
        raise InvalidInputError(
            f"the feature maps are {shapes} and {other_shapes}; expected the same shapes [1,C,h,w], at least one"
        )
    total = torch.zeros(size, device=features[0].device)
    for map_, other in zip(features, others, strict=True):
        squares = (map_ - other).to(torch.float32).square().sum(dim=1, keepdim=True)
        total += F.interpolate(squares, size, mode="bilinear", align_corners=False)[0, 0]
    return _normalized(total.sqrt(), blur, percentile, scale, 1e-6)


def _normalized(
    difference: Tensor, blur: float, percentile: float, scale: float | None, smallest: float
) -> Tensor:
    if blur < 0 or not 0 < percentile <= 100 or (scale is not None and not scale > 0):
        raise InvalidInputError(
            f"blur is {blur}, percentile {percentile}, scale {scale}; expected blur at least 0, a percentile "
            "in 0..100, and a scale above 0 or none"
        )
    if not difference.isfinite().all():
        raise InvalidInputError("the difference holds NaN or infinity; expected finite pictures and features")
    blurred = feather(difference.cpu().double(), blur).to(difference)
    if scale is None:
        different = blurred[blurred > 1 / 255]  # where edits or boxes end, the rest is alike and says nothing
        rank = math.ceil(percentile / 100 * different.numel())
        scale = max(different.kthvalue(rank).values.item(), smallest) if rank else smallest
    return (blurred / scale).clamp(0, 1)[None, None]


@torch.no_grad()
def refine_segments(
    segments: SegmentMasks,
    speeds: Mapping[str, Tensor],
    *,
    distance: float,
    signs: Mapping[str, int] | int,
    curvature: float = 0.0,
    enter_static: bool = False,
) -> SegmentMasks:
    """Segments of which the named ones have grown or shrunk by `evolve`; all weights still add up to one.

    speeds: segment name -> F, [1,1,H,W] in [0,1]. signs: 1 grows, -1 shrinks, for all or by name. distance,
        curvature: as in `evolve`.
    enter_static: whether a growing segment may cover pixels that stay as in the photo.

    Each of them moves from the masks as given; then they lie on top of all others, the smaller over the
    larger, and what a shrinking one leaves goes to the nearest other, static part included. Pixels where no
    mask changes keep their weights bit for bit. Raises InvalidInputError for unknown names, wrong options,
    and, naming the segment, if one is nowhere above 0.5 or if nothing would be left of it.
    """
    _check_names(segments, speeds, signs)
    free = None if enter_static else 1 - segments.static
    moved = {}
    for name, speed in speeds.items():
        own = segments[name]
        _check_solid(name, own)
        sign = signs if isinstance(signs, int) else signs[name]
        allowed = free if sign > 0 else None
        moved[name] = evolve(own, speed, distance=distance, sign=sign, curvature=curvature, allowed=allowed)[
            0, 0
        ]
    return relayer(segments, moved, enter_static=enter_static)


def _check_solid(name: str, mask: Tensor) -> None:
    if mask.max() <= 0.5:
        raise InvalidInputError(
            f"the segment {name!r} is nowhere above 0.5 (at most {mask.max():.2g}) and so has no boundary to "
            "move; expected a mask that is solid somewhere, so feather it less"
        )


def _check_names(
    segments: SegmentMasks, speeds: Mapping[str, Tensor], signs: Mapping[str, int] | int
) -> None:
    unknown = [name for name in speeds if name not in segments.names]
    if unknown or not speeds:
        raise InvalidInputError(
            f"speeds are given for {list(speeds)}; expected some of the segments {', '.join(segments.names)}"
        )
    missing = [] if isinstance(signs, int) else [name for name in speeds if name not in signs]
    if missing:
        raise InvalidInputError(f"there is no sign for {missing}; expected 1 (grow) or -1 (shrink) for each")


def _check_evolve(
    mask: Tensor, speed: Tensor, distance: float, sign: int, curvature: float, allowed: Tensor | None
) -> None:
    if sign not in (1, -1):
        raise InvalidInputError(f"the sign is {sign!r}; expected 1 (grow) or -1 (shrink)")
    if not (0 <= distance < math.inf and 0 <= curvature < math.inf):
        raise InvalidInputError(
            f"the distance is {distance:g} and the curvature {curvature:g}; expected pixels, at least 0"
        )
    check_shape(mask, "the mask", (1, 1, "H", "W"))
    for what, values in (("mask", mask), ("speed", speed), ("mask of where it may move", allowed)):
        if values is not None:
            _check_map(what, values, mask)


def _check_map(what: str, values: Tensor, mask: Tensor) -> None:
    if values.shape != mask.shape:
        raise InvalidInputError(
            f"the {what} is {in_pixels(values)} and the mask {in_pixels(mask)}; resize one of them"
        )
    if not ((values >= 0) & (values <= 1 + 1e-6)).all():  # NaN fails too
        raise InvalidInputError(f"the {what} has values outside 0..1; clip or divide them")
