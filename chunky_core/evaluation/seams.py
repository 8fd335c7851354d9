"""How visible the boundaries of segments are in a picture: jumps across them that the photo does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..compositing.poisson import AXES, neighbours
from ..errors import InvalidInputError
from ..segments.edit_segments import STATIC
from ..segments.segment_masks import SegmentMasks

Pair = tuple[str, str]


@dataclass(frozen=True)
class Seam:
    """error: mean excess of the differences over so many pairs of pixels, >= 0, in units of the pictures."""

    error: float
    pairs: int


def seam_error(picture: Tensor, photo: Tensor, masks: SegmentMasks, *, width: int = 1) -> float:
    """Mean excess of the picture's differences over the photo's across all boundaries; 0 = the photo's own.

    E = mean over (p, q) and channels of |(O_p - O_q) - (I_p - I_q)|, O the picture, I the photo, (p, q) the
    pixels side by side or one above the other that belong to different segments, or to a segment and the static
    part; a pixel belongs to what has the largest weight there. It is the gradient of O - I across the boundary:
    a segment that is d too bright counts d, whatever the photo shows. What an edit draws across a boundary
    counts, too.

    width: O_p is the mean of the `width` pixels from p on away from the boundary, and so for q and I. With 1 the
    jump itself counts, and of a seam that is blurred over n pixels about 1/n; wider, a blurred seam counts as the
    step that it still is, and the grain of the photo counts less.
    picture, photo: [1,3,H,W], the picture like the photo in [-1,1]. Without any boundary 0. Raises
    InvalidInputError for sizes that do not agree, NaN and infinite values.
    """
    return mean_error(seams(picture, photo, masks, width=width).values())


def seams(picture: Tensor, photo: Tensor, masks: SegmentMasks, *, width: int = 1) -> dict[Pair, Seam]:
    """`seam_error` boundary by boundary.

    The keys are two names in the order of the segments; the second is "static" toward the static part. Pairs
    of segments that do not touch are absent.
    """
    count = len(masks.names) + 1
    sums, pairs = (torch.zeros(count * count, dtype=torch.float64) for _ in range(2))
    for excess, first, second in _sides(picture, photo, masks, width):
        border = first != second
        a, b = first[border], second[border]
        index = torch.minimum(a, b) * count + torch.maximum(a, b)
        sums.index_add_(0, index, excess[border])
        pairs.index_add_(0, index, torch.ones_like(excess[border]))
    names = (*masks.names, STATIC)
    return {
        (names[index // count], names[index % count]): Seam(
            (sums[index] / pairs[index]).item(), int(pairs[index])
        )
        for index in pairs.nonzero().flatten().tolist()
    }


def inner_error(picture: Tensor, photo: Tensor, masks: SegmentMasks, *, width: int = 1) -> float:
    """The same excess over all neighbours of one and the same segment: what grain, edits and misfit amount to
    where no seam is. A boundary that reaches this figure shows no more than its surroundings. Arguments and
    errors: as in `seam_error`.
    """
    inner = [
        excess[(first == second) & (first < len(masks.names))]
        for excess, first, second in _sides(picture, photo, masks, width)
    ]
    return mean_error(Seam(one.mean().item(), one.numel()) for one in inner if one.numel())


def mean_error(seams: Iterable[Seam]) -> float:
    """Mean over the pairs of pixels of several boundaries; 0 of none."""
    all_ = list(seams)
    return sum(one.error * one.pairs for one in all_) / max(sum(one.pairs for one in all_), 1)


def _sides(
    picture: Tensor, photo: Tensor, masks: SegmentMasks, width: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For both axes: the excess between neighbours, float64, and the part that each of the two belongs to."""
    _check(picture, photo, masks, width)
    added = picture[0].cpu().double() - photo[0].cpu().double()
    labels = torch.cat([masks.masks, masks.static]).cpu().argmax(dim=0)[0]
    for axis in AXES:
        yield (_steps(added, axis, width).abs().mean(dim=0), *neighbours(labels, axis))


def _steps(values: Tensor, axis: int, width: int) -> Tensor:
    """Means over `width` pixels after each place between two neighbours minus those before it, [3,H,W] less one
    along the axis; the image's border pixels go on beyond it.
    """
    margin = width - 1
    padding, window = (
        ((margin, margin, 0, 0), (1, width)) if axis == -1 else ((0, 0, margin, margin), (width, 1))
    )
    means = F.avg_pool2d(F.pad(values[None], padding, mode="replicate"), window, stride=1)[0]
    count = values.shape[axis] - 1
    return means.narrow(axis, width, count) - means.narrow(axis, 0, count)


def _check(picture: Tensor, photo: Tensor, masks: SegmentMasks, width: int) -> None:
    if width < 1:
        raise InvalidInputError(f"the width is {width}; expected at least 1 pixel")
    expected = (1, 3, *masks.size)
    for name, image in (("picture", picture), ("photo", photo)):
        if image.shape != expected:
            raise InvalidInputError(
                f"the {name} is {list(image.shape)}; expected {list(expected)} as the masks"
            )
        if not image.isfinite().all():
            raise InvalidInputError(f"the {name} contains NaN or infinite values; expected numbers only")
