"""The part of a picture that a face embedder is to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from .resize import Size, resize

Points: TypeAlias = Sequence[Sequence[float]]

# x, y in pixels of a 112x112 picture of both eyes (the picture's left first), nose, mouth corners: the template by
# which ArcFace's training pictures were aligned (Deng et al. 2019, InsightFace's `arcface_src`).
ARCFACE_TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
ARCFACE_SIZE: Size = (112, 112)
# Left, top and side of that frame in an FFHQ crop, in shares of its side; the mean over 46 faces (standard deviation
# .013, .014, .023).
ARCFACE_IN_FFHQ = (0.115, 0.118, 0.766)


def arcface_frame(images: Tensor, size: Size = ARCFACE_SIZE) -> Tensor:
    """ArcFace's frame out of FFHQ-aligned faces of which no points are known.

    images: [B,3,h,h] of any range -> [B,3,*size], differentiable.
    """
    left, top, side = ARCFACE_IN_FFHQ
    whole = (round(size[0] / side), round(size[1] / side))
    y, x = round(top * whole[0]), round(left * whole[1])
    return resize(images, whole)[..., y : y + size[0], x : x + size[1]]


def align_to_template(
    images: Tensor,
    points: Points,
    size: Size = ARCFACE_SIZE,
    template: Points | None = None,
) -> Tensor:
    """Faces turned, scaled and moved so that their points come nearest to a template.

    images: [B,3,h,w] of any range, all with these points; points: x, y in pixels (the centre of the first pixel is
    (0.5, 0.5)) of both eyes, the picture's left first, the nose, both mouth corners; four without the nose. template:
    five points in pixels of the result; None = ArcFace's. Returns [B,3,*size], differentiable; black, as InsightFace
    has it, beyond the picture. The similarity is the one of least squares (Umeyama 1991). Raises InvalidInputError for
    another number of points and for points in one place.
    """
    given = torch.tensor(points, dtype=torch.float64)
    if given.shape not in ((4, 2), (5, 2)) or not bool(torch.isfinite(given).all()):
        raise InvalidInputError(
            f"a face has {len(points)} points; expected x, y of two eyes, the nose or not, two mouth corners"
        )
    goal = torch.tensor(ARCFACE_TEMPLATE, dtype=torch.float64) * size[1] / ARCFACE_SIZE[1]
    goal = goal if template is None else torch.tensor(template, dtype=torch.float64)
    goal = goal if len(given) == 5 else goal[[0, 1, 3, 4]]
    rows, scale = _similarity(goal, given)
    shrunk = max(1.0, scale)  # image pixels in one pixel of the result
    small = resize(images, (round(images.shape[-2] / shrunk), round(images.shape[-1] / shrunk)))
    to_unit = torch.tensor([2.0 / images.shape[-1], 2.0 / images.shape[-2]], dtype=torch.float64)
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) + 0.5 for side in size), indexing="ij")
    grid = torch.stack([x, y, torch.ones_like(x)], -1) @ rows.T * to_unit - 1
    grid = grid.to(images).expand(len(images), -1, -1, -1)
    # Zero is mid grey in [-1, 1]: what lies beyond is told by a picture of ones.
    inside = F.grid_sample(torch.ones_like(small[:, :1]), grid, align_corners=False)
    return F.grid_sample(small, grid, align_corners=False) - (1 - inside)


def _similarity(source: Tensor, target: Tensor) -> tuple[Tensor, float]:
    """[2,3] that takes points [n,2] nearest to others without mirroring them, and its scale (float64)."""
    middle, goal = source.mean(0), target.mean(0)
    (x, y), (u, v) = (source - middle).T, (target - goal).T
    power = (x * x + y * y).sum()
    a, b = (x * u + y * v).sum() / power, (x * v - y * u).sum() / power
    scale = float(torch.hypot(a, b))
    if scale < 1e-6:
        raise InvalidInputError("the five points of the face lie in one place; give them in pixels")
    turn = torch.stack([torch.stack([a, -b]), torch.stack([b, a])])
    return torch.cat([turn, (goal - turn @ middle)[:, None]], 1), scale
