"""Fill Region: a segment's rendering carried beyond its border, where an edit has outgrown it (P2 = Subrtova et
al. 2022, fig. 10).

The edited code X_1 of one segment is refined to X_2 by the projection itself, so that G(X_2) stays what it is on
the segment and meets its surroundings on a correction mask S_2; a new segment on top shows G(X_2) on the parts
of S_2 that are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..callbacks import Callback
from ..editing.edits import applicable_edits, edited_code
from ..editing.harmonies import renewed_harmonies
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode
from ..inversion import Edit, Inversion, ProjectionConfig, SegmentCode, SegmentCodes, project
from ..segments.masks import check_extent, mask_box, without_noise
from ..segments.masks import feather as feathered
from ..segments.names import resolve_one
from ..segments.relayer import relayer
from ..segments.segment_masks import SegmentMasks
from .correction_mask import CorrectionPart
from .own_generator import own_generator
from .render import render, render_segment

SUFFIX = "_fill"
# X_1 is near its goal: the usual step size would first carry it away.
DEFAULTS = ProjectionConfig(num_steps=60, learning_rate=0.02)


def fill_region(
    generator: Generator,
    inversion: Inversion,
    name: str,
    parts: Sequence[CorrectionPart],
    config: ProjectionConfig | None = None,
    *,
    hold: float = 1.0,
    feather: float = 0.0,
    callback: Callback | None = None,
    preview_seconds: float = 2.0,
    folders: Sequence[Path] = (),
) -> Inversion:
    """`inversion` with one more segment, "<name>_fill", on top of the others on the parts that are taken.

    Its code X_2 is segment `name`'s code with its edits, X_1, refined until its rendering agrees with the target
    on the parts to fit, and with G(X_1) on the segment, whose pixels count `hold` times (0 to 1) as much as a
    part's. Where parts overlap the later one's target counts. A part that isn't fitted is free, save that X_2
    sets out from X_1; with no part to fit, X_2 is X_1. The segment's edits hold for the new segment too, whose
    code is stored without them: none is applied twice, and each can still be taken away. The new segment has
    the old one's tuning, and a curve of its own in `losses`; a state to go on from is dropped.

    feather: sigma in pixels that softens the new segment's border. config: of the projection; None = `DEFAULTS`.
    Its space is used, or that of X_1 where that comes later; mode, warm-up, dilation, feather, neighbourhood and
    refine_every don't count, because there is one code and the masks are taken as they are. callback,
    preview_seconds, folders: as in `project`; the image is what `render` draws, with X_2 drawn over it.

    Raises InvalidInputError for an unknown name, no part that is taken, other sizes, a segment that vanishes
    below the new one, optimise_noise, and where the photo is needed and absent; otherwise what `render` and
    `project` raise. Nothing given is changed.
    """
    config = config or DEFAULTS
    name = resolve_one(name, inversion.names)
    _check(inversion, parts, config)
    if not 0 <= hold <= 1:
        raise InvalidInputError(f"hold is {hold}; expected a weight from 0 to 1")
    check_extent(feather, inversion.masks.size, "feather")
    parts = [replace(part, mask=without_noise(part.mask)) for part in parts]
    with torch.inference_mode(False), torch.no_grad():
        segment = next(one for one in inversion.segments if one.name == name)
        shown_mask = feathered(
            _union([part.mask for part in parts if part.take])[0, 0].cpu().double(), feather
        )
        _with_fill(
            inversion, segment, segment.code, shown_mask
        )  # what can't be laid on top is refused at once
        code, curve, stopped = segment.code, [], inversion.stopped
        if any(part.fit for part in parts):
            own = own_generator(generator, inversion, segment)
            edits = applicable_edits(inversion.masks, name, inversion.edits)
            start = _single_segment(
                render(generator, inversion), own, segment, edits, _weights(segment, parts, hold)
            )
            refined = project(
                own,
                _target(own, start, segment.mask, parts, inversion.photo),
                start.masks,
                _single_code_config(config, start.segments[0].code),
                callback=callback,
                preview_seconds=preview_seconds,
                start=start,
                folders=folders,
            )
            code = _without_edits(own, refined.segments[0].code, edits)
            curve, stopped = list(refined.losses[name]), refined.stopped or stopped
        filled = _with_fill(inversion, segment, code, shown_mask)
        return replace(filled, losses={**inversion.losses, filled.names[-1]: curve}, stopped=stopped)


def fill_name(name: str, names: Sequence[str]) -> str:
    """What the new segment is called where segment `name` of `names` is filled: "<name>_fill", with a number behind it
    if that is taken. Raises InvalidInputError for a name that isn't among them.
    """
    number, wanted = 1, f"{resolve_one(name, names)}{SUFFIX}"
    found = wanted
    while found in names:
        number += 1
        found = f"{wanted}_{number}"
    return found


def _weights(segment: SegmentCode, parts: Sequence[CorrectionPart], hold: float) -> Tensor:
    """[1,1,H,W]: how much each pixel counts."""
    fitted = _union([part.mask for part in parts if part.fit]).to(segment.mask)
    return torch.maximum(fitted, hold * segment.mask)


def _single_segment(
    rendering: Tensor, own: Generator, segment: SegmentCode, edits: Sequence[Edit], weights: Tensor
) -> Inversion:
    """X_1 as an inversion of its own, from which the projection sets out; its photo is the rendering as it is."""
    code = LatentCode(segment.code.space, segment.code.tensor.to(own.device))
    alone = replace(segment, mask=weights, code=edited_code(own, code, edits), delta={})  # `own` is tuned
    return Inversion(rendering, SegmentCodes([alone]), 1 - weights, own.fingerprint)


def _target(
    own: Generator,
    start: Inversion,
    segment_mask: Tensor,
    parts: Sequence[CorrectionPart],
    photo: Tensor | None,
) -> Tensor:
    """[1,3,H,W]: what X_2 is to draw: G(X_1) where `segment_mask` is above 0, on the parts to fit their targets, else
    the rendering of the inversion.
    """
    rendering, box = start.backdrop(), mask_box(segment_mask)
    with_segment = rendering.clone()
    segment = render_segment(own, start, start.segments[0], [], box)
    with_segment[..., box.top : box.bottom, box.left : box.right] = segment.to(rendering)
    target = torch.where(segment_mask > 0, with_segment, rendering)
    for part in parts:
        if part.fit:
            fitted_to = rendering if part.target == "picture" else _required(photo)
            target = torch.where(part.mask.to(rendering) > 0, fitted_to, target)
    return target


def _single_code_config(config: ProjectionConfig, code: LatentCode) -> ProjectionConfig:
    """The config, in the later of its space and the code's, with the masks as they are."""
    space = max(config.space, code.space, key=SPACES.index)
    still = replace(config, refine_every=0, refine=("all",), dilation=0, feather=0.0, neighborhood=0.0)
    return replace(still, mode="independent", space=space, spaces={})


