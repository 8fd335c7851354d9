"""Masks that are optimized with the codes (P2 eq. 2), against masks that stay: demo photos with nuisances.

    python benchmarks/joint_masks.py --photos 4 --steps 60 --rows results/joint_masks.jsonl

Every arm is a joint projection with one code for each segment, of the same steps and loss. "mean": the masks of the
mean face stay; "joint": they move by X^S, which sets out from the warm-up's code; "found": masks of `masks_of_photo`,
by the same loss, stay; "found joint": they move from its code; "true": the photo's own labels; "fitted": the nearest to
these that X^S can have, from that code (`fit_mask_code`), stay. Figures of the whole picture that is rendered:
perceptual and identity distance from the photo; and, of the masks, the share of pixels with the right label. A row is
appended as soon as it is measured, and skipped where the file holds it. One thread; process CPU time, that of finding
the masks included.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.automatic_masks import FIRST, foreign
from benchmarks.lone_cases import LOSS
from benchmarks.rows import Row, append_row, read_rows, row_key, versions
from chunky_core.boxes import Size
from chunky_core.checkpoints import load_generator
from chunky_core.compositing.render import render
from chunky_core.demo.photos import Photo, demo_photo
from chunky_core.demo.portraits import LABELS
from chunky_core.evaluation.metrics import both_networks, identity_distance, lpips_distance
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.inversion import Inversion, ProjectionConfig, project
from chunky_core.inversion.automatic_masks import QUICK, masks_of_photo
from chunky_core.inversion.generated_masks import GeneratedMasks, fit_mask_code
from chunky_core.inversion.initialization import mean_latent
from chunky_core.losses import LossConfig, load_networks
from chunky_core.segments import SegmentMasks
from chunky_core.segments.mask_generator import MaskGenerator, load_mask_generator

ARMS = ("mean", "joint", "found", "found joint", "fitted", "true")
FINDING = replace(QUICK, loss=LOSS)
FIGURES = ("perceptual", "identity", "right", "seconds")


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    generator, finder = load_generator("demo", device="cpu"), load_mask_generator("demo")
    config = ProjectionConfig(mode="joint", num_steps=options.steps, dilation=0, loss=LOSS)
    known = {row_key(row) for row in read_rows([options.rows])} if options.rows else set()
    fresh = []
    for seed, extras in [(FIRST + place, ()) for place in range(options.photos)] + foreign(
        options.out_of_domain
    ):
        photo = demo_photo(seed, extras=extras)
        for arm in options.arms.split(","):
            if (seed, extras, arm) in known:
                continue
            begun = time.process_time()
            found = projected(arm, generator, finder, photo, config)
            row: Row = {"seed": seed, "extras": list(extras), "arm": arm, "spec": options.steps}
            row |= {"settings": {**versions(generator), "first": FIRST}}
            row |= measured(generator, found, photo)
            row |= {"seconds": round(time.process_time() - begun, 1)}
            append_row(row, options.rows)
            fresh.append(row)
            print(json.dumps({"seed": seed, "arm": arm, **{one: row[one] for one in FIGURES}}), flush=True)
    report(read_rows([options.rows]) if options.rows else fresh)


def projected(
    arm: str, generator: Generator, finder: MaskGenerator, photo: Photo, config: ProjectionConfig
) -> Inversion:
    masks, more = masks_of_arm(arm, generator, finder, photo)
    return project(generator, photo.image, masks, config, **more)


def masks_of_arm(
    arm: str, generator: Generator, finder: MaskGenerator, photo: Photo
) -> tuple[SegmentMasks, Mapping[str, Any]]:
    """The masks that it starts with, and what lets them move."""
    if arm in ("true", "fitted"):
        labels = photo.labels.long()
        names = [LABELS[int(one)] for one in labels.unique()]
        parts = torch.stack([(labels == LABELS.index(name)).float() for name in names])[:, None]
        true = SegmentMasks(tuple(names), parts, torch.zeros_like(parts[:1]))
        if arm == "true":
            return true, {}
        start = masks_of_photo(generator, finder, photo.image, config=FINDING).code
        code = fit_mask_code(generator, finder, true, start=start)
        return GeneratedMasks(generator, finder, true.names, true.static).masks(code), {}
    if arm.startswith("found"):
        found = masks_of_photo(generator, finder, photo.image, config=FINDING)
        moving = {"mask_generator": finder, "mask_code": found.code}
        return found.masks, moving if arm == "found joint" else {}
    mean_code = LatentCode("w+", mean_latent(generator, "w+", 0))
    masks = finder.masks(generator, mean_code, size=Size(*photo.image.shape[-2:]))
    return masks, {"mask_generator": finder} if arm == "joint" else {}


def measured(generator: Generator, found: Inversion, photo: Photo) -> dict[str, float]:
    config = LossConfig(lpips=1.0, lpips_net="demo", identity=1.0, identity_net="demo")
    perceptual, identity = both_networks(load_networks(config), "this benchmark")
    picture, masks = render(generator, found), found.masks
    places = torch.tensor([LABELS.index(name) for name in masks.names])
    labels = places[masks.masks[:, 0].argmax(dim=0)]
    return {
        "perceptual": lpips_distance(picture, photo.image, perceptual),
        "identity": identity_distance(picture, photo.image, identity),
        "right": float((labels == photo.labels.long()).float().mean()),
    }


def report(rows: list[Row]) -> None:
    for arm in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == arm]
        figures = {one: round(mean(row[one] for row in own), 4) for one in FIGURES}
        print(json.dumps({"arm": arm, "photos": len(own), **figures}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--out-of-domain", type=int, default=0, help="further photos, with something foreign")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--arms", default=",".join(ARMS), help="separated by commas")
    parser.add_argument("--rows", type=Path, help="file of rows, which a further run goes on with")
    return parser.parse_args()


if __name__ == "__main__":
    main()
