"""Where the parts of a segment's picture are after an edit: labels carried from the plain picture to the edited one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..boxes import Size
from ..generator.features import recorded_features
from ..generator.generator import Generator
from ..inversion import Edit, Inversion, SegmentCode
from ..segments.masks import mask_box
from .flow import backward_warp, optical_flow
from .gaussian import gaussian_blur
from .segment_drawing import draw_segment

MATCHED = (32, 64, 128)  # resolutions of the features that find where a pixel came from,
COMPARED = (32, 64, 128)  # and of those that tell which of the ways there explains the edit
GRID, FINE_GRID = 64, 128  # longer sides of the grids on which they do so
STEP_SIGMA = 0.6  # cells of GRID: of the blur of labels that were matched
REACH = 24  # cells of GRID: the farthest that a pixel is looked for
# Squared distances of features; each resolution's have variance 1.
WAY_PENALTY = 0.01  # of a match, for each cell of its way
PENALTIES = (0.0, 0.05, 0.2)  # of stillness, flow and match: what these must explain beyond it
CHOICE_WIDTH = 0.05  # of the decision between them
COLOR_SIGMAS = (1.0, 3.0, 8.0)  # in pixels of 256, of the colors that stand for features where there are none


@torch.no_grad()
def transferred_labels(
    own: Generator, inversion: Inversion, segment: SegmentCode, edits: Sequence[Edit]
) -> Tensor:
    """How much of each pixel of a segment's edited picture belongs to which part, [N+1,H,W], adding up to one.

    own: the generator as it draws the segment, see `segment_generators`. The parts are the inversion's segments in
    order, and the static part. Each pixel has the labels of where it came from in the plain picture; three ways there
    are compared by the generator's own features at 64 and 128 pixels: it stayed, it came along the optical flow
    (`optical_flow`), or it is the nearest match of features at 32 to 128 pixels within 24/64 of the longer side. The
    match tells what an edit uncovers, which no flow leads to. Generators without such features (StyleGAN3) choose
    between stillness and flow, by blurred colors. Farther than that from the segment's mask nothing is matched.
    """
    masks = inversion.masks
    labels = torch.cat([masks.masks, masks.static]).movedim(1, 0)
    plain, features = _drawn(own, inversion, segment, [])
    edited, edited_features = _drawn(own, inversion, segment, edits)
    labels = labels.to(plain)
    ways = [torch.zeros_like(plain[:, :2]), optical_flow(edited, plain).to(plain)]
    if features:
        pair = _standardized(features, edited_features, MATCHED, GRID)
        ways.append(_matched(*pair, segment.mask, masks.size))
        compared = _standardized(features, edited_features, COMPARED, FINE_GRID)
    else:
        compared = _colors(plain), _colors(edited)
    moved = _chosen(labels, ways, *compared)
    return (moved / moved.sum(dim=1, keepdim=True))[0]


def _drawn(
    own: Generator, inversion: Inversion, segment: SegmentCode, edits: Sequence[Edit]
) -> tuple[Tensor, Mapping[int, Tensor]]:
    """The segment's whole picture in float32, and its features."""
    with recorded_features(own, MATCHED) as features:
        picture = draw_segment(own, inversion, segment, edits).float()
    return picture, {resolution: one.float() for resolution, one in features.items()}


