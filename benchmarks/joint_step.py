"""One step of the joint projection (Subrtova et al. 2022, eq. 2) against whole pictures: CPU time, peak of memory.

    python benchmarks/joint_step.py --resolution 1024 --rounds 3

A seeded random StyleGAN2 of the papers' size and the 13 segments of a portrait, soft ellipses and rectangles that fill
the boxes of benchmarks/region_synthesis.py and lie over each other; what none holds is static. All arms have an L2 loss
on the picture. A step: loss and gradients for 13 codes in W+.

CPU time: against a loop of one whole pass per segment, forward and backward, each with its own graph. One such pass is
measured per round and counted 13 times. One thread, process CPU time, one warm-up, alternating rounds, medians.
Peak of memory: against one global step (a single code, the whole picture), by two ways of counting. Tensors: the most
bytes that all living storages made during a step have together. Process: how far a fresh process grows in a step.
The second needs Linux.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(Path(__file__).parent.parent))

from region_synthesis import CHANNEL_BASE, SEGMENTS, seeded_network

from chunky_core.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.module import GeneratorModule
from chunky_core.generator.spaces import LatentCode
from chunky_core.inversion import ProjectionConfig
from chunky_core.inversion.loss_regions import View, painted_tiles
from chunky_core.inversion.objectives import Objective, segment_objective
from chunky_core.losses import LossNetworks
from chunky_core.segments import SegmentMasks, mask_box, segments_from_masks, single_segment

RECTANGLES = ("background", "cloth")
ARMS = ("global", "joint")
MIB = 2**20

Step = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resolution", type=int, choices=sorted(CHANNEL_BASE), default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--process", choices=ARMS, help="only print the bytes by which its step grows the process"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    world = World(options.resolution)
    if options.process:
        print(growth(world.step(options.process)))
        return
    print(world.description(), end="\n\n")
    print("| | joint step | reference | ratio |\n|---|---|---|---|")
    print(time_row(world, options.rounds), flush=True)
    tensors = {arm: peak_of_tensors(world.step(arm)) for arm in ARMS}
    print(memory_row("peak of memory, tensors", tensors), flush=True)
    print(memory_row("peak of memory, process", {arm: grown(arm, options.resolution) for arm in ARMS}))


class World:
    """A generator, a photo, and the two ways of one step on it."""

    def __init__(self, resolution: int) -> None:
        network = seeded_network(resolution)
        mapping = MappingNetwork(z_dim=512, w_dim=512, num_ws=network.num_ws)
        self.generator = Generator(GeneratorModule(mapping, network))
        rng = torch.Generator().manual_seed(1)
        self.photo = torch.rand(1, 3, resolution, resolution, generator=rng) * 2 - 1
        self.codes = torch.randn(len(SEGMENTS), network.num_ws, network.w_dim, generator=rng)
        self.segments = portrait_segments(resolution)

    def step(self, arm: str) -> Step:
        """Loss and gradients; what is the same in every step is prepared here."""
        segments = single_segment(self.segments.size) if arm == "global" else self.segments
        objective, leaves = self.objective(arm, segments), self._leaves(len(segments.names))
        return lambda: objective([LatentCode("w+", leaf) for leaf in leaves], leaves, ())

    def objective(self, arm: str, segments: SegmentMasks) -> Objective:
        config = ProjectionConfig(mode="joint" if arm == "joint" else "independent", space="w+")
        view = View(self.photo, segments, segments.masks)
        return segment_objective(self.generator, view, config, LossNetworks(), range(len(segments.names)))

    def whole_pass(self) -> None:
        """What the loop does for each segment."""
        (leaf,) = self._leaves(1)
        (self.generator.synthesis(leaf) - self.photo).square().mean().backward()

    def description(self) -> str:
        size, masks = self.segments.size, self.segments.masks
        boxes = [mask_box(mask) for mask in masks]
        area = sum(box.height * box.width for box in boxes) / (size[0] * size[1])
        tiles = sum(len(painted_tiles(self.generator, mask[None], size[0])) for mask in masks)
        return (
            f"{size[1]}x{size[0]}, {len(SEGMENTS)} segments; their boxes together {area:.2f} pictures, made as "
            f"{tiles} tiles; static {self.segments.static.mean():.1%}"
        )

    def _leaves(self, count: int) -> list[Tensor]:
        return [code[None].clone().requires_grad_() for code in self.codes[:count]]


def portrait_segments(size: int) -> SegmentMasks:
    """Soft masks that fill the boxes of SEGMENTS: the smaller ones on top."""
    masks = {name: filled(size, edges, name in RECTANGLES) for name, edges in SEGMENTS.items()}
    return segments_from_masks(masks, feather=1.5 * size / 256)


def filled(size: int, edges: Sequence[float], rectangle: bool) -> Tensor:
    """[size,size]: 1 in a rectangle, or in the ellipse that touches its edges (fractions: top, left, bottom, right)."""
    top, left, bottom, right = edges
    centres = (torch.arange(size) + 0.5) / size
    down = ((centres - (top + bottom) / 2) / ((bottom - top) / 2))[:, None]
    across = ((centres - (left + right) / 2) / ((right - left) / 2))[None]
    distance = (
        torch.maximum(down.abs(), across.abs()) if rectangle else (down.square() + across.square()).sqrt()
    )
    return (distance <= 1).float()


def time_row(world: World, rounds: int) -> str:
    steps: Mapping[str, Step] = {"joint": world.step("joint"), "whole": world.whole_pass}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for index in range(rounds + 1):
        for name, step in steps.items():
            start = time.process_time()
            step()
            if index > 0:
                seconds[name].append(time.process_time() - start)
    loops = [len(SEGMENTS) * one for one in seconds["whole"]]
    gain = median(loop / joint for loop, joint in zip(loops, seconds["joint"], strict=True))
    times = f"{median(seconds['joint']):.2f} s | {len(SEGMENTS)} passes: {median(loops):.2f} s"
    return f"| CPU time | {times} | {gain:.2f}x less |"


def memory_row(title: str, peaks: Mapping[str, int]) -> str:
    joint, whole = peaks["joint"], peaks["global"]
    return f"| {title} | {joint / MIB:.0f} MiB | global step: {whole / MIB:.0f} MiB | {joint / whole:.2f}x |"


class LivingStorages(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.living: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = {
            one.untyped_storage()._cdata for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            storage = one.untyped_storage() if isinstance(one, Tensor) else None
            if storage is not None and storage._cdata not in before:
                self.living[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.living = {key: one for key, one in self.living.items() if not one[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.living.values()))
        return result


def peak_of_tensors(step: Step) -> int:
    with LivingStorages() as counter:
        step()
    return counter.peak


def growth(step: Step) -> int:
    """Bytes by which the peak of the resident memory during a step is above what was resident before."""
    before = resident("VmRSS")
    step()
    return resident("VmHWM") - before


def resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def grown(arm: str, resolution: int) -> int:
    """`growth` of one step in a process of its own."""
    command = [sys.executable, __file__, "--resolution", str(resolution), "--process", arm]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
