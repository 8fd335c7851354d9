"""Harmonies: edits that make neighbouring segments agree after other edits, and hold for those others alone."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch

from ..inversion.record import Edit, Inversion
from ..inversion.segment_codes import SegmentCodes
from ..segments.segment_masks import SegmentMasks

Named: TypeAlias = SegmentMasks | SegmentCodes

LEFT_OUT = "a harmonization was made for other edits than there are now, so it is left out; harmonize anew"


def edits_digest(segments: Named, edits: Iterable[Edit]) -> str:
    """SHA-256 (hex) of what the edits do, harmonies aside: of those with effect their directions, strengths, layers and
    segments, in any order. Raises InvalidInputError for unknown segments.
    """
    done = sorted(_described(segments, edit) for edit in edits if edit.has_effect and not edit.harmonizes)
    return hashlib.sha256("\n".join(done).encode()).hexdigest()


def edits_in_force(segments: Named, edits: Sequence[Edit]) -> list[Edit]:
    """The edits in their order, without the harmonies that were made for others."""
    if not any(edit.harmonizes for edit in edits):
        return list(edits)
    digest = edits_digest(segments, edits)
    return [edit for edit in edits if edit.harmonizes in ("", digest)]


def settled_edits(segments: Named, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """The edits in force, each to hold from now on whatever the others are: for drawing a part of the segments."""
    return tuple(replace(edit, harmonizes="") for edit in edits_in_force(segments, edits))


def renewed_harmonies(
    before: Named, edits: Sequence[Edit], after: Named, changed: Sequence[Edit]
) -> tuple[Edit, ...]:
    """`changed`: the same edits in the same order for the segments `after`; harmonies that were in force still are."""
    old, new = edits_digest(before, edits), edits_digest(after, changed)
    return tuple(replace(edit, harmonizes=new) if edit.harmonizes == old else edit for edit in changed)


def without_harmonies(inversion: Inversion) -> Inversion:
    """The inversion with its other edits alone."""
    return replace(inversion, edits=tuple(edit for edit in inversion.edits if not edit.harmonizes))


def leaves_harmonies_out(inversion: Inversion) -> bool:
    """Whether it has an enabled harmony that was made for other edits."""
    edits = [edit for edit in inversion.edits if edit.has_effect]
    return len(edits_in_force(inversion.masks, edits)) < len(edits) and any(
        not edit.harmonizes for edit in edits
    )


def warn_of_harmonies_left_out(inversion: Inversion, notify: Callable[[str], None] | None = None) -> None:
    """Warn where a harmony has no effect because the edits are others by now; without any edit none is missed.

    notify: what is told in the place of a warning.
    """
    if not leaves_harmonies_out(inversion):
        return
    if notify is None:
        warnings.warn(LEFT_OUT, stacklevel=3)
    else:
        notify(LEFT_OUT)


def _described(segments: Named, edit: Edit) -> str:
    direction = edit.direction
    numbers = direction.tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
    tensor = hashlib.sha256(numbers).hexdigest()
    names = sorted(segments.resolve(edit.segments))
    return repr((direction.space, tensor, direction.layers, edit.layers, float(edit.strength), names))
