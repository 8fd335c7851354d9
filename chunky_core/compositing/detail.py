"""The photo's own detail in an edited rendering: what the generator can't draw is added back where it belongs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..deprecated import old_names
from ..errors import InvalidInputError
from ..wording import pictures
from .flow import backward_warp, optical_flow
from .gaussian import gaussian_blur

__getattr__ = old_names(__name__)

KeepDetail = Literal["off", "keep", "keep and move"]
KEEP_DETAIL: tuple[KeepDetail, ...] = get_args(KeepDetail)

# Lengths in pixels of an image of 256; larger ones scale them.
SHADE_SIGMA = 4.0  # sigma of what counts as a change of shade, which detail survives
PATCH_SIGMA = 1.5  # sigma of the neighbourhood that is compared
CHOICE_SIGMA = 2.0  # sigma that softens where detail moves and where it stays
ROUND_TRIP_SIGMA = 3.0  # how far a motion there and back may end from its start, as a deviation
# In units of images in [-1,1].
MOTION_GAIN = 0.01  # how much better the motion must explain the edit before detail moves
MOTION_GAIN_WIDTH = 0.005  # the width of that decision
MISMATCH_SCALE = 0.2  # a mismatch of structure from which on detail as fine as the generator's pixels fades


@dataclass(frozen=True)
class DetailMotion:
    """What becomes of the detail under an edit: out(p) = E(p) + moving(p) r(p + flow(p)) + still(p) r(p).

    flow: [1,2,h,w] from the edit to where it came from, see `optical_flow`; moving, still: [1,1,h,w] in [0,1], together
    at most 1.
    """

    flow: Tensor
    moving: Tensor
    still: Tensor


@torch.no_grad()
def with_detail(
    photo: Tensor,
    reconstruction: Tensor,
    edited: Tensor,
    *,
    move: bool = True,
    scale: float = 1.0,
    share: Tensor | None = None,
) -> Tensor:
    """The edited rendering with the photo's detail, [1,3,h,w].

    photo, reconstruction, edited: [1,3,h,w] in [-1,1], one part of a photo, how the generator draws it and how it
    draws it edited. scale: the photo's longer side in pixels / 256. share: [1,1,h,w] in [0,1], how much of the detail
    counts at each pixel, None = all; it is 0 where the photo shows something else than the reconstruction.

    The residual r = photo - reconstruction is what the generator can't draw: freckles, strands, grain. It is added to
    the edited rendering where it belongs. With move, it goes where the edit takes the face, by the flow from the
    edit to the reconstruction; where stillness explains the edit as well, it stays in place. Its weight is high where
    the reconstruction, so moved, has the structure of the edit (a change of shade is none), and fades to 0 elsewhere
    and where the motion leads to something hidden: there the residual belongs to what is gone, and would be its ghost.
    Where the edit changes nothing the result is the photo. Raises InvalidInputError for a batch, for sizes that don't
    agree, for NaN and infinite values, and for a scale that isn't above 0.
    """
    _check_images(photo, reconstruction, edited, scale)
    if share is None and torch.equal(edited, reconstruction):
        return photo.clone()
    residual = photo - reconstruction
    if share is not None:
        residual = residual * share.to(residual)
    if not move:
        similarity = _similarity(_mismatch(edited, reconstruction, scale))
        return edited + gaussian_blur(similarity, scale) * residual
    motion = detail_motion(reconstruction, edited, scale)
    return edited + motion.moving * backward_warp(residual, motion.flow) + motion.still * residual


@torch.no_grad()
def detail_motion(
    before: Tensor, after: Tensor, scale: float = 1.0, *, mismatch_scale: float = MISMATCH_SCALE
) -> DetailMotion:
    """How the detail of an image [1,3,h,w] in [-1,1] goes along with what an edit made of it.

    scale: as in `with_detail`. mismatch_scale: the mismatch of structure, in units of the images, from which on detail
    fades; the finer it is, the less mismatch it bears.
    """
    flow, back = optical_flow(after, before), optical_flow(before, after)
    at_rest = _mismatch(after, before, scale)
    in_motion = _mismatch(after, backward_warp(before, flow), scale)
    moves = gaussian_blur(
        torch.sigmoid((at_rest - in_motion - MOTION_GAIN) / MOTION_GAIN_WIDTH), CHOICE_SIGMA * scale
    )
    carried = _similarity(in_motion, mismatch_scale) * _consistency(flow, back, scale).to(after)
    return DetailMotion(
        flow=flow.to(after),
        moving=gaussian_blur(moves * carried, scale),
        still=gaussian_blur((1 - moves) * _similarity(at_rest, mismatch_scale), scale),
    )


def _check_images(photo: Tensor, reconstruction: Tensor, edited: Tensor, scale: float) -> None:
    if (
        photo.ndim != 4
        or photo.shape[:2] != (1, 3)
        or not photo.shape == reconstruction.shape == edited.shape
    ):
        found = ", ".join(pictures(one) for one in (photo, reconstruction, edited))
        raise InvalidInputError(
            f"photo, reconstruction and edited picture are {found}; expected one picture each, [1,3,H,W], of one size"
        )
    if not all(one.isfinite().all() for one in (photo, reconstruction, edited)):
        raise InvalidInputError(
            "photo, reconstruction or edited picture has NaN or infinite values; expected numbers"
        )
    if not 0 < scale < math.inf:
        raise InvalidInputError(f"the scale is {scale}; expected the photo's longer side in pixels / 256")


def check_keep_detail(keep_detail: str) -> None:
    """Raise InvalidInputError for an unknown choice."""
    if keep_detail not in KEEP_DETAIL:
        raise InvalidInputError(f"keep_detail is {keep_detail!r}; expected one of {', '.join(KEEP_DETAIL)}")


def _mismatch(one: Tensor, other: Tensor, scale: float) -> Tensor:
    """[1,1,h,w]: by how much the structures of two images differ around each pixel, shades left out."""
    difference = one - other
    ragged = difference - gaussian_blur(difference, SHADE_SIGMA * scale)
    return gaussian_blur(ragged.square().mean(dim=1, keepdim=True), PATCH_SIGMA * scale).sqrt()


def _similarity(mismatch: Tensor, mismatch_scale: float = MISMATCH_SCALE) -> Tensor:
    return torch.exp(-(mismatch / mismatch_scale).square())


def _consistency(flow: Tensor, back: Tensor, scale: float) -> Tensor:
    """[1,1,h,w] in [0,1], forward-backward consistency: whether the motion there and back comes home. What was hidden
    has no way back.
    """
    away = (flow + backward_warp(back, flow)).square().sum(dim=1, keepdim=True)
    return torch.exp(-away / (2 * (ROUND_TRIP_SIGMA * scale) ** 2))
