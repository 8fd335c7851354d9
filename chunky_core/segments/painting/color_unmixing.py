"""Coats of paint on a known photo: which colours a pixel is a mixture of, and how much of each shows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

NOISE = 2  # grey levels by which a pixel may differ for rounding alone
_EDGE = 32  # pixels from a stroke's full colour to where its soft edge ends
_WIDE_EDGE = 128  # the same where the mixture is exact
_BOTH = 64  # pixels from two strokes' full colours to where their soft edges overlap
_FLAT = 1  # grey levels; overlapping soft edges vary by more within five pixels
_SHARE = 0.1  # of each colour, from which a flat area is no overlap of two soft edges
_FULL = 0.98  # both colours together; more comes of rounding, and nothing of the photo shows


@dataclass(frozen=True, eq=False)
class Coats:
    """Up to two colours that show at each pixel: their numbers, int64 [H,W], -1 = none, and shares, float64 [H,W]."""

    colour: Tensor
    share: Tensor
    other: Tensor
    other_share: Tensor


def coats(
    original: Tensor, painted: Tensor, colours: Tensor, where: Tensor, distances: Tensor, tolerance: int
) -> Coats:
    """What the pixels `where` [H,W] are mixtures of: the photo and one stroke near by, or two.

    original, painted: uint8 [H,W,3]; colours: uint8 [K,3]; distances: [K,H,W] in pixels to each colour's strokes.
    tolerance: grey levels that a mixture may miss the pixel by. Two colours are taken only if one doesn't do. A
    pixel that no mixture explains has none.
    """
    below, above = original[where].double(), painted[where].double()
    near = distances[:, where]
    colour, share, error = _single(below, above, colours.double(), near, tolerance)
    other, other_share = torch.full_like(colour, -1), torch.zeros_like(share)
    flat = is_flat(painted)[where]
    present = [number for number in range(len(colours)) if near.shape[1] and near[number].min() <= _BOTH]
    for first, second in combinations(present, 2):
        open_ = ((error > NOISE) & (near[[first, second]].amax(dim=0) <= _BOTH)).nonzero()[:, 0]
        shares, missed = two_coats(below[open_], above[open_], colours[[first, second]].double())
        doubtful = flat[open_] & (shares.amin(dim=1) > _SHARE)
        better = (missed <= tolerance) & (missed < error[open_] / 2) & ~doubtful
        chosen = open_[better]
        colour[chosen], other[chosen] = first, second
        share[chosen], other_share[chosen] = shares[better].unbind(dim=1)
        error[chosen] = missed[better]
    planes = (torch.full(where.shape, -1), torch.zeros(where.shape, dtype=torch.float64))
    return Coats(
        planes[0].masked_scatter(where, colour),
        planes[1].masked_scatter(where, share),
        planes[0].masked_scatter(where, other),
        planes[1].masked_scatter(where, other_share),
    )


def one_coat(below: Tensor, above: Tensor, colour: Tensor) -> tuple[Tensor, Tensor]:
    """The opacity a with which above = below + a (colour - below) holds best, [n], and the largest error.

    below, above: [n,3]; colour: [3].
    """
    line = colour - below
    opacity = ((above - below) * line).sum(dim=1) / line.square().sum(dim=1).clamp(min=1)
    opacity = opacity.clamp(0, 1)
    return opacity, (above - below - opacity[:, None] * line).abs().amax(dim=1)


def two_coats(below: Tensor, above: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
    """The shares a, b with which above = below + a (c - below) + b (d - below) best, [n,2], and the largest error.

    below, above: [n,3]; colours: c and d, [2,3]. The shares are at least 0, together at most 1.
    """
    lines = colours - below[:, None]  # [n,2,3]
    products = lines @ lines.transpose(1, 2)
    target = (lines @ (above - below)[..., None])[..., 0]
    (p, q), (_, r) = products.permute(1, 2, 0)
    determinant = (p * r - q * q).clamp(min=1)
    shares = torch.stack(
        [(r * target[:, 0] - q * target[:, 1]), (p * target[:, 1] - q * target[:, 0])], dim=1
    )
    shares = (shares / determinant[:, None]).clamp(min=0)
    total = shares.sum(dim=1, keepdim=True)
    shares = torch.where(total > _FULL, shares / total, shares)
    return shares, (above - below - (shares[..., None] * lines).sum(dim=1)).abs().amax(dim=1)


def _single(
    below: Tensor, above: Tensor, colours: Tensor, near: Tensor, tolerance: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest colour that alone explains each of n pixels, exactly if there is such a one, its share, and by how
    much it misses the pixel; -1, 0 and infinity where there is none.
    """
    colour = torch.full((len(below),), -1)
    share, missed = (
        torch.zeros(len(below), dtype=torch.float64),
        torch.full((len(below),), torch.inf).double(),
    )
    best = torch.full((len(below),), torch.inf)
    for number, one in enumerate(colours):
        opacity, error = one_coat(below, above, one)
        exact = error <= NOISE
        fits = (exact & (near[number] <= _WIDE_EDGE)) | ((error <= tolerance) & (near[number] <= _EDGE))
        rank = near[number] + torch.where(exact, 0, 10 * _WIDE_EDGE)
        better = fits & (rank < best)
        colour[better], share[better], best[better], missed[better] = (
            number,
            opacity[better],
            rank[better],
            error[better],
        )
    return colour, share, missed


def is_flat(picture: Tensor) -> Tensor:
    """Where all of the 5x5 pixels around have nearly one colour, bool [H,W]."""
    planes = picture.permute(2, 0, 1)[None].float()
    high, low = (torch.nn.functional.max_pool2d(sign * planes, 5, 1, 2) for sign in (1, -1))
    flat: Tensor = (high + low <= _FLAT).all(dim=1)[0]
    return flat
