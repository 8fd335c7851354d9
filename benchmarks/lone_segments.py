"""One segment alone, everything else static: what the papers' tool is used for, at the same steps and losses for all.

    python benchmarks/lone_segments.py --json lone.jsonl
    python benchmarks/lone_segments.py --json lone.jsonl --arms ours --name slower --options '{"learning_rate": 0.05}'
    PEERS_PATH=... python benchmarks/lone_segments.py --json lone.jsonl --arms chunkmogrify
    python benchmarks/lone_segments.py --report lone.jsonl other.jsonl

Ten demo photos of fresh seeds x mouth, both eyes, glasses, one brow, the whole face, each as one segment with one
code; hard masks (the labels themselves) and soft ones (grown by 4 pixels, feathered by 1.5); 50 steps, L2 + perceptual
distance. Arms: "ours", with any options of ProjectionConfig; "global", one code for the whole photo; "chunkmogrify",
the projection of the authors' tool, where PEERS_PATH leads to it (see benchmarks/peers). Figures: see `lone_figures`.

A row is appended as soon as it is measured, and skipped where the file holds it. One thread; time is process CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.fidelity import listed
from benchmarks.lone_cases import (
    FIGURES,
    LOSS,
    MASKS,
    PARTS,
    SEEDS,
    Case,
    chosen_cases,
    lone_case,
    lone_figures,
)
from benchmarks.rows import append_row
from benchmarks.timing import markdown
from chunky_core.checkpoints import load_generator
from chunky_core.compositing.render import render
from chunky_core.generator import Generator
from chunky_core.inversion import ProjectionConfig, project
from chunky_core.losses.perceptual import load_perceptual_network
from chunky_core.segments import SegmentMasks, single_segment

Row = dict[str, Any]  # seed, part, masks, arm (its name), settings; l2, perceptual, seconds
Key = tuple[int, str, str]
Method = Callable[[Case], tuple[Tensor, float]]  # the rendering [1,3,H,W] of a case, and CPU seconds


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    if options.report:
        print(report(read_rows(options.report)))
        return
    wanted = chosen_cases(options.seeds, options.parts, options.masks)
    rows = read_rows([options.json] if options.json and options.json.exists() else [])
    generator, network = load_generator("demo"), load_perceptual_network("demo")
    for arm in options.arms:
        name, settings = (options.name if arm == "ours" else arm), settings_of(options, arm, generator)
        check_settings(rows, name, settings)
        done = {key_of(row) for row in rows if row["arm"] == name}
        method = METHODS[arm](generator, options)
        for key in [key for key in wanted if key not in done]:
            case = lone_case(*key)
            rendering, seconds = method(case)
            figures = lone_figures(case, rendering, network)
            seed, part, masks = key
            row = {"seed": seed, "part": part, "masks": masks, "arm": name, "settings": settings}
            rows.append({**row, **figures, "seconds": seconds})
            print(
                seed,
                part,
                masks,
                name,
                *(f"{n} {v:.4f}" for n, v in figures.items()),
                f"{seconds:.1f} s",
                flush=True,
            )
            append_row(rows[-1], options.json)
    print("\n" + report(rows))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="JSON lines: read, then added to")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    parser.add_argument("--arms", type=listed, default=["global", "ours"], help="global,ours,chunkmogrify")
    parser.add_argument("--name", default="ours", help="what rows of the arm ours are called")
    parser.add_argument(
        "--options", type=json.loads, default={}, help="JSON: fields of ProjectionConfig, and loss: {...}"
    )
    parser.add_argument(
        "--seeds", type=lambda text: [int(seed) for seed in listed(text)], default=list(SEEDS)
    )
    parser.add_argument("--parts", type=listed, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--masks", type=listed, default=list(MASKS), help=f"some of {','.join(MASKS)}")
    parser.add_argument("--space", choices=("w", "w+", "s"), default="w+")
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(arguments)
    for given, known in ((options.arms, METHODS), (options.parts, PARTS), (options.masks, MASKS)):
        for name in set(given) - set(known):
            parser.error(f"{name!r} is unknown; choose some of {', '.join(known)}")
    return options


def settings_of(options: argparse.Namespace, arm: str, generator: Generator) -> dict[str, Any]:
    """All that figures depend on, beside the case."""
    common = {"space": options.space, "steps": options.steps, "generator": generator.fingerprint[:12]}
    return {**common, "options": options.options} if arm == "ours" else common


def check_settings(rows: Sequence[Row], name: str, settings: dict[str, Any]) -> None:
    for row in rows:
        if row["arm"] == name and row["settings"] != settings:
            sys.exit(
                f"the rows of {name!r} belong to {row['settings']}, not to {settings}; use another --name or file"
            )


def key_of(row: Row) -> Key:
    return row["seed"], row["part"], row["masks"]


def read_rows(paths: Sequence[Path]) -> list[Row]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def timed(
    generator: Generator, photo: Tensor, segments: SegmentMasks, config: ProjectionConfig
) -> tuple[Tensor, float]:
    start = process_time()
    picture = render(generator, project(generator, photo, segments, config))
    return picture, process_time() - start


def ours(generator: Generator, options: argparse.Namespace) -> Method:
    given = dict(options.options)
    loss = replace(LOSS, **given.pop("loss", {}))
    config = ProjectionConfig(space=options.space, num_steps=options.steps, loss=loss).with_options(given)
    return lambda case: timed(generator, case.photo, case.segments, config)


def one_code(generator: Generator, options: argparse.Namespace) -> Method:
    """One code for the whole photo, found once per photo; all its cases have the same time."""
    config = ProjectionConfig(space=options.space, num_steps=options.steps, loss=LOSS)
    found: dict[int, tuple[Tensor, float]] = {}

    def method(case: Case) -> tuple[Tensor, float]:
        if case.seed not in found:
            found[case.seed] = timed(generator, case.photo, single_segment(case.segments.size), config)
        return found[case.seed]

    return method


def chunkmogrify(generator: Generator, options: argparse.Namespace) -> Method:
    from benchmarks.peers.chunkmogrify import Chunkmogrify

    tool = Chunkmogrify(generator, load_perceptual_network("demo"))

    def method(case: Case) -> tuple[Tensor, float]:
        found = tool.projection(case.photo, case.segments.masks, options.space, options.steps)
        return found.rendering, found.seconds

    return method


METHODS: dict[str, Callable[[Generator, argparse.Namespace], Method]] = {
    "global": one_code,
    "ours": ours,
    "chunkmogrify": chunkmogrify,
}


def report(rows: Sequence[Row]) -> str:
    """Each arm against one code for the whole photo, and against Chunkmogrify's projection, as Markdown."""
    found: dict[str, dict[Key, Row]] = {}
    for row in rows:
        found.setdefault(row["arm"], {})[key_of(row)] = row
    tables = [comparison(found, other) for other in ("global", "chunkmogrify") if other in found]
    return "\n\n".join(tables or ["no rows of global or chunkmogrify to compare with"])


