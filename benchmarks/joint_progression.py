"""Pictures of masks and codes that are optimized together (as Subrtova et al. 2022, figure 3), and of a turned head.

    python benchmarks/joint_progression.py --seed 9000 --steps 60 --out progression.png --edited yaw.jpg

One demo photo; X^S begins at the mean code, and without a warm-up all moves from the first step on. Each column shows
masks and picture as a step judges them, the last one the result. --edited: its composites with the head turned, masks
unmoved, as `follow` finds them by features, and those of X^S moved in the same direction; beside them the photo drawn
anew with the head turned. Printed of each: intersection over union of all parts' labels, of the background's and of
the hair's, squared error and perceptual distance to that.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.lone_cases import LOSS
from benchmarks.sheets import save_sheet
from benchmarks.uncovered import HEAD, overlaps, true_photo
from chunky_core.checkpoints import load_generator
from chunky_core.compositing import composite, mask_follower, with_followed_masks
from chunky_core.compositing.render import render
from chunky_core.demo.photos import Photo, demo_photo
from chunky_core.editing.directions import load_directions
from chunky_core.evaluation.metrics import lpips_distance, mse
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.images import to_uint8
from chunky_core.inversion import Edit, Inversion, ProjectionConfig, project, save_inversion
from chunky_core.inversion.hooks import default_hooks
from chunky_core.inversion.initialization import mean_latent
from chunky_core.inversion.objectives import LossAndGrads
from chunky_core.inversion.projection import Hook, Projection
from chunky_core.losses.perceptual import load_perceptual_network
from chunky_core.segments import SegmentMasks
from chunky_core.segments.blend import blend
from chunky_core.segments.mask_generator import MaskGenerator, load_mask_generator
from chunky_core.visualization.sheets import contact_sheet, segment_overlay

SHOWN = (1, 5, 9, 15, 23, 37)
YAW = 2.0
Panel = tuple[str, Tensor]


class Watched(Hook):
    """Masks and picture as some steps judge them."""

    def __init__(self) -> None:
        self.masks: list[Panel] = []
        self.pictures: list[Panel] = []

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        step, level, own = run.step + 1, run.stage.level, run.mask_code
        if step not in SHOWN or step == run.config.num_steps:
            return
        masks = level.masks
        if own is not None and own.moves:
            masks = replace(masks, masks=own.draw(level.size))
        picture = blend(level.photo, masks, found.crops, run.stage.objective.boxes)
        self.masks.append((f"step {step}", segment_overlay(picture, masks)))
        self.pictures.append((f"step {step}", picture))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=9000, help="of the photo")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, required=True, help="a PNG file, of 128 colors")
    parser.add_argument("--edited", type=Path, help="a JPEG or PNG file")
    parser.add_argument("--inversion", type=Path, help="keep the inversion in this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator, finder = load_generator("demo", device="cpu"), load_mask_generator("demo")
    photo = demo_photo(options.seed)
    found, panels = progression(generator, finder, photo, options.steps)
    save_few_colors(contact_sheet(panels, columns=len(panels) // 2), options.out)
    if options.inversion:
        save_inversion(found, options.inversion)
    if options.edited:
        save_sheet(
            contact_sheet(turned(generator, finder, photo, options.seed, found), columns=5), options.edited
        )


def progression(
    generator: Generator, finder: MaskGenerator, photo: Photo, steps: int
) -> tuple[Inversion, list[Panel]]:
    """The result, and two rows: the photo and the masks; the photo and what is made of it."""
    config = ProjectionConfig(mode="joint", num_steps=steps, warmup=0.0, dilation=0, loss=LOSS)
    mean_code = LatentCode("w+", mean_latent(generator, "w+", 0))
    masks = finder.masks(generator, mean_code)
    watched = Watched()
    hooks = [*default_hooks(config), watched]
    found = project(generator, photo.image, masks, config, hooks=hooks, mask_generator=finder)
    picture, last = render(generator, found), f"step {steps}"
    upper = [("photo", photo.image), *watched.masks, (last, segment_overlay(picture, found.masks))]
    lower = [("photo", photo.image), *watched.pictures, (last, picture)]
    return found, [*upper, *lower]


def turned(
    generator: Generator, finder: MaskGenerator, photo: Photo, seed: int, found: Inversion
) -> list[Panel]:
    """The photo, its composites with the head turned, and what they should be."""
    perceptual, truth = load_perceptual_network("demo"), true_photo(seed, "yaw", YAW)
    present = tuple(name for name in HEAD if name in found.names)
    edited = found.with_edits(Edit(load_directions("demo")["yaw"], YAW, present))
    panels = [("photo", photo.image)]
    ways = {"masks unmoved": False, "by features": True, "by X^S": mask_follower(generator, finder)}
    for title, follow in ways.items():
        picture = composite(generator, edited, mode="as needed", follow=follow)
        figures = [mse(picture, truth.image), lpips_distance(picture, truth.image, perceptual)]
        figures = overlaps(labels_of(generator, edited, follow), edited.names, truth, "hair") + figures
        print(json.dumps({title: [round(one, 4) for one in figures]}), flush=True)
        panels.append((title, picture))
    return [*panels, ("truth", truth.image)]


def labels_of(generator: Generator, edited: Inversion, follow: object) -> Tensor:
    """[N+1,H,W]: what of each pixel of the composite is whose; uncovered parts belong to those that they show."""
    own: SegmentMasks = edited.masks
    if not follow:
        return torch.cat([own.masks, own.static])[:, 0]
    moved = with_followed_masks(generator, edited, *([] if follow is True else [follow]))  # type: ignore[list-item]
    parts = torch.zeros_like(torch.cat([own.masks, own.static])[:, 0])
    for segment in moved.inversion.segments:
        name = moved.uncovered.get(segment.name, segment.name)
        parts[edited.names.index(name) if name in edited.names else -1] += segment.mask[0, 0]
    return parts


def save_few_colors(sheet: Tensor, path: Path) -> None:
    """A PNG file with a palette."""
    from PIL import Image

    pixels = Image.fromarray(to_uint8(sheet)[0].numpy())
    pixels.resize((pixels.width // 2, pixels.height // 2), Image.Resampling.LANCZOS).quantize(128).save(
        path, optimize=True
    )


if __name__ == "__main__":
    main()
