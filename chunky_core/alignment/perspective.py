"""Planes seen through a quad: the projective map between a photo and its aligned crop, and sampling along it."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..boxes import Box
from ..devices import float64_device
from ..errors import InvalidInputError
from ..inversion.original_crop import Point

Quad = tuple[Point, Point, Point, Point]

MOST_SAMPLES = 64  # per pixel and axis
STRIP = 1 << 21  # samples held at once; bounds the memory


def quad_to_photo(quad: Quad) -> Tensor:
    """float64 [3,3]: the unit square, u right and v down, to the photo (Heckbert 1989, section 2.2.3).

    quad: the corners in the order top left, bottom left, bottom right, top right. Raises InvalidInputError if
    it isn't convex or has no area.
    """
    corners = torch.tensor(quad, dtype=torch.float64)
    sides = corners.roll(-1, 0) - corners
    turns = sides[:, 0] * sides.roll(-1, 0)[:, 1] - sides[:, 1] * sides.roll(-1, 0)[:, 0]
    if not (turns > 0).all() and not (turns < 0).all():
        raise InvalidInputError(
            f"the quad {quad} is not convex or has no area; give its corners in order round"
        )
    top_left, bottom_left, bottom_right, top_right = corners
    skew = top_left - top_right + bottom_right - bottom_left
    basis = torch.stack([top_right - bottom_right, bottom_left - bottom_right], 1)
    g, h = torch.linalg.solve(basis, skew)
    right, down = top_right - top_left + g * top_right, bottom_left - top_left + h * bottom_left
    rows = torch.stack([right, down, top_left], 1)
    return torch.cat([rows, torch.stack([g, h, torch.ones_like(g)])[None]])


def scaling(x: float, y: float) -> Tensor:
    """float64 [3,3]: coordinates multiplied by x and y."""
    return torch.diag(torch.tensor([x, y, 1.0], dtype=torch.float64))


def box_around(quad: Quad, size: tuple[int, int]) -> Box:
    """The pixels of a photo of (height, width) that a quad may touch; of area 0 if there are none."""
    height, width = size
    xs, ys = zip(*quad, strict=True)
    left, top = max(math.floor(min(xs)), 0), max(math.floor(min(ys)), 0)
    right, bottom = min(math.ceil(max(xs)), width), min(math.ceil(max(ys)), height)
    return Box(top, left, max(bottom, top), max(right, left))


def side_lengths(quad: Quad) -> list[float]:
    """In pixels of the photo."""
    return [math.dist(quad[i], quad[(i + 1) % 4]) for i in range(4)]


def side_ratios(quad: Quad, size: tuple[int, int]) -> list[float]:
    """For each side its pixels of the photo per pixel of a crop of (height, width)."""
    return [length / size[index % 2] for index, length in enumerate(side_lengths(quad))]


def samples_for(scale: float) -> int:
    """How many samples along each axis cover a pixel that is `scale` source pixels wide."""
    return min(max(math.ceil(scale - 1e-6), 1), MOST_SAMPLES)


def resample(
    plane: Tensor,
    transform: Tensor,
    box: Box,
    samples: int,
    *,
    mode: Literal["nearest", "bilinear", "bicubic"] = "bicubic",
    padding: Literal["border", "reflection", "zeros"] = "border",
) -> Tensor:
    """The pixels of a box of an image whose points `transform` takes to points of `plane`.

    plane: [1,C,H,W]; transform: [3,3] between coordinates in which the first pixel's centre is (0.5, 0.5).
    Every pixel is the mean of samples x samples points inside it, so that shrinking doesn't alias.
    Returns [1,C,height,width].
    """
    rows = max(1, STRIP // (box.width * samples * samples))
    strips = []
    for top in range(box.top, box.bottom, rows):
        strip = Box(top, box.left, min(top + rows, box.bottom), box.right)
        grid = _grid(plane, transform, strip, samples)
        values = F.grid_sample(plane, grid, mode=mode, padding_mode=padding, align_corners=False)
        strips.append(F.avg_pool2d(values, samples) if samples > 1 else values)
    return torch.cat(strips, 2)


def displaced(plane: Tensor, box: Box, transform: Tensor, flow: Tensor) -> Tensor:
    """The pixels of a box, each taken from where a flow in other coordinates leads.

    plane: [1,C,h,w], what the box shows; beyond it is 0. transform: [3,3] from the box's image to the flow's
    coordinates, as in `resample`; flow: [1,2,h,w], x and y in those, at the box's pixels.
    """
    y, x = torch.meshgrid(
        torch.arange(box.height, dtype=torch.float64) + box.top + 0.5,
        torch.arange(box.width, dtype=torch.float64) + box.left + 0.5,
        indexing="ij",
    )
    there = mapped(transform.cpu(), torch.stack([x, y])) + flow[0].cpu().double()
    back = mapped(torch.linalg.inv(transform.cpu()), there)
    origin, size = torch.tensor([box.left, box.top]), torch.tensor([box.width, box.height])
    grid = (back - origin[:, None, None]) / size[:, None, None] * 2 - 1
    grid = grid.nan_to_num(1e3).clamp(-1e3, 1e3).permute(1, 2, 0)[None].to(plane)
    return F.grid_sample(plane, grid, mode="bicubic", padding_mode="zeros", align_corners=False)


def mapped(transform: Tensor, points: Tensor) -> Tensor:
    """points: [2,...] -> where a projective [3,3] transform takes them."""
    flat = torch.cat([points.flatten(1), torch.ones_like(points[:1]).flatten(1)])
    x, y, divisor = transform @ flat
    return torch.stack([x / divisor, y / divisor]).view_as(points)


def _grid(plane: Tensor, transform: Tensor, box: Box, samples: int) -> Tensor:
    """Where in `plane` the samples of a box lie, in grid_sample's -1..1: [1,h,w,2]."""
    to_unit = scaling(2 / plane.shape[3], 2 / plane.shape[2])
    place = float64_device(plane.device)
    a, b, c = (to_unit @ transform.cpu()).to(place)
    x = box.left + (torch.arange(box.width * samples, device=place, dtype=torch.float64) + 0.5) / samples
    rows = torch.arange(box.height * samples, device=place, dtype=torch.float64)[:, None]
    y = box.top + (rows + 0.5) / samples
    divisor = c[0] * x + c[1] * y + c[2]
    grid = torch.stack([a[0] * x + a[1] * y + a[2], b[0] * x + b[1] * y + b[2]], -1) / divisor[..., None] - 1
    return grid.nan_to_num(1e3).clamp(-1e3, 1e3)[None].to(plane)  # a point on the horizon lies outside
