"""Peers and ours on four demo photos: the whole picture, and one segment of each alone under a hard mask.

    PEERS_PATH=... python -m benchmarks.peers --json peers.jsonl [--pictures FOLDER] [--peers ours,PTI,...]
    python -m benchmarks.peers --report peers.jsonl

What PEERS_PATH must lead to, and what is changed in it: see benchmarks/peers/__init__.py. Projections of the peers have
50 steps; Pivotal Tuning has its own settings, Chunkmogrify's tuning the 50 steps that its window offers. Tools without
masks are run on the whole picture, and judged in the segment too. A photo's rows are appended when a tool is through
with it, and skipped where the file holds them. One thread; time is process CPU time, that of tuning with its
projection.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.fidelity import listed
from benchmarks.lone_cases import lone_case
from benchmarks.rows import append_row
from chunky_core.checkpoints import load_generator
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.generator import Generator
from chunky_core.images import save_image
from chunky_core.losses.identity import load_identity_network
from chunky_core.losses.perceptual import load_perceptual_network
from chunky_core.segments import SegmentMasks, segments_from_label_map

from . import chunkmogrify, official, pivotal_tuning
from .ours import Ours
from .repository import repository
from .results import segment_figures, whole_figures
from .subjects import SUBJECTS, picture_name
from .tables import report

PEERS: dict[str, Callable[..., Any]] = {
    "ours": Ours,
    official.NAME: official.OfficialProjector,
    pivotal_tuning.NAME: pivotal_tuning.PivotalTuning,
    chunkmogrify.NAME: chunkmogrify.Chunkmogrify,
}
Row = dict[str, Any]  # peer, seed, arm, part ("whole" or the segment), steps, and the figures


@dataclass(frozen=True)
class Bench:
    """What all tools are given."""

    generator: Generator
    num_steps: int
    pictures: Path | None

    def __post_init__(self) -> None:
        if self.pictures:
            self.pictures.mkdir(parents=True, exist_ok=True)


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    if options.report:
        print(report(read_rows(options.report)))
    elif len(options.peers) > 1:
        for name in options.peers:  # their modules have the same names
            one = [*arguments, "--peers", name]
            subprocess.run([sys.executable, "-m", "benchmarks.peers", *one], check=True)
    elif options.peers[0] != "ours" and repository(options.peers[0]) is None:
        print(f"{options.peers[0]} isn't in PEERS_PATH and is left out", file=sys.stderr)
    else:
        bench = Bench(load_generator("demo"), options.steps, options.pictures)
        done = read_rows([options.json] if options.json.exists() else [])
        known = {row["seed"] for row in done if row["peer"] == options.peers[0]}
        for rows in measured(bench, options.peers[0], [seed for seed in options.seeds if seed not in known]):
            for row in rows:
                append_row(row, options.json)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, default=Path("peers.jsonl"))
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    parser.add_argument("--peers", type=listed, default=list(PEERS), help=f"some of {','.join(PEERS)}")
    parser.add_argument("--pictures", type=Path, help="folder for the renderings")
    parser.add_argument("--steps", type=int, default=50, help="of each projection")
    numbers = {"type": lambda text: [int(seed) for seed in listed(text)], "default": list(SUBJECTS)}
    parser.add_argument("--seeds", **numbers, help=f"some of {','.join(map(str, SUBJECTS))}")
    options = parser.parse_args(arguments)
    for given, known in ((options.peers, PEERS), (options.seeds, SUBJECTS)):
        for name in set(given) - set(known):
            parser.error(f"{name!r} is unknown; choose some of {', '.join(map(str, known))}")
    return options


def read_rows(paths: Sequence[Path]) -> list[Row]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def measured(bench: Bench, peer: str, seeds: Sequence[int]) -> Iterator[list[Row]]:
    """The rows of a tool, photo after photo: whole, and one segment."""
    perceptual, identity = load_perceptual_network("demo"), load_identity_network("demo")
    tool = PEERS[peer](bench.generator, perceptual)
    for seed in seeds:
        rows, case, common = [], lone_case(seed, SUBJECTS[seed], "hard"), {"peer": peer, "seed": seed}
        found = list(tool.results(case.photo, whole_masks(seed), bench.num_steps))
        for arm, result in found:
            figures = whole_figures(result, case.photo, perceptual, identity)
            rows.append({**common, "arm": arm, "part": "whole", "steps": bench.num_steps, **figures})
            keep(bench, picture_name(seed, "whole", arm), result.rendering)
        alone = tool.results(case.photo, case.segments, bench.num_steps) if tool.takes_masks else found
        for arm, result in alone:
            figures = segment_figures(result, case, perceptual)
            rows.append({**common, "arm": arm, "part": case.part, "steps": bench.num_steps, **figures})
            keep(bench, picture_name(seed, case.part, arm), result.rendering)
        yield rows


def whole_masks(seed: int) -> SegmentMasks:
    """All parts of a photo as segments; for peers they are one."""
    return segments_from_label_map(demo_photo(seed).labels, LABEL_NAMES, grow=4, feather=1.5, gaps="static")


def keep(bench: Bench, name: str, rendering: Tensor) -> None:
    if bench.pictures:
        save_image(rendering, bench.pictures / name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
