"""Masks that follow an edit, and the parts of the photo that it uncovers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from ..devices import float64_device
from ..editing.edits import applicable_edits
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..inversion import Edit, Inversion, SegmentCode, SegmentCodes
from ..inversion.tuning import segment_generators
from ..segments.edit_segments import STATIC
from ..segments.mask_generator import MaskGenerator
from ..segments.masks import SMALLEST_WEIGHT
from ..segments.segment_masks import SegmentMasks
from .label_transfer import transferred_labels

SUFFIX = "_uncovered"
_HARDLY_SHOWN = 0.1  # the weight of a part in the photo below which its detail fades, where the part is new
_GAINED = (0.05, 0.3)  # what a part gains at a pixel from nothing to a place that is all new to it
CUT = 0.01  # of a segment's area, from which on it counts that static pixels hide it
RIM = 1 / 85  # of the longer side: how far beyond an outline that is left the photo is drawn anew, too
FAINTEST = 0.1  # a share of what is uncovered below which it goes to the others


@dataclass(frozen=True)
class FollowedMasks:
    """An inversion with its masks where the edits take them.

    before: by the name of each of its segments the mask [1,1,H,W] of what the photo shows of it; {} = as they are.
    uncovered: by the names of the segments that are new, whose what they show is: that of an old one, or "static".
    cut: by the names of edited segments, how much of each lies behind static pixels, as a share of its area, where that
    is noticeable.
    """

    inversion: Inversion
    before: Mapping[str, Tensor] = field(default_factory=dict)
    uncovered: Mapping[str, str] = field(default_factory=dict)
    cut: Mapping[str, float] = field(default_factory=dict)

    @property
    def cut_text(self) -> str:
        """What static pixels hide, for people; "" = nothing."""
        if not self.cut:
            return ""
        shares = ", ".join(f"{share:.0%} of {name}" for name, share in self.cut.items())
        return (
            f"static pixels, which stay the photo, cut off what the edit moves over them ({shares}); project anew with "
            "the background as a segment of its own instead of static"
        )

    def extent_of(self, segment: SegmentCode) -> Tensor:
        """[1,1,H,W]: where a segment is or, for the motion between, was."""
        if segment.name in self.uncovered or segment.name not in self.before:
            return segment.mask
        return torch.maximum(segment.mask, self.before[segment.name])

    def share_of_detail(self, segment: SegmentCode, reach: int) -> Tensor | None:
        """[1,1,H,W] in [0,1]: how much of the photo's residual is the segment's own detail, None = all of it.

        Within `reach` pixels of where the edits take it, that is where the photo shows it; elsewhere all is.
        """
        shown = self.before.get(segment.name)
        if shown is None:
            return None
        least, most = _GAINED
        gained = ((segment.mask - shown - least) / (most - least)).clamp(0, 1)
        near = torch.nn.functional.max_pool2d(gained, 2 * reach + 1, 1, reach)
        return 1 - near * (1 - (shown / _HARDLY_SHOWN).clamp(max=1))


class MaskFollower(Protocol):
    """What tells the parts of a segment's edited picture, such as `transferred_labels`, or a mask generator."""

    def __call__(
        self, own: Generator, inversion: Inversion, segment: SegmentCode, edits: Sequence[Edit], /
    ) -> Tensor:
        """How much of each pixel of the edited picture belongs to the inversion's segments in order, and to its static
        part, [N+1,H,W] in [0,1], adding up to one. own: as it draws the segment, see `segment_generators`.
        """


def check_follow(follow: object) -> None:
    """Raise InvalidInputError for what is neither a switch nor a `MaskFollower`."""
    if isinstance(follow, bool) or (callable(follow) and not isinstance(follow, SegmentMasks)):
        return
    message = (
        f"follow is of type {type(follow).__name__}; expected True, False or a function that tells the parts"
    )
    if isinstance(follow, MaskGenerator):
        message += "; of a mask generator mask_follower(generator, mask_generator) makes one"
    raise InvalidInputError(message)


