"""Masks of photos in which nothing was painted: intersection over union with the true labels of held-out demo photos.

    python benchmarks/automatic_masks.py --photos 40 --steps 60 --rows results/automatic_masks.jsonl
    python benchmarks/automatic_masks.py --photos 4 --steps 60 --extras hat,hand --rows results/automatic_masks.jsonl
    python benchmarks/automatic_masks.py --photos 40 --perceptual --rows results/automatic_masks.jsonl
    python benchmarks/automatic_masks.py --photos 0 --out-of-domain 6 --rows results/automatic_masks.jsonl

Each photo has nuisances that the generator never saw, and parts that belong together under no code. Its row has the
IoU of every class that the truth or the masks show, and the CPU seconds. `mean` is over the classes of a photo,
then over the photos; `pooled` has intersections and unions of all photos added first. Pixels that extras cover count in
no class. Those out of domain are the photos of fidelity.py, each with other extras. Of all pixels that count: how the
uncertainty tells wrong ones (`mask_generator.telling`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.fidelity import FIRST_OUT_OF_DOMAIN, OUT_OF_DOMAIN
from benchmarks.lone_cases import LOSS
from benchmarks.mask_generator import telling
from benchmarks.rows import Row, append_row, read_rows, row_key, versions
from chunky_core.checkpoints import load_generator
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits import LABELS
from chunky_core.generator import Generator
from chunky_core.inversion import ProjectionConfig
from chunky_core.inversion.automatic_masks import QUICK, masks_of_photo
from chunky_core.segments.mask_generator import MaskGenerator, load_mask_generator

FIRST = 9000  # seeds from here on are of no training and no other benchmark
TOLD = ("errors in 10 %", "AUC")  # figures of the uncertainty


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    torch.set_num_threads(options.threads)
    generator = load_generator("demo", device="cpu")
    finder = load_mask_generator(options.mask_generator, generator=generator)
    settings = {**versions(generator), "mask_generator": str(options.mask_generator), "first": FIRST}
    known = {row_key(row) for row in read_rows([options.rows])} if options.rows else set()
    config = QUICK
    arm = f"{options.steps} steps"
    if options.perceptual:
        config, arm = replace(QUICK, loss=LOSS), f"{arm}, perceptual"
    fresh = []
    for seed, extras in photos(options):
        if (seed, extras, arm) in known:
            continue
        row: Row = {"seed": seed, "extras": list(extras), "arm": arm, "spec": options.steps}
        row |= {"settings": settings, **measured(generator, finder, seed, extras, options.steps, config)}
        append_row(row, options.rows)
        fresh.append(row)
        print(json.dumps({"seed": seed, "mean": round(mean(row), 3), "seconds": row["seconds"]}), flush=True)
    rows = read_rows([options.rows]) if options.rows else fresh
    chosen = set(photos(options))
    for name in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == name and (row["seed"], tuple(row["extras"])) in chosen]
        print(json.dumps(summary(name, own), indent=1))


def photos(options: argparse.Namespace) -> list[tuple[int, tuple[str, ...]]]:
    """Seeds and extras."""
    extras = tuple(options.extras.split(",")) if options.extras else ()
    return [(FIRST + place, extras) for place in range(options.photos)] + foreign(options.out_of_domain)


def foreign(count: int) -> list[tuple[int, tuple[str, ...]]]:
    """Seeds and extras of the first photos out of domain."""
    return [
        (FIRST_OUT_OF_DOMAIN + place, OUT_OF_DOMAIN[place % len(OUT_OF_DOMAIN)]) for place in range(count)
    ]


def measured(
    generator: Generator,
    finder: MaskGenerator,
    seed: int,
    extras: tuple[str, ...],
    steps: int,
    config: ProjectionConfig,
) -> dict[str, Any]:
    photo = demo_photo(seed, extras=extras)
    begun = time.process_time()
    found = masks_of_photo(generator, finder, photo.image, steps, config=config)
    seconds, truth = round(time.process_time() - begun, 2), photo.labels.long()
    judged = torch.isin(truth, known_labels(finder))
    places = torch.tensor([LABELS.index(name) if name in LABELS else -1 for name in finder.names])
    wrong = places[found.labels[0]] != truth
    told = telling(found.uncertainty[0, 0][judged], wrong[judged])
    told = {name: round(value, 3) for name, value in told.items()}
    return {"counts": counts(found.labels[0], truth, finder), "seconds": seconds, **told}


def known_labels(finder: MaskGenerator) -> Tensor:
    """The demo's labels that are classes of the mask generator."""
    return torch.tensor([index for index, name in enumerate(LABELS) if name in finder.names])


def counts(found: Tensor, truth: Tensor, finder: MaskGenerator) -> dict[str, list[int]]:
    """Class -> pixels in both, pixels in either; without classes that neither shows."""
    judged = torch.isin(truth, known_labels(finder))
    result = {}
    for place, name in enumerate(finder.names):
        if name not in LABELS:
            continue
        own, true = (found == place) & judged, truth == LABELS.index(name)
        either = int((own | true).sum())
        if either:
            result[name] = [int((own & true).sum()), either]
    return result


def mean(row: Row) -> float:
    return sum(both / either for both, either in row["counts"].values()) / len(row["counts"])


def summary(arm: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Figures of all photos; those of uncertainty are of the rows that have them."""
    pooled: dict[str, list[int]] = {}
    for row in rows:
        for name, (both, either) in row["counts"].items():
            old = pooled.get(name, [0, 0])
            pooled[name] = [old[0] + both, old[1] + either]
    by_class = {name: round(both / either, 3) for name, (both, either) in pooled.items()}
    told = {name: [row[name] for row in rows if name in row] for name in TOLD}
    return {
        "arm": arm,
        "photos": len(rows),
        "mean": round(sum(map(mean, rows)) / max(1, len(rows)), 3),
        "pooled": round(sum(by_class.values()) / max(1, len(by_class)), 3),
        "seconds": round(sum(row["seconds"] for row in rows) / max(1, len(rows)), 1),
        "classes": by_class,
        **{name: round(sum(ones) / len(ones), 3) for name, ones in told.items() if ones},
    }


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument(
        "--perceptual", action="store_true", help="compare by the demo's perceptual network, too"
    )
    parser.add_argument("--extras", default="", help="of demo photos, separated by commas")
    parser.add_argument("--out-of-domain", type=int, default=0, help="further photos, with something foreign")
    parser.add_argument("--mask-generator", default="demo", help='"demo" or the path of a file')
    parser.add_argument("--rows", type=Path, help="file of rows, which a further run goes on with")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
