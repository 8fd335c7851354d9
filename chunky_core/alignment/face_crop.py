"""A face out of a photo, upright and in the generator's size, and back in at the photo's own resolution."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import check_picture
from ..compositing.detail import Carrying, detail_motion
from ..errors import InvalidInputError
from ..inversion.original_crop import Alignment
from ..segments.masks import without_noise
from ..wording import in_pixels, pictures
from .face_points import Box, FacePoints, mean_point
from .perspective import Quad, Region, displaced, quad_to_photo, resample, samples_for, side_lengths

SOFT_EDGE = 1 / 32  # of the crop's side, over which a change fades out toward the quad's border
LARGEST_CROP = 8192  # pixels
LEAST_SHARE = 1e-3  # of a pixel; less is rounding
UNLIKE = 0.1  # a mismatch of structure, from which on detail finer than the crop isn't carried along
NEW_STRUCTURE = 0.06  # of the range -1..1: a local change beyond it is another structure, not another shade


def ffhq_quad(points: FacePoints) -> Quad:
    """The square in which FFHQ shows a face (Karras et al. 2019, appendix A), as `Alignment.quad`.

    It stands upright on the face, whatever the rotation in the photo, and is at least 4 eye distances or 3.6
    distances from the eyes to the mouth wide. It may leave the photo.
    """
    (ex, ey), (mx, my) = points.axes()
    if ex * my - ey * mx < 0:  # the pair came in the other order; a mirrored face has its points mirrored too
        ex, ey = -ex, -ey
    xx, xy = ex + my, ey - mx
    half = max(2 * math.hypot(ex, ey), 1.8 * math.hypot(mx, my)) / math.hypot(xx, xy)
    xx, xy = xx * half, xy * half
    x, y = mean_point(points.eyes)
    return _square((x + 0.1 * mx, y + 0.1 * my), (xx, xy))


def quad_from_box(box: Box, scale: float = 1.0) -> Quad:
    """The smallest upright square around a box, `scale` times as large, as `Alignment.quad`.

    Raises InvalidInputError for a box without area.
    """
    left, top, width, height = box
    if not (width > 0 and height > 0 and scale > 0):
        raise InvalidInputError(f"the box is {width} x {height} pixels; expected a width and height above 0")
    return _square((left + width / 2, top + height / 2), (max(width, height) * scale / 2, 0.0))


def _square(centre: tuple[float, float], half: tuple[float, float]) -> Quad:
    """half: from the centre to the middle of the right side."""
    (cx, cy), (xx, xy) = centre, half
    yx, yy = -xy, xx
    return (
        (cx - xx - yx, cy - xy - yy),
        (cx - xx + yx, cy - xy + yy),
        (cx + xx + yx, cy + xy + yy),
        (cx + xx - yx, cy + xy - yy),
    )


@torch.no_grad()
def aligned_crop(photo: Tensor, alignment: Alignment, size: int) -> Tensor:
    """What lies in the quad, as a square picture.

    photo: [1,C,H,W] in [-1,1], C >= 3; further channels (transparency) are left out. size: pixels.
    Returns [1,3,size,size] in [-1,1]. Shrunk parts are averaged over each pixel's area, enlarged ones
    interpolated (bicubic). Beyond its border the photo is mirrored. A quad of the photo's own corners and size
    gives the photo itself. Raises InvalidInputError for a photo of another size than the alignment's and for a
    quad that doesn't touch it.
    """
    _check_photo(photo, alignment)
    if not 1 <= size <= LARGEST_CROP:
        raise InvalidInputError(f"the crop's size is {size}; expected 1 to {LARGEST_CROP} pixels")
    return _crop(photo[:, :3], alignment.quad, (size, size))


def _crop(photo: Tensor, quad: Quad, size: tuple[int, int]) -> Tensor:
    height, width = size
    samples = samples_for(max(side_lengths(quad)) / min(size))
    to_photo = quad_to_photo(quad) @ _scaling(1 / width, 1 / height)
    # averages of many samples need no sharper ones
    mode: Literal["bilinear", "bicubic"] = "bicubic" if samples <= 2 else "bilinear"
    crop = resample(photo, to_photo, (0, 0, width, height), samples, mode=mode, padding="reflection")
    return crop.clamp(-1, 1)


@torch.no_grad()
def paste_back(
    photo: Tensor,
    before: Tensor,
    after: Tensor,
    alignment: Alignment,
    mask: Tensor | None = None,
    *,
    detail: float = 0.0,
    move_detail: bool = True,
) -> Tensor:
    """The photo with what changed between two pictures of its aligned crop.

    photo: [1,C,H,W] in [-1,1]; channels beyond three (transparency) stay. before, after: [1,3,h,w] in [-1,1],
    the crop and what was made of it. mask: [1,1,h,w] in [0,1], how much of the change counts; None = all.
    detail: 0..1, how much of the photo's detail finer than the crop stays where the structure changed; 1 keeps
    all of it, old eyelashes over new eyes included. move_detail: what doesn't stay is carried along to where the
    change took the face, as far as that explains it (`detail_motion`), instead of being left out.

    Returns [1,C,H,W] of the photo's type. Only the difference after - before travels, at the photo's own
    resolution, averaged over each pixel's area if the crop is finer. A photo pixel changes only if one of the
    crop's pixels around it did; all others stay number for number. Changes fade out toward the quad's sides
    inside the photo. Raises InvalidInputError for sizes that don't agree and for values that are not finite.
    """
    _check_photo(photo, alignment)
    _check_crops(before, after, mask)
    if not 0 <= detail <= 1:  # NaN fails, too
        raise InvalidInputError(f"detail is {detail}; expected 0 to 1")
    if photo.dtype in (torch.float16, torch.bfloat16):  # too coarse to compute in
        wide = paste_back(
            photo.float(), before, after, alignment, mask, detail=detail, move_detail=move_detail
        )
        return torch.where(wide == photo.float(), photo, wide.to(photo))
    before, after = before.to(photo), after.to(photo)
    change = (after - before) * _fade(alignment, before)
    if mask is not None:
        change = change * without_noise(mask).to(photo)
    pasted = photo.clone()
    if not change.any():
        return pasted
    left, top, width, height = region = _region(_edited_quad(change, alignment), alignment.original_size)
    if not width or not height:  # what was edited lies outside the photo
        return pasted
    window = pasted[:, :3, top : top + height, left : left + width]
    moved_from = before if move_detail else None
    window.copy_(_pasted(photo[:, :3], change, alignment.quad, region, detail, moved_from))
    return pasted


def _pasted(
    photo: Tensor, change: Tensor, quad: Quad, region: Region, detail: float, moved_from: Tensor | None
) -> Tensor:
    """The pixels of a region of `photo` [1,3,H,W] after the change.

    moved_from: the crop before it, if detail is to be carried along.
    """
    left, top, width, height = region
    size = (change.shape[2], change.shape[3])
    to_crop = _scaling(size[1], size[0]) @ torch.linalg.inv(quad_to_photo(quad))
    samples = samples_for(max(size) / min(side_lengths(quad)))
    old = photo[:, :, top : top + height, left : left + width]
    changed = (change != 0).any(1, keepdim=True).to(change)
    new = old + resample(change, to_crop, region, samples)
    if detail < 1 and max(side_lengths(quad)) > min(size):
        coarse = resample(_crop(photo, quad, size), to_crop, region, samples)
        share = resample(_new_structure(change), to_crop, region, samples, mode="bilinear")
        fine = old - coarse
        carried = torch.zeros_like(fine)
        if moved_from is not None:
            scale = max(1.0, max(size) / 256)
            motion = detail_motion(moved_from, moved_from + change, scale, unlike=UNLIKE)
            carried = _carried(fine, motion, region, to_crop, samples)
        new = new + (1 - detail) * share * (carried - fine)
    # bicubic weights reach two pixels far; this keeps to those that lie around the pixel
    touched = resample(changed, to_crop, region, samples, mode="bilinear") > LEAST_SHARE
    return torch.where(touched, new.clamp(-1, 1), old)


def _carried(fine: Tensor, motion: Carrying, region: Region, to_crop: Tensor, samples: int) -> Tensor:
    """Detail finer than the crop where the change took it."""
    flow, moving, still = (
        resample(plane, to_crop, region, samples, mode="bilinear")
        for plane in (motion.flow, motion.moving, motion.still)
    )
    return moving * displaced(fine, region, to_crop, flow) + still * fine


def _new_structure(change: Tensor) -> Tensor:
    """[1,1,h,w] in [0,1]: 0 where colours only shift, 1 where other edges and textures came."""
    ragged = (change - _local_mean(change)).abs().mean(1, keepdim=True)
    return (_local_mean(ragged) / NEW_STRUCTURE).clamp(0, 1)


def _local_mean(plane: Tensor) -> Tensor:
    return F.avg_pool2d(plane, 5, stride=1, padding=2, count_include_pad=False)


def _fade(alignment: Alignment, crop: Tensor) -> Tensor:
    """[1,1,h,w]: 0 at the crop's border, 1 inside; sides that run outside the photo don't fade, nobody sees them."""
    height, width = crop.shape[-2:]
    left, bottom, right, top = _hidden_sides(alignment)
    across = _ramp(width, left, right).to(crop)
    down = _ramp(height, top, bottom).to(crop)
    return (down[:, None] * across)[None, None]


def _ramp(length: int, first_hidden: bool, last_hidden: bool) -> Tensor:
    rise = torch.arange(length) / max(1.0, SOFT_EDGE * length)
    rise = rise.clamp(max=1)
    smooth = rise * rise * (3 - 2 * rise)
    plain = torch.ones(length)
    return (plain if first_hidden else smooth) * (plain if last_hidden else smooth.flip(0))


def _hidden_sides(alignment: Alignment) -> list[bool]:
    """Left, bottom, right, top: whether the side lies wholly on or beyond one border of the photo."""
    height, width = alignment.original_size
    quad = alignment.quad
    sides = [(quad[i], quad[(i + 1) % 4]) for i in range(4)]
    return [
        any(
            all(beyond(x, y) for x, y in side)
            for beyond in (
                lambda x, y: x <= 0,
                lambda x, y: y <= 0,
                lambda x, y: x >= width,
                lambda x, y: y >= height,
            )
        )
        for side in sides
    ]


def _edited_quad(change: Tensor, alignment: Alignment) -> Quad:
    """Where in the photo the changed part of the crop lies, and the one pixel around it that interpolation reaches."""
    rows, columns = torch.nonzero(change[0].any(0), as_tuple=True)
    left, top = int(columns.min()) - 1, int(rows.min()) - 1
    right, bottom = int(columns.max()) + 2, int(rows.max()) + 2
    corners = torch.tensor([[left, top, 1], [left, bottom, 1], [right, bottom, 1], [right, top, 1]])
    to_photo = quad_to_photo(alignment.quad) @ _scaling(1 / change.shape[3], 1 / change.shape[2])
    x, y, divisor = to_photo @ corners.double().T
    places = torch.stack([x, y], 1) / divisor[:, None]
    one, two, three, four = ((float(a), float(b)) for a, b in places)
    return one, two, three, four


def _region(quad: Quad, size: tuple[int, int]) -> Region:
    """The pixels of a photo of `size` that a quad may touch; width or height is 0 if there are none."""
    height, width = size
    xs, ys = zip(*quad, strict=True)
    left, top = max(math.floor(min(xs)), 0), max(math.floor(min(ys)), 0)
    right, bottom = min(math.ceil(max(xs)), width), min(math.ceil(max(ys)), height)
    return left, top, max(right - left, 0), max(bottom - top, 0)


def _scaling(x: float, y: float) -> Tensor:
    return torch.diag(torch.tensor([x, y, 1.0], dtype=torch.float64))


def _check_photo(photo: Tensor, alignment: Alignment) -> None:
    check_picture(photo, "the photo", batch=1)
    if tuple(photo.shape[-2:]) != tuple(alignment.original_size):
        (height, width), (h, w) = alignment.original_size, photo.shape[-2:]
        raise InvalidInputError(
            f"the photo is {w}x{h}, the alignment was made for {width}x{height}; use the photo it was made from"
        )
    if 0 in _region(alignment.quad, alignment.original_size)[2:]:
        corners = ", ".join(f"({x:g}, {y:g})" for x, y in alignment.quad)
        raise InvalidInputError(
            f"the crop's corners {corners} lie outside the photo of {in_pixels(photo)}; "
            "give a face inside it, in pixels of the photo"
        )


def _check_crops(before: Tensor, after: Tensor, mask: Tensor | None) -> None:
    check_picture(before, "the crop before", batch=1)
    check_picture(after, "the crop after")
    if before.shape[1] != 3 or before.shape != after.shape:
        raise InvalidInputError(
            f"before is {pictures(before)}, after {pictures(after)}; expected one crop twice, of one size: resize the "
            "edited one to Align Face's crop"
        )
    if mask is None:
        return
    if mask.shape != (1, 1, *before.shape[-2:]):
        raise InvalidInputError(
            f"the mask is {in_pixels(mask)}, the crop {in_pixels(before)}; paint the mask on the crop"
        )
    if not bool(((mask >= 0) & (mask <= 1)).all()):
        raise InvalidInputError("the mask has values outside 0..1; expected 1 = the change counts")