@torch.no_grad()
def with_followed_masks(
    generator: Generator, inversion: Inversion, follower: MaskFollower = transferred_labels
) -> FollowedMasks:
    """The inversion with the masks of its edited segments where the edits take them, for a composite of it.

    An edited segment has the pixels that its edited picture says are its own, as far as the photo isn't static there:
    it takes them from its neighbours, and static pixels stay. What it uncovers goes to the part that the picture shows
    there: to an edited segment itself; for an unedited one to a new segment "<name>_uncovered", drawn by that one's
    code with the same edits, so that the photo stays where the neighbour was before, but for a rim along the outline
    that was left; for the static part to a new segment "static_uncovered", drawn by the code that uncovers it. A
    segment of which nothing is left is left out.
    Without an effective edit the very same inversion comes back.
    """
    check_follow(follower)
    edits = _effective_edits(inversion)
    if not edits:
        return FollowedMasks(inversion)
    masks = inversion.masks
    layers = torch.cat([masks.masks[:, 0], masks.static[0]])
    layers = layers.to(float64_device(layers.device), torch.float64)
    seen = {
        index: labels.to(layers)
        for index, labels in _labels_seen(generator, inversion, edits, follower).items()
    }
    own, uncovered = _moved_weights(layers, seen)
    parts = [
        *_kept_parts(inversion, edits, own.to(masks.masks)),
        *_uncovered_parts(inversion, edits, uncovered.to(masks.masks)),
    ]
    return FollowedMasks(
        _as_inversion(inversion, parts),
        {part.segment.name: part.before for part in parts},
        {part.segment.name: part.uncovers for part in parts if part.uncovers},
        _cut(layers, seen, inversion.names),
    )


def _effective_edits(inversion: Inversion) -> dict[int, list[Edit]]:
    """The edits that have an effect, by the places of the segments that have any."""
    masks = inversion.masks
    found = {
        index: [edit for edit in applicable_edits(masks, name, inversion.edits) if edit.has_effect]
        for index, name in enumerate(inversion.names)
    }
    return {index: edits for index, edits in found.items() if edits}


def _labels_seen(
    generator: Generator,
    inversion: Inversion,
    edits: Mapping[int, Sequence[Edit]],
    follower: MaskFollower,
) -> dict[int, Tensor]:
    """What the follower tells of each edited segment's picture, [N+1,H,W]; segments of one code share it."""
    seen: dict[int, Tensor] = {}
    generators = list(segment_generators(generator, inversion))
    for alike in _alike(inversion, edits):
        first = inversion.segments[alike[0]]
        area = torch.stack([inversion.segments[index].mask for index in alike]).sum(dim=0).clamp(max=1)
        labels = follower(generators[alike[0]], inversion, replace(first, mask=area), edits[alike[0]])
        seen |= dict.fromkeys(alike, labels)
    return seen


def _alike(inversion: Inversion, edits: Mapping[int, Sequence[Edit]]) -> list[list[int]]:
    """The edited segments in groups that one code draws, with the same edits."""
    groups: list[list[int]] = []
    for index, own in edits.items():
        segment = inversion.segments[index]
        for group in groups:
            other = inversion.segments[group[0]]
            same_code = segment.code.space == other.code.space and torch.equal(
                segment.code.tensor, other.code.tensor
            )
            if same_code and not segment.delta and not other.delta and edits[group[0]] == own:
                group.append(index)
                break
        else:
            groups.append([index])
    return groups


