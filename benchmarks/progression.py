"""Pictures of projections: how they come about (as Subrtova et al. 2022, figure 3), and portraits out of domain.

    python benchmarks/progression.py --seed 5000 --out progression.jpg
    python benchmarks/progression.py --extras bindi,face_mask,odd_glasses,hand,hat --out out_of_domain.jpg --final

The first: one demo photo (with all the extras given), one code for the whole of it in the upper row, one per segment in
the lower row, after some numbers of steps of one and the same run; 0 is where it set out from. With --final: for each
of the extras a photo with it, and what one code in W+, segments in W+ and segments in S make of it in the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from chunky_core.checkpoints import load_generator
from chunky_core.compositing.render import render
from chunky_core.demo.photos import Photo, demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.evaluation.metrics import mse
from chunky_core.generator import Generator
from chunky_core.images import to_uint8
from chunky_core.inversion import ProjectionConfig, project
from chunky_core.losses import LossConfig
from chunky_core.segments import SegmentMasks, segments_from_label_map, single_segment
from chunky_core.visualization.sheets import contact_sheet, segment_overlay

SHOWN = (0, 5, 10, 25, 50, 100)
FINALS = (("global W+", "w+", True), ("ours W+", "w+", False), ("ours S", "s", False))

Panel = tuple[str, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=5000, help="of the photo, of the first one with --final")
    parser.add_argument("--extras", default="", help="separated by commas")
    parser.add_argument("--final", action="store_true", help="the sheet of out-of-domain portraits")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--lpips", type=float, default=1.0, help="weight of the perceptual loss; L2 has 1")
    parser.add_argument("--coarse", type=float, default=0.0, help="share of steps at lower resolution")
    parser.add_argument("--out", type=Path, required=True, help="a JPEG or PNG file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = load_generator("demo")
    losses = LossConfig(l2=1.0, lpips=options.lpips, lpips_net="demo")
    config = ProjectionConfig(space="w+", num_steps=options.steps, coarse=options.coarse, loss=losses)
    extras = [name for name in options.extras.split(",") if name]
    if options.final:
        photos = [demo_photo(options.seed + index, extras=(name,)) for index, name in enumerate(extras)]
        panels = [panel for photo in photos for panel in finals(generator, photo, config)]
        save(options.out, contact_sheet(panels, columns=1 + len(FINALS)))
    else:
        panels = progression(generator, demo_photo(options.seed, extras=extras), config)
        save(options.out, contact_sheet(panels, columns=len(panels) // 2))


def progression(generator: Generator, photo: Photo, config: ProjectionConfig) -> list[Panel]:
    """Two rows: the photo, then one code; its segments, then one code for each."""
    parts = parts_of(photo)
    shown = [step for step in SHOWN if step < config.num_steps] + [config.num_steps]
    panels: list[Panel] = []
    for title, first, segments in (
        ("global", ("photo", photo.image), single_segment(parts.size)),
        ("ours", ("segments", segment_overlay(photo.image, parts)), parts),
    ):
        frames = frames_of(generator, photo.image, segments, config, shown)
        panels += [first, *((f"{title}, step {step}", frames[step]) for step in shown)]
    return panels


def frames_of(
    generator: Generator,
    photo: Tensor,
    segments: SegmentMasks,
    config: ProjectionConfig,
    shown: Collection[int],
) -> dict[int, Tensor]:
    """The picture after each of the steps `shown` of one run; after the last one, the result's."""
    frames: dict[int, Tensor] = {}

    def callback(step: int, total: int, image: Tensor | None) -> None:
        if step - 1 in shown and image is not None:  # what step n judges is what n - 1 steps have made
            frames[step - 1] = image

    result = project(generator, photo, segments, config, callback=callback, preview_seconds=0)
    return {**frames, config.num_steps: render(generator, result)}


def finals(generator: Generator, photo: Photo, config: ProjectionConfig) -> list[Panel]:
    """One row: the photo and what becomes of it, with the L2 distance."""
    parts = parts_of(photo)
    panels: list[Panel] = [(", ".join(photo.extras), photo.image)]
    for title, space, whole in FINALS:
        segments = single_segment(parts.size) if whole else parts
        picture = render(generator, project(generator, photo.image, segments, replace(config, space=space)))
        panels.append((f"{title}, L2 {mse(picture, photo.image):.4f}", picture))
    return panels


def parts_of(photo: Photo) -> SegmentMasks:
    return segments_from_label_map(photo.labels, LABEL_NAMES, grow=4, feather=1.5, gaps="static")


def save(path: Path, sheet: Tensor) -> None:
    """The sheet as a JPEG or PNG file, by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = cv2.cvtColor(to_uint8(sheet)[0].numpy(), cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90]):
        sys.exit(f"{path} could not be written; give a .jpg or .png file in a folder that can be written to")


if __name__ == "__main__":
    main()
