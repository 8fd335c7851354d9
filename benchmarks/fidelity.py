"""How faithful segments are against one code: the table of P2 (Subrtova et al. 2022, Table 1) on held-out demo photos.

    python benchmarks/fidelity.py --photos 100 --json fidelity.jsonl
    python benchmarks/fidelity.py --report fidelity.jsonl

The photos have nuisances that the generator never saw and parts that do not belong to one person. Global is one
all-ones segment; all ways run through the same code with the same steps, seed and losses. Every finished photo is
appended to the file at once; photos that it holds already are skipped, so a run can be stopped and started again,
or split over several processes by --first and --photos, each with a file of its own; --report takes all of them.
One thread; time is process CPU time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from chunky_core.checkpoints import load_generator
from chunky_core.compositing.render import render
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.evaluation.fidelity import FIGURES, Fidelity, Spread, compare_methods, measure_fidelity
from chunky_core.generator import Generator
from chunky_core.inversion import ProjectionConfig, project
from chunky_core.losses import LossConfig, LossNetworks, load_networks
from chunky_core.segments import segments_from_label_map, single_segment

FIRST_SEED = 5000  # nothing is trained on photos from here on
ASSETS = Path(__file__).parent.parent / "chunky_core" / "demo" / "assets"


@dataclass(frozen=True)
class Arm:
    """One way to project; pulled: its codes are pulled to their mean (P2 eq. 2)."""

    title: str
    space: str
    whole: bool = False
    pulled: bool = False


ARMS = {
    "global_w": Arm("global W", "w", whole=True),
    "ours_w": Arm("ours W", "w"),
    "global_w+": Arm("global W+", "w+", whole=True),
    "ours_w+": Arm("ours W+", "w+"),
    "ours_w+_reg": Arm("ours W+, λ_reg", "w+", pulled=True),
    "global_s": Arm("global S", "s", whole=True),
    "ours_s": Arm("ours S", "s"),
}

Row = dict[str, Any]  # one photo: its seed, the settings, and per arm CPU seconds and fidelity


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    if options.report:
        print(report(read_rows(options.report)))
        return
    generator = load_generator("demo")
    done = read_rows([options.json]) if options.json and options.json.exists() else []
    settings = settings_of(options, generator)
    check_settings([*done, {"seed": options.first, "settings": settings}])
    skipped = {row["seed"] for row in done}
    wanted = range(options.first, options.first + options.photos)
    for row in measured(generator, settings, [seed for seed in wanted if seed not in skipped]):
        done.append(row)
        if options.json:
            with options.json.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print("\n" + report(sorted(done, key=lambda row: row["seed"])))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first photo")
    parser.add_argument(
        "--extras", type=listed, default=[], help="one of these on each photo, in turn: hat,bindi"
    )
    parser.add_argument("--arms", type=listed, default=list(ARMS), help=f"some of {','.join(ARMS)}")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--coarse", type=float, default=0.5, help="share of steps at lower resolution")
    parser.add_argument("--mode", choices=("independent", "joint"), default="independent")
    parser.add_argument("--lpips", type=float, default=1.0, help="weight of the perceptual loss; L2 has 1")
    parser.add_argument(
        "--loss-resolution", type=int, default=0, help="longest side that LPIPS sees, 0 = all"
    )
    parser.add_argument("--lambda-reg", type=float, default=0.01, help="of the arm with λ_reg")
    parser.add_argument("--json", type=Path, help="JSON lines: read, then added to")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.arms) - set(ARMS))
    if unknown:
        parser.error(f"unknown arm {unknown[0]!r}; choose some of {', '.join(ARMS)}")
    return options


def listed(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def settings_of(options: argparse.Namespace, generator: Generator) -> dict[str, Any]:
    """All that figures depend on, beside the photo: only what was measured by the same ones may be mixed."""
    names = ("steps", "coarse", "mode", "lpips", "loss_resolution", "lambda_reg", "arms", "extras")
    networks = b"".join((ASSETS / f"{name}.safetensors").read_bytes() for name in ("perceptual", "identity"))
    return {
        **{name: getattr(options, name) for name in names},
        "generator": generator.fingerprint[:12],
        "networks": hashlib.sha256(networks).hexdigest()[:12],
    }


def read_rows(paths: Sequence[Path]) -> list[Row]:
    """The photos of some files, each once, by seed."""
    rows = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    check_settings(rows)
    by_seed = {row["seed"]: row for row in rows}
    return [by_seed[seed] for seed in sorted(by_seed)]


def check_settings(rows: Sequence[Row]) -> None:
    for row in rows:
        if row["settings"] != rows[0]["settings"]:
            sys.exit(
                f"photo {row['seed']} belongs to {row['settings']}, photo {rows[0]['seed']} to "
                f"{rows[0]['settings']}; these can't be mixed: use another file, or the same options"
            )


def measured(generator: Generator, settings: Mapping[str, Any], seeds: Sequence[int]) -> Iterator[Row]:
    """Photo after photo, through all arms."""
    losses = LossConfig(
        l2=1.0, lpips=settings["lpips"], lpips_net="demo", resolution=settings["loss_resolution"]
    )
    networks = load_networks(LossConfig(lpips=1.0, lpips_net="demo", identity=1.0, identity_net="demo"))
    for seed in seeds:
        arms = {}
        for name in settings["arms"]:
            arms[name] = one_arm(generator, ARMS[name], seed, settings, losses, networks)
            figures = "  ".join(f"{figure} {arms[name]['fidelity'][figure]:.4f}" for figure in FIGURES)
            print(f"{seed}  {name:12} {figures}  {arms[name]['seconds']:.1f} s", file=sys.stderr, flush=True)
        yield {"seed": seed, "settings": settings, "arms": arms}


def one_arm(
    generator: Generator,
    arm: Arm,
    seed: int,
    settings: Mapping[str, Any],
    losses: LossConfig,
    networks: LossNetworks,
) -> dict[str, Any]:
    """CPU seconds and fidelity of one way on one photo."""
    extras = settings["extras"]
    own = (extras[seed % len(extras)],) if extras else ()
    photo = demo_photo(seed, resolution=generator.img_resolution, extras=own)
    parts = segments_from_label_map(photo.labels, LABEL_NAMES, grow=4, feather=1.5, gaps="static")
    config = ProjectionConfig(
        mode=settings["mode"],
        space=arm.space,
        num_steps=settings["steps"],
        coarse=settings["coarse"],
        loss=losses,
        lambda_reg=settings["lambda_reg"] if arm.pulled else 0.0,
    )
    start = process_time()
    segments = single_segment(parts.size) if arm.whole else parts
    picture = render(generator, project(generator, photo.image, segments, config))
    seconds = process_time() - start
    return {"seconds": seconds, "fidelity": asdict(measure_fidelity(photo.image, picture, parts, networks))}


def report(rows: Sequence[Row]) -> str:
    """All tables, as Markdown."""
    if not rows:
        return "no photos yet"
    found = {
        name: [Fidelity.from_plain(row["arms"][name]["fidelity"]) for row in rows]
        for name in rows[0]["settings"]["arms"]
    }
    seconds = {name: median(row["arms"][name]["seconds"] for row in rows) for name in found}
    pairs = [(name, f"global_{arm.space}") for name, arm in ARMS.items() if not arm.whole]
    pairs = [(ours, other) for ours, other in pairs if ours in found and other in found]
    seeds = [row["seed"] for row in rows]
    title = f"{len(rows)} photos, seeds {min(seeds)} to {max(seeds)}; {rows[0]['settings']}"
    segments = [segment_table(ours, other, found, seeds) for ours, other in pairs]
    return "\n\n".join([title, distance_table(found, seconds), pair_table(pairs, found, seeds), *segments])


def distance_table(found: Mapping[str, Sequence[Fidelity]], seconds: Mapping[str, float]) -> str:
    """Mean and deviation of every distance by arm."""
    lines = ["| | perceptual | identity | L2 | CPU time |", "|---|---|---|---|---|"]
    for name, figures in found.items():
        spreads = [str(Spread.of([getattr(one, figure) for one in figures])) for figure in FIGURES]
        lines.append(f"| {ARMS[name].title} | {' | '.join(spreads)} | {seconds[name]:.0f} s |")
    return "\n".join(lines)


def pair_table(
    pairs: Sequence[tuple[str, str]], found: Mapping[str, Sequence[Fidelity]], seeds: Sequence[int]
) -> str:
    """Segments against one code in the same space."""
    lines = [
        "| ours / global | | ratio of means | median | worst (photo) | better on |",
        "|---|---|---|---|---|---|",
    ]
    for ours, other in pairs:
        for figure in FIGURES:
            one = compare_methods(
                *([getattr(each, figure) for each in found[name]] for name in (ours, other))
            )
            lines.append(
                f"| {ARMS[ours].title} | {figure} | {one.ratio_of_means:.3f} | {one.median:.3f} "
                f"| {one.worst:.3f} ({seeds[one.ratios.index(one.worst)]}) | {one.better} of {len(seeds)} |"
            )
    return "\n".join(lines)


def segment_table(
    ours: str, other: str, found: Mapping[str, Sequence[Fidelity]], seeds: Sequence[int]
) -> str:
    """Ratios ours / global within the masks, by the segments' names, and over all segments of all photos."""
    names = list(dict.fromkeys(name for one in found[ours] for name in one.segments))
    lines = [
        f"{ARMS[ours].title} / {ARMS[other].title}, within each segment: ratio",
        "",
        "| | photos | L2: median | worst (photo) | above 1 | perceptual: median | worst (photo) | above 1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    pairs = list(zip(seeds, found[ours], found[other], strict=True))
    for title, chosen in [*((name, [name]) for name in names), ("all", names)]:
        shown = [
            (seed, a.segments[name], b.segments[name])
            for seed, a, b in pairs
            for name in chosen
            if name in a.segments
        ]
        cells = [segment_cells(figure, shown) for figure in ("l2", "perceptual")]
        lines.append(f"| {title} | {len(shown)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def segment_cells(figure: str, shown: Sequence[tuple[int, Any, Any]]) -> str:
    one = compare_methods(
        [getattr(a, figure) for _, a, _ in shown], [getattr(b, figure) for _, _, b in shown]
    )
    worst = shown[one.ratios.index(one.worst)][0]
    return f"{one.median:.2f} | {one.worst:.2f} ({worst}) | {one.worse / len(shown):.1%}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
