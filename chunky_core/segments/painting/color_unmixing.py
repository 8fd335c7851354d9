"""Color unmixing: which layers of paint on a known photo a pixel shows, and with which opacity."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

NOISE = 2  # gray levels by which a pixel may differ for rounding alone
_EDGE = 32  # pixels from a stroke's full color to where its soft edge ends
_WIDE_EDGE = 128  # the same where the mixture is exact
_BOTH = 64  # pixels from two strokes' full colors to where their soft edges overlap
_FLAT = 1  # gray levels; overlapping soft edges vary by more within five pixels
_CLEAR_OPACITY = 0.1  # of each layer, from which a flat area is no overlap of two soft edges
_FULL = 0.98  # opacity of both layers together; more comes of rounding, and nothing of the photo shows


@dataclass(frozen=True, eq=False)
class ColorLayers:
    """Up to two layers of paint at each pixel.

    first, second: the numbers of their colors, int64 [H,W], -1 = none; opacity, second_opacity: how much of each shows,
    float64 [H,W] in [0,1], together at most 1 but for rounding.
    """

    first: Tensor
    opacity: Tensor
    second: Tensor
    second_opacity: Tensor


def unmix_colors(
    original: Tensor, painted: Tensor, colors: Tensor, where: Tensor, distances: Tensor, tolerance: int
) -> ColorLayers:
    """What the pixels `where`, bool [H,W], are mixtures of: the photo and one layer of paint, or two.

    original, painted: uint8 [H,W,3]; colors: uint8 [K,3]; distances: [K,H,W] in pixels to each color's strokes.
    tolerance: gray levels that a mixture may miss the pixel by. Two layers are taken only if one doesn't do. A
    pixel that no mixture explains has none.
    """
    below, above = original[where].double(), painted[where].double()
    near = distances[:, where]
    color, opacity, error = _best_layer(below, above, colors.double(), near, tolerance)
    second_color, second_opacity = torch.full_like(color, -1), torch.zeros_like(opacity)
    flat = is_flat(painted)[where]
    present = [number for number in range(len(colors)) if near.shape[1] and near[number].min() <= _BOTH]
    for first, second in combinations(present, 2):
        open_ = ((error > NOISE) & (near[[first, second]].amax(dim=0) <= _BOTH)).nonzero()[:, 0]
        opacities, missed = fit_two_layers(below[open_], above[open_], colors[[first, second]].double())
        doubtful = flat[open_] & (opacities.amin(dim=1) > _CLEAR_OPACITY)
        better = (missed <= tolerance) & (missed < error[open_] / 2) & ~doubtful
        chosen = open_[better]
        color[chosen], second_color[chosen] = first, second
        opacity[chosen], second_opacity[chosen] = opacities[better].unbind(dim=1)
        error[chosen] = missed[better]
    planes = (torch.full(where.shape, -1), torch.zeros(where.shape, dtype=torch.float64))
    return ColorLayers(
        planes[0].masked_scatter(where, color),
        planes[1].masked_scatter(where, opacity),
        planes[0].masked_scatter(where, second_color),
        planes[1].masked_scatter(where, second_opacity),
    )


def fit_one_layer(below: Tensor, above: Tensor, color: Tensor) -> tuple[Tensor, Tensor]:
    """The opacity a with which above = below + a (color - below) holds best, [n], and the largest error
    of a channel, in gray levels, [n].

    below, above: [n,3]; color: [3].
    """
    line = color - below
    opacity = ((above - below) * line).sum(dim=1) / line.square().sum(dim=1).clamp(min=1)
    opacity = opacity.clamp(0, 1)
    return opacity, (above - below - opacity[:, None] * line).abs().amax(dim=1)


def fit_two_layers(below: Tensor, above: Tensor, colors: Tensor) -> tuple[Tensor, Tensor]:
    """The opacities a, b with which above = below + a (c - below) + b (d - below) holds best, [n,2], and the largest
    error of a channel, in gray levels, [n].

    below, above: [n,3]; colors: c and d, [2,3]. The opacities are at least 0, together at most 1.
    """
    lines = colors - below[:, None]  # [n,2,3]
    products = lines @ lines.transpose(1, 2)
    target = (lines @ (above - below)[..., None])[..., 0]
    (p, q), (_, r) = products.permute(1, 2, 0)
    determinant = (p * r - q * q).clamp(min=1)
    solution = torch.stack(
        [(r * target[:, 0] - q * target[:, 1]), (p * target[:, 1] - q * target[:, 0])], dim=1
    )
    opacities = (solution / determinant[:, None]).clamp(min=0)
    total = opacities.sum(dim=1, keepdim=True)
    opacities = torch.where(total > _FULL, opacities / total, opacities)
    return opacities, (above - below - (opacities[..., None] * lines).sum(dim=1)).abs().amax(dim=1)


def _best_layer(
    below: Tensor, above: Tensor, colors: Tensor, near: Tensor, tolerance: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest color that alone explains each of n pixels, exactly if there is such a one, its opacity, and by how
    much it misses the pixel; -1, 0 and infinity where there is none.
    """
    color = torch.full((len(below),), -1)
    opacity = torch.zeros(len(below), dtype=torch.float64)
    missed = torch.full((len(below),), torch.inf, dtype=torch.float64)
    best = torch.full((len(below),), torch.inf)
    for number, one in enumerate(colors):
        found, error = fit_one_layer(below, above, one)
        exact = error <= NOISE
        fits = (exact & (near[number] <= _WIDE_EDGE)) | ((error <= tolerance) & (near[number] <= _EDGE))
        rank = near[number] + torch.where(exact, 0, 10 * _WIDE_EDGE)
        better = fits & (rank < best)
        color[better], opacity[better] = number, found[better]
        best[better], missed[better] = rank[better], error[better]
    return color, opacity, missed


def is_flat(image: Tensor) -> Tensor:
    """Where all of the 5x5 pixels around have nearly one color, bool [H,W]."""
    planes = image.permute(2, 0, 1)[None].float()
    high, low = (torch.nn.functional.max_pool2d(sign * planes, 5, 1, 2) for sign in (1, -1))
    flat: Tensor = (high + low <= _FLAT).all(dim=1)[0]
    return flat
