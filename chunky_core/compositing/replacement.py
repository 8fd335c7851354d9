"""Which segments of an inversion a composite replaces; everything else stays the photo's own pixels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace as with_changes
from typing import Literal, get_args

import torch

from ..editing.edits import applicable_edits
from ..editing.harmonies import settled_edits
from ..errors import InvalidInputError
from ..inversion import Edit, Inversion, SegmentCodes

Replace = Literal["edited segments", "all segments"]
REPLACE: tuple[Replace, ...] = get_args(Replace)


def edited_segments(inversion: Inversion) -> tuple[str, ...]:
    """The segments with an edit of a strength other than 0, filled ones, and those with a refined boundary."""
    return tuple(
        segment.name
        for segment in inversion.segments
        if segment.redrawn
        or any(
            edit.has_effect for edit in applicable_edits(inversion.segments, segment.name, inversion.edits)
        )
    )


def restrict_to_replaced(inversion: Inversion, replace: Replace | None) -> Inversion | None:
    """The inversion with only the segments that are to be replaced, the others given to its static part.

    replace: None = "edited segments" where there is a photo, else "all segments". None is returned if there is nothing
    to replace: the picture is the photo. Raises InvalidInputError for an unknown choice, and for "edited segments"
    without a photo.
    """
    if replace is None:
        replace = "all segments" if inversion.photo is None else "edited segments"
    if replace not in REPLACE:
        raise InvalidInputError(f"replace is {replace!r}; expected one of {', '.join(REPLACE)}")
    if replace == "all segments":
        return inversion
    if inversion.photo is None:
        raise InvalidInputError(
            "this inversion was saved without its photo, which is to stay where nothing was edited; give it the "
            'photo, or set replace to "all segments"'
        )
    names = edited_segments(inversion)
    return only_segments(inversion, names) if names else None


def only_segments(inversion: Inversion, names: Collection[str]) -> Inversion:
    """The inversion with these segments and their edits in force, all others given to its static part."""
    if len(names) == len(inversion.segments):
        return inversion
    kept = SegmentCodes(segment for segment in inversion.segments if segment.name in names)
    others = torch.stack([segment.mask for segment in inversion.segments if segment.name not in names])
    static = inversion.static_mask + others.sum(dim=0)
    # Where nothing kept has any weight the photo stays to the bit, whatever the sum's last digit is.
    static = torch.where(torch.stack([one.mask for one in kept]).sum(dim=0) > 0, static.clamp(max=1), 1.0)
    settled = settled_edits(inversion.masks, inversion.edits)
    edits = tuple(_edit_of(edit, inversion, names) for edit in settled)
    return with_changes(
        inversion,
        segments=kept,
        static_mask=static,
        edits=tuple(edit for edit in edits if edit.segments),
        losses={},
        state=None,
    )


def _edit_of(edit: Edit, inversion: Inversion, names: Collection[str]) -> Edit:
    targets = inversion.segments.resolve(edit.segments)
    return with_changes(edit, segments=tuple(name for name in targets if name in names))
