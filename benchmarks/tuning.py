"""Pivotal tuning on demo photos: how small a delta may be for how good a fit, and what edits are worth afterwards.

    python benchmarks/tuning.py --photos 4 --json tuning.jsonl
    python benchmarks/tuning.py --report tuning.jsonl --curve docs/images/tuning.png

A pivot is one code for the whole photo in W+, or one for each segment; then the weights are tuned, in deltas of several
sizes (shares of the generator's bytes). Fit: L2, perceptual and identity distance of the reconstruction from the photo,
as ratios to the pivot's. Edits: each of the demo's directions at strengths -2 and 2, on all segments. Gain: what it
changes in the tuned picture, projected on what it changes in the untuned one, <d_tuned, d> / <d, d>; 1 = all of it.
Identity: distance of the edited picture's embedding from the photo's.

Every result is appended to the file at once, and those that it holds are skipped. One thread; process CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from timing import markdown

from chunky_core.checkpoints import load_generator
from chunky_core.compositing.render import render
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.demo.training.export import DIRECTIONS
from chunky_core.editing import load_directions
from chunky_core.evaluation.fidelity import FIGURES, measure_fidelity
from chunky_core.evaluation.metrics import identity_distance
from chunky_core.generator import Generator
from chunky_core.generator.weight_deltas import delta_bytes
from chunky_core.inversion import (
    Edit,
    Inversion,
    ProjectionConfig,
    TuningConfig,
    load_inversion,
    project,
    save_inversion,
    tune,
)
from chunky_core.losses import LossConfig, LossNetworks, load_networks
from chunky_core.segments import segments_from_label_map, single_segment

LOSS = LossConfig(l2=1.0, lpips=1.0, lpips_net="demo")
SIZES = (0.005, 0.01, 0.02, 0.04, 0.08, 1.0)
STRENGTHS = (-2.0, 2.0)
PIVOTS = ("global", "segments")

Row = dict[str, Any]  # one tuning of one photo


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    if options.report:
        rows = [json.loads(line) for line in options.report.read_text().splitlines()]
        print(report(rows))
        if options.curve:
            draw_curve(rows, options.curve)
        return
    generator = load_generator("demo")
    networks = load_networks(replace(LOSS, identity=1.0))
    done = (
        [json.loads(line) for line in options.json.read_text().splitlines()] if options.json.exists() else []
    )
    for seed in range(options.first, options.first + options.photos):
        for row in measured(generator, networks, seed, options, done):
            with options.json.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--first", type=int, default=5000, help="seed of the first photo")
    parser.add_argument("--pivots", nargs="+", choices=PIVOTS, default=PIVOTS)
    parser.add_argument(
        "--sizes", nargs="*", type=float, default=SIZES, help="shares of the generator's bytes"
    )
    parser.add_argument("--apart", action="store_true", help="also a delta for each segment, of all sizes")
    parser.add_argument(
        "--localities", nargs="*", type=float, default=[0.0], help="weights of the regularizer"
    )
    parser.add_argument("--rates", nargs="*", type=float, default=[TuningConfig().learning_rate])
    parser.add_argument("--steps", type=int, default=100, help="of the tuning")
    parser.add_argument("--pivot-steps", type=int, default=50)
    parser.add_argument("--edits", action="store_true", help="measure edits, too")
    parser.add_argument("--cache", type=Path, default=Path("tuning_pivots"), help="folder of the pivots")
    parser.add_argument(
        "--json", type=Path, default=Path("tuning.jsonl"), help="JSON lines: read, then added to"
    )
    parser.add_argument("--report", type=Path, help="only print the tables of this file")
    parser.add_argument("--curve", type=Path, help="with --report: draw the fit by size into this file")
    return parser.parse_args(arguments)


def measured(
    generator: Generator, networks: LossNetworks, seed: int, options: argparse.Namespace, done: Sequence[Row]
) -> Iterator[Row]:
    """All tunings of a photo that aren't done yet."""
    for kind in options.pivots:
        pivot = pivot_of(generator, seed, kind, options.pivot_steps, options.cache)
        before = fit(generator, pivot, networks)
        wanted = [
            {"size": size, "shared": shared, "locality": locality, "learning_rate": rate}
            for size in options.sizes
            for shared in ((True, False) if options.apart and kind == "segments" else (True,))
            for locality in options.localities
            for rate in options.rates
        ]
        for arm in wanted:
            key = {"seed": seed, "pivot": kind, "steps": options.steps, **arm}
            if any(key.items() <= row.items() for row in done):
                continue
            start = process_time()
            tuned = tune(generator, pivot, TuningConfig(num_steps=options.steps, loss=LOSS, **arm))
            seconds = process_time() - start
            after = fit(generator, tuned, networks)
            deltas = [tuned.delta, *(segment.delta for segment in tuned.segments)]
            yield {
                **key,
                "cpu": round(seconds, 1),
                "bytes": sum(map(delta_bytes, deltas)),
                "pivot_fit": before,
                "ratios": {name: after[name] / before[name] for name in FIGURES},
                "edits": edit_rows(generator, pivot, tuned, networks) if options.edits else [],
            }


