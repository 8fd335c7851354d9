"""Where segments meet: how far their pictures are from one another there, and from what they were elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..boxes import Box, crop
from ..segments.masks import grow, mask_box
from ..segments.segment_masks import SegmentMasks
from .poisson import AXES, shifted_pairs

_HELD_IN_BAND = (
    0.25  # how much of its weight a pixel keeps as part of the segment's inside where others reach, too
)


@dataclass(frozen=True, eq=False)
class Reach:
    """How far a segment reaches, in a box: weights [1,1,h,w] in [0,1].

    share: in what all draw together; band: where others reach, too; inside: what is to stay as it is.
    """

    box: Box
    share: Tensor
    band: Tensor
    inside: Tensor


class Agreement:
    """The pictures of segments, each in its box, as they are and as they were, and what they agree on.

    photo [1,3,H,W] stands still and reaches `width` pixels beyond the static part, as the segments do beyond their
    masks. shares: [N,1,H,W], how much each segment counts in what all draw together.
    """

    def __init__(self, photo: Tensor, masks: SegmentMasks, width: int) -> None:
        self.shares = torch.stack([grow(mask, width) for mask in masks.masks.to(photo)])
        static = grow(masks.static.to(photo), width)
        self._total = static + self.shares.sum(dim=0, keepdim=True)
        self._of_photo = photo * static
        self.reaches = [
            _reach(mask[None], share[None], (self._total - share).clamp(0, 1))
            for mask, share in zip(masks.masks.to(photo), self.shares, strict=True)
        ]
        self.before: list[Tensor] = []
        self.pictures: list[Tensor] = []

    def start(self, pictures: Sequence[Tensor]) -> None:
        """Set out from these pictures [1,3,h,w], one per segment."""
        self.before, self.pictures = list(pictures), list(pictures)

    def mean(self) -> Tensor:
        """[1,3,H,W]: of all pictures, weighted by their shares: what neighbours would agree on."""
        mean = self._of_photo.clone()
        for picture, reach in zip(self.pictures, self.reaches, strict=True):
            top, left, bottom, right = reach.box
            mean[..., top:bottom, left:right] += reach.share * picture
        return mean / self._total.clamp(min=1e-6)

    def loss(self, index: int, picture: Tensor, mean: Tensor, hold: float) -> Tensor:
        """A segment's squared distance to the mean in its band and, times `hold`, to what it was on its inside.

        The mean stands still meanwhile: so the step is one against the squared distances between all pairs of pictures,
        weighted by the product of their shares.
        """
        reach = self.reaches[index]
        apart = weighted_squares(picture - crop(mean, reach.box), reach.band)
        return apart + hold * weighted_squares(picture - self.before[index], reach.inside)


def weighted_squares(difference: Tensor, weight: Tensor) -> Tensor:
    """sum w (d^2 + |grad d|^2): of a difference [1,3,h,w] its squares and those of its own differences between
    neighbouring pixels, of which the smaller weight [1,1,h,w] counts.
    """
    total = (weight * difference.square()).sum()
    for axis in AXES:
        (first, second), weights = shifted_pairs(difference, axis), shifted_pairs(weight, axis)
        total = total + (torch.minimum(*weights) * (second - first).square()).sum()
    return total


def _reach(mask: Tensor, share: Tensor, others: Tensor) -> Reach:
    box = mask_box(share)
    near = crop(others, box)
    inside = crop(mask, box) * (1 - (1 - _HELD_IN_BAND) * near)
    return Reach(box, crop(share, box), crop(share, box) * near, inside)
