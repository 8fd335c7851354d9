"""Random masks to train with: everything, rectangles, blobs, and parts of label maps."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SHARES = {"whole": 0.25, "rectangle": 0.15, "blob": 0.2, "classes": 0.4}
LEAST = 1e-3  # of the picture: what is smaller becomes the whole
SOFT = 0.5  # share of the masks whose boundaries are softened
_CELLS = 7  # of the noise whose higher half makes a blob


def draw_masks(count: int, size: int, rng: torch.Generator, labels: Tensor | None = None) -> Tensor:
    """[count,1,size,size] in [0,1].

    labels: a map of whole numbers [count,R,R] for each, of which some classes are taken; None = no masks of that kind.
    """
    kinds = [kind for kind in SHARES if kind != "classes" or labels is not None]
    shares = torch.tensor([SHARES[kind] for kind in kinds])
    chosen = torch.multinomial(shares, count, replacement=True, generator=rng)
    masks = []
    for index, kind in enumerate(chosen.tolist()):
        if kinds[kind] == "classes" and labels is not None:
            mask = _classes(labels[index], size, rng)
        else:
            mask = _SHAPES[kinds[kind]](size, rng)
        masks.append(mask if float(mask.mean()) >= LEAST else torch.ones_like(mask))
    hard = torch.stack(masks)[:, None]
    soft = F.avg_pool2d(hard, 5, stride=1, padding=2, count_include_pad=False)
    return torch.where(torch.rand(count, 1, 1, 1, generator=rng) < SOFT, soft, hard)


def _whole(size: int, _rng: torch.Generator) -> Tensor:
    return torch.ones(size, size)


def _rectangle(size: int, rng: torch.Generator) -> Tensor:
    sides = (size * torch.empty(2).uniform_(0.1, 0.8, generator=rng)).round().int()
    top, left = (int(torch.randint(size - int(side) + 1, (), generator=rng)) for side in sides)
    mask = torch.zeros(size, size)
    mask[top : top + int(sides[0]), left : left + int(sides[1])] = 1.0
    return mask


def _blob(size: int, rng: torch.Generator) -> Tensor:
    noise = torch.randn(1, 1, _CELLS, _CELLS, generator=rng)
    smooth = F.interpolate(noise, (size, size), mode="bicubic", align_corners=False)[0, 0]
    share = float(torch.empty(()).uniform_(0.1, 0.9, generator=rng))
    return (smooth > smooth.flatten().kthvalue(int(share * smooth.numel())).values).float()


_SHAPES: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "whole": _whole,
    "rectangle": _rectangle,
    "blob": _blob,
}


def _classes(labels: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """One class, or each of those there are with a probability of its own."""
    known = labels.unique()
    if float(torch.rand((), generator=rng)) < 0.5:
        wanted = known[torch.randint(len(known), (1,), generator=rng)]
    else:
        probability = float(torch.rand((), generator=rng))
        wanted = known[torch.rand(len(known), generator=rng) < probability]
    inside = torch.isin(labels, wanted).float()
    return F.interpolate(inside[None, None], (size, size), mode="area")[0, 0]
