"""All figures of the learned companions beside their aims: mask generators, masks of photos, masks that move with the
codes, and the masked encoder; on held-out portraits in and out of the demo generator's domain.

    python benchmarks/companions.py --folder results/companions [--parts pairs,exemplars] [--quick]
    python benchmarks/companions.py --folder results/companions --report-only

Every part is a benchmark of its own that runs as a process: mask_generator.py, mask_training_memory.py,
automatic_masks.py, joint_masks.py, encoder_start.py. Each appends its rows to a file in the folder and skips what is
there, so a run can be stopped and goes on. Rows of --quick, which only shows that everything runs, lie in a folder
`quick` in it. At the end a table in Markdown has each figure with its aim, of the rows that are there, also of parts
that were not run this time. One thread; times are CPU time of the process. A full run takes hours: about 10 minutes
for pairs, 10 for exemplars, 10 for photos, 20 for each photo of joint, 15 for each one of encoder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.automatic_masks import summary
from benchmarks.encoder_start import FOREIGN, KINDS, SEGMENTS, WHOLE
from benchmarks.fidelity import listed
from benchmarks.mask_generator import EXEMPLAR, EXEMPLARS, PAIRS, SHIPPED
from benchmarks.rows import Row, read_rows
from benchmarks.timing import markdown
from chunky_core.encoders.masked_encoder import DEMO_FILE as ENCODER_FILE
from chunky_core.segments.mask_generator.files import DEMO_FILE as MASK_GENERATOR_FILE

ROOT = Path(__file__).resolve().parent.parent
QUICK_STEPS, STEPS, MEAN_STEPS = 2, 60, 90
MIB = 1 << 20


@dataclass(frozen=True)
class Figure:
    """What was measured, of how many, and what it should be at least or at most; None = nothing was aimed at."""

    what: str
    value: float
    count: int
    least: float | None = None
    most: float | None = None

    def cells(self) -> list[str]:
        aim, verdict = "", ""
        if self.least is not None:
            aim, verdict = f"≥ {self.least:g}", "reached" if self.value >= self.least else "missed"
        if self.most is not None:
            aim, verdict = f"≤ {self.most:g}", "reached" if self.value <= self.most else "missed"
        return [self.what, f"{self.value:.3g}", str(self.count), aim, verdict]


@dataclass(frozen=True)
class Part:
    """command: the benchmark and its options, rows excepted, quick or not. figures: of its rows."""

    command: Callable[[bool], Sequence[str]]
    figures: Callable[[Sequence[Row]], Iterator[Figure]]
    option: str = "--rows"


def main(arguments: Sequence[str]) -> None:
    options = parsed(arguments)
    folder = options.folder / "quick" if options.quick else options.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in () if options.report_only else options.parts:
        part = PARTS[name]
        module, *rest = part.command(options.quick)
        command = [
            sys.executable,
            "-m",
            f"benchmarks.{module}",
            *rest,
            part.option,
            str(rows_of(folder, name)),
        ]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    print("\n" + report(folder))


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=lambda text: Path(text).resolve(), required=True, help="of the rows")
    parser.add_argument("--parts", type=listed, default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="whether all of it runs; figures mean nothing")
    parser.add_argument("--report-only", action="store_true", help="of the rows that are there")
    options = parser.parse_args(arguments)
    for name in set(options.parts) - set(PARTS):
        parser.error(f"part {name!r} is unknown; choose some of {', '.join(PARTS)}")
    return options


def rows_of(folder: Path, part: str) -> Path:
    return folder / f"{part}.jsonl"


def report(folder: Path) -> str:
    """A table of the figures whose rows are there."""
    lines = []
    for name, part in PARTS.items():
        rows = read_rows([rows_of(folder, name)])
        if rows:
            lines += [[name, *figure.cells()] for figure in part.figures(rows)]
    return markdown(["part", "figure", "value", "of", "aim", "verdict"], lines)


def pairs_command(quick: bool) -> list[str]:
    more = ["--held-out", "2", "--steps", "20"] if quick else []
    return ["mask_generator", "--arms", f"{SHIPPED},{PAIRS}", *more]


def pairs_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    size = MASK_GENERATOR_FILE.stat().st_size / MIB
    for row in rows:
        what, count = row["arm"], row["settings"]["held out"]
        yield Figure(f"{what}: mean IoU of 13 classes", row["mean IoU"], count, least=0.85)
        yield Figure(
            f"{what}: share of errors in the 10 % least certain pixels", row["errors in 10 %"], count
        )
        yield Figure(f"{what}: AUC of the uncertainty for errors", row["AUC"], count)
        if what == SHIPPED:
            yield Figure("shipped: file, MiB", size, 1, most=1)
        else:
            yield Figure(f"{what}: training, CPU minutes", row["seconds"] / 60, 1, most=10)
            yield Figure(f"{what}: peak memory, GiB", row["peak MiB"] / 1024, 1, most=4)


def exemplars_command(quick: bool) -> list[str]:
    chosen = EXEMPLARS[:1] if quick else EXEMPLARS
    more = ["--held-out", "2", "--steps", "20"] if quick else []
    return ["mask_generator", "--arms", EXEMPLAR, "--exemplars", ",".join(map(str, chosen)), *more]


def exemplars_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    values = [row["shown IoU"] for row in rows]
    yield Figure("mean IoU of the classes that the exemplar shows", mean(values), len(rows), least=0.75)
    yield Figure("that of the worst exemplar", min(values), len(rows))
    yield Figure("training, CPU minutes", max(row["seconds"] for row in rows) / 60, len(rows), most=10)


def memory_command(quick: bool) -> list[str]:
    more = ["--side", "64", "--pictures", "2", "--steps", "3"] if quick else []
    return ["mask_training_memory", *more]


def memory_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    for row in rows:
        minutes = (30 * row["features, s a picture"] + 15 * row["100 steps, s"]) / 60
        side = f"generator of {row['arm']}²"
        yield Figure(f"{side}: peak memory of training, GiB", row["peak MiB"] / 1024, 1, most=4)
        yield Figure(f"{side}: 30 pictures, 1500 steps, CPU minutes", minutes, 1, most=10)


def photos_command(quick: bool) -> list[str]:
    count, foreign, steps = (1, 1, QUICK_STEPS) if quick else (40, 6, STEPS)
    numbers = ["--photos", str(count), "--out-of-domain", str(foreign), "--steps", str(steps)]
    return ["automatic_masks", *numbers]


def photos_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    for domain, own in by_domain(rows):
        found = summary("", own)
        aim = 0.7 if domain == "in" else None
        yield Figure(f"{domain} domain: mean IoU of a photo", found["mean"], len(own), least=aim)
        yield Figure(f"{domain} domain: mean IoU, pooled", found["pooled"], len(own))
        yield Figure(f"{domain} domain: CPU s a photo", found["seconds"], len(own))
        for name in ("errors in 10 %", "AUC"):
            if name in found:
                yield Figure(f"{domain} domain: uncertainty, {name}", found[name], len(own))


def joint_command(quick: bool) -> list[str]:
    count, foreign, steps = (1, 1, QUICK_STEPS) if quick else (4, 2, STEPS)
    numbers = ["--photos", str(count), "--out-of-domain", str(foreign), "--steps", str(steps)]
    return ["joint_masks", *numbers, *(["--arms", "mean,joint,true"] if quick else [])]


def joint_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    for domain, own in by_domain(rows):
        arms = {
            arm: [row for row in own if row["arm"] == arm] for arm in dict.fromkeys(row["arm"] for row in own)
        }
        for arm, some in arms.items():
            for name in ("perceptual", "identity"):
                value = mean(row[name] for row in some)
                what = f"{domain} domain: {arm}, {name} distance"
                yield Figure(what, value, len(some))
                if arm in ("joint", "found joint"):
                    yield from _compared(domain, arm, name, value, arms)


def _compared(domain: str, arm: str, name: str, value: float, arms: dict[str, list[Row]]) -> Iterator[Figure]:
    for other, most in (("mean", 1.0), ("true", 1.05)):
        if other in arms:
            ratio = value / mean(row[name] for row in arms[other])
            yield Figure(
                f"{domain} domain: {name} distance, {arm} / {other}", ratio, len(arms[arm]), most=most
            )


def encoder_command(quick: bool) -> list[str]:
    seeds, steps = ([7103], QUICK_STEPS) if quick else (range(7103, 7111), MEAN_STEPS // 3)
    kinds = [WHOLE] if quick else [*KINDS, WHOLE + FOREIGN, SEGMENTS + FOREIGN]
    numbers = ["--seeds", ",".join(map(str, seeds)), "--mean", str(3 * steps), "--steps", f"0,{steps}"]
    return ["encoder_start", *numbers, "--kinds", ",".join(kinds)]


def encoder_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    yield Figure("file of the demo's, MiB", ENCODER_FILE.stat().st_size / MIB, 1, most=5)
    for kind in dict.fromkeys(row["extras"][0] for row in rows):
        arms: dict[str, list[Row]] = {}
        for row in rows:
            if row["extras"] == [kind]:
                arms.setdefault(row["arm"], []).append(row)
        for arm, own in arms.items():
            for name in ("loss", "l2", "perceptual", "identity", "seconds"):
                if name in own[0]:
                    yield Figure(f"{kind}: {arm} steps, {name}", mean(row[name] for row in own), len(own))
            start, steps = arm.split()[:2]
            ends = {row["seed"]: row["loss"] for row in arms.get(f"mean {3 * int(steps)}", ())}
            ratios = [row["loss"] / ends[row["seed"]] for row in own if row["seed"] in ends]
            if start == "encoder" and ratios:
                what = f"{kind}: loss, {arm} / mean {3 * int(steps)}"
                yield Figure(what, mean(ratios), len(ratios), most=1)


def by_domain(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """The rows of photos without and with something foreign, those that there are."""
    for domain, foreign in (("in", False), ("out of", True)):
        own = [row for row in rows if bool(row["extras"]) == foreign]
        if own:
            yield domain, own


PARTS = {
    "pairs": Part(pairs_command, pairs_figures),
    "exemplars": Part(exemplars_command, exemplars_figures),
    "memory": Part(memory_command, memory_figures),
    "photos": Part(photos_command, photos_figures),
    "joint": Part(joint_command, joint_figures),
    "encoder": Part(encoder_command, encoder_figures, option="--json"),
}


if __name__ == "__main__":
    main(sys.argv[1:])
