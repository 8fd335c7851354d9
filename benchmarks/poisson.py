"""Poisson composite against scipy's sparse direct solver and OpenCV's seamlessClone.

    python benchmarks/poisson.py [--sizes 256 512 1024] [--rounds 5] [--threads 1] [--device cpu]

The region is a disc of 30 % of the picture. The solvers take turns, so that other load on the machine meets
all of them alike; the ratios are of the medians. The error is the largest difference to the direct solution,
in grey levels of 255. OpenCV's is not measured: it rounds to 8 bits and solves on the region's bounding
rectangle.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.sparse import csc_matrix, diags
from scipy.sparse.linalg import spsolve
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from timing import alternating_medians, markdown

from chunky_core.compositing import poisson_blend
from chunky_core.images import to_uint8

AREA = 0.3
COLUMNS = ("size", "this s", "spsolve s", "OpenCV s", "spsolve / this", "this / OpenCV", "error")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    rows = [row(size, options.rounds, options.device) for size in options.sizes]
    print(markdown(COLUMNS, rows))


def row(size: int, rounds: int, device: str) -> list[str]:
    """COLUMNS for one size."""
    picture, photo, mask = scene(size)
    moved = [t.to(device) for t in (photo, picture, mask)]
    region = mask[0, 0] > 0
    error = (poisson_blend(*moved)[0].cpu() - direct(picture[0], photo[0], region)).abs().max() * 127.5
    eight_bit = [to_uint8(t)[0].numpy() for t in (picture, photo)]
    binary = region.numpy().astype(np.uint8) * 255
    solvers: list[Callable[[], object]] = [
        lambda: poisson_blend(*moved).cpu(),
        lambda: direct(picture[0], photo[0], region),
        lambda: cv2.seamlessClone(*eight_bit, binary, (size // 2, size // 2), cv2.NORMAL_CLONE),
    ]
    ours, sparse, opencv = alternating_medians(solvers, rounds)
    seconds = [f"{one:.3f}" for one in (ours, sparse, opencv)]
    return [f"{size}²", *seconds, f"{sparse / ours:.1f}", f"{ours / opencv:.2f}", f"{error:.3f}"]


def scene(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Picture and photo [1,3,size,size], smooth with noise, and a disc as mask [1,1,size,size]."""
    rng = torch.Generator().manual_seed(0)
    smooth = F.interpolate(torch.randn(2, 3, 8, 8, generator=rng), (size, size), mode="bicubic") * 0.4
    both = (smooth + 0.05 * torch.randn(2, 3, size, size, generator=rng)).clamp(-1, 1)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    disc = (y - size / 2) ** 2 + (x - size / 2) ** 2 < AREA / math.pi * size**2
    return both[:1], both[1:], disc[None, None].float()


def direct(picture: Tensor, photo: Tensor, region: Tensor) -> Tensor:
    """The same system through scipy.sparse.linalg.spsolve: [3,H,W]."""
    inside, missing = region.numpy(), (photo - picture).double().numpy()
    height, width = inside.shape
    index = np.full(inside.shape, -1)
    index[inside] = np.arange(inside.sum())
    ys, xs = np.nonzero(inside)
    degree, b = np.zeros(len(ys)), np.zeros((len(ys), 3))
    rows, columns = [], []
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        valid = (ys + dy >= 0) & (ys + dy < height) & (xs + dx >= 0) & (xs + dx < width)
        v, u = (ys + dy).clip(0, height - 1), (xs + dx).clip(0, width - 1)
        degree += valid
        linked, fixed = valid & inside[v, u], valid & ~inside[v, u]
        rows.append(np.nonzero(linked)[0])
        columns.append(index[v, u][linked])
        b[fixed] += missing[:, v[fixed], u[fixed]].T
    links = np.concatenate(rows), np.concatenate(columns)
    matrix = diags(degree, format="csc") - csc_matrix((np.ones(len(links[0])), links), (len(ys), len(ys)))
    result = photo.double().clone()
    result[:, region] = picture.double()[:, region] + torch.from_numpy(spsolve(matrix, b).T.copy())
    return result


if __name__ == "__main__":
    main()
