"""One segment as a generator draws it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..boxes import Box
from ..editing.edits import edited_code
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode, synthesis_input
from ..inversion import Edit, Inversion, SegmentCode


def draw_segment(
    own: Generator,
    inversion: Inversion,
    segment: SegmentCode,
    edits: Sequence[Edit],
    box: Box | None = None,
) -> Tensor:
    """G(X_i) with edits by a generator of `segment_generators`, which has the deltas of inversion and segment already:
    [1,3,H,W] on the generator's device, or the pixels of a box of it. Raises InvalidInputError for a code that isn't
    finite.
    """
    return own.synthesis(edited_input(own, segment, edits), box=box, noise=own_noise(own, inversion))


def edited_input(own: Generator, segment: SegmentCode, edits: Sequence[Edit]) -> Tensor | list[Tensor]:
    """What `Generator.synthesis` takes for a segment's code with edits. Raises what `draw_segment` raises."""
    moved = edited_code(own, LatentCode(segment.code.space, segment.code.tensor.to(own.device)), edits)
    if not moved.tensor.isfinite().all():
        raise InvalidInputError(
            f"the code of segment {segment.name!r}{', edited,' * bool(edits)} holds NaN or infinite values, so that it "
            "shows nothing; take another inversion, or remove the edit"
        )
    return synthesis_input(own, moved)


def own_noise(own: Generator, inversion: Inversion) -> list[Tensor] | None:
    """An inversion's noise maps as the generator takes them; None = those that it has."""
    return [values.to(own.device, own.dtype) for values in inversion.noise] or None
