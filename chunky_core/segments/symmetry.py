"""Left and right: a segment made from its counterpart by a vertical axis."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InvalidInputError
from .names import known_name
from .relayer import relayer
from .segment_masks import SegmentMasks

_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
_SIDE = re.compile(r"(?<![^_\-. ])(left|right|l|r)(?![^_\-. ])", re.IGNORECASE)


def mirror_segments(
    segments: SegmentMasks,
    wanted: Sequence[str],
    *,
    new: str = "",
    axis: float = 0.5,
    enter_static: bool = True,
) -> SegmentMasks:
    """Add the mirror images of segments, on top; a segment that has such a name already is replaced.

    wanted: as `SegmentMasks.resolve` takes it. new: the name for the mirror image of a single segment; empty =
    left_X becomes right_X and the reverse. axis: place of the vertical axis as a share of the width, 0.5 = the
    middle. Raises InvalidInputError for names without a side, an axis beyond the image, and a mirror image
    that falls outside or covers another segment wholly.
    """
    names = segments.resolve(wanted)
    if new and len(names) > 1:
        raise InvalidInputError(
            f"{', '.join(names)} are {len(names)} segments for one new name; leave it empty, or name one segment"
        )
    masks = segments.planes()
    wanted_names = [new or other_side(name) for name in names]
    made = {
        known_name(made_name, segments.names) or made_name: mirrored(masks[name], axis)
        for made_name, name in zip(wanted_names, names, strict=True)
    }
    return relayer(segments, made, enter_static=enter_static)


def other_side(name: str) -> str:
    """ "left_eye" -> "right_eye", "r_brow" -> "l_brow". Raises InvalidInputError for a name without a side."""
    if not _SIDE.search(name):
        raise InvalidInputError(
            f"the name {name!r} has no left or right in it; write the name of its mirror image as new name"
        )
    return _SIDE.sub(lambda found: _in_case(_SIDES[found[0].lower()], found[0]), name, count=1)


def mirrored(mask: Tensor, axis: float = 0.5) -> Tensor:
    """A mask [H,W] mirrored by the vertical line at `axis`, a share of its width; exact if that line runs through
    or between pixels, else interpolated linearly. What would come from outside is 0.
    """
    if not 0 <= axis <= 1:
        raise InvalidInputError(f"the axis is {axis}; expected a share of the width, 0 to 1")
    width = mask.shape[-1]
    source = 2 * axis * width - 1 - torch.arange(width, dtype=torch.float64, device=mask.device)
    source = torch.where((source - source.round()).abs() < 1e-6, source.round(), source)
    first = source.floor()
    share = (source - first).to(mask)
    return _columns(mask, first) * (1 - share) + _columns(mask, first + 1) * share


def _columns(mask: Tensor, index: Tensor) -> Tensor:
    """Columns by number, 0 where there is none."""
    inside = (index >= 0) & (index < mask.shape[-1])
    return mask[:, index.clamp(0, mask.shape[-1] - 1).long()] * inside


def _in_case(word: str, like: str) -> str:
    if like.isupper():
        return word.upper()
    return word.capitalize() if like[0].isupper() else word
