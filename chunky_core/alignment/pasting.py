"""What was changed in an aligned crop, back in the photo at its own resolution."""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..boxes import Box
from ..checks import check_brightness, check_image, check_tensor, check_type
from ..compositing.detail import DetailMotion, detail_motion
from ..deprecated.old_calls import accepts_old_calls
from ..errors import InvalidInputError
from ..inversion.original_crop import Alignment
from ..mask_shapes import as_stack
from ..segments.face_mesh.polygons import polygon_mask
from ..segments.masks import without_noise
from ..wording import in_pixels, pictures
from .face_crop import AlignedCrop, check_aligned, resample_quad
from .perspective import (
    Quad,
    box_around,
    displaced,
    quad_to_photo,
    resample,
    samples_for,
    scaling,
    side_ratios,
)

SOFT_EDGE = 1 / 32  # of the crop's side, over which a change fades out toward the quad's border
LEAST_SHARE = 1e-3  # of a pixel; less is rounding
MISMATCH_SCALE = 0.1  # a mismatch of structure, from which on detail finer than the crop isn't carried along
NEW_STRUCTURE = 0.06  # of the range -1..1: a local change beyond it is another structure, not another shade


def _of_version_0_1(*arguments: Any, **options: Any) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments of paste_back(photo, before, after, alignment, mask) in today's order; None for today's."""
    given = dict(zip(("photo", "before", "after", "alignment", "mask"), arguments, strict=False)) | options
    if not isinstance(given.get("alignment"), Alignment):
        return None
    crop = AlignedCrop(given.pop("before"), given.pop("alignment"))
    return (given.pop("photo"), given.pop("after"), crop), given


@accepts_old_calls(_of_version_0_1)
@torch.no_grad()
def paste_back(
    photo: Tensor,
    image: Tensor,
    crop: AlignedCrop,
    mask: Tensor | None = None,
    *,
    detail: float = 0.0,
    move_detail: bool = True,
) -> Tensor:
    """The photo with what changed from its aligned crop to an image of it.

    photo: [1,C,H,W] in [-1,1]; channels beyond three (transparency) stay. image: [1,3,h,w] in [-1,1], what was made
    of crop.image. mask: [h,w] or [1,1,h,w] in [0,1], how much of the change counts; None = all.
    detail: 0..1, how much of the photo's detail finer than the crop stays where the structure changed; 1 keeps
    all of it, old eyelashes over new eyes included. move_detail: what doesn't stay is carried along to where the
    change took the face, as far as that explains it (`detail_motion`), instead of being left out.

    Returns [1,C,H,W] of the photo's type. Only the difference image - crop.image travels, at the photo's own
    resolution, averaged over each pixel's area if the crop is finer. A photo pixel changes only if one of the
    crop's pixels around it did; all others stay number for number. Changes fade out toward the quad's sides
    inside the photo. Raises InvalidInputError for sizes that don't agree and for values that are not finite.
    """
    check_type(crop, "the crop", AlignedCrop, "align cuts one out")
    alignment = crop.alignment
    check_aligned(photo, alignment)
    check_brightness(photo, "the photo")
    if mask is not None:
        check_tensor(mask, "the mask", "[h,w] or [1,1,h,w]")
        mask = as_stack(mask)
    _check_crops(crop.image, image, mask)
    if not isinstance(detail, Real) or not 0 <= detail <= 1:  # NaN fails, too
        raise InvalidInputError(f"detail is {detail}; expected 0 to 1")
    if photo.dtype in (torch.float16, torch.bfloat16):  # too coarse to compute in
        wide = paste_back(photo.float(), image, crop, mask, detail=detail, move_detail=move_detail)
        return torch.where(wide == photo.float(), photo, wide.to(photo))
    before, after = crop.image.to(photo), image.to(photo)
    change = (after - before) * _fade(alignment, before)
    if mask is not None:
        change = change * without_noise(mask).to(photo)
    pasted = photo.clone()
    if not change.any():
        return pasted
    box = box_around(_edited_quad(change, alignment), alignment.original_size)
    if not box.area:  # what was edited lies outside the photo
        return pasted
    window = pasted[:, :3, box.top : box.bottom, box.left : box.right]
    moved_from = before if move_detail else None
    window.copy_(_pasted(photo[:, :3], change, alignment.quad, box, detail, moved_from))
    return pasted


@torch.no_grad()
def paste_mask(mask: Tensor, alignment: Alignment) -> Tensor:
    """A mask on an aligned crop, as it lies on the whole photo.

    mask: [h,w] or [1,1,h,w] in [0,1], or bool. Returns [1,1,H,W] in [0,1] for a photo of `alignment.original_size`,
    averaged over each pixel's area if the crop is finer, and 0 outside the quad. Raises InvalidInputError for another
    shape and for values outside 0..1.
    """
    check_tensor(mask, "the mask", "[h,w] or [1,1,h,w]")
    check_type(alignment, "the alignment", Alignment, "align and face_alignment make one")
    plane = as_stack(mask) if mask.is_floating_point() else as_stack(mask).float()
    if plane.ndim != 4 or plane.shape[:2] != (1, 1) or not plane.numel():
        raise InvalidInputError(
            f"the mask is a tensor of shape {list(mask.shape)}; expected [h,w] or [1,1,h,w]"
        )
    if not bool(((plane >= 0) & (plane <= 1)).all()):
        raise InvalidInputError("the mask has values outside 0..1; expected 1 = selected")
    quad, size = alignment.quad, (plane.shape[2], plane.shape[3])
    pasted = plane.new_zeros(1, 1, *alignment.original_size)
    box = box_around(quad, alignment.original_size)
    if box.area:
        to_crop = scaling(size[1], size[0]) @ torch.linalg.inv(quad_to_photo(quad))
        samples = samples_for(1 / min(side_ratios(quad, size)))
        part = resample(plane, to_crop, box, samples, mode="bilinear") * _inside(quad, box).to(plane)
        pasted[:, :, box.top : box.bottom, box.left : box.right] = part.clamp(0, 1)
    return pasted


def _inside(quad: Quad, box: Box) -> Tensor:
    """[1,1,h,w]: the share of each pixel of a box of the photo that lies in the quad."""
    corners = torch.tensor(quad, dtype=torch.float64) - torch.tensor([box.left, box.top])
    return polygon_mask(corners, (box.height, box.width))[None, None]


def _pasted(
    photo: Tensor, change: Tensor, quad: Quad, box: Box, detail: float, moved_from: Tensor | None
) -> Tensor:
    """The pixels of a box of `photo` [1,3,H,W] after the change.

    moved_from: the crop before it, if detail is to be carried along.
    """
    size = (change.shape[2], change.shape[3])
    to_crop = scaling(size[1], size[0]) @ torch.linalg.inv(quad_to_photo(quad))
    samples = samples_for(1 / min(side_ratios(quad, size)))
    old = photo[:, :, box.top : box.bottom, box.left : box.right]
    changed = (change != 0).any(1, keepdim=True).to(change)
    new = old + resample(change, to_crop, box, samples)
    if detail < 1 and max(side_ratios(quad, size)) > 1:
        coarse = resample(resample_quad(photo, quad, size), to_crop, box, samples)
        share = resample(_new_structure(change), to_crop, box, samples, mode="bilinear")
        fine = old - coarse
        carried = torch.zeros_like(fine)
        if moved_from is not None:
            scale = max(1.0, max(size) / 256)
            motion = detail_motion(moved_from, moved_from + change, scale, mismatch_scale=MISMATCH_SCALE)
            carried = _carried(fine, motion, box, to_crop, samples)
        new = new + (1 - detail) * share * (carried - fine)
    # bicubic weights reach two pixels far; this keeps to those that lie around the pixel
    touched = resample(changed, to_crop, box, samples, mode="bilinear") > LEAST_SHARE
    return torch.where(touched, new.clamp(-1, 1), old)


def _carried(fine: Tensor, motion: DetailMotion, box: Box, to_crop: Tensor, samples: int) -> Tensor:
    """Detail finer than the crop where the change took it."""
    flow, moving, still = (
        resample(plane, to_crop, box, samples, mode="bilinear")
        for plane in (motion.flow, motion.moving, motion.still)
    )
    return moving * displaced(fine, box, to_crop, flow) + still * fine


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
    to_photo = quad_to_photo(alignment.quad) @ scaling(1 / change.shape[3], 1 / change.shape[2])
    x, y, divisor = to_photo @ corners.double().T
    places = torch.stack([x, y], 1) / divisor[:, None]
    one, two, three, four = ((float(a), float(b)) for a, b in places)
    return one, two, three, four


def _check_crops(before: Tensor, after: Tensor, mask: Tensor | None) -> None:
    check_image(before, "the crop before", batch=1)
    check_image(after, "the crop after")
    check_brightness(before, "the crop before")
    check_brightness(after, "the crop after")
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
