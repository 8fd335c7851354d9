"""What removing a seam costs a fit and an edit: every mode of the Poisson nodes on lone segments of demo photos.

    python benchmarks/poisson_fits.py --cache out/lone [--photos 7103 7112] [--rows rows.csv] [--sheet fits.png]

A lone segment (mouth, eyes, one brow, glasses, the whole face) is projected, with a hard and with a soft mask,
everything else static. Each is made once and kept. Three pictures are blended by every mode: the fit (no edit, the
segment redrawn without the photo's detail), compared with the photo, and an edit, with and without detail, compared
with the truth: the demo domain draws the same photo with that attribute changed. Figures: mean squared difference
within the mask (L2), perceptual distance within it and identity distance of the whole (demo networks), and the seam,
see `chunky_core.evaluation.seam_visibility`, of 1 and of 6 pixels in grey levels. The table has the ratios to the soft
blend's, which removes no seam: geometric means, the worst in brackets.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from timing import markdown

from chunky_core.boxes import Box
from chunky_core.checkpoints import load_generator
from chunky_core.compositing import composite
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.editing.directions import load_directions
from chunky_core.evaluation.metrics import identity_distance, lpips_distance, mse
from chunky_core.evaluation.seam_visibility import seam_gradient_error
from chunky_core.images import save_image
from chunky_core.inversion import (
    Edit,
    Inversion,
    ProjectionConfig,
    load_inversion,
    project,
    save_inversion,
)
from chunky_core.inversion.config import plain_settings
from chunky_core.losses import LossConfig
from chunky_core.losses.identity import load_identity_network
from chunky_core.losses.perceptual import load_perceptual_network
from chunky_core.segments import SegmentMasks, segments_from_label_map
from chunky_core.segments.masks import mask_box
from chunky_core.visualization.sheets import contact_sheet

PHOTOS = (7103, 7108, 7112, 7114)
FACE = ("skin", "nose", "mouth", "left_eye", "right_eye", "left_brow", "right_brow", "glasses")
# labels of the lone segments, and the edit that is measured on them
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, float]]] = {
    "mouth": (("mouth",), ("smile", 2)),
    "eyes": (("left_eye", "right_eye"), ("gaze_x", 2)),
    "brow": (("left_brow",), ("hair_colour", 1.5)),
    "glasses": (("glasses",), ("skin", 1)),
    "face": (FACE, ("age", 2)),
}
EDGES = {"hard": {"grow": 0, "feather": 0.0}, "soft": {"grow": 4, "feather": 1.5}}
WAYS: dict[str, dict[str, Any]] = {
    "soft blend": {"mode": "soft blend"},
    "full": {"mode": "full"},
    "seam only, 8": {"mode": "seam only", "band": 8},
    "colour shift only": {"mode": "colour shift only"},
    "as needed": {"mode": "as needed"},
}
PANEL = 192  # pixels a side
SMALLEST = 1e-6  # a figure below it counts as that, so that ratios stay numbers
FIGURES = ("L2", "perceptual", "identity", "seam 1 px", "seam 6 px")


@dataclass(frozen=True)
class Case:
    photo: int
    part: str
    edge: str


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    bench, found, panels = Bench(options.cache, options.steps), [], []
    for case in cases(options):
        inversion = bench.inversion(case)
        if options.fit_only:
            continue
        for kind, reference, pictures in bench.pictures(case, inversion):
            for way, picture in pictures.items():
                figures = bench.figures(picture, reference, inversion)
                found.append((case, kind, way, figures))
                if options.rows:
                    append_row(options.rows, (case.photo, case.part, case.edge, kind, way, *figures))
            if options.sheet:
                panels += bench.panels(case, kind, reference, pictures, inversion)
        print(f"{case} done", file=sys.stderr, flush=True)
    for kind in dict.fromkeys(one[1] for one in found):
        for edge in options.edges:
            print(
                f"\n{kind}, {edge}\n\n{table([one for one in found if (one[1], one[0].edge) == (kind, edge)])}"
            )
    if options.sheet:
        save_image(contact_sheet(panels, columns=1 + len(WAYS)), options.sheet)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder of the projections, made if absent")
    parser.add_argument("--photos", type=int, nargs="+", default=PHOTOS)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--edges", nargs="+", default=list(EDGES), choices=list(EDGES))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rows", type=Path, help="a CSV file to which every figure is appended")
    parser.add_argument("--sheet", type=Path, help="a PNG file with the pictures, cut to their segments")
    parser.add_argument("--fit-only", action="store_true", help="only fill the cache")
    return parser.parse_args()


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """All but the glasses of photos without any."""
    for photo in options.photos:
        labels = demo_photo(photo).labels
        for part in options.parts:
            present = {LABEL_NAMES[label] for label in labels.unique().tolist()}
            if present & set(PARTS[part][0]):
                yield from (Case(photo, part, edge) for edge in options.edges)


class Bench:
    """The generator, its directions, the networks that judge, and the folder of projections."""

    def __init__(self, cache: Path, steps: int) -> None:
        self.generator, self.directions = load_generator("demo"), load_directions("demo")
        self.identity, self.perceptual = load_identity_network("demo"), load_perceptual_network("demo")
        self.cache = cache
        loss = LossConfig(l2=1, lpips=1, lpips_net="demo")
        self.config = ProjectionConfig(num_steps=steps, learning_rate=0.05, loss=loss)

    def inversion(self, case: Case) -> Inversion:
        """Out of the folder, or made and kept there."""
        settings = json.dumps([plain_settings(self.config), self.generator.fingerprint], sort_keys=True)
        digest = hashlib.sha256(settings.encode()).hexdigest()[:12]
        path = self.cache / f"{case.photo}_{case.part}_{case.edge}_{digest}.safetensors"
        if not path.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            photo = demo_photo(case.photo, resolution=self.generator.img_resolution)
            made = project(self.generator, photo.image, lone_segments(photo.labels, case), self.config)
            save_inversion(replace(made, state=None), path)
        return load_inversion(path)

    def pictures(self, case: Case, inversion: Inversion) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
        """What is blended, what it is compared with, and the picture of every mode."""
        photo = inversion.backdrop()
        drawn = partial(composite, self.generator, replace="all segments")
        yield "fit", photo, {way: drawn(inversion, keep_detail="off", **how) for way, how in WAYS.items()}
        name, strength = PARTS[case.part][1]
        edited = inversion.with_edits(Edit(self.directions[name], strength, ("all",)))
        changed = demo_photo(case.photo, resolution=photo.shape[-1], changes={name: strength}).image
        truth = torch.lerp(photo, changed, 1 - inversion.static_mask)
        yield (
            "edit without detail",
            truth,
            {way: drawn(edited, keep_detail="off", **how) for way, how in WAYS.items()},
        )
        yield "edit with detail", truth, {way: drawn(edited, **how) for way, how in WAYS.items()}

    def figures(self, picture: Tensor, reference: Tensor, inversion: Inversion) -> list[float]:
        """FIGURES of one picture."""
        mask, masks = 1 - inversion.static_mask, inversion.masks
        return [
            mse(picture, reference, mask),
            lpips_distance(picture, reference, self.perceptual, mask),
            identity_distance(picture, reference, self.identity),
            *(127.5 * seam_gradient_error(reference, picture, masks, width=width) for width in (1, 6)),
        ]

    def panels(
        self, case: Case, kind: str, reference: Tensor, pictures: dict[str, Tensor], inversion: Inversion
    ) -> list[tuple[str, Tensor]]:
        """The reference and the pictures, cut to a square around the segment, all in one size."""
        top, left, bottom, right = mask_box(1 - inversion.static_mask, margin=12)
        side = max(bottom - top, right - left)
        window = Box(top, left, top + side, left + side)
        titles = {f"{case.photo} {case.part} {case.edge}, {kind}": reference, **pictures}
        return [(title, enlarged(picture, window)) for title, picture in titles.items()]


def lone_segments(labels: Tensor, case: Case) -> SegmentMasks:
    """One segment for each eye, one for any other part; the rest is static."""
    names = PARTS[case.part][0]
    merged = {
        label: case.part if case.part == "face" and name in names else name
        for label, name in LABEL_NAMES.items()
    }
    chosen = tuple(dict.fromkeys(merged[label] for label, name in LABEL_NAMES.items() if name in names))
    present = {merged[label] for label in labels.unique().tolist()}
    only = tuple(name for name in chosen if name in present)
    return segments_from_label_map(labels, merged, only=only, **EDGES[case.edge])  # type: ignore[arg-type]


def enlarged(picture: Tensor, window: Box) -> Tensor:
    top, left, bottom, right = window
    return F.interpolate(picture[..., top:bottom, left:right], (PANEL, PANEL), mode="nearest")


def append_row(path: Path, row: Sequence[object]) -> None:
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(row)


def table(found: Sequence[tuple[Case, str, str, list[float]]]) -> str:
    """A row for each part and way, its photos together."""
    base = {(case, kind): figures for case, kind, way, figures in found if way == "soft blend"}
    rows = []
    for part in dict.fromkeys(case.part for case, *_ in found):
        for way in WAYS:
            chosen = [
                (figures, base[case, kind])
                for case, kind, one, figures in found
                if (case.part, one) == (part, way)
            ]
            rows.append([part, way, *(ratios(chosen, index) for index in range(len(FIGURES)))])
    return markdown(["segment", "mode", *FIGURES], rows)


def ratios(pairs: Sequence[tuple[Sequence[float], Sequence[float]]], index: int) -> str:
    """Geometric mean of the ratios of one figure, the worst in brackets; of the soft blend itself the mean figure."""
    if all(figures is other for figures, other in pairs):
        return f"= {sum(figures[index] for figures, _ in pairs) / len(pairs):.4f}"
    found = [max(figures[index], SMALLEST) / max(other[index], SMALLEST) for figures, other in pairs]
    return f"{math.exp(sum(map(math.log, found)) / len(found)):.2f} ({max(found):.2f})"


if __name__ == "__main__":
    main()
