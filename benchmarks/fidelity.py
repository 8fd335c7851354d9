"""How faithful inversions are: the table of P2 (Subrtova et al. 2022, Table 1) and its scatter on held-out demo photos.

    python benchmarks/fidelity.py --json fidelity.jsonl [--photos 16] [--out-of-domain 6] [--arms global_w+,ours_w+]
    python benchmarks/fidelity.py --json fidelity.jsonl --arms global_w+ mine='{"space": "s", "num_steps": 30}'
    python benchmarks/fidelity.py --report fidelity.jsonl [--scatter docs/images/scatter.png]
    python benchmarks/fidelity.py --cache out/inversions --arms global_w+,draft,good,best --sheet out_of_domain.jpg

The photos have nuisances that the generator never saw and parts that do not belong to one person; those out of domain
also something that is no part of its world. Global is one all-ones segment. The baseline, global_w+, runs at full
resolution all the time; --coarse is for what is made of segments. All arms have the same losses; more of them can be
given as NAME=JSON (see arms.py). Every figure is of the rendering, nothing kept of the photo. Each photo and arm is
appended to the file at once and skipped when it is there, so a run can be stopped, started again, given more photos or
arms later, or split over processes with a file each; --report takes all of them. --sheet draws the photos out of
domain and what the arms make of them. One thread; time is process CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.arms import Arm, Inverter, Subject, UnavailableError, named_arm
from benchmarks.fidelity_report import BASELINE, report, scatter
from benchmarks.rows import Row, append_row, check_rows, read_rows, row_key, versions
from benchmarks.sheets import save_sheet
from chunky_core.checkpoints import load_generator
from chunky_core.compositing.render import render
from chunky_core.evaluation.fidelity import FIGURES, measure_fidelity
from chunky_core.evaluation.metrics import mse
from chunky_core.images import save_image
from chunky_core.losses import LossConfig, load_networks
from chunky_core.visualization.sheets import contact_sheet

FIRST_SEED = 5000  # nothing is trained on photos from here on
FIRST_OUT_OF_DOMAIN = 5200
OUT_OF_DOMAIN = (
    ("bindi",),
    ("face_mask",),
    ("odd_glasses",),
    ("hand",),
    ("hat",),
    ("hat", "odd_glasses", "jewellery"),
)


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    rows = read_rows(options.report or ([options.json] if options.json else []))
    if options.sheet:
        save_sheet(sheet(options), options.sheet)
        return
    if not options.report:
        rows = collect(options, rows)
    print(report(rows))
    if options.scatter:
        save_image(scatter(rows), options.scatter)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(arms_of(steps=1, coarse=0.0, lambda_reg=0.0, tune_steps=1))
    parser.add_argument("more", nargs="*", type=named_arm, help="NAME=JSON: further arms")
    parser.add_argument("--photos", type=int, default=16, help="in the domain")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first photo")
    parser.add_argument("--out-of-domain", type=int, default=6, help="photos with something foreign")
    parser.add_argument("--arms", type=listed, default=names, help=f"some of {','.join(names)}")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--coarse", type=float, default=0.5, help="share of steps at lower resolution")
    parser.add_argument("--tune-steps", type=int, default=100)
    parser.add_argument("--lambda-reg", type=float, default=0.01, help="of the arm with λ_reg")
    parser.add_argument("--lpips", type=float, default=1.0, help="weight of the perceptual loss; L2 has 1")
    parser.add_argument(
        "--loss-resolution", type=int, default=0, help="longest side that LPIPS sees, 0 = all"
    )
    parser.add_argument("--cache", type=Path, help="folder in which inversions are kept")
    parser.add_argument("--json", type=Path, help="JSON lines: read, then added to")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    parser.add_argument("--sheet", type=Path, help="a JPEG or PNG file with pictures, instead of figures")
    parser.add_argument("--scatter", type=Path, help="a PNG file: every photo, one code against each arm")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.arms) - set(names))
    if unknown:
        parser.error(f"unknown arm {unknown[0]!r}; choose some of {', '.join(names)}")
    return options


def listed(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def arms_of(steps: int, coarse: float, lambda_reg: float, tune_steps: int) -> dict[str, Mapping[str, Any]]:
    """All arms that have a name, as plain JSON."""
    tuning = {"num_steps": tune_steps}
    arms: dict[str, dict[str, Any]] = {BASELINE: {"whole": True, "space": "w+", "num_steps": steps}}
    for space in ("w+", "s", "w"):
        arms.setdefault(f"global_{space}", {"whole": True, "space": space, "num_steps": steps})
        arms[f"ours_{space}"] = {"space": space, "num_steps": steps, "coarse": coarse}
    arms["ours_w+_reg"] = {**arms["ours_w+"], "lambda_reg": lambda_reg}
    arms["joint_w+"] = {**arms["ours_w+"], "mode": "joint"}
    tuned = {f"{name}_tuned": {**arms[name], "tune": tuning} for name in (BASELINE, "ours_w+")}
    return {**arms, **tuned, **{name: {"preset": name} for name in ("draft", "good", "best")}}


def collect(options: argparse.Namespace, rows: list[Row]) -> list[Row]:
    """The rows, with those that were missing measured."""
    arms, bench = chosen_arms(options), Bench(options)
    done, found = {row_key(row) for row in rows}, list(rows)
    for seed, extras in photos(options):
        wanted = [name for name in arms if (seed, extras, name) not in done]
        for row in bench.rows(seed, extras, {name: arms[name] for name in wanted}):
            check_rows([*found, row])
            found.append(row)
            append_row(row, options.json)
    return found


def chosen_arms(options: argparse.Namespace) -> dict[str, Arm]:
    known = arms_of(options.steps, options.coarse, options.lambda_reg, options.tune_steps)
    arms = {name: Arm.from_plain(known[name]) for name in options.arms}
    return arms | {name: Arm.from_plain(plain) for name, plain in options.more}


def sheet(options: argparse.Namespace) -> Tensor:
    """A row for each photo out of domain: the photo, and the rendering of every arm with its L2."""
    arms, bench, panels = chosen_arms(options), Bench(options), []
    for seed, extras in photos(options):
        if extras:
            subject = Subject.drawn(seed, extras, bench.generator.img_resolution)
            panels.append((", ".join(extras), subject.photo.image))
            for name, arm in arms.items():
                picture = render(bench.generator, bench.inverter.invert(arm, subject)[0])
                panels.append((f"{name}, L2 {mse(picture, subject.photo.image):.4f}", picture))
    return contact_sheet(panels, columns=1 + len(arms))


def photos(options: argparse.Namespace) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Seeds and extras."""
    for index in range(options.photos):
        yield options.first + index, ()
    for index in range(options.out_of_domain):
        yield FIRST_OUT_OF_DOMAIN + index, OUT_OF_DOMAIN[index % len(OUT_OF_DOMAIN)]


