"""Polygons as masks: the share of each pixel that lies inside."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_LINES = 16  # per row of pixels


def polygon_mask(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The share of every pixel that a closed polygon covers.

    points: [N,2], x and y in pixels, in order round; the center of the first pixel is (0.5, 0.5).
    size: (height, width); the polygon may leave it. Returns float64 [H,W] in [0,1]: exact along rows, the mean of 16
    lines per row across them, so that neighbors which share an edge add up to one. What the polygon covers several
    times, where it folds over itself, counts once.
    """
    height, width = size
    start = points.detach().cpu().double().numpy()
    end = np.roll(start, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    top, bottom = max(int(np.floor(low.min())), 0), min(int(np.ceil(high.max())), height)
    mask = np.zeros((height, width))
    if top >= bottom:
        return torch.from_numpy(mask)
    y = top + (np.arange((bottom - top) * _LINES) + 0.5) / _LINES
    line, edge = np.nonzero((y[:, None] >= low) & (y[:, None] < high))
    (ax, ay), (bx, by) = start[edge].T, end[edge].T
    x = np.clip(ax + (y[line] - ay) / (by - ay) * (bx - ax), 0, width)
    column, sign = x.astype(int), np.sign(by - ay)
    # what begins at x covers the rest of its own pixel and all of the following ones, up to where it ends
    covered = np.zeros((bottom - top, width + 2))
    row, share = line // _LINES, column + 1 - x
    np.add.at(covered, (row, column), sign * share)
    np.add.at(covered, (row, column + 1), sign * (1 - share))
    total = np.abs(covered.cumsum(1)[:, :width]) / _LINES
    mask[top:bottom] = total.round(9).clip(0, 1)  # rid of the rest of sums that cancel
    return torch.from_numpy(mask)


def grown_polygon(points: Tensor, distance: float) -> Tensor:
    """A polygon [N,2] with every vertex moved outward by `distance` pixels, along the mean of its edges' normals."""
    following = points.roll(-1, 0)
    area = (points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum()
    edges = torch.nn.functional.normalize(following - points, dim=1)
    normals = torch.stack([edges[:, 1], -edges[:, 0]], 1) * area.sign()
    outward = torch.nn.functional.normalize(normals + normals.roll(1, 0), dim=1)
    return points + distance * outward


def ellipse(center: Tensor, rim: Tensor, corners: int = 48) -> Tensor:
    """A polygon [corners,2] in place of an ellipse. center: [2]; rim: [4,2], points a quarter of the way apart."""
    angles = torch.arange(corners, dtype=torch.float64) * (2 * torch.pi / corners)
    first, second = (rim[0] - rim[2]) / 2, (rim[1] - rim[3]) / 2
    return center + angles.cos()[:, None] * first + angles.sin()[:, None] * second
