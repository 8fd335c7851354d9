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
import time
from collections.abc import Callable
from statistics import median

import cv2
import numpy as np
import torch
from scipy.sparse import csc_matrix, diags
from scipy.sparse.linalg import spsolve
from torch import Tensor
from torch.nn import functional as F

from chunky_core.compositing import poisson_composite
from chunky_core.images import to_uint8

AREA = 0.3


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
    print(
        f"{'size':>5} {'ours s':>8} {'spsolve s':>10} {'ratio':>6} {'OpenCV s':>9} {'ratio':>6} {'error':>8}"
    )
    for size in options.sizes:
        print(row(size, options.rounds, options.device), flush=True)


def row(size: int, rounds: int, device: str) -> str:
    """One line of the table."""
    picture, photo, mask = scene(size)
    moved = [t.to(device) for t in (picture, photo, mask)]
    region = mask[0, 0] > 0
    error = (poisson_composite(*moved)[0].cpu() - direct(picture[0], photo[0], region)).abs().max() * 127.5
    eight_bit = [to_uint8(t)[0].numpy() for t in (picture, photo)]
    binary = region.numpy().astype(np.uint8) * 255
    solvers: list[Callable[[], object]] = [
        lambda: poisson_composite(*moved).cpu(),
        lambda: direct(picture[0], photo[0], region),
        lambda: cv2.seamlessClone(*eight_bit, binary, (size // 2, size // 2), cv2.NORMAL_CLONE),
    ]
    ours, sparse, opencv = alternating_medians(solvers, rounds)
    others = f"{sparse:10.3f} {sparse / ours:6.1f} {opencv:9.3f} {opencv / ours:6.2f}"
    return f"{size:5d} {ours:8.3f} {others} {error:8.5f}"


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


def alternating_medians(solvers: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each solver; they run in turn, after one round that does not count."""
    seconds: list[list[float]] = [[] for _ in solvers]
    for _ in range(rounds + 1):
        for solver, timings in zip(solvers, seconds, strict=True):
            start = time.perf_counter()
            solver()
            timings.append(time.perf_counter() - start)
    return [median(timings[1:]) for timings in seconds]


if __name__ == "__main__":
    main()