def pivot_of(generator: Generator, seed: int, kind: str, steps: int, cache: Path) -> Inversion:
    """A demo photo's inversion in W+, out of the cache if it is there."""
    path = cache / f"{kind}_{seed}_{steps}.safetensors"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        photo = demo_photo(seed, resolution=generator.img_resolution)
        masks = single_segment((generator.img_resolution,) * 2)
        if kind == "segments":
            masks = segments_from_label_map(photo.labels, LABEL_NAMES, grow=4, feather=1.5)
        found = project(generator, photo.image, masks, ProjectionConfig(num_steps=steps, loss=LOSS))
        save_inversion(replace(found, state=None), path)
    return load_inversion(path)


def fit(generator: Generator, inversion: Inversion, networks: LossNetworks) -> dict[str, float]:
    assert inversion.photo is not None
    found = measure_fidelity(inversion.photo, render(generator, inversion), inversion.masks, networks)
    return {name: getattr(found, name) for name in FIGURES}


def edit_rows(
    generator: Generator, pivot: Inversion, tuned: Inversion, networks: LossNetworks
) -> list[dict[str, Any]]:
    """Gain and identity of each edit."""
    assert pivot.photo is not None and networks.identity is not None
    rows, directions = [], load_directions("demo")
    plain, plain_tuned = render(generator, pivot), render(generator, tuned)
    for name in DIRECTIONS:
        for strength in STRENGTHS:
            edit = Edit(directions[name], strength)
            pictures = [render(generator, one.with_edits(edit)) for one in (pivot, tuned)]
            identities = [identity_distance(one, pivot.photo, networks.identity) for one in pictures]
            rows.append(
                {
                    "direction": name,
                    "strength": strength,
                    "gain": gain(pictures[1] - plain_tuned, pictures[0] - plain),
                    "identity": identities[1],
                    "untuned_identity": identities[0],
                }
            )
    return rows


def gain(tuned: Tensor, untuned: Tensor) -> float:
    """How much of a change of the untuned picture the tuned one makes."""
    return float((tuned * untuned).sum() / untuned.square().sum())


def report(rows: Sequence[Row]) -> str:
    """Tables of means over the photos."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["pivot"], not row["shared"], row["size"], row["locality"])):
        key = (row["pivot"], row["shared"], row["size"], row["locality"], row["learning_rate"], row["steps"])
        groups.setdefault(key, []).append(row)
    fits, edits = [], []
    for (pivot, shared, size, locality, rate, steps), some in groups.items():
        name = [
            pivot,
            "shared" if shared else "apart",
            f"{size:.1%}",
            f"{locality:g}",
            f"{rate:g}",
            str(steps),
        ]
        ratios = [f"{mean(row['ratios'][figure] for row in some):.3f}" for figure in FIGURES]
        kilobytes = f"{mean(row['bytes'] for row in some) / 1000:.0f}"
        fits.append([*name, str(len(some)), kilobytes, *ratios, f"{mean(row['cpu'] for row in some):.0f}"])
        made = [edit for row in some for edit in row["edits"]]
        if made:
            gains = [edit["gain"] for edit in made]
            identities = [mean(edit[key] for edit in made) for key in ("untuned_identity", "identity")]
            edits.append(
                [*name, f"{mean(gains):.3f}", f"{min(gains):.3f}", *(f"{one:.3f}" for one in identities)]
            )
    head = ["pivot", "delta", "size", "locality", "rate", "steps"]
    tables = [markdown([*head, "photos", "kB", *FIGURES, "CPU s"], fits)]
    if edits:
        tables.append(
            markdown([*head, "gain, mean", "gain, worst", "identity untuned", "identity tuned"], edits)
        )
    return "\n\n".join(tables)


def draw_curve(rows: Sequence[Row], path: Path) -> None:
    """The three ratios by size, a panel for each pivot that has rows."""
    from matplotlib.figure import Figure

    own = [row for row in rows if row["shared"] and not row["locality"]]
    pivots = [pivot for pivot in PIVOTS if any(row["pivot"] == pivot for row in own)]
    figure = Figure(figsize=(4.8 * len(pivots), 3.4), layout="constrained")
    panels = figure.subplots(1, len(pivots), sharey=True, squeeze=False)[0]
    for axes, pivot in zip(panels, pivots, strict=True):
        sizes = sorted({row["size"] for row in own if row["pivot"] == pivot})
        for name in FIGURES:
            values = [
                mean(row["ratios"][name] for row in own if (row["pivot"], row["size"]) == (pivot, size))
                for size in sizes
            ]
            axes.plot([100 * size for size in sizes], values, "o-", label=name)
        title = f"pivot: {pivot}"
        axes.set(
            xscale="log", xlabel="size of the delta, % of the generator's bytes", title=title, ylim=(0, 1)
        )
        axes.grid(color="#dedede")
    panels[0].set_ylabel("ratio to the pivot")
    panels[0].legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
