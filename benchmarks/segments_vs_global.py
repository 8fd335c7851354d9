"""Segmented against global projection on held-out demo photos, at equal steps, seeds and losses.

    python benchmarks/segments_vs_global.py --photos 20 --steps 100 --space w+

The photos have nuisances that the generator never saw and parts that do not belong to one person. Global is one
all-ones segment; both run through the same code. Prints a markdown table and, with --json, writes the figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, median, stdev
from time import process_time

from chunky_core import load_generator
from chunky_core.compositing.render import render
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.evaluation.metrics import l2
from chunky_core.inversion import ProjectionConfig, project
from chunky_core.segments import segments_from_label_map, single

FIRST_SEED = 5000  # no other part of the project draws photos from here on


def compare(generator, seed: int, config: ProjectionConfig, extras: tuple[str, ...]) -> dict[str, float]:
    """L2 and CPU seconds of both ways on one photo."""
    photo = demo_photo(seed, resolution=generator.img_resolution, extras=extras)
    ways = {
        "global": single(tuple(photo.image.shape[-2:])),
        "segments": segments_from_label_map(photo.labels, LABEL_NAMES, grow=4, feather=1.5, gaps="static"),
    }
    row: dict[str, float] = {"seed": seed}
    for name, segments in ways.items():
        start = process_time()
        picture = render(generator, project(generator, photo.image, segments, config))
        row[f"{name}_seconds"] = process_time() - start
        row[f"{name}_l2"] = l2(picture, photo.image)
    row["ratio"] = row["segments_l2"] / row["global_l2"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first photo")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--space", default="w+")
    parser.add_argument(
        "--extras", default="", help="out-of-domain extras on every photo, separated by commas"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    generator = load_generator("demo")
    config = ProjectionConfig(space=options.space, steps=options.steps)
    extras = tuple(name for name in options.extras.split(",") if name)
    print("| photo | global L2 | segments L2 | ratio | CPU time segments / global |\n|---|---|---|---|---|")
    rows = []
    for seed in range(options.first, options.first + options.photos):
        row = compare(generator, seed, config, extras)
        rows.append(row)
        cost = row["segments_seconds"] / row["global_seconds"]
        print(
            f"| {seed} | {row['global_l2']:.5f} | {row['segments_l2']:.5f} | {row['ratio']:.3f} | {cost:.2f} |",
            flush=True,
        )
    ratios = [row["ratio"] for row in rows]
    print(
        f"\nsegments better on {sum(r < 1 for r in ratios)} of {len(ratios)}; ratio median {median(ratios):.3f}, "
        f"mean {mean(ratios):.3f}, worst {max(ratios):.3f}, sd {stdev(ratios) if len(ratios) > 1 else 0:.3f}"
    )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
