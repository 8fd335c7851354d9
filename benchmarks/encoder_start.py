"""What the demo's masked encoder is worth as a start: steps to the loss that a projection from the mean code ends with.

    python benchmarks/encoder_start.py --json encoder.jsonl
    python benchmarks/encoder_start.py --report encoder.jsonl other.jsonl

Demo photos of held-out seeds, with nuisances, as "whole" (one code for everything), "segments" (one code for each of
the label map's, the background static: P2 4.3's comparison), both also "out of domain", with something foreign on the
photo, and lone parts (everything else static). Arms: "mean N", a projection of N steps from the mean code with all its
heuristics, and "encoder K", one of K steps from the encoder's codes ("at R": with that learning rate); "encoder 0" is
the one pass alone. Figures: within the labels, mean squared error, perceptual distance divided by their share of the
photo, and their sum, which is what the projections make small; of "whole" and "segments" also the identity distance of
the picture from the photo. The last columns compare K steps from the encoder's codes with 3 K from the mean code.

A row is appended as soon as it is measured, and skipped where the file holds it. One thread; time is process CPU time.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from time import process_time
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.fidelity import OUT_OF_DOMAIN, listed
from benchmarks.lone_cases import LOSS, PARTS, Case, lone_case
from benchmarks.rows import Row, append_row, read_rows, row_key, versions
from benchmarks.timing import markdown
from chunky_core.checkpoints import load_generator
from chunky_core.compositing.render import render
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.encoders.masked_encoder import DEMO_FILE, MaskedEncoder, load_masked_encoder
from chunky_core.evaluation.metrics import identity_distance, lpips_distance, mse
from chunky_core.generator import Generator
from chunky_core.generator.spaces import LatentCode
from chunky_core.inversion import Inversion, ProjectionConfig, SegmentCode, inversion_from_code, project
from chunky_core.inversion.segment_codes import SegmentCodes
from chunky_core.losses import LossConfig, LossNetworks, load_networks
from chunky_core.segments import segments_from_label_map, single_segment

WHOLE, SEGMENTS = "whole", "segments"
FOREIGN = " out of domain"  # after WHOLE or SEGMENTS
KINDS = (WHOLE, "mouth", "eyes", "face", SEGMENTS)
RATE = ProjectionConfig().learning_rate
FIGURES = ("loss", "l2", "perceptual", "identity")


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    if options.report:
        print(report(read_rows(options.report)))
        return
    rows = read_rows([options.json] if options.json else [])
    done = {row_key(row) for row in rows}
    generator = load_generator("demo")
    encoder = load_masked_encoder(options.encoder, generator=generator)
    networks = load_networks(
        LossConfig(lpips=1.0, lpips_net="demo", identity=1.0, identity_net="demo"), "cpu"
    )
    settings = versions(generator)
    spec = {"encoder": hashlib.sha256(options.encoder.read_bytes()).hexdigest()[:12]}
    for seed in options.seeds:
        for kind in options.kinds:
            case = case_of(seed, kind)
            for steps in [-options.mean, *options.steps]:
                arm = f"mean {-steps}" if steps < 0 else f"encoder {steps}"
                if steps > 0 and options.rate != RATE:
                    arm += f" at {options.rate:g}"
                if (seed, (kind,), arm) in done:
                    continue
                inversion, seconds = measured(generator, encoder, case, steps, options.rate)
                row = {"seed": seed, "extras": [kind], "arm": arm, "spec": spec if steps >= 0 else {}}
                found = figures(generator, inversion, case, networks)
                rows.append({**row, "settings": settings, **found, "seconds": seconds})
                print(
                    seed, kind, arm, *(f"{n} {rows[-1][n]:.4f}" for n in FIGURES if n in rows[-1]), flush=True
                )
                append_row(rows[-1], options.json)
    print("\n" + report(rows))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(one) for one in listed(text) if one]

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="JSON lines: read, then added to")
    parser.add_argument("--report", type=Path, nargs="+", help="only print the tables of these files")
    parser.add_argument("--encoder", type=Path, default=DEMO_FILE)
    parser.add_argument("--seeds", type=numbers, default=list(range(7103, 7107)))
    parser.add_argument("--kinds", type=listed, default=list(KINDS))
    parser.add_argument("--mean", type=int, default=90, help="steps from the mean code")
    parser.add_argument("--steps", type=numbers, default=[0, 10, 20, 30], help="from the encoder's codes")
    parser.add_argument("--rate", type=float, default=RATE, help="the learning rate from the encoder's codes")
    options = parser.parse_args(arguments)
    known = (WHOLE, SEGMENTS, WHOLE + FOREIGN, SEGMENTS + FOREIGN, *PARTS)
    for name in set(options.kinds) - set(known):
        parser.error(f"kind {name!r} is unknown; choose some of {', '.join(known)}")
    return options


def case_of(seed: int, kind: str) -> Case:
    if kind in PARTS:
        return lone_case(seed, kind, "hard")
    extras = OUT_OF_DOMAIN[seed % len(OUT_OF_DOMAIN)] if kind.endswith(FOREIGN) else ()
    photo = demo_photo(seed, extras=extras)
    kind = kind.removesuffix(FOREIGN)
    size = (photo.image.shape[-2], photo.image.shape[-1])
    if kind == WHOLE:
        return Case(seed, kind, "hard", photo.image, single_segment(size), torch.ones(1, 1, *size))
    segments = segments_from_label_map(photo.labels, LABEL_NAMES, static=("background",), grow=4, feather=1.5)
    return Case(seed, kind, "soft", photo.image, segments, 1 - segments.static)


def measured(
    generator: Generator, encoder: MaskedEncoder, case: Case, steps: int, rate: float
) -> tuple[Inversion, float]:
    """The case's inversion in `steps` from the encoder's codes, or in -steps from the mean code; CPU seconds."""
    began = process_time()
    if steps < 0:
        config = ProjectionConfig(num_steps=-steps, loss=LOSS)
        return project(generator, case.photo, case.segments, config), process_time() - began
    start = encoded(generator, encoder, case)
    if steps:
        config = ProjectionConfig(num_steps=steps, loss=LOSS, learning_rate=rate)
        start = project(generator, case.photo, case.segments, config, start=start)
    return start, process_time() - began


def encoded(generator: Generator, encoder: MaskedEncoder, case: Case) -> Inversion:
    """One code for each segment, in one pass."""
    segments = case.segments
    codes = encoder.encode(generator, case.photo, segments.masks)
    ones = [LatentCode(codes.space, code[None]) for code in codes.tensor]
    empty = inversion_from_code(generator, ones[0], case.photo, segments)
    triples = zip(segments.names, segments.masks, ones, strict=True)
    return replace(
        empty, segments=SegmentCodes(SegmentCode(n, mask[None], code) for n, mask, code in triples)
    )


@torch.no_grad()
def figures(
    generator: Generator, inversion: Inversion, case: Case, networks: LossNetworks
) -> dict[str, float]:
    picture: Tensor = render(generator, inversion)
    assert networks.perceptual is not None and networks.identity is not None
    found: dict[str, Any] = {
        "l2": mse(picture, case.photo, case.labels),
        "perceptual": lpips_distance(picture, case.photo, networks.perceptual, case.labels),
    }
    found["loss"] = found["l2"] + found["perceptual"]
    if case.part in (WHOLE, SEGMENTS):
        found["identity"] = identity_distance(picture, case.photo, networks.identity)
    return found


def report(rows: Sequence[Row]) -> str:
    """For each kind of case, the arms' mean figures, and of the encoder's the loss over that of thrice the steps from
    the mean code on the same photo.
    """
    lines = []
    for kind in dict.fromkeys(row["extras"][0] for row in rows):
        own = [row for row in rows if row["extras"] == [kind]]
        losses = {(row["seed"], row["arm"]): row["loss"] for row in own}
        for arm in sorted({row["arm"] for row in own}, key=lambda arm: (arm[:4], int(arm.split()[1]), arm)):
            some = [row for row in own if row["arm"] == arm]
            shown = [f"{mean(row[n] for row in some):.4f}" if n in some[0] else "" for n in FIGURES]
            other = f"mean {3 * int(arm.split()[1])}"
            pairs = [(row["loss"], losses.get((row["seed"], other))) for row in some]
            ratios = [loss / end for loss, end in pairs if end and arm.startswith("encoder")]
            compared = (
                [f"{median(ratios):.2f}", f"{sum(one <= 1 for one in ratios)} of {len(ratios)}"]
                if ratios
                else ["", ""]
            )
            seconds = f"{median(row['seconds'] for row in some):.1f}"
            lines.append([kind, arm, str(len(some)), *shown, seconds, *compared])
    columns = [
        "case",
        "start, steps",
        "photos",
        *FIGURES,
        "CPU s",
        "loss / thrice the steps from the mean's",
        "reach it",
    ]
    return markdown(columns, lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
