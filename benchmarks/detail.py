"""What an edit does to a person, with and without the photo's detail, on held-out demo photos.

    python benchmarks/detail.py --cache out/projections [--photos 20] [--mode joint | --mixed] [--sheet detail.png]

The demo domain can draw the same photo with one attribute changed: the truth that an edit is compared with. Each of six
edits is made twice, on all segments and on those that it is about. Before: as composites were at first, all segments
replaced without detail, seams removed in full. Figures, means over the photos: distance of the identity to the photo's
and to the truth's (demo network); perceptual distance to the truth; seam error over a width of 6 pixels in grey levels;
share of 8-bit pixels that differ from the photo. Photos are projected once and kept (benchmarks/projections.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from projections import MIXED, projected
from timing import markdown

from chunky_core.checkpoints import load_generator
from chunky_core.compositing import composite
from chunky_core.demo.photos import demo_photo
from chunky_core.editing.directions import load_directions
from chunky_core.evaluation.metrics import identity_distance, lpips_distance
from chunky_core.evaluation.seam_visibility import seam_gradient_error
from chunky_core.generator import Generator
from chunky_core.images import save_image, to_uint8
from chunky_core.inversion import Edit, Inversion, ProjectionConfig
from chunky_core.losses.identity import load_identity_network
from chunky_core.losses.perceptual import load_perceptual_network
from chunky_core.visualization.sheets import contact_sheet

FIRST_SEED = 5000
EDITS: dict[str, tuple[float, tuple[str, ...]]] = {
    "smile": (2, ("mouth",)),
    "beard": (2, ("skin", "mouth")),
    "skin": (1, ("skin", "nose", "neck", "ears")),
    "hair_length": (1.5, ("hair",)),
    "age": (2, ("skin", "nose", "hair", "left_brow", "right_brow", "left_eye", "right_eye", "mouth")),
    "yaw": (1.5, ("all",)),
}
FIGURES = ("identity to photo", "identity to truth", "perceptual to truth", "seams", "pixels changed")
WAYS: dict[str, Callable[[Generator, Inversion], Tensor]] = {
    "before": partial(composite, replace="all segments", keep_detail="off", mode="full"),
    "off": partial(composite, keep_detail="off"),
    "keep": partial(composite, keep_detail="keep"),
    "keep and move": composite,
    "keep and move, full": partial(composite, mode="full"),
    "keep and move, soft blend": partial(composite, mode="soft blend"),
}
Rows = dict[tuple[str, str, str], list[list[float]]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--first", type=int, default=FIRST_SEED)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--mode", default="independent")
    parser.add_argument(
        "--mixed", action="store_true", help="mouth in S, eyes and brows in W, the rest in W+"
    )
    parser.add_argument(
        "--sheet", type=Path, help="a PNG file with the pictures of the edits of all segments"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    options = parser.parse_args()
    config = ProjectionConfig(
        mode=options.mode, num_steps=options.steps, spaces=MIXED if options.mixed else {}
    )
    work = partial(measured, config=config, cache=options.cache)
    seeds = range(options.first, options.first + options.photos)
    rows, panels = Rows(), []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for seed, (found, shown) in zip(seeds, pool.map(work, seeds), strict=True):
            for key, figures in found.items():
                rows.setdefault(key, []).extend(figures)
            panels += shown
            print(f"photo {seed} done", file=sys.stderr, flush=True)
    for scope in ("all segments", "its own segments"):
        print(f"\nEdits of {scope}\n\n{tables(rows, scope)}")
    if options.sheet:
        save_image(contact_sheet(panels, columns=2 + len(WAYS)), options.sheet)


def measured(seed: int, config: ProjectionConfig, cache: Path) -> tuple[Rows, list[tuple[str, Tensor]]]:
    """The figures of all edits of one photo, and the pictures."""
    torch.set_num_threads(1)
    bench, rows, panels = Bench(), Rows(), []
    inversion = projected(bench.generator, seed, config, cache)
    for name in EDITS:
        panels += bench.measure(rows, seed, inversion, name)
    return rows, panels


class Bench:
    """The generator, its directions, and the networks that judge."""

    def __init__(self) -> None:
        self.generator, self.directions = load_generator("demo"), load_directions("demo")
        self.identity, self.perceptual = load_identity_network("demo"), load_perceptual_network("demo")

    def measure(self, rows: Rows, seed: int, inversion: Inversion, name: str) -> list[tuple[str, Tensor]]:
        """Append the figures of one edit of one photo; returns its pictures where all segments are edited."""
        photo, (strength, own) = inversion.backdrop(), EDITS[name]
        present = tuple(one for one in own if one in (*inversion.names, "all"))
        shown = []
        for scope, segments in (("all segments", ("all",)), ("its own segments", present)):
            edited = inversion.with_edits(Edit(self.directions[name], strength, segments))
            truth = self.truth(seed, edited, name, strength)
            pictures = {"truth": truth} | {title: way(self.generator, edited) for title, way in WAYS.items()}
            for title, picture in pictures.items():
                figures = self.figures(picture, photo, truth, inversion)
                rows.setdefault((scope, title, name), []).append(figures)
            if scope == "all segments":
                shown = [(f"{seed}", photo), *((f"{name}: {title}", one) for title, one in pictures.items())]
        return shown

    def truth(self, seed: int, edited: Inversion, name: str, strength: float) -> Tensor:
        """The photo with the attribute changed, where the edited segments are."""
        photo = edited.backdrop()
        changed = demo_photo(seed, resolution=photo.shape[-1], changes={name: strength}).image
        named = edited.masks.resolve(edited.edits[0].segments)
        weight = sum(one.mask for one in edited.segments if one.name in named)
        return torch.lerp(photo, changed, torch.as_tensor(weight))

    def figures(self, picture: Tensor, photo: Tensor, truth: Tensor, inversion: Inversion) -> list[float]:
        """FIGURES of one picture."""
        return [
            identity_distance(picture, photo, self.identity),
            identity_distance(picture, truth, self.identity),
            lpips_distance(picture, truth, self.perceptual),
            127.5 * seam_gradient_error(photo, picture, inversion.masks, width=6),
            (to_uint8(picture) != to_uint8(photo)).any(-1).float().mean().item(),
        ]


def tables(rows: Rows, scope: str) -> str:
    """The means of all figures for each way, and the identity for each edit."""
    titles = ["truth", *WAYS]
    means = [[mean(one) for one in zip(*all_of(rows, scope, title), strict=True)] for title in titles]
    first = [[title, *(f"{value:.4f}" for value in row)] for title, row in zip(titles, means, strict=True)]
    second = [
        [title, *(f"{mean(one[0] for one in rows[scope, title, name]):.3f}" for name in EDITS)]
        for title in titles
    ]
    header = ["identity to photo", *(f"{name} {strength:g}" for name, (strength, _) in EDITS.items())]
    return f"{markdown(['', *FIGURES], first)}\n\n{markdown(header, second)}"


def all_of(rows: Rows, scope: str, title: str) -> list[list[float]]:
    return [figures for name in EDITS for figures in rows[scope, title, name]]


if __name__ == "__main__":
    main()
