"""How much memory Segment Masks takes for many segments of a large photo, and how long.

    OMP_NUM_THREADS=1 python benchmarks/segment_memory.py [--segments 60] [--size 2048] [--baseline PATH]

Each measurement runs in a process of its own and prints its peak in MiB (the resident set, masks given and libraries
included) and its seconds. --baseline: the folder of another revision of this repository (a git worktree), measured
beside this one; the results are compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]


def hard_labels(count: int, size: int) -> Tensor:
    """A label map of `count` areas, each nearest to one of as many random points: int64 [size,size]."""
    rng = torch.Generator().manual_seed(0)
    points = torch.rand(count, 2, generator=rng) * size
    rows = torch.arange(size, dtype=torch.float32)[:, None]
    best = torch.full((size, size), torch.inf)
    labels = torch.zeros(size, size, dtype=torch.int64)
    for number, (y, x) in enumerate(points):
        distance = (rows - y) ** 2 + (rows.T - x) ** 2
        labels[distance < best] = number
        best = torch.minimum(best, distance)
    return labels


def soft_masks(count: int, size: int) -> dict[str, Tensor]:
    """The areas of `hard_labels` with edges about 16 pixels wide, which overlap: name -> [size,size]."""
    labels = hard_labels(count, size)
    box = torch.nn.AvgPool2d(17, 1, 8, count_include_pad=False)
    return {str(number): box((labels == number).float()[None])[0] for number in range(count)}


def measure(case: str, count: int, size: int, target: Path) -> None:
    """One measurement in this process; the result goes to a file, as a few sums and rows."""
    from chunky_core.segments import segments_from_label_map, segments_from_masks
    from chunky_core.segments.edit_segments import grow_segments

    given = soft_masks(count, size) if case == "masks" else hard_labels(count, size)
    start = time.perf_counter()
    if isinstance(given, dict):
        made = segments_from_masks(given, grow=4, feather=1.5)
    else:
        made = segments_from_label_map(
            given, {i: str(i) for i in range(count)}, grow=4, feather=1.5, gaps="nearest"
        )
    if case == "edit":
        made = grow_segments(made, ["all"], 3)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    torch.save(
        [made.masks[:, 0, ::7, ::7].clone(), made.static[0, 0, ::7, ::7].clone(), peak, seconds], target
    )


def measured(case: str, options: argparse.Namespace, root: Path, folder: Path) -> tuple[Tensor, Tensor]:
    target = folder / "result.pt"
    command = [sys.executable, __file__, "--case", case, "--out", str(target)]
    command += ["--segments", str(options.segments), "--size", str(options.size)]
    environment = os.environ | {"PYTHONPATH": str(root)}
    code = subprocess.run(command, env=environment, cwd=folder, check=False).returncode
    if code:
        print(f"{case:8} {root}: ended with {code}", flush=True)
        return torch.zeros(0), torch.zeros(0)
    masks, static, peak, seconds = torch.load(target)
    print(f"{case:8} {root}: peak {peak:6.0f} MiB, {seconds:5.1f} s", flush=True)
    return masks, static


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--segments", type=int, default=60)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--baseline", type=Path)
    parser.add_argument("--case", choices=["labels", "masks", "edit"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.out:
        measure(options.case, options.segments, options.size, options.out)
        return
    for case in [options.case] if options.case else ["labels", "masks", "edit"]:
        with tempfile.TemporaryDirectory() as name:
            now = measured(case, options, ROOT, Path(name))
            if options.baseline:
                before = measured(case, options, options.baseline.resolve(), Path(name))
                if len(before[0]):
                    differences = [
                        (one - other).abs().max().item() for one, other in zip(now, before, strict=True)
                    ]
                    print(f"{case:8} largest difference of a weight: {max(differences):.2g}", flush=True)


if __name__ == "__main__":
    main()