def _moved_weights(layers: Tensor, seen: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
    """The segments' weights [N,H,W], and what is uncovered of each of the others and of the static part [N+1,H,W].

    layers [N+1,H,W]: the old weights, the static part's last. seen: by edited segment, the labels of its picture.
    """
    room, edited = 1 - layers[-1], torch.zeros(len(layers), 1, 1, dtype=torch.bool, device=layers.device)
    edited[list(seen)] = True
    claims = torch.zeros_like(layers)
    for index, labels in seen.items():
        claims[index] = torch.where(labels[index] < SMALLEST_WEIGHT, 0, labels[index])
    claims *= _share(room, claims)
    others = layers * ~edited
    others[-1] = 0
    others *= _share(room - claims.sum(dim=0), others)
    left = (room - claims.sum(dim=0) - others.sum(dim=0)).clamp(min=0)
    taken = _takers(layers, seen) * torch.where(left < SMALLEST_WEIGHT, 0, left)
    vacated = taken * ~edited
    rim = others * _beside(vacated.sum(dim=0))
    weights = torch.cat([(claims + others - rim + taken * edited)[:-1], vacated + rim])
    weights *= room / weights.sum(dim=0).clamp(min=1e-12)
    return weights[: len(layers) - 1], weights[len(layers) - 1 :]


def _beside(vacated: Tensor) -> Tensor:
    """[H,W], 1 where something was left and on its rim: a mask seldom ends with what it shows, and what it missed would
    stay as a line.
    """
    reach = round(RIM * max(vacated.shape))
    left = (vacated > 0.5).to(vacated)[None, None]
    return torch.nn.functional.max_pool2d(left, 2 * reach + 1, 1, reach)[0, 0]


def _cut(layers: Tensor, seen: Mapping[int, Tensor], names: Sequence[str]) -> dict[str, float]:
    """`FollowedMasks.cut`: pixels that a segment's picture says are its own, with no room for half of it."""
    hidden = {index: labels[index] - (1 - layers[-1]) > 0.5 for index, labels in seen.items()}
    shares = {
        names[index]: float(pixels.sum() / layers[index].sum().clamp(min=1))
        for index, pixels in hidden.items()
    }
    return {name: share for name, share in shares.items() if share >= CUT}


def _share(room: Tensor, weights: Tensor) -> Tensor:
    """[H,W]: what of the weights [K,H,W] has room."""
    return (room.clamp(min=0) / weights.sum(dim=0).clamp(min=1e-12)).clamp(max=1)


def _takers(layers: Tensor, seen: Mapping[int, Tensor]) -> Tensor:
    """[N+1,H,W], adding up to one: what the pictures of those that drew a pixel before show there now."""
    total = torch.stack([layers[index] for index in seen]).sum(dim=0).clamp(min=1e-12)
    takers = torch.zeros_like(layers)
    for index, labels in seen.items():
        takers += layers[index] / total * labels
    takers = torch.where(takers < FAINTEST, 0, takers)
    return takers / takers.sum(dim=0).clamp(min=1e-12)


@dataclass(frozen=True)
class _Part:
    """A segment of the new inversion, its mask before, and the place of the old one whose edits it has, if any.

    uncovers: of whom, if it is new.
    """

    segment: SegmentCode
    before: Tensor
    edits_of: int | None
    uncovers: str = ""


def _kept_parts(inversion: Inversion, edits: Mapping[int, Sequence[Edit]], masks: Tensor) -> Iterator[_Part]:
    """The segments that are left, with their new masks [N,H,W]."""
    for index, segment in enumerate(inversion.segments):
        if masks[index].any():
            moved = replace(segment, mask=masks[index][None, None])
            yield _Part(moved, segment.mask, index if index in edits else None)


def _uncovered_parts(
    inversion: Inversion, edits: Mapping[int, Sequence[Edit]], masks: Tensor
) -> Iterator[_Part]:
    """New segments for what is uncovered of the others and of the static part, masks [N+1,H,W]."""
    before = [*(segment.mask for segment in inversion.segments), inversion.static_mask]
    for index, mask in enumerate(masks[:, None, None]):
        if mask.any():
            uncovering = max(edits, key=lambda one: float((before[one] * mask).sum()))
            is_static = index == len(inversion.segments)
            drawing = inversion.segments[uncovering if is_static else index]
            whose = STATIC if is_static else drawing.name
            segment = replace(drawing, mask=mask, name=_free_name(whose, inversion.names))
            yield _Part(segment, before[index], uncovering, whose)


def _as_inversion(inversion: Inversion, parts: Sequence[_Part]) -> Inversion:
    """The inversion of these segments, with the edits that each has."""
    masks, edits = inversion.masks, []
    for edit in inversion.edits:
        targets = masks.resolve(edit.segments)
        names = tuple(
            part.segment.name
            for part in parts
            if part.edits_of is not None and inversion.names[part.edits_of] in targets
        )
        if names:
            edits.append(replace(edit, segments=names))
    return replace(
        inversion,
        segments=SegmentCodes(part.segment for part in parts),
        edits=tuple(edits),
        losses={},
        state=None,
    )


def _free_name(name: str, names: Sequence[str]) -> str:
    found, number = f"{name}{SUFFIX}", 1
    while found in names:
        number += 1
        found = f"{name}{SUFFIX}_{number}"
    return found
