"""P2's Table 2 on the demo domain: what edits of equal effect cost in identity (P2 = Subrtova et al. 2022).

    python benchmarks/table2.py --json table2.jsonl --photos 4 --cache inversions
    python benchmarks/table2.py --report table2.jsonl

Every photo is inverted by every arm (NAME=JSON, see arms.py), all codes are moved along smile, age, beard and glasses
by 0 to 3 standard deviations, toward the side where the photo has room (a photo with a beard loses it), and the demo's
attribute regressor scores the pictures. Arms are compared at equal measured effect, by default one standard deviation
that the attribute's score has over the generator's pictures: each at the strength at which its mean response over the
photos reaches that. Identity losses there, 1 - cosine of the demo's embeddings: (a) from the unedited to the edited
picture, (b) from the photo to the edited picture. "kept" = the composite that keeps the photo's detail. "+" marks an
arm whose response never gets there; it is shown at its highest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.arms import Arm, Inverter, Subject, named_arm
from benchmarks.rows import Row, append_row, check_rows, read_rows, row_key, versions
from benchmarks.timing import markdown
from chunky_core.checkpoints import load_generator
from chunky_core.compositing import composite, render
from chunky_core.editing.directions import load_directions
from chunky_core.editing.scorers import DEMO_FILE, load_scorer
from chunky_core.evaluation.metrics import identity_distance
from chunky_core.generator.sampling import sample
from chunky_core.inversion import Edit, Inversion
from chunky_core.losses import LossConfig, load_networks

ATTRIBUTES = ("smile", "age", "beard", "glasses")
STRENGTHS = (0.0, 0.75, 1.5, 3.0)
FIRST_SEED = 5000
BASELINE = "W"
KEPT = "kept"  # what is added to an arm's name
LOSS = LossConfig(l2=1.0, lpips=1.0, lpips_net="demo")
ADAM: dict[str, Any] = {"num_steps": 100, "adam_betas": [0.9, 0.999]}
ARMS: dict[str, dict[str, Any]] = {
    BASELINE: {"whole": True, "space": "w", **ADAM},
    "W+": {"whole": True, "space": "w+", **ADAM},
    "ours": {"preset": "good"},
    "ours, λ_reg": {"space": "w+", "num_steps": 50, "coarse": 0.5, "lambda_reg": 1.0},
}
SAMPLES = 200  # of the generator, for the deviation of each score


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    rows = read_rows([options.json] if options.json else options.report or [])
    if not options.report:
        rows = collect(options, rows)
    print(report(rows, options.effect))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("arms", nargs="*", type=named_arm, help="further ones, NAME=JSON")
    parser.add_argument("--only", nargs="+", help="the names of the arms to measure; all by default")
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first photo")
    parser.add_argument(
        "--kept", nargs="*", default=["ours"], help="arms of which composites are measured, too"
    )
    parser.add_argument(
        "--effect", type=float, default=1.0, help="equal response, in deviations of the score"
    )
    parser.add_argument("--cache", type=Path, help="folder in which inversions are kept")
    parser.add_argument("--json", type=Path, help="JSON lines: read, then added to")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the table of these files")
    return parser.parse_args(arguments)


def collect(options: argparse.Namespace, rows: list[Row]) -> list[Row]:
    """The rows, with those that were missing measured."""
    arms = {**ARMS, **dict(options.arms)}
    bench, done, found = Bench(options.cache, options.kept), {row_key(row) for row in rows}, list(rows)
    for seed in range(options.first, options.first + options.photos):
        wanted = [name for name in options.only or arms if (seed, (), name) not in done]
        subject = Subject.drawn(seed) if wanted else None
        for name in wanted if subject else ():
            for row in bench.rows(subject, name, Arm.from_plain(arms[name])):
                check_rows([*found, row])
                found.append(row)
                append_row(row, options.json)
                print(f"{seed}  {row['arm']:16} {row['seconds']:.1f} s", file=sys.stderr, flush=True)
    return found


class Bench:
    """The generator, its directions, and the networks that judge."""

    def __init__(self, cache: Path | None, kept: Sequence[str]) -> None:
        self.generator, self.kept = load_generator("demo"), kept
        directions, self.scorer = load_directions("demo"), load_scorer("demo")
        self.directions = {name: directions[name] for name in ATTRIBUTES}
        self.columns = {name: self.scorer.names.index(name) for name in ATTRIBUTES}
        identity = load_networks(LossConfig(identity=1.0, identity_net="demo")).identity
        assert identity is not None
        self.identity = identity
        self.inverter = Inverter(self.generator, LOSS, cache)
        scores = self.scorer(sample(self.generator, 0, SAMPLES, truncation_psi=1.0)[0])
        deviations = {name: round(float(scores[:, at].std()), 4) for name, at in self.columns.items()}
        # of the regressor, one number of its file that changes with any of it
        size = DEMO_FILE.stat().st_size
        self.settings = {
            **versions(self.generator), "loss": asdict(LOSS), "deviations": deviations, "regressor": size,
        }  # fmt: skip

    def rows(self, subject: Subject, name: str, arm: Arm) -> list[Row]:
        inversion, seconds = self.inverter.invert(arm, subject)
        draws = {name: partial(render, self.generator)}
        if name in self.kept:
            draws[f"{name}, {KEPT}"] = partial(composite, self.generator)
        return [
            {
                "seed": subject.seed,
                "extras": list(subject.extras),
                "arm": way,
                "spec": arm.described(),
                "settings": self.settings,
                "seconds": seconds,
                "edits": {one: self.edits(subject, inversion, draw, one) for one in ATTRIBUTES},
            }
            for way, draw in draws.items()
        ]

    def edits(self, subject: Subject, inversion: Inversion, draw: Any, name: str) -> dict[str, Any]:
        """Responses toward the side with room, in deviations, and both identity losses, at all strengths."""
        photo = subject.photo.image
        sign = -1.0 if self.score(photo, name) > 0 else 1.0
        before = draw(inversion)
        pictures = [
            draw(inversion.with_edits(Edit(self.directions[name], sign * strength))) if strength else before
            for strength in STRENGTHS
        ]
        start, deviation = self.score(before, name), self.settings["deviations"][name]
        return {
            "sign": sign,
            "response": [sign * (self.score(picture, name) - start) / deviation for picture in pictures],
            "a": [identity_distance(picture, before, self.identity) for picture in pictures],
            "b": [identity_distance(picture, photo, self.identity) for picture in pictures],
        }

    def score(self, picture: Tensor, name: str) -> float:
        return float(self.scorer(picture)[0, self.columns[name]])


def report(rows: Sequence[Row], effect: float = 1.0) -> str:
    """The table as Markdown, over the photos that all arms have."""
    arms: dict[str, dict[int, Row]] = {}
    for row in rows:
        arms.setdefault(row["arm"], {})[row["seed"]] = row
    seeds = sorted(set.intersection(*(set(found) for found in arms.values()))) if arms else []
    if not seeds:
        return "no photo yet that all arms have"
    found = {
        name: {one: at_effect([of[seed] for seed in seeds], one, effect) for one in ATTRIBUTES}
        for name, of in arms.items()
    }
    header = [
        "arm",
        *(f"{one}: strength, (a), (b)" for one in ATTRIBUTES),
        "mean (a)",
        "mean (b)",
        "(b) / W's",
    ]
    lines = [_line(name, figures, found.get(BASELINE)) for name, figures in found.items()]
    return f"{len(seeds)} photos, response {effect:g}\n\n{markdown(header, lines)}"


def _line(name: str, figures: Mapping[str, Mapping[str, float]], baseline: Any) -> list[str]:
    cells = [
        f"{figures[one]['strength']:.2f}{'' if figures[one]['reached'] else '+'}, "
        f"{figures[one]['a']:.3f}, {figures[one]['b']:.3f}"
        for one in ATTRIBUTES
    ]
    a, b = (mean(figures[one][figure] for one in ATTRIBUTES) for figure in "ab")
    share = b / mean(baseline[one]["b"] for one in ATTRIBUTES) if baseline else float("nan")
    return [name, *cells, f"{a:.3f}", f"{b:.3f}", f"{share:.2f}"]


def at_effect(rows: Sequence[Row], attribute: str, effect: float) -> dict[str, float]:
    """Figures of an arm at the strength at which its mean response over the photos is `effect`."""
    curves = {
        figure: [mean(at) for at in zip(*(row["edits"][attribute][figure] for row in rows), strict=True)]
        for figure in ("response", "a", "b")
    }
    place, reached = first_crossing(curves["response"], effect)
    figures = {figure: interpolated(curve, place) for figure, curve in curves.items()}
    return {**figures, "strength": interpolated(STRENGTHS, place), "reached": float(reached)}


def first_crossing(values: Sequence[float], wanted: float) -> tuple[float, bool]:
    """Where, as an index with a fraction, values first reach `wanted`; where they are highest, and False, if never."""
    for index, (low, high) in enumerate(zip(values, values[1:], strict=False)):
        if low <= wanted <= high and low < high:
            return index + (wanted - low) / (high - low), True
    return float(max(range(len(values)), key=lambda one: values[one])), False


def interpolated(values: Sequence[float], place: float) -> float:
    below = min(int(place), len(values) - 2)
    share = place - below
    return (1 - share) * values[below] + share * values[below + 1]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