def _without_edits(own: Generator, code: LatentCode, edits: Sequence[Edit]) -> LatentCode:
    """The code that the edits turn into `code`: they add to a code of that space what they add to zero."""
    zero = torch.zeros_like(code.tensor, device=own.device)
    added = edited_code(own, LatentCode(code.space, zero), edits).tensor
    return LatentCode(code.space, code.tensor - added.to(code.tensor))


def _with_fill(inversion: Inversion, segment: SegmentCode, code: LatentCode, shown_mask: Tensor) -> Inversion:
    """The inversion with `segment` a second time, with that code, on top where `shown_mask` [H,W] says."""
    before, fill = inversion.masks, fill_name(segment.name, inversion.names)
    after = relayer(before, {fill: shown_mask}, enter_static=True)
    codes = (*inversion.segments, replace(segment, name=fill, code=code, redrawn=True))
    edits = [_extend_edit(edit, before, after, segment.name) for edit in inversion.edits]
    return replace(
        inversion,
        segments=SegmentCodes(
            replace(one, mask=mask[None]) for one, mask in zip(codes, after.masks, strict=True)
        ),
        static_mask=after.static,
        edits=renewed_harmonies(before, inversion.edits, after, edits),
        state=None,
    )


def _extend_edit(edit: Edit, before: SegmentMasks, after: SegmentMasks, name: str) -> Edit:
    """The edit for the segments that it was for, and for the new one, `after`'s last, if `name` is among them."""
    targets = before.resolve(edit.segments)
    wanted = (*targets, after.names[-1]) if name in targets else targets
    return edit if {*after.resolve(edit.segments)} == {*wanted} else replace(edit, segments=wanted)


def _union(masks: Sequence[Tensor]) -> Tensor:
    return torch.stack([mask.detach().float() for mask in masks]).amax(dim=0).clamp(max=1.0)


def _required(photo: Tensor | None) -> Tensor:
    if photo is None:
        raise InvalidInputError(
            "this inversion was saved without its photo, which a part is to fit; give it the photo, or choose "
            'the target "picture"'
        )
    return photo


def _check(inversion: Inversion, parts: Sequence[CorrectionPart], config: ProjectionConfig) -> None:
    if not any(part.take for part in parts):
        raise InvalidInputError(
            f"none of the {len(parts)} parts is taken, so nothing would change; take at least one"
        )
    height, width = inversion.static_mask.shape[-2:]
    for number, part in enumerate(parts, 1):
        if part.mask.shape[-2:] != (height, width):
            found = f"{part.mask.shape[-1]}x{part.mask.shape[-2]}"
            raise InvalidInputError(
                f"the mask of part {number} is {found}, the photo is {width}x{height}; resize one of them"
            )
    if config.optimize_noise:
        raise InvalidInputError(
            "optimise_noise is on, but the noise maps belong to all segments; switch it off to fill a region"
        )
