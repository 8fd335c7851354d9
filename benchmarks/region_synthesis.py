"""What making a box costs against making the whole picture: multiply-adds, CPU time and memory kept for gradients.

Run: python benchmarks/region_synthesis.py [--resolution 256|1024] [--rounds 5]
Prints Markdown. Weights are random but seeded, one thread, process CPU time, one warm-up, then rounds that go through
all boxes in turn; a figure is the median over the rounds of the ratio to the whole picture in the same round.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from portrait import CHANNEL_BASE, SEGMENTS, seeded_network

from chunky_core.boxes import Box, full_box
from chunky_core.generator.stylegan2 import SynthesisNetwork

AREAS = (0.50, 0.25, 0.10, 0.05, 0.01)
LARGE = ("hair", "skin", "background", "cloth", "neck")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--resolution", type=int, choices=sorted(CHANNEL_BASE), default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network = seeded_network(arguments.resolution)
    ws = torch.randn(1, network.num_ws, network.w_dim, generator=torch.Generator().manual_seed(1))
    print(area_table(network, ws, arguments.rounds))
    print()
    print(segment_table(network, ws, arguments.rounds))


def area_table(network: SynthesisNetwork, ws: Tensor, rounds: int) -> str:
    """Centred squares of several areas against the whole picture."""
    size = network.img_resolution
    boxes = {f"{area:.0%}": centred_square(size, area) for area in AREAS}
    everything = {"whole": full_box(size), **boxes}
    forward, both = timed(network, ws, everything, rounds)
    saved = {name: saved_bytes(network, ws, box) for name, box in everything.items()}
    whole = network.cost()
    lines = [
        f"Centred squares at {size}: ratio to the whole picture",
        "",
        "| area | multiply-adds | forward | forward + backward | saved memory |",
        "|---|---|---|---|---|",
    ]
    for name, box in boxes.items():
        macs = network.cost(box).macs / whole.macs
        memory = saved[name] / saved["whole"]
        lines.append(f"| {name} | {macs:.3f} | {ratio(forward, name)} | {ratio(both, name)} | {memory:.3f} |")
    seconds = statistics.median(forward["whole"]), statistics.median(both["whole"])
    lines.append(
        f"| whole | {whole.macs / 1e9:.1f} G | {seconds[0]:.2f} s | {seconds[1]:.2f} s "
        f"| {saved['whole'] / 2**20:.0f} MiB |"
    )
    return "\n".join(lines)


def segment_table(network: SynthesisNetwork, ws: Tensor, rounds: int) -> str:
    """The 13 segments of a portrait: as many whole pictures against as many boxes."""
    size = network.img_resolution
    boxes = {name: Box(*(round(edge * size) for edge in edges)) for name, edges in SEGMENTS.items()}
    small = {name: box for name, box in boxes.items() if name not in LARGE}
    _, both = timed(network, ws, {"whole": full_box(size), **boxes}, rounds)
    ratios = [
        len(boxes) * whole / sum(both[name][index] for name in boxes)
        for index, whole in enumerate(both["whole"])
    ]
    rows = {
        "multiply-adds": fewer(network, boxes),
        "multiply-adds, the background's box = the whole picture": fewer(
            network, {**boxes, "background": full_box(size)}
        ),
        "CPU time, forward + backward": statistics.median(ratios),
        f"multiply-adds, the {len(small)} small parts only": fewer(network, small),
        "multiply-adds, mouth only": fewer(network, {"mouth": boxes["mouth"]}),
    }
    lines = [f"{len(boxes)} face segments at {size}: whole pictures / boxes", "", "| | gain |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {gain:.1f}x |" for name, gain in rows.items()])


def centred_square(size: int, area: float) -> Box:
    side = round(size * math.sqrt(area))
    start = (size - side) // 2
    return Box(start, start, start + side, start + side)


def fewer(network: SynthesisNetwork, boxes: Mapping[str, Box]) -> float:
    """Multiply-adds of as many whole pictures over those of the boxes."""
    return len(boxes) * network.cost().macs / sum(network.cost(box).macs for box in boxes.values())


def timed(
    network: SynthesisNetwork, ws: Tensor, boxes: Mapping[str, Box], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of process CPU time per box and round: forward without gradients, and forward + backward."""
    forward: dict[str, list[float]] = {name: [] for name in boxes}
    both: dict[str, list[float]] = {name: [] for name in boxes}
    for index in range(rounds + 1):
        for name, box in boxes.items():
            start = time.process_time()
            with torch.no_grad():
                network(network.styles(ws), box)
            middle = time.process_time()
            leaf = ws.clone().requires_grad_()
            network(network.styles(leaf), box).square().mean().backward()
            end = time.process_time()
            if index > 0:  # the first round warms up
                forward[name].append(middle - start)
                both[name].append(end - middle)
    return forward, both


def ratio(seconds: Mapping[str, list[float]], name: str) -> str:
    pairs = zip(seconds[name], seconds["whole"], strict=True)
    return f"{statistics.median(part / whole for part, whole in pairs):.3f}"


def saved_bytes(network: SynthesisNetwork, ws: Tensor, box: Box) -> int:
    """Bytes that autograd keeps for the backward pass, beside the network's own weights."""
    known = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(network.styles(ws.clone().requires_grad_()), box)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


if __name__ == "__main__":
    main()
