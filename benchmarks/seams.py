"""Seam error of edited demo photos before and after each step that is to remove seams.

    python benchmarks/seams.py --cache out/seams [--photos 8] [--steps 30] [--sheet seams.png]

The edits make neighbours differ: another skin tone for the face alone, and a smile that outgrows the mouth. Each photo
is projected once and kept in the folder --cache. The figures are those of `chunky_core.evaluation.seam_visibility` in
grey levels of 255, mean ± standard deviation over the photos: with the boundaries as given, and after
Refine Boundaries has grown a segment to where its edit differs. "grown" are this segment's boundaries; "within" is the
same measure between neighbours of one segment, which no step is meant to change.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from projections import projected
from timing import markdown

from chunky_core.checkpoints import load_generator
from chunky_core.compositing import composite, render
from chunky_core.compositing.refine_boundaries import segment_speeds, with_masks
from chunky_core.compositing.render import render_segments
from chunky_core.editing.directions import load_directions
from chunky_core.editing.edits import parse_edit
from chunky_core.evaluation.fidelity import Spread
from chunky_core.evaluation.seam_visibility import interior_gradient_error, mean_error, seam_gradient_errors
from chunky_core.generator import Generator
from chunky_core.images import save_image
from chunky_core.inversion import Inversion, ProjectionConfig
from chunky_core.segments.edit_segments import STATIC
from chunky_core.segments.level_set import refine_segments
from chunky_core.visualization.sheets import contact_sheet

FIRST_SEED = 7000
EDITS = ["skin:skin=1.5", "mouth:smile=2"]
DISTANCE, CURVATURE = 16.0, 0.2  # of the level set
WIDTHS = (1, 6)
FIGURES = ("all", "toward photo", "between segments", "grown", "within")

Way = Callable[[Generator, Inversion], Tensor]


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    generator = load_generator("demo")
    edits = [parse_edit(text, load_directions("demo")) for text in options.edits]
    config = ProjectionConfig(space="w+", num_steps=options.steps, coarse=options.coarse)
    found: dict[int, dict[tuple[str, str], list[list[float]]]] = {width: {} for width in WIDTHS}
    panels: list[tuple[str, Tensor]] = []
    for seed in range(FIRST_SEED, FIRST_SEED + options.photos):
        given = projected(generator, seed, config, options.cache).with_edits(*edits)
        for boundaries, inversion in (
            ("as given", given),
            ("refined", refined(generator, given, options.grown)),
        ):
            for title, way in WAYS.items():
                picture = way(generator, inversion)
                for width, rows in found.items():
                    rows.setdefault((boundaries, title), []).append(
                        figures(picture, inversion, options.grown, width)
                    )
                panels.append((f"{title}, {boundaries}", picture))
        print(f"photo {seed} done", file=sys.stderr, flush=True)
    for width, rows in found.items():
        print(f"\nmeans of {width} pixels on either side:\n\n{table(rows)}")
    if options.sheet:
        save_image(contact_sheet(panels, columns=len(WAYS)), options.sheet)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--coarse", type=float, default=0.8, help="share of steps at lower resolution")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the projections, made if absent")
    parser.add_argument("--edits", nargs="+", default=EDITS, help="SEGMENTS:DIRECTION=STRENGTH")
    parser.add_argument("--grown", default="mouth", help="the edited segment, or a plural, that is refined")
    parser.add_argument("--sheet", type=Path, help="a PNG file with all pictures")
    return parser.parse_args()


def refined(generator: Generator, inversion: Inversion, grown: str) -> Inversion:
    speeds = segment_speeds(generator, inversion, [grown])
    segments = refine_segments(inversion.masks, speeds, distance=DISTANCE, signs=1, curvature=CURVATURE)
    return with_masks(inversion, segments, refined=speeds)


def hard_paste(generator: Generator, inversion: Inversion) -> Tensor:
    """Every pixel from what has the largest weight there."""
    picture, masks = inversion.backdrop().clone(), inversion.masks
    labels = torch.cat([masks.masks, masks.static]).argmax(dim=0)
    for index, (crop, box) in enumerate(zip(*render_segments(generator, inversion), strict=True)):
        view = picture[..., box.top : box.bottom, box.left : box.right]
        view[:] = torch.where(labels[:, box.top : box.bottom, box.left : box.right] == index, crop, view)
    return picture


ALL: dict[str, Any] = {"replace": "all segments", "keep_detail": "off"}
WAYS: dict[str, Way] = {
    "no edits, soft blend": partial(render, edited=False),
    "hard paste": hard_paste,
    "soft blend": render,
    "Poisson, full": partial(composite, mode="full", **ALL),
    "Poisson, between segments": partial(composite, mode="full", between=True, **ALL),
    "seam only": partial(composite, mode="seam only", band=16, **ALL),
    "seam only, between segments": partial(composite, mode="seam only", band=16, between=True, **ALL),
    "colour shift": partial(composite, mode="colour shift only", **ALL),
    "colour shift, between segments": partial(composite, mode="colour shift only", between=True, **ALL),
    "as needed": partial(composite, mode="as needed", **ALL),
    "as needed, between segments": partial(composite, mode="as needed", between=True, **ALL),
    "edited only, detail kept: soft blend": partial(composite, mode="soft blend"),
    "edited only, detail kept: seam only": composite,
    "edited only, detail kept: full": partial(composite, mode="full"),
    "edited only, detail kept: between segments": partial(composite, mode="full", between=True),
    "edited only, detail kept: colour shift": partial(composite, mode="colour shift only"),
    "edited only, detail kept: as needed": partial(composite, mode="as needed"),
}


def figures(picture: Tensor, inversion: Inversion, grown: str, width: int) -> list[float]:
    """FIGURES of one picture, in grey levels."""
    assert inversion.photo is not None
    masks = inversion.masks
    found = seam_gradient_errors(inversion.photo, picture, masks, width=width)
    around = set(masks.resolve([grown]))
    chosen = [
        found.values(),
        [seam for names, seam in found.items() if STATIC in names],
        [seam for names, seam in found.items() if STATIC not in names],
        [seam for names, seam in found.items() if around & set(names)],
    ]
    errors = [mean_error(some) for some in chosen]
    errors.append(interior_gradient_error(inversion.photo, picture, masks, width=width))
    return [127.5 * error for error in errors]


def table(found: Mapping[tuple[str, str], Sequence[Sequence[float]]]) -> str:
    """One row for each way, photos averaged."""
    rows = [
        [boundaries, title, *(rounded(Spread.of(values)) for values in zip(*by_photo, strict=True))]
        for (boundaries, title), by_photo in found.items()
    ]
    return markdown(["boundaries", "step", *FIGURES], rows)


def rounded(spread: Spread) -> str:
    return f"{spread.mean:.2f} ± {spread.deviation:.2f}"


if __name__ == "__main__":
    main()
