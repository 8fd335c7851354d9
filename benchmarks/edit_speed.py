"""What a changed strength of one edit costs against drawing the whole picture: CPU time and multiply-adds.

Run: python benchmarks/edit_speed.py [--generator demo|256|1024] [--rounds 7] [--segment mouth]
     [--area 0.03] [--json FILE]
Prints Markdown. demo: the demo generator and a demo photo, 256 pixels; 256, 1024: a network of the papers' size with
random weights and the segments of a portrait. Codes in W+ are random: what they show doesn't matter here. One thread,
process CPU time, a warm-up, then rounds that go through all rows in turn, each with a strength that wasn't drawn
before; a figure is the median over the rounds of the ratio to the whole picture in the same round.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from portrait import portrait_segments, seeded_network
from timing import markdown

from chunky_core.boxes import Box
from chunky_core.checkpoints.generators import load_generator
from chunky_core.compositing import Renderings, composite
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.generator.architecture import GeneratorModule
from chunky_core.generator.generator import Generator
from chunky_core.generator.mapping import MappingNetwork
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import Edit, Inversion, SegmentCode
from chunky_core.segments import SegmentMasks, segments_from_label_map
from chunky_core.segments.masks import mask_box

FIRST_LAYERS = (0, 4, 8)  # of W+: all, medium and fine, fine alone


class Scene(NamedTuple):
    """What is drawn, the segment that is edited, and its box."""

    generator: Generator
    inversion: Inversion
    segment: SegmentCode
    box: Box


class Row(NamedTuple):
    """One call that is timed; macs: of its synthesis, against the whole picture's, None where not counted."""

    name: str
    call: Callable[[], object]
    macs: float | None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--generator", choices=("demo", "256", "1024"), default="demo")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--segment", default="mouth")
    parser.add_argument(
        "--area", type=float, help="draw a box of this share of the picture, and no composites"
    )
    parser.add_argument("--json", type=Path, help="file that the rows are appended to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    name = options.segment
    scene = demo_scene(name) if options.generator == "demo" else random_scene(int(options.generator), name)
    if options.area:
        scene = scene._replace(box=resized(scene, options.area))
    rows = list(drawing_rows(scene)) + ([] if options.area else list(composite_rows(scene)))
    ratios, whole = measure(rows, options.rounds)
    share = scene.box.area / scene.generator.size_at().area
    print(f"{options.generator}, {name}: a box of {share:.1%}; the whole picture: {whole:.3f} s\n")
    cells = [
        [row.name, f"{ratio:.3f}", "" if row.macs is None else f"{row.macs:.3f}"]
        for row, ratio in zip(rows, ratios, strict=True)
    ]
    print(markdown(("a changed strength", "CPU time", "multiply-adds"), cells))
    if options.json:
        with options.json.open("a") as file:
            for row, ratio in zip(rows, ratios, strict=True):
                entry = {"generator": options.generator, "segment": name, "area": share}
                file.write(
                    json.dumps(entry | {"row": row.name, "cpu": ratio, "macs": row.macs, "whole": whole})
                    + "\n"
                )


def demo_scene(name: str) -> Scene:
    """A demo photo's segments, drawn by the demo generator."""
    photo = demo_photo(5000)
    masks = segments_from_label_map(photo.labels, LABEL_NAMES, grow=4, feather=1.5)
    return scene_of(load_generator("demo"), masks, photo.image, name)


def random_scene(resolution: int, name: str) -> Scene:
    """A portrait's segments, drawn by a network of the papers' size with random weights."""
    synthesis = seeded_network(resolution)
    mapping = MappingNetwork(z_dim=512, w_dim=512, num_ws=synthesis.num_ws, num_layers=8)
    photo = torch.rand(1, 3, resolution, resolution, generator=torch.Generator().manual_seed(1)) * 2 - 1
    generator = Generator(GeneratorModule(mapping, synthesis), fingerprint="random")
    return scene_of(generator, portrait_segments(resolution), photo, name)


def scene_of(generator: Generator, masks: SegmentMasks, photo: torch.Tensor, name: str) -> Scene:
    rng = torch.Generator().manual_seed(2)
    codes = generator.w_avg + torch.randn(len(masks), generator.num_ws, generator.w_dim, generator=rng) * 0.3
    segments = [
        SegmentCode(one, mask[None], LatentCode("w+", code[None]))
        for one, mask, code in zip(masks.names, masks.masks, codes, strict=True)
    ]
    inversion = Inversion(photo, segments, masks.static, generator.fingerprint)  # type: ignore[arg-type]
    segment = inversion.segments[name]
    return Scene(generator, inversion, segment, mask_box(segment.mask))


def resized(scene: Scene, area: float) -> Box:
    """The segment's box, made larger or smaller around its middle until it is that share of the picture."""
    size, factor = scene.generator.size_at(), (area * scene.generator.size_at().area / scene.box.area) ** 0.5
    return scene.box.resized(round(scene.box.height * factor), round(scene.box.width * factor), size)


def drawing_rows(scene: Scene) -> Iterator[Row]:
    generator, inversion, segment, box = scene
    whole = generator.cost().macs
    code = segment.code.tensor
    yield Row("the whole picture", lambda: generator.synthesis(code), 1.0)
    for first in FIRST_LAYERS:
        kept, edits = Renderings(generator), changing_edits(scene, first)
        style = first_style(generator, first)
        yield Row(
            f"the segment's box, layers from {first}",
            lambda kept=kept, edits=edits: kept.draw(inversion, segment, [next(edits)], box),  # type: ignore[misc]
            generator.cost(box, first_layer=style).macs / whole,
        )


def composite_rows(scene: Scene) -> Iterator[Row]:
    generator, inversion, *_ = scene
    edits = changing_edits(scene, 0)
    yield Row("composite, anew", lambda: composite(generator, inversion.with_edits(next(edits))), None)
    for first in FIRST_LAYERS:
        for mode, detail in (("seam only", "keep and move"), ("soft blend", "off")):
            kept, edits = Renderings(generator), changing_edits(scene, first)
            yield Row(
                f"composite, kept, layers from {first}, {mode}, detail {detail}",
                lambda kept=kept, edits=edits, mode=mode, detail=detail: composite(  # type: ignore[misc]
                    generator, inversion.with_edits(next(edits)), kept=kept, mode=mode, keep_detail=detail
                ),
                None,
            )


def changing_edits(scene: Scene, first: int) -> Iterator[Edit]:
    """Of the segment, from a layer of W+ on, each with another strength."""
    generator = scene.generator
    tensor = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(3)) * 0.1
    layers = tuple(range(first, generator.num_ws)) if first else ()
    for number in count(1):
        yield Edit(Direction("any", "w", tensor), 1 + number / 100, (scene.segment.name,), layers)


def first_style(generator: Generator, layer: int) -> int:
    """The first place in `style_layout` that a layer of W+ reaches: the RGB output of the resolution below, if any."""
    convolutions = [place for place, (name, _) in enumerate(generator.style_layout) if "conv" in name]
    place = convolutions[layer]
    return place - (place > 0 and generator.style_layout[place - 1][0].endswith("torgb"))


@torch.no_grad()
def measure(rows: list[Row], rounds: int) -> tuple[list[float], float]:
    """The median ratio of each row to the first, and the first one's median in seconds."""
    seconds: list[list[float]] = [[] for _ in rows]
    for _ in range(rounds + 2):  # the features below are kept from the second on
        for row, timings in zip(rows, seconds, strict=True):
            start = time.process_time()
            row.call()
            timings.append(time.process_time() - start)
    whole = seconds[0][2:]
    ratios = [median(one / other for one, other in zip(each[2:], whole, strict=True)) for each in seconds]
    return ratios, median(whole)


if __name__ == "__main__":
    main()
