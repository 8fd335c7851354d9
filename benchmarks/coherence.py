"""Seams of strong edits before and after Harmonize Segments, against the photo drawn anew with the attribute changed.

    python benchmarks/projections.py --cache out/own --photos 8
    python benchmarks/coherence.py --inversions 'out/own/{seed}_*.safetensors' --photos 8 --json coherence.jsonl
    python benchmarks/coherence.py --report coherence.jsonl

Demo photos, inverted with a code of its own for every segment; all segments are edited, or those that --edits names
(SEGMENTS:DIRECTION=STRENGTH, of the two signs that one which changes the photo more). Figures, in grey levels of 255:

jump: how far the changes that neighbours make are from one another at the pixels of their border, |D_i - D_j|, D the
    edited rendering minus the unedited one; toward what is static |D_i|. This is the seam itself, whatever is drawn.
seam 1, 6: `seam_gradient_error` against the truth between segments, with 1 and 6 pixels on either side; in brackets the
    same within segments, where no seam is: what grain, misfit and a displaced edit amount to. "hard" is every pixel
    from the segment with the largest weight, detail kept; "soft" and "Poisson" are `composite` without and with Poisson
    between segments; "rendering" is `render`, nothing kept of the photo.
gain: `edit_gain` of the composite against the truth. identity: the composite's distance to the truth's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.rows import Row, append_row, read_rows, versions
from benchmarks.timing import markdown
from chunky_core.checkpoints import load_generator
from chunky_core.compositing import composite, harmonize, render
from chunky_core.compositing.harmonize import HOLD, STEPS
from chunky_core.compositing.poisson import AXES, shifted_pairs
from chunky_core.compositing.render import render_segments
from chunky_core.demo.photos import demo_photo
from chunky_core.editing.directions import load_directions
from chunky_core.editing.edits import parse_edit
from chunky_core.evaluation.editability import edit_gain
from chunky_core.evaluation.metrics import both_networks, identity_distance
from chunky_core.evaluation.seam_visibility import (
    interior_gradient_error,
    mean_error,
    seam_gradient_errors,
)
from chunky_core.generator import Generator
from chunky_core.images import save_image
from chunky_core.inversion import Inversion, load_inversion
from chunky_core.losses import LossConfig, load_networks
from chunky_core.segments.edit_segments import STATIC
from chunky_core.visualization.sheets import contact_sheet

FIRST_SEED = 5000
EDITS = ("age=2.5", "yaw=2.5")
LEVELS = 127.5
BEYOND = 3  # pixels around a mask that are drawn, more than a border is wide
SEAMS = ("hard", "soft", "Poisson", "rendering")
ARMS = ("edited", "harmonized")


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    if options.report:
        print(report(read_rows(options.report)))
        return
    bench = Bench(load_generator("demo"), {"steps": options.steps, "hold": options.hold})
    rows = read_rows([options.json]) if options.json else []
    done = {(row["seed"], row["arm"]) for row in rows}
    panels: list[tuple[str, Tensor]] = []
    for seed in range(options.first, options.first + options.photos):
        for edit in options.edits:
            if (seed, edit) in done:
                continue
            row = bench.row(seed, stored(options.inversions, seed), edit, panels)
            rows.append(row)
            append_row(row, options.json)
            print(f"{seed} {edit}  {row['seconds']:.1f} s", file=sys.stderr, flush=True)
    print(report(rows))
    if options.sheet and panels:
        save_image(contact_sheet(panels, columns=4), options.sheet)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inversions", help="files, with {seed} and * for what differs")
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first photo")
    parser.add_argument("--edits", nargs="+", default=EDITS, help="[SEGMENTS:]DIRECTION=STRENGTH")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--hold", type=float, default=HOLD)
    parser.add_argument("--json", type=Path, help="JSON lines: read, then added to")
    parser.add_argument("--sheet", type=Path, help="a picture file with what was made")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    return parser.parse_args(arguments)


def stored(pattern: str, seed: int) -> Inversion:
    path = Path(pattern.format(seed=seed))
    found = sorted(path.parent.glob(path.name))
    if len(found) != 1:
        sys.exit(f"{len(found)} files are {path}; expected one")
    return load_inversion(found[0])


class Bench:
    """The generator, its directions, and the networks that judge."""

    def __init__(self, generator: Generator, options: Mapping[str, Any]) -> None:
        self.generator, self.options, self.directions = generator, options, load_directions("demo")
        self.networks = load_networks(
            LossConfig(lpips=1.0, lpips_net="demo", identity=1.0, identity_net="demo")
        )
        self.settings = {**versions(generator), **options}

    def row(self, seed: int, inversion: Inversion, text: str, panels: list[tuple[str, Tensor]]) -> Row:
        asked = parse_edit(text, self.directions)
        name, photo = asked.direction.name, inversion.backdrop()
        truths = {
            value: demo_photo(seed, resolution=photo.shape[-1], changes={name: value}).image
            for value in (asked.strength, -asked.strength)
        }
        value = max(truths, key=lambda one: (truths[one] - photo).square().mean().item())
        edited = inversion.with_edits(replace(asked, strength=value))
        start = process_time()
        harmonized = harmonize(
            self.generator, edited, num_steps=self.options["steps"], hold=self.options["hold"]
        )
        seconds = process_time() - start
        shown: dict[str, Tensor] = {"photo": photo, "truth": truths[value]}
        figures = {
            arm: self.figures(one, truths[value], shown, arm)
            for arm, one in zip(ARMS, (edited, harmonized), strict=True)
        }
        panels += [(f"{seed}, {name} {value:+g}: {title}", picture) for title, picture in shown.items()]
        return {
            "seed": seed,
            "extras": [],
            "arm": text,
            "spec": {"direction": name, "strength": asked.strength},
            "settings": self.settings,
            "value": value,
            "seconds": seconds,
            **figures,
        }

    def figures(
        self, inversion: Inversion, truth: Tensor, shown: dict[str, Tensor], arm: str
    ) -> dict[str, Any]:
        photo, masks = inversion.backdrop(), inversion.masks
        pictures = changed_pictures(self.generator, inversion)
        soft = composite(self.generator, inversion, mode="soft blend")
        drawn = {
            "hard": hard_paste(pictures, inversion),
            "soft": soft,
            "Poisson": composite(self.generator, inversion, mode="full", between=True),
            "rendering": render(self.generator, inversion),
        }
        shown[arm] = drawn["hard"]
        _, identity = both_networks(self.networks, "coherence")
        found: dict[str, Any] = {
            "jump": border_jump(pictures, inversion, toward_static=False),
            "jump to photo": border_jump(pictures, inversion, toward_static=True),
            "gain": edit_gain(soft - photo, truth - photo),
            "identity": identity_distance(soft, truth, identity),
        }
        for title, picture in drawn.items():
            for width in (1, 6):
                seams = seam_gradient_errors(truth, picture, masks, width=width)
                between = mean_error(one for names, one in seams.items() if STATIC not in names)
                within = interior_gradient_error(truth, picture, masks, width=width)
                found[f"{title} {width}"] = [LEVELS * between, LEVELS * within]
        return found


def changed_pictures(generator: Generator, inversion: Inversion) -> list[Tensor]:
    """The photo with what each segment's edits change, [1,3,H,W]; the photo itself farther from its mask."""
    photo = inversion.backdrop()
    plain, boxes = render_segments(generator, inversion, edited=False, margin=BEYOND)
    edited, _ = render_segments(generator, inversion, margin=BEYOND)
    pictures = []
    for one, other, box in zip(plain, edited, boxes, strict=True):
        picture = photo.clone()
        picture[..., box.top : box.bottom, box.left : box.right] += other - one
        pictures.append(picture)
    return pictures


