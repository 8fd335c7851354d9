"""Masks of photos in which nothing was painted: intersection over union with the true labels of held-out demo photos.

    python benchmarks/automatic_masks.py --photos 40 --steps 60 --rows results/automatic_masks.jsonl
    python benchmarks/automatic_masks.py --photos 40 --steps 60 --extras hat,hand --rows results/automatic_masks.jsonl

Each photo has nuisances that the generator never saw, and parts that belong together under no code. Its row has the
IoU of every class that the truth or the masks show, and the CPU seconds. `mean` is over the classes of a photo,
then over the photos; `pooled` has intersections and unions of all photos added first. Pixels that extras cover count in
no class.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.rows import Row, append_row, read_rows, row_key, versions
from chunky_core.checkpoints import load_generator
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.portraits import LABELS
from chunky_core.inversion.automatic_masks import masks_of_photo
from chunky_core.segments.mask_generator import MaskGenerator, load_mask_generator

FIRST = 9000  # seeds from here on are of no training and no other benchmark


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    generator = load_generator("demo", device="cpu")
    finder = load_mask_generator(options.mask_generator, generator=generator)
    settings = {**versions(generator), "mask_generator": str(options.mask_generator), "first": FIRST}
    extras = tuple(options.extras.split(",")) if options.extras else ()
    known = {row_key(row) for row in read_rows([options.rows])} if options.rows else set()
    arm = f"{options.steps} steps"
    fresh = []
    for seed in range(FIRST, FIRST + options.photos):
        if (seed, extras, arm) in known:
            continue
        photo = demo_photo(seed, extras=extras)
        begun = time.process_time()
        found = masks_of_photo(generator, finder, photo.image, options.steps)
        row: Row = {
            "seed": seed,
            "extras": list(extras),
            "arm": arm,
            "spec": options.steps,
            "settings": settings,
        }
        row |= {"counts": counts(found.labels[0], photo.labels.long(), finder)}
        row |= {"seconds": round(time.process_time() - begun, 2)}
        append_row(row, options.rows)
        fresh.append(row)
        print(json.dumps({"seed": seed, "mean": round(mean(row), 3), "seconds": row["seconds"]}), flush=True)
    rows = read_rows([options.rows]) if options.rows else fresh
    for name in dict.fromkeys(row["arm"] for row in rows):
        report(name, [row for row in rows if row["arm"] == name and tuple(row["extras"]) == extras])


def counts(found: Tensor, truth: Tensor, finder: MaskGenerator) -> dict[str, list[int]]:
    """Class -> pixels in both, pixels in either; without classes that neither shows."""
    labels = dict(enumerate(LABELS))
    known = torch.tensor([index for index, name in labels.items() if name in finder.names])
    judged = torch.isin(truth, known)
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


def report(arm: str, rows: list[Row]) -> None:
    pooled: dict[str, list[int]] = {}
    for row in rows:
        for name, (both, either) in row["counts"].items():
            old = pooled.get(name, [0, 0])
            pooled[name] = [old[0] + both, old[1] + either]
    by_class = {name: round(both / either, 3) for name, (both, either) in pooled.items()}
    figures = {
        "arm": arm,
        "photos": len(rows),
        "mean": round(sum(map(mean, rows)) / max(1, len(rows)), 3),
        "pooled": round(sum(by_class.values()) / max(1, len(by_class)), 3),
        "seconds": round(sum(row["seconds"] for row in rows) / max(1, len(rows)), 1),
        "classes": by_class,
    }
    print(json.dumps(figures, indent=1))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--extras", default="", help="of demo photos, separated by commas")
    parser.add_argument("--mask-generator", default="demo", help='"demo" or the path of a file')
    parser.add_argument("--rows", type=Path, help="file of rows, which a further run goes on with")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
