"""What inversions cost in edits: edited reconstructions against the photo drawn anew with the attribute changed.

    python benchmarks/editability.py --json edits.jsonl --photos 4 good='{"preset": "good"}' s='{"space": "s"}'
    python benchmarks/editability.py --report edits.jsonl

The demo domain draws the same photo with one attribute changed: the truth. Of the two signs that one is taken that
changes the photo more. Every arm (NAME=JSON, see arms.py; "reference" = one code in W+, is always there) inverts each
photo, all its codes are moved by 0 to 2 times the nominal strength, and the pictures are measured
(`chunky_core.evaluation.editability`): the rendering alone, nothing kept of the photo, and the composite.

A gain is pooled over the photos, sum of <change, true change> / sum of |true change|^2, by direction. Photos count in a
direction where the reference has a gain of 0.3 or more: elsewhere the plain code, too, shows no such edit. Arms are
compared at equal gain: each at that multiple of the nominal strength at which it has the gain of the reference at 1,
the one nearest 1 of several (figures between two multiples are interpolated). "+" marks directions in which an arm
never gets there, and shows it at its highest gain. Seams are in grey levels, of unedited pictures against the photo.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.arms import Arm, Inverter, Subject, UnavailableError, named_arm
from benchmarks.editability_report import MULTIPLES, NOMINAL, REFERENCE, report
from benchmarks.rows import Row, append_row, check_rows, read_rows, row_key, versions
from chunky_core.checkpoints import load_generator
from chunky_core.compositing import composite, render
from chunky_core.demo.photos import demo_photo
from chunky_core.editing.directions import load_directions
from chunky_core.evaluation.editability import SEAM_WIDTH, measure_edit
from chunky_core.evaluation.fidelity import measure_fidelity
from chunky_core.evaluation.seam_visibility import seam_gradient_error
from chunky_core.generator import Generator
from chunky_core.inversion import Edit, Inversion
from chunky_core.losses import LossConfig, load_networks

FIRST_SEED = 5000
REFERENCE_ARM: dict[str, Any] = {"whole": True, "num_steps": 100}
LOSS = LossConfig(l2=1.0, lpips=1.0, lpips_net="demo")
WAYS = ("rendering", "composite")


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    if options.report:
        print(report(read_rows(options.report)))
        return
    bench = Bench(load_generator("demo"), options.composites, options.cache)
    rows = read_rows([options.json]) if options.json else []
    done = {row_key(row) for row in rows}
    arms = {REFERENCE: REFERENCE_ARM, **dict(options.arms)}
    for seed in range(options.first, options.first + options.photos):
        subject = Subject.drawn(seed)
        for name, plain in arms.items():
            if (seed, (), name) in done:
                continue
            try:
                row = bench.row(subject, name, Arm.from_plain(plain))
            except UnavailableError as error:
                print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
                continue
            check_rows([*rows, row])
            rows.append(row)
            append_row(row, options.json)
            print(f"{seed}  {name:16} {row['seconds']:.1f} s", file=sys.stderr, flush=True)
    print(report(rows))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arms", nargs="*", type=named_arm, help="NAME=JSON")
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first photo")
    parser.add_argument("--composites", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cache", type=Path, help="folder in which inversions are kept")
    parser.add_argument("--json", type=Path, help="JSON lines: read, then added to")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    return parser.parse_args(arguments)


class Bench:
    """The generator, its directions, and the networks that judge."""

    def __init__(self, generator: Generator, composites: bool, cache: Path | None) -> None:
        self.generator, self.directions = generator, load_directions("demo")
        self.networks = load_networks(
            LossConfig(lpips=1.0, lpips_net="demo", identity=1.0, identity_net="demo")
        )
        self.ways = WAYS if composites else WAYS[:1]
        self.inverter = Inverter(generator, LOSS, cache)
        self.settings = {**versions(generator), "loss": asdict(LOSS), "ways": list(self.ways)}

    def row(self, subject: Subject, name: str, arm: Arm) -> Row:
        """All figures of one arm on one photo. Raises UnavailableError."""
        spec = arm.described()
        inversion, seconds = self.inverter.invert(arm, subject)
        photo, unedited = subject.photo.image, {way: self.drawn(way, inversion) for way in self.ways}
        seams = {
            way: seam_gradient_error(photo, picture, subject.parts, width=SEAM_WIDTH)
            for way, picture in unedited.items()
        }
        return {
            "seed": subject.seed,
            "extras": list(subject.extras),
            "arm": name,
            "spec": spec,
            "settings": self.settings,
            "seconds": seconds,
            "fidelity": asdict(measure_fidelity(photo, unedited["rendering"], subject.parts, self.networks)),
            "unedited_seams": seams,
            "edits": {one: self.edit(subject, inversion, unedited, one) for one in NOMINAL},
        }

    def edit(
        self, subject: Subject, inversion: Inversion, unedited: Mapping[str, Tensor], name: str
    ) -> dict[str, Any]:
        """The figures of one direction at all strengths."""
        photo = subject.photo.image
        truths = {
            sign: demo_photo(
                subject.seed,
                resolution=photo.shape[-1],
                extras=subject.extras,
                changes={name: sign * NOMINAL[name]},
            ).image
            for sign in (1, -1)
        }
        sizes = {sign: (truth - photo).square().mean().item() for sign, truth in truths.items()}
        sign = max(sizes, key=lambda one: sizes[one])
        figures: dict[str, list[Any]] = {way: [] for way in self.ways}
        for multiple in MULTIPLES:
            edit = Edit(self.directions[name], sign * multiple * NOMINAL[name])
            for way, before in unedited.items():
                picture = self.drawn(way, inversion.with_edits(edit)) if multiple else before
                found = measure_edit(photo, truths[sign], before, picture, subject.parts, self.networks)
                figures[way].append(asdict(found))
        return {"sign": sign, "size": sizes[sign], **figures}

    def drawn(self, way: str, inversion: Inversion) -> Tensor:
        return (render if way == "rendering" else composite)(self.generator, inversion)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
