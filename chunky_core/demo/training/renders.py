"""The cached training set: portraits rendered once from seeded codes, kept as memory-mapped 8-bit arrays."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..portraits import draw_portraits
from .readout import Z_DIM, build_mapping, build_readout

SHARD = 1024
HELD_OUT = 256  # the first codes of the first shard are never trained on


def attributes_of_shard(seed: int, shard: int, count: int = SHARD) -> Tensor:
    """The attributes [count, K] that shard number `shard` of the set `seed` shows; codes come from the mapping."""
    mapping = build_mapping(num_ws=1, seed=seed)
    readout = build_readout(mapping, seed)
    rng = torch.Generator().manual_seed((seed << 20) + shard)
    return readout.attributes(mapping(torch.randn(count, Z_DIM, generator=rng))[:, 0])


def render_shard(folder: Path, seed: int, shard: int, resolution: int, count: int = SHARD) -> None:
    """Render one shard into `folder`; a finished shard is left as it is."""
    images_path = folder / f"images_{shard:04d}.npy"
    if images_path.exists():
        return
    attributes = attributes_of_shard(seed, shard, count)
    partial = images_path.with_suffix(".partial")
    images = np.lib.format.open_memmap(partial, "w+", np.uint8, (count, 3, resolution, resolution))
    labels = np.empty((count, resolution, resolution), np.uint8)
    for start in range(0, count, 16):
        image, label = draw_portraits(attributes[start : start + 16], resolution)
        images[start : start + 16] = (image * 127.5 + 128).clamp(0, 255).byte().numpy()
        labels[start : start + 16] = label.numpy()
    np.save(folder / f"labels_{shard:04d}.npy", labels)
    np.save(folder / f"attributes_{shard:04d}.npy", attributes.numpy())
    images.flush()
    partial.rename(images_path)


def _work(job: tuple[Path, int, int, int]) -> int:
    torch.set_num_threads(1)
    render_shard(*job)
    return job[2]


def render_set(folder: Path, count: int, seed: int, resolution: int, processes: int) -> Iterator[int]:
    """Render at least `count` portraits; yields the number of each shard as it is done. Resumable."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, seed, shard, resolution) for shard in range(-(-count // SHARD))]
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_work, jobs)


class RenderedSet:
    """Random access to the shards of a folder. `len` counts the training portraits, without the held-out ones."""

    def __init__(self, folder: Path, count: int):
        shards = range(-(-count // SHARD))
        self.images = [np.load(folder / f"images_{s:04d}.npy", mmap_mode="r") for s in shards]
        self.labels = [np.load(folder / f"labels_{s:04d}.npy", mmap_mode="r") for s in shards]
        self.attributes = [torch.from_numpy(np.load(folder / f"attributes_{s:04d}.npy")) for s in shards]

    def __len__(self) -> int:
        return len(self.images) * SHARD - HELD_OUT

    def _gather(self, indices: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        shard, row = np.divmod(indices, SHARD)
        images = np.stack([self.images[s][r] for s, r in zip(shard, row, strict=True)])
        labels = np.stack([self.labels[s][r] for s, r in zip(shard, row, strict=True)])
        attributes = torch.stack([self.attributes[s][r] for s, r in zip(shard, row, strict=True)])
        return torch.from_numpy(images).float() / 127.5 - 1, torch.from_numpy(labels), attributes

    def batch(self, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """A random batch: images [size,3,R,R] in [-1,1], labels [size,R,R], attributes [size,K]."""
        return self._gather(rng.integers(HELD_OUT, len(self) + HELD_OUT, size))

    def held_out(self, count: int = HELD_OUT) -> tuple[Tensor, Tensor, Tensor]:
        """The first `count` portraits, which `batch` never returns."""
        return self._gather(np.arange(min(count, HELD_OUT)))
