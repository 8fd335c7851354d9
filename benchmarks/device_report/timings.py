"""The part "timings": medians of seconds, the device's work waited for, and peaks of memory.

Arms that are compared take turns, so that other load on the machine meets all of them alike; the first round does not
count. Memory: on CUDA the most that torch's allocator held during one more call, beyond what was held before it; on
the CPU the bytes of all tensors that live at once; elsewhere none.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))  # the other benchmarks

from memory import peak_of_tensors

from chunky_core import Generator, load_generator
from chunky_core.checkpoints.generators import save_generator
from chunky_core.compositing import composite, poisson_blend
from chunky_core.inversion import LossConfig, ProjectionConfig, project
from chunky_core.segments import mask_box, single_segment
from chunky_core.segments.level_set import evolve

from .machine import GIB, memory
from .part import Part, part_options, synchronize
from .scenes import Scene, demo_scene, large_scene, tiny_scene

MIB = 2**20
ROUNDS = {"tiny": 1, "small": 2, "full": 3}
STEPS = {"tiny": 3, "small": 4, "full": 5}  # of a projection per round; the first of each does not count
LARGE_MEMORY = 12 * GIB  # from which on the network of 1024 pixels is measured
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

Arms = Mapping[str, Callable[[], object]]


def main() -> None:
    part = part_options(__doc__)
    results: list[dict[str, Any]] = []
    for result in timings(part):
        results.append(result)
        part.write("timings", results)
        print(
            f"  {result['arm']}, {result['pixels']}, {result['dtype']}: {result['seconds']:.4f} s", flush=True
        )


def timings(part: Part) -> Iterator[dict[str, Any]]:
    """All results, one by one, what matters most first: TIMING of the schema."""
    scene = tiny_scene() if part.size == "tiny" else demo_scene()
    scenes = [scene]
    yield from scene_timings(scene, part, "float32")
    if part.size == "full" and memory(part.device) >= LARGE_MEMORY:
        scenes = [large_scene(), scene]  # the one of which low precisions matter first
        yield from scene_timings(scenes[0], part, "float32")
    yield from picture_timings(scene, part)
    if part.size != "tiny":
        losses = LossConfig(l2=1.0, lpips=1.0, lpips_net="demo")
        generator = scene.generator.to(part.device)
        yield from step_timings(generator, scene, part, "float32", "L2 + demo perceptual", losses)
    yield from (row for one in scenes for row in loading_timings(one, part))
    lower = [] if part.device.type == "cpu" else [dtype for dtype in DTYPES if dtype != "float32"]
    for dtype in lower:
        for one in scenes:
            yield from scene_timings(one, part, dtype)


def scene_timings(scene: Scene, part: Part, dtype: str) -> Iterator[dict[str, Any]]:
    """A generator's synthesis, and steps of the projection with L2."""
    generator = scene.generator.to(part.device, DTYPES[dtype])
    yield from measured(synthesis_arms(generator, scene), scene.size, dtype, part)
    yield from step_timings(generator, scene, part, dtype, "L2", LossConfig())


def synthesis_arms(generator: Generator, scene: Scene) -> Arms:
    """Whole pictures against the boxes of all segments, forward and backward."""
    ws = scene.ws(1).to(generator.device)
    boxes = [mask_box(mask) for mask in scene.segments.masks]
    batches = generator.batches(boxes)

    def whole(count: int = 1) -> None:
        leaf = ws.clone().requires_grad_()
        for _ in range(count):
            generator.synthesis(leaf).float().square().mean().backward()

    def in_boxes() -> None:
        leaf = ws.clone().requires_grad_()
        for batch in batches:
            codes = leaf.expand(len(batch.boxes), -1, -1)
            generator.synthesis_boxes(codes, batch.boxes).float().square().mean().backward()

    smallest = min(boxes, key=lambda box: box.height * box.width)

    def in_smallest() -> None:
        leaf = ws.clone().requires_grad_()
        generator.synthesis(leaf, box=smallest).float().square().mean().backward()

    return {
        "synthesis, one whole picture, forward and backward": whole,
        f"synthesis, {len(boxes)} whole pictures": lambda: whole(len(boxes)),
        f"synthesis, the boxes of {len(boxes)} segments": in_boxes,
        "synthesis, the smallest box": in_smallest,
    }