def owners(inversion: Inversion) -> Tensor:
    """[H,W]: the number of the segment with the largest weight; the last one is the static part."""
    masks = inversion.masks
    return torch.cat([masks.masks, masks.static]).argmax(dim=0)[0]


def hard_paste(pictures: Sequence[Tensor], inversion: Inversion) -> Tensor:
    index = owners(inversion)[None, None].expand(1, 3, -1, -1)
    return torch.gather(torch.cat([*pictures, inversion.backdrop()]), 0, index)


def border_jump(pictures: Sequence[Tensor], inversion: Inversion, *, toward_static: bool) -> float:
    """Mean distance of two neighbours' pictures at the pixels on either side of their border, in grey levels."""
    index, everything = owners(inversion), torch.cat([*pictures, inversion.backdrop()])
    last, total, count = len(pictures), 0.0, 0
    for axis in AXES:
        first, second = shifted_pairs(index, axis)
        touches_static = (first == last) | (second == last)
        border = (first != second) & (touches_static == toward_static)
        before, after = shifted_pairs(everything, axis)
        rows, columns = border.nonzero(as_tuple=True)
        mine, theirs = first[border], second[border]
        apart = (
            sum(side[mine, :, rows, columns] - side[theirs, :, rows, columns] for side in (before, after)) / 2
        )
        total += apart.abs().mean(dim=1).sum().item()
        count += len(mine)
    return LEVELS * total / max(count, 1)


def report(rows: Sequence[Row]) -> str:
    """A table for each edit: means over the photos."""
    tables = []
    for edit in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == edit]
        seconds = mean(row["seconds"] for row in own)
        title = f"{edit}, {len(own)} photos, {seconds:.1f} s of CPU time to harmonize"
        header = ["", "jump", "toward the photo", *(f"{one} {width}" for one in SEAMS for width in (1, 6))]
        lines = [line(own, arm) for arm in ARMS]
        tables.append(f"{title}\n\n{markdown([*header, 'gain', 'identity'], lines)}")
    return "\n\n".join(tables)


def line(rows: Sequence[Row], arm: str) -> list[str]:
    found = [row[arm] for row in rows]
    seams = []
    for title in SEAMS:
        for width in (1, 6):
            between, within = (mean(one[f"{title} {width}"][place] for one in found) for place in (0, 1))
            seams.append(f"{between:.2f} ({within:.2f})")
    jumps = [f"{mean(one[name] for one in found):.2f}" for name in ("jump", "jump to photo")]
    gain, identity = (mean(one[name] for one in found) for name in ("gain", "identity"))
    return [arm, *jumps, *seams, f"{gain:.3f}", f"{identity:.4f}"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
