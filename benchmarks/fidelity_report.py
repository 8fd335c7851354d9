"""The tables and the scatter of benchmarks/fidelity.py."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.rows import Row
from benchmarks.timing import markdown
from chunky_core.evaluation.fidelity import FIGURES, Fidelity, MethodComparison, Spread, compare_methods
from chunky_core.visualization.scatter import method_scatter

BASELINE = "global_w+"
TITLES = {"perceptual": "perceptual", "identity": "identity", "l2": "L2"}
# perceptual, identity, L2, CPU time against the baseline's
AIMS = {"draft": (0.60, 0.40, 0.60, 1), "good": (0.30, 0.12, 0.35, 3), "best": (0.20, 0.06, 0.22, 8)}
AIMS_OUT_OF_DOMAIN = {"best": (0.25, 0.25, 0.25, 8)}
SCATTERED = ("draft", "good", "best", "ours_w+", "ours_w+_reg", "ours_s", "global_w+_tuned")

Arms = Mapping[str, Mapping[int, Row]]  # rows by arm and seed


def report(rows: Sequence[Row]) -> str:
    """All tables, as Markdown."""
    if not rows:
        return "no photos yet"
    parts = [f"Arms: {specs(rows)}"]
    for title, foreign, aims in (
        ("In the domain", False, AIMS),
        ("Out of the domain", True, AIMS_OUT_OF_DOMAIN),
    ):
        arms = by_arm([row for row in rows if bool(row["extras"]) == foreign])
        if arms:
            parts += [f"## {title}", *tables(arms, aims)]
    return "\n\n".join(parts)


def specs(rows: Sequence[Row]) -> str:
    """What every arm is, in short: only what differs from the baseline's."""
    found = {row["arm"]: row["spec"] for row in rows}
    plain = found.get(BASELINE, {}).get("project", {})
    lines = []
    for name, spec in found.items():
        shown = {key: value for key, value in spec.items() if key not in ("project", "phases")}
        shown |= {key: value for key, value in spec.get("project", {}).items() if plain.get(key) != value}
        lines.append(f"\n- {name}: {shown}")
    return "".join(lines)


def by_arm(rows: Sequence[Row]) -> dict[str, dict[int, Row]]:
    arms: dict[str, dict[int, Row]] = {}
    for row in rows:
        arms.setdefault(row["arm"], {})[row["seed"]] = row
    return arms


def tables(arms: Arms, aims: Mapping[str, tuple[float, ...]]) -> list[str]:
    others = [(name, rival) for name in arms if (rival := rival_of(name)) in arms and rival != name]
    found = [distance_table(arms)]
    if BASELINE in arms:
        found.append(aims_table(arms, aims))
    if others:
        found.append(pair_table(arms, others))
    return found + [segment_table(arms, name, rival) for name, rival in others if "global" not in name]


def rival_of(name: str) -> str:
    """The arm of one code that an arm is compared with."""
    one_code = name.removesuffix("_reg").replace("ours_", "global_")
    return one_code if name.startswith("ours_") and not name.endswith("_tuned") else BASELINE


def distance_table(arms: Arms) -> str:
    """Mean and deviation of every distance by arm (P2, Table 1)."""
    lines = []
    for name, rows in arms.items():
        spreads = [str(Spread.of(figures(rows, sorted(rows), figure))) for figure in FIGURES]
        seconds = median(row["seconds"] for row in rows.values())
        lines.append([name, str(len(rows)), *spreads, f"{seconds:.0f} s"])
    return markdown(["", "photos", *TITLES.values(), "CPU time"], lines)