def step_timings(
    generator: Generator, scene: Scene, part: Part, dtype: str, title: str, losses: LossConfig
) -> Iterator[dict[str, Any]]:
    """Seconds per step of the whole photo with one code, of segments one by one, and of segments together."""
    whole = single_segment((scene.size, scene.size))
    cases = {
        "global": (whole, "independent"),
        "independent": (scene.segments, "independent"),
        "joint": (scene.segments, "joint"),
    }
    steps, rounds = STEPS[part.size], ROUNDS[part.size]
    base = ProjectionConfig(num_steps=steps, loss=losses, warmup=0.0)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for index in range(rounds + 1):
        for name, (segments, mode) in cases.items():
            taken = step_seconds(generator, scene.photo, segments, replace(base, mode=mode))
            seconds[name] += taken if index > 0 else []
    for name, (segments, mode) in cases.items():
        config = replace(base, mode=mode, num_steps=1)
        peak = peak_mib(lambda s=segments, c=config: project(generator, scene.photo, s, c), part.device)  # type: ignore[misc]
        arm = f"projection step, {name}, {len(segments.names)} segments, {title}"
        yield result(arm, scene.size, dtype, median(seconds[name]), rounds * (steps - 1), peak)


def step_seconds(generator: Generator, photo: Tensor, segments: Any, config: ProjectionConfig) -> list[float]:
    """Seconds of each step but the first."""
    ends: list[float] = []

    def note(step: int, total: int, image: Tensor | None) -> None:
        synchronize(generator.device)
        ends.append(time.perf_counter())

    project(generator, photo, segments, config, callback=note)
    return [after - before for before, after in zip(ends, ends[1:], strict=False)]


def picture_timings(scene: Scene, part: Part) -> Iterator[dict[str, Any]]:
    """Poisson's equation and the level set at the photo's size, and a composite of an edit of all segments."""
    generator = scene.generator.to(part.device)
    mask, photo = scene.segments.masks[:1].to(part.device), scene.photo.to(part.device)
    speed, picture = torch.ones_like(mask), photo.flip(3)
    inversion = project(generator, scene.photo, scene.segments, ProjectionConfig(num_steps=1)).with_edits(
        scene.edit
    )
    arms: Arms = {
        "Poisson composite": lambda: poisson_blend(photo, picture, mask),
        "level set, 5 pixels": lambda: evolve(mask, speed, distance=5.0, sign=1),
        "composite of an edit": lambda: composite(generator, inversion),
    }
    for name, arm in arms.items():
        yield from measured({name: arm}, scene.size, "float32", part)


def loading_timings(scene: Scene, part: Part) -> Iterator[dict[str, Any]]:
    """A generator from its own file, in the page cache, to the device."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.safetensors"
        save_generator(scene.generator, path)
        arms: Arms = {"loading a generator": lambda: load_generator(path, device=part.device)}
        yield from measured(arms, scene.size, "float32", part)


def measured(arms: Arms, pixels: int, dtype: str, part: Part) -> Iterator[dict[str, Any]]:
    """Medians of alternating rounds, and the peak of one more call of each."""
    rounds, seconds = ROUNDS[part.size], {name: list[float]() for name in arms}
    for index in range(rounds + 1):
        for name, arm in arms.items():
            synchronize(part.device)
            start = time.perf_counter()
            arm()
            synchronize(part.device)
            if index > 0:
                seconds[name].append(time.perf_counter() - start)
    for name, arm in arms.items():
        yield result(name, pixels, dtype, median(seconds[name]), rounds, peak_mib(arm, part.device))


def result(
    arm: str, pixels: int, dtype: str, seconds: float, rounds: int, peak: float | None
) -> dict[str, Any]:
    """TIMING of the schema. rounds: how many times the median is of."""
    return {
        "arm": arm,
        "pixels": pixels,
        "dtype": dtype,
        "seconds": seconds,
        "rounds": rounds,
        "peak_mib": None if peak is None else round(peak, 1),
    }


def peak_mib(call: Callable[[], object], device: torch.device) -> float | None:
    """The most memory that a call takes on the device; None where that can't be told."""
    if device.type == "cpu":
        return peak_of_tensors(call) / MIB
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) / MIB


if __name__ == "__main__":
    main()