def comparison(found: dict[str, dict[Key, Row]], other: str) -> str:
    """Ratios to another arm on the cases that both have; not better: no lower in L2, or in perceptual distance."""
    header = [f"against {other}", "cases", "not better", "L2: median", "worst", "better"]
    header += ["perceptual: median", "worst", "better", "CPU time: median", "seconds"]
    lines, worse = [], []
    for name, own in found.items():
        keys = [key for key in own if key in found[other]]
        if name == other or not keys:
            continue
        groups = [(f"{name}", keys)] + [
            (f"{name}: {part}, {masks}", [key for key in keys if key[1:] == (part, masks)])
            for part, masks in dict.fromkeys(key[1:] for key in keys)
        ]
        lines += [cells(title, [(own[key], found[other][key]) for key in some]) for title, some in groups]
        bad = [key for key in keys if not below(own[key], found[other][key])]
        worse.append(f"{name} not better: " + ("; ".join(" ".join(map(str, key)) for key in bad) or "none"))
    return "\n\n".join([markdown(header, lines), *worse])


def below(one: Row, other: Row) -> bool:
    return all(one[figure] < other[figure] for figure in FIGURES)


def cells(title: str, pairs: Sequence[tuple[Row, Row]]) -> list[str]:
    line = [title, str(len(pairs)), str(sum(not below(*pair) for pair in pairs))]
    for figure in FIGURES:
        ratios = [one[figure] / other[figure] for one, other in pairs]
        line += [
            f"{median(ratios):.2f}",
            f"{max(ratios):.2f}",
            f"{sum(ratio < 1 for ratio in ratios) / len(ratios):.0%}",
        ]
    line.append(f"{median(one['seconds'] / other['seconds'] for one, other in pairs):.2f}")
    return [*line, f"{median(one['seconds'] for one, _ in pairs):.1f}"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