class Bench:
    """The demo generator, and the networks that judge."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.loss = LossConfig(
            l2=1.0, lpips=options.lpips, lpips_net="demo", resolution=options.loss_resolution
        )
        self.generator = load_generator("demo")
        self.networks = load_networks(
            LossConfig(lpips=1.0, lpips_net="demo", identity=1.0, identity_net="demo")
        )
        self.inverter = Inverter(self.generator, self.loss, options.cache)
        self.missing: set[str] = set()

    def rows(self, seed: int, extras: tuple[str, ...], arms: Mapping[str, Arm]) -> Iterator[Row]:
        """One photo through some arms; those that can't be had are said once."""
        if not arms:
            return
        subject = Subject.drawn(seed, extras, self.generator.img_resolution)
        for name, arm in arms.items():
            try:
                row = self.row(subject, name, arm)
            except UnavailableError as error:
                if name not in self.missing:
                    print(f"arm {name} is left out: {error}", file=sys.stderr, flush=True)
                self.missing.add(name)
                continue
            figures = "  ".join(f"{figure} {row['fidelity'][figure]:.4f}" for figure in FIGURES)
            print(f"{seed}  {name:16} {figures}  {row['seconds']:.1f} s", file=sys.stderr, flush=True)
            yield row

    def row(self, subject: Subject, name: str, arm: Arm) -> Row:
        spec = arm.described()
        inversion, seconds = self.inverter.invert(arm, subject)
        picture = render(self.generator, inversion)
        found = measure_fidelity(subject.photo.image, picture, subject.parts, self.networks)
        return {
            "seed": subject.seed,
            "extras": list(subject.extras),
            "arm": name,
            "spec": spec,
            "settings": json.loads(json.dumps({**versions(self.generator), "loss": asdict(self.loss)})),
            "seconds": seconds,
            "fidelity": asdict(found),
        }


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
