"""What inversions cost in edits: edited reconstructions against the photo drawn anew with the attribute changed.

    python benchmarks/editability.py --json edits.jsonl --photos 4 good='{"preset": "good"}' s='{"space": "s"}'
    python benchmarks/editability.py --report edits.jsonl

The demo domain draws the same photo with one attribute changed: the truth. Of the two signs that one is taken that
changes the photo more. Every arm (NAME=JSON, see arms.py; "reference" = one code in W+, is always there) inverts each
photo, all its codes are moved by 0 to 2 times the nominal strength, and the pictures are measured
(`chunky_core.evaluation.editability`): the rendering alone, nothing kept of the photo, and the composite.

A gain is pooled over the photos, sum of <change, true change> / sum of |true change|^2, by direction. Arms are compared
at equal gain: each at that multiple of the nominal strength at which it has the gain of the reference at 1, the one
nearest 1 of several (figures between two multiples are interpolated). "+" marks directions in which an arm never gets
there, and shows it at its highest gain. Seams are in grey levels, of unedited pictures against the photo.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.arms import Arm, Inverter, Subject, UnavailableError, named_arm
from benchmarks.rows import Row, append_row, check_rows, read_rows, row_key, versions
from benchmarks.timing import markdown
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
REFERENCE = "reference"
REFERENCE_ARM: dict[str, Any] = {"whole": True, "num_steps": 100}
NOMINAL = {"smile": 2.0, "beard": 2.0, "skin": 1.5, "hair_length": 1.5, "age": 2.0, "yaw": 1.5}
MULTIPLES = (0.0, 0.5, 1.0, 1.5, 2.0)
LOSS = LossConfig(l2=1.0, lpips=1.0, lpips_net="demo")
WAYS = ("rendering", "composite")
FIGURES = ("identity_to_truth", "identity_to_photo", "perceptual_to_truth", "seams")
SCALE = {"seams": 127.5}  # grey levels


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


@dataclass(frozen=True)
class EqualGain:
    """An arm in one direction where it has the reference's gain. multiple: of the nominal strength. reached: whether
    it gets there. nominal: its gain at the nominal strength over the reference's. figures: those of FIGURES.
    """

    multiple: float
    reached: bool
    nominal: float
    figures: Mapping[str, float]


def pooled(rows: Sequence[Row], direction: str, way: str, figure: str) -> list[float]:
    """A figure at each of MULTIPLES over the photos: gains weighted by the size of the true change, others as means."""
    weights = [row["edits"][direction]["size"] if figure == "gain" else 1.0 for row in rows]
    curves = [[step[figure] for step in row["edits"][direction][way]] for row in rows]
    scale = SCALE.get(figure, 1.0) / sum(weights)
    return [scale * sum(w * v for w, v in zip(weights, at, strict=True)) for at in zip(*curves, strict=True)]


def at_equal_gain(rows: Sequence[Row], reference: Sequence[Row], direction: str, way: str) -> EqualGain:
    gains = pooled(rows, direction, way, "gain")
    nominal = MULTIPLES.index(1.0)
    wanted = pooled(reference, direction, "rendering", "gain")[nominal]
    place, reached = crossing(gains, wanted)
    figures = {name: interpolated(pooled(rows, direction, way, name), place) for name in FIGURES}
    return EqualGain(interpolated(MULTIPLES, place), reached, gains[nominal] / wanted, figures)


def crossing(gains: Sequence[float], wanted: float) -> tuple[float, bool]:
    """Where, as an index with a fraction, the gains are `wanted`: the place nearest the nominal strength. Where they
    are highest, and False, if they never are.
    """
    places = [
        index + (wanted - low) / (high - low)
        for index, (low, high) in enumerate(zip(gains, gains[1:], strict=False))
        if min(low, high) <= wanted <= max(low, high) and low != high
    ]
    if places:
        return min(places, key=lambda place: abs(interpolated(MULTIPLES, place) - 1.0)), True
    return float(max(range(len(gains)), key=lambda one: gains[one])), False


def interpolated(values: Sequence[float], place: float) -> float:
    below = min(int(place), len(values) - 2)
    share = place - below
    return (1 - share) * values[below] + share * values[below + 1]


def report(rows: Sequence[Row]) -> str:
    """All tables, as Markdown: the photos that all arms have."""
    by_arm: dict[str, dict[int, Row]] = {}
    for row in rows:
        by_arm.setdefault(row["arm"], {})[row["seed"]] = row
    if REFERENCE not in by_arm:
        return "no photos of the reference yet"
    seeds = sorted(set.intersection(*(set(found) for found in by_arm.values())))
    if not seeds:
        return "no photo yet that all arms have"
    arms = {name: [found[seed] for seed in seeds] for name, found in by_arm.items()}
    title = f"{len(seeds)} photos: {', '.join(map(str, seeds))}; nominal strengths {NOMINAL}"
    tables = [f"{title}\n\n{fit_table(arms)}"]
    for way in rows[0]["settings"]["ways"]:
        found = {
            name: {one: at_equal_gain(some, arms[REFERENCE], one, way) for one in NOMINAL}
            for name, some in arms.items()
        }
        tables += [f"{way.capitalize()}\n\n{mean_table(found, arms, way)}"]
        tables += [direction_table(found, figure) for figure in (FIGURES[0], FIGURES[2], FIGURES[3])]
        tables += [nominal_table(found)]
    return "\n\n".join(tables)


def fit_table(arms: Mapping[str, Sequence[Row]]) -> str:
    """How faithful the unedited renderings are."""
    lines = []
    for name, rows in arms.items():
        fits = [mean(row["fidelity"][one] for row in rows) for one in ("perceptual", "identity", "l2")]
        seconds = mean(row["seconds"] for row in rows)
        lines.append([name, *(f"{value:.4f}" for value in fits), f"{seconds:.0f} s"])
    return markdown(["unedited rendering", "perceptual", "identity", "L2", "CPU"], lines)


def mean_table(
    found: Mapping[str, Mapping[str, EqualGain]], arms: Mapping[str, Sequence[Row]], way: str
) -> str:
    """Means over the directions at equal gain."""
    lines = []
    for name, by_direction in found.items():
        edits = by_direction.values()
        before = SCALE["seams"] * mean(row["unedited_seams"][way] for row in arms[name])
        lines.append(
            [
                name,
                f"{mean(one.nominal for one in edits):.2f}",
                f"{mean(one.multiple for one in edits):.2f}",
                f"{sum(one.reached for one in edits)} of {len(edits)}",
                *(f"{mean(one.figures[figure] for one in edits):.4f}" for figure in FIGURES[:3]),
                f"{mean(one.figures['seams'] for one in edits):.2f} ({before:.2f})",
            ]
        )
    header = ["at equal gain", "gain at 1", "multiple", "reached"]
    figures = [one.replace("_", " ") for one in FIGURES]
    return markdown([*header, *figures[:3], "seams (unedited)"], lines)


def direction_table(found: Mapping[str, Mapping[str, EqualGain]], figure: str) -> str:
    lines = [
        [name, *(f"{one.figures[figure]:.4f}{'' if one.reached else '+'}" for one in by_direction.values())]
        for name, by_direction in found.items()
    ]
    return markdown([figure.replace("_", " "), *NOMINAL], lines)


def nominal_table(found: Mapping[str, Mapping[str, EqualGain]]) -> str:
    lines = [
        [name, *(f"{one.nominal:.2f} ({one.multiple:.2f})" for one in by_direction.values())]
        for name, by_direction in found.items()
    ]
    return markdown(["gain at 1 (multiple at equal gain)", *NOMINAL], lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