def _standardized(
    plain: Mapping[int, Tensor], edited: Mapping[int, Tensor], resolutions: Sequence[int], longest: int
) -> tuple[Tensor, Tensor]:
    """Features of both pictures on one grid, [1,C,h,w]: every resolution's have mean 0 and variance 1 in the plain one,
    so that squared distances add up to about 2 for each between any two pixels.
    """
    chosen = [one for one in resolutions if one in plain] or [max(plain)]
    longest = min(longest, max(chosen))
    largest = plain[max(chosen)]
    ratio = longest / max(largest.shape[-2:])
    size = round(largest.shape[-2] * ratio), round(largest.shape[-1] * ratio)
    stacks: tuple[list[Tensor], list[Tensor]] = ([], [])
    for resolution in chosen:
        mean = plain[resolution].mean(dim=(2, 3), keepdim=True)
        scale = (plain[resolution] - mean).square().mean().sqrt() * plain[resolution].shape[1] ** 0.5
        for stack, features in zip(stacks, (plain, edited), strict=True):
            stack.append(_resized((features[resolution] - mean) / scale.clamp(min=1e-6), size))
    return torch.cat(stacks[0], dim=1), torch.cat(stacks[1], dim=1)


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    if values.shape[-1] > size[-1]:
        return F.adaptive_avg_pool2d(values, size)
    return F.interpolate(values, size, mode="bilinear", align_corners=False)


def _colors(picture: Tensor) -> Tensor:
    scale = max(picture.shape[-2:]) / 256
    return torch.cat([gaussian_blur(picture, sigma * scale) for sigma in COLOR_SIGMAS], dim=1)


def _matched(plain: Tensor, edited: Tensor, mask: Tensor, size: Size | tuple[int, int]) -> Tensor:
    """The motion [1,2,H,W] in pixels from each pixel of the edited picture to its nearest match in the plain one."""
    height, width = plain.shape[-2:]
    coarse = F.adaptive_max_pool2d(mask.to(plain), [height, width])
    box = mask_box(coarse, margin=REACH)
    near = (..., slice(box.top, box.bottom), slice(box.left, box.right))
    motion = plain.new_zeros(1, 2, height, width)
    motion[near] = nearest_matches(plain[near], edited[near])
    return F.interpolate(motion * (max(size) / max(height, width)), size, mode="nearest")


def nearest_matches(plain: Tensor, edited: Tensor) -> Tensor:
    """For every cell of the edited features [1,C,h,w] the way to the most similar one of the plain ones, at most REACH
    cells away: [1,2,h,w], x (right) and y (down) in cells.
    """
    height, width = plain.shape[-2:]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=plain.device),
        torch.arange(width, device=plain.device),
        indexing="ij",
    )
    places = torch.stack([columns.flatten(), rows.flatten()], dim=1).to(plain)
    known, wanted = plain[0].flatten(1).T, edited[0].flatten(1).T
    found = []
    for some, at in zip(wanted.split(width), places.split(width), strict=True):  # a row at a time
        away = torch.cdist(at, places)
        distance = torch.cdist(some, known).square() + WAY_PENALTY * away
        found.append(distance.masked_fill(away > REACH, torch.inf).argmin(dim=1))
    ways = places[torch.cat(found)] - places
    return ways.T.reshape(1, 2, height, width)


def _chosen(labels: Tensor, ways: Sequence[Tensor], plain: Tensor, edited: Tensor) -> Tensor:
    """The labels [1,K,H,W] carried along the ways [1,2,H,W], each as far as it explains the edited features."""
    grid, size = plain.shape[-2:], labels.shape[-2:]
    costs = []
    for way, penalty in zip(ways, PENALTIES, strict=False):
        coarse = F.interpolate(way, grid, mode="nearest-exact") * (max(grid) / max(size))
        unlike = (edited - backward_warp(plain, coarse)).square().sum(dim=1, keepdim=True)
        costs.append(gaussian_blur(unlike, 1.0) + penalty)
    shares = torch.softmax(-torch.cat(costs, dim=1) / CHOICE_WIDTH, dim=1)
    shares = F.interpolate(shares, size, mode="bilinear", align_corners=False)
    carried = [backward_warp(labels, way).clamp(0, 1) for way in ways]
    if len(carried) == len(PENALTIES):  # the match lies on a grid, whose steps would show in outlines
        carried[-1] = gaussian_blur(carried[-1], STEP_SIGMA * max(size) / GRID)
    result = torch.zeros_like(labels)
    for share, one in zip(shares[0], carried, strict=True):
        result += share * one
    return result
