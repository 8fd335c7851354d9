"""What the projection costs on a GPU, and how near it stays to the CPU.

    python benchmarks/gpu.py [--rounds 20]

Prints Markdown: the card; the largest differences of pictures and gradients between the GPU and the CPU, and between a
box and the crop of the whole picture on the GPU; seconds per step (medians) and the peak of the GPU's memory, at 256
pixels with the shipped generator and a demo photo's segments, and at 1024 with a seeded random network of the papers'
size and the 13 segments of a portrait.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from joint_step import portrait_segments
from region_synthesis import seeded_network
from timing import markdown

from chunky_core.boxes import Box
from chunky_core.compositing import composite
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.editing.directions import load_directions
from chunky_core.editing.edits import parse_edit
from chunky_core.generator import Generator, load_generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.module import GeneratorModule
from chunky_core.inversion import LossConfig, ProjectionConfig, project
from chunky_core.segments import SegmentMasks, segments_from_label_map, single_segment

BOX = Box(101, 57, 163, 190)
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=20, help="steps that are timed, after as many that are not"
    )
    options = parser.parse_args()
    device = torch.device("cuda")
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}\n")
    print(markdown(["what", "largest difference"], agreement(device)), end="\n\n", flush=True)
    header = ["pixels", "segments", "mode", "loss", "s per step", "peak MiB"]
    print(markdown(header, [*steps_at_256(device, options.rounds), *steps_at_1024(device, options.rounds)]))
    print(f"\nwhole run at 256 with a composite, 100 steps, W+, L2: {whole_run(device):.1f} s")
    print(f"composite of one edit of all segments at 256, detail moved: {composite_time(device):.2f} s")


def agreement(device: torch.device) -> list[list[str]]:
    """Rows of the shipped generator: GPU against CPU, and box against crop, values and gradients."""
    on_cpu, on_gpu = load_generator("demo"), load_generator("demo", device=device)
    ws = on_cpu.mapping(torch.randn(2, on_cpu.z_dim, generator=torch.Generator().manual_seed(0)))
    rows = []
    for tf32 in (True, False):
        torch.backends.cudnn.allow_tf32 = tf32
        name = "with TF32 convolutions (torch's default)" if tf32 else "in full float32"
        picture, slope = drawn(on_gpu, ws.to(device))
        expected, expected_slope = drawn(on_cpu, ws)
        rows.append([f"pictures, GPU - CPU, {name}", f"{(picture.cpu() - expected).abs().max():.1e}"])
        relative = (slope.cpu() - expected_slope).abs().max() / expected_slope.abs().max()
        rows.append([f"gradient, GPU - CPU, {name}, relative", f"{relative:.1e}"])
        part = on_gpu.synthesis(ws.to(device), box=BOX)
        whole = picture[..., BOX.top : BOX.bottom, BOX.left : BOX.right]
        rows.append([f"box - crop on the GPU, {name}", f"{(part - whole).abs().max():.1e}"])
    torch.backends.cudnn.allow_tf32 = True
    return rows


def drawn(generator: Generator, ws: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures, and the gradient of their mean square in w+."""
    ws = ws.detach().clone().requires_grad_()
    pictures = generator.synthesis(ws)
    (slope,) = torch.autograd.grad(pictures.square().mean(), ws)
    return pictures.detach(), slope


def steps_at_256(device: torch.device, rounds: int) -> list[list[str]]:
    generator, photo, segments = demo(device)
    demo_losses = LossConfig(l2=1, lpips=1, lpips_net="demo")
    cases = [
        (single_segment((256, 256)), "independent", "L2", LossConfig()),
        (segments, "independent", "L2", LossConfig()),
        (segments, "independent", "L2 + demo perceptual", demo_losses),
        (segments, "joint", "L2 + demo perceptual", demo_losses),
    ]
    return [row(generator, photo, *case, rounds) for case in cases]


def steps_at_1024(device: torch.device, rounds: int) -> list[list[str]]:
    network = seeded_network(1024)
    mapping = MappingNetwork(z_dim=512, w_dim=512, num_ws=network.num_ws)
    generator = Generator(GeneratorModule(mapping, network)).to(device)
    photo = torch.rand(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(1)) * 2 - 1
    cases = [
        (single_segment((1024, 1024)), "independent", "L2", LossConfig()),
        (portrait_segments(1024), "independent", "L2", LossConfig()),
        (portrait_segments(1024), "joint", "L2", LossConfig()),
    ]
    return [row(generator, photo, *case, rounds) for case in cases]


def row(
    generator: Generator,
    photo: Tensor,
    segments: SegmentMasks,
    mode: str,
    title: str,
    losses: LossConfig,
    rounds: int,
) -> list[str]:
    config = ProjectionConfig(mode=mode, num_steps=2 * rounds, loss=losses, warmup=0.0)
    ends: list[float] = []

    def note(step: int, total: int, image: Tensor | None) -> None:
        torch.cuda.synchronize()
        ends.append(perf_counter())

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    project(generator, photo, segments, config, callback=note)
    peak = torch.cuda.max_memory_allocated() / MIB
    seconds = median(after - before for before, after in zip(ends[rounds - 1 :], ends[rounds:], strict=False))
    size = str(generator.img_resolution)
    return [size, str(len(segments.names)), mode, title, f"{seconds:.3f}", f"{peak:.0f}"]


def whole_run(device: torch.device) -> float:
    """Seconds from a photo to its composite, after everything was loaded and warmed up."""
    generator, photo, segments = demo(device)
    edit = parse_edit("mouth:smile=2", load_directions("demo"))
    return timed(lambda: composite(generator, project(generator, photo, segments).with_edits(edit)))


def composite_time(device: torch.device) -> float:
    """Seconds, the second time."""
    generator, photo, segments = demo(device)
    edit = parse_edit("age=2", load_directions("demo"))
    inversion = project(generator, photo, segments, ProjectionConfig(num_steps=1)).with_edits(edit)
    composite(generator, inversion)
    return timed(lambda: composite(generator, inversion))


def demo(device: torch.device) -> tuple[Generator, Tensor, SegmentMasks]:
    photo = demo_photo(5000, resolution=256)
    segments = segments_from_label_map(photo.labels, LABEL_NAMES, static=("background",), grow=4, feather=1.5)
    return load_generator("demo", device=device), photo.image, segments


def timed(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    torch.cuda.synchronize()
    return perf_counter() - start


if __name__ == "__main__":
    main()
