"""A picture of how projections come about (as Subrtova et al. 2022, figure 3).

    python benchmarks/progression.py --seed 5000 --out progression.jpg

One demo photo (with all the extras given), one code for the whole of it in the upper row, one per segment in the lower
row, after some numbers of steps of one and the same run; 0 is where it set out from.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.sheets import save_sheet
from chunky_core.checkpoints import load_generator
from chunky_core.compositing.render import render
from chunky_core.demo.photos import Photo, demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.generator import Generator
from chunky_core.inversion import ProjectionConfig, project
from chunky_core.losses import LossConfig
from chunky_core.segments import SegmentMasks, segments_from_label_map, single_segment
from chunky_core.visualization.sheets import contact_sheet, segment_overlay

SHOWN = (0, 5, 10, 25, 50, 100)

Panel = tuple[str, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=5000, help="of the photo")
    parser.add_argument("--extras", default="", help="separated by commas")
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
    panels = progression(generator, demo_photo(options.seed, extras=extras), config)
    save_sheet(contact_sheet(panels, columns=len(panels) // 2), options.out)


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


def parts_of(photo: Photo) -> SegmentMasks:
    return segments_from_label_map(photo.labels, LABEL_NAMES, grow=4, feather=1.5, gaps="static")


if __name__ == "__main__":
    main()