def aims_table(arms: Arms, aims: Mapping[str, tuple[float, ...]]) -> str:
    """Against the baseline on the same photos: ratios of the means, median ratio of CPU time, (aims), wins."""
    lines = []
    for name, rows in arms.items():
        seeds = sorted(set(rows) & set(arms[BASELINE]))
        if not seeds or name == BASELINE:
            continue
        pairs = [compared(arms, name, BASELINE, figure, seeds) for figure in FIGURES]
        time = median(rows[seed]["seconds"] / arms[BASELINE][seed]["seconds"] for seed in seeds)
        values = [f"{pair.ratio_of_means:.2f}" for pair in pairs] + [f"{time:.1f}"]
        wanted = [f" (≤ {aim:g})" for aim in aims.get(name, ())] or [""] * len(values)
        wins = "/".join(str(pair.better) for pair in pairs)
        cells = [value + aim for value, aim in zip(values, wanted, strict=True)]
        lines.append([name, *cells, f"{wins} of {len(seeds)}"])
    return markdown([f"against {BASELINE}", *TITLES.values(), "CPU time", "better on"], lines)


def pair_table(arms: Arms, pairs: Sequence[tuple[str, str]]) -> str:
    """Arms against one code in the same space, photo by photo."""
    lines = []
    for name, rival in pairs:
        seeds = sorted(set(arms[name]) & set(arms[rival]))
        for figure in FIGURES if seeds else ():
            one = compared(arms, name, rival, figure, seeds)
            worst = f"{one.worst:.3f} ({seeds[one.ratios.index(one.worst)]})"
            cells = [f"{one.ratio_of_means:.3f}", f"{one.median:.3f}", worst]
            lines.append([f"{name} / {rival}", TITLES[figure], *cells, f"{one.better} of {len(seeds)}"])
    return markdown(["", "", "ratio of means", "median", "worst (photo)", "better on"], lines)


def compared(arms: Arms, name: str, rival: str, figure: str, seeds: Sequence[int]) -> MethodComparison:
    return compare_methods(*(figures(arms[one], seeds, figure) for one in (name, rival)))


def figures(rows: Mapping[int, Row], seeds: Sequence[int], figure: str) -> list[float]:
    return [rows[seed]["fidelity"][figure] for seed in seeds]


def segment_table(arms: Arms, name: str, rival: str) -> str:
    """Ratios within the masks, by the segments' names, and over all segments of all photos."""
    seeds = sorted(set(arms[name]) & set(arms[rival]))
    pairs = [
        (seed, *(Fidelity.from_plain(arms[one][seed]["fidelity"]).segments for one in (name, rival)))
        for seed in seeds
    ]
    names = list(dict.fromkeys(segment for _, segments, _ in pairs for segment in segments))
    lines = []
    for title, chosen in [*((segment, [segment]) for segment in names), ("all", names)]:
        shown = [(seed, a[one], b[one]) for seed, a, b in pairs for one in chosen if one in a]
        cells = [cell for figure in ("l2", "perceptual") for cell in segment_cells(figure, shown)]
        lines.append([title, str(len(shown)), *cells])
    columns = ["L2: median", "worst (photo)", "above 1", "perceptual: median", "worst (photo)", "above 1"]
    return f"{name} / {rival}, within each segment: ratio\n\n" + markdown(["", "photos", *columns], lines)


def segment_cells(figure: str, shown: Sequence[tuple[int, Any, Any]]) -> list[str]:
    one = compare_methods(
        [getattr(a, figure) for _, a, _ in shown], [getattr(b, figure) for _, _, b in shown]
    )
    worst = shown[one.ratios.index(one.worst)][0]
    return [f"{one.median:.2f}", f"{one.worst:.2f} ({worst})", f"{one.worse / len(shown):.1%}"]


def scatter(rows: Sequence[Row]) -> Tensor:
    """Every photo by the distance of one code and of other arms, a panel for each figure (P2, figure 4)."""
    arms = by_arm(rows)
    one_code = arms.get(BASELINE, {})
    shown = {name: sorted(set(arms[name]) & set(one_code)) for name in SCATTERED if name in arms}
    if not any(shown.values()):
        sys.exit(f"nothing to scatter: there is no photo with {BASELINE} and one of {', '.join(SCATTERED)}")
    panels = []
    for figure in FIGURES:
        pairs = {
            name: list(zip(*(figures(rows, seeds, figure) for rows in (one_code, arms[name])), strict=True))
            for name, seeds in shown.items()
            if seeds
        }
        panels.append(method_scatter(pairs, TITLES[figure], across=BASELINE, up="the other arm"))
    return torch.cat(panels, dim=-1)
