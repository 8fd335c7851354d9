"""Segments made one by one against segments made in batches of boxes: CPU time of a forward and backward pass.

Run: python benchmarks/region_batches.py [--photo 1] [--margin 8] [--rounds 7]
Prints Markdown. The shipped demo generator and the segments of a shipped demo photo, one thread, process CPU time, one
warm-up, then rounds in which all ways alternate; a ratio is the median over the rounds of that round's ratio.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from chunky_core.boxes import Box
from chunky_core.checkpoints import load_generator
from chunky_core.demo.shipped import LABEL_NAMES, load_shipped_photo
from chunky_core.generator import Generator
from chunky_core.generator.batches import Batch
from chunky_core.segments import mask_box

GENERATOR = Path(__file__).parent.parent / "chunky_core" / "demo" / "assets" / "generator.safetensors"
SMALL = 0.13  # of the picture's area: a face part

Way = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photo", type=int, default=1)
    parser.add_argument("--margin", type=int, default=8, help="pixels around each segment")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = load_generator(GENERATOR)
    boxes = segment_boxes(arguments.photo, arguments.margin)
    print(batch_table(generator, boxes), end="\n\n")
    print(
        "| boxes | whole pictures / batches | one by one / batches | one by one | batches |\n|---|---|---|---|---|"
    )
    small = {name: box for name, box in boxes.items() if box.area < SMALL * generator.img_resolution**2}
    for title, chosen in (("all", boxes), ("face parts", small)):
        seconds = alternating(ways(generator, list(chosen.values())), arguments.rounds)
        print(row(f"{title}: {len(chosen)}", seconds))


def segment_boxes(number: int, margin: int) -> dict[str, Box]:
    """The box of each segment of a shipped photo."""
    labels = load_shipped_photo(number).labels
    found = labels.unique().tolist()
    return {LABEL_NAMES[label]: mask_box((labels == label).float(), margin) for label in found}


def batch_table(generator: Generator, boxes: Mapping[str, Box]) -> str:
    names = list(boxes)
    lines = ["| made together | size |", "|---|---|"]
    for batch in generator.batches(list(boxes.values())):
        members = ", ".join(names[member] for member in batch.members)
        lines.append(f"| {members} | {batch.boxes[0].height} x {batch.boxes[0].width} |")
    return "\n".join(lines)


def ways(generator: Generator, boxes: Sequence[Box]) -> dict[str, Way]:
    """One step, forward and backward, of as many codes as there are boxes."""
    rng = torch.Generator().manual_seed(0)
    ws = generator.mapping(torch.randn(len(boxes), generator.z_dim, generator=rng))
    planned = generator.batches(boxes)
    return {
        "whole": lambda: separately(generator, ws, [None] * len(boxes)),
        "one by one": lambda: separately(generator, ws, boxes),
        "batches": lambda: together(generator, ws, planned),
    }


def separately(generator: Generator, ws: Tensor, boxes: Sequence[Box | None]) -> None:
    leaf = ws.clone().requires_grad_()
    for index, box in enumerate(boxes):
        generator.synthesis(leaf[index : index + 1], box).square().mean().backward()


def together(generator: Generator, ws: Tensor, batches: Sequence[Batch]) -> None:
    leaf = ws.clone().requires_grad_()
    for batch in batches:
        images = generator.synthesis_boxes(leaf[list(batch.members)], batch.boxes)
        images.square().mean(dim=(1, 2, 3)).sum().backward()


def alternating(ways: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    """Seconds of process CPU time per way and round, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(rounds + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if index > 0:
                seconds[name].append(time.process_time() - start)
    return seconds


def row(title: str, seconds: Mapping[str, Sequence[float]]) -> str:
    ratios = [
        statistics.median(other / one for other, one in zip(seconds[name], seconds["batches"], strict=True))
        for name in ("whole", "one by one")
    ]
    times = [1000 * statistics.median(seconds[name]) for name in ("one by one", "batches")]
    return f"| {title} | {ratios[0]:.2f}x | {ratios[1]:.2f}x | {times[0]:.0f} ms | {times[1]:.0f} ms |"


if __name__ == "__main__":
    main()
