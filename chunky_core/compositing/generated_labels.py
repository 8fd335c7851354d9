"""Masks that follow an edit by a mask generator: its own code is edited in the same direction (P2 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..checks import check_type
from ..editing.edits import applicable_edits, edited_code
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..inversion import Edit, Inversion, SegmentCode
from ..inversion.record import check_same_generator
from ..segments.mask_generator import MaskGenerator
from .followed_masks import MaskFollower


def mask_follower(generator: Generator, mask_generator: MaskGenerator) -> MaskFollower:
    """A `follow` for `composite`, `with_followed_masks` and `next_photo`: the masks of X^S + a D (P2 = Subrtova et al.
    2022, 4.2), for inversions whose segments have the names of the mask generator's classes.

    X^S is the inversion's mask_code, moved by the edits of the segment in question; where there is none, the segment's
    own code tells the parts of its picture. Classes that no segment has count as static. generator: the inversion's
    own, without a tuning, which X^S knows nothing of. Raises WrongGeneratorError for the mask generator of another one,
    here; when it is called, for another one's inversion, and InvalidInputError for an edited segment that is no class.
    """
    check_type(mask_generator, "the mask generator", MaskGenerator, "load_mask_generator reads one")
    mask_generator.check_generator(generator)

    def check_edited(inversion: Inversion) -> None:
        check_same_generator(generator, inversion)
        for name in inversion.names:
            edits = applicable_edits(inversion.masks, name, inversion.edits)
            if name not in mask_generator.names and any(edit.has_effect for edit in edits):
                raise InvalidInputError(
                    f"the edited segment {name!r:.40} is no class of the mask generator (it has "
                    f"{', '.join(mask_generator.names):.200}), so its mask can't follow by it; follow without the mask "
                    "generator: then the generator's own features tell the parts"
                )

    @torch.no_grad()
    def labels(_own: Generator, inversion: Inversion, segment: SegmentCode, edits: Sequence[Edit]) -> Tensor:
        check_edited(inversion)
        height, width = inversion.static_mask.shape[-2:]
        code = inversion.mask_code or segment.code
        code = edited_code(generator, replace(code, tensor=code.tensor.to(generator.device)), edits)
        seen = mask_generator.probabilities(generator, code, (height, width))[0]
        parts = seen.new_zeros(len(inversion.names) + 1, height, width)
        for name, one in zip(mask_generator.names, seen, strict=True):
            parts[inversion.names.index(name) if name in inversion.names else -1] += one
        return parts

    return labels
