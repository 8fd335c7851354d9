"""The tables of benchmarks/editability.py: arms at equal gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.rows import Row
from benchmarks.timing import markdown

REFERENCE = "reference"
NOMINAL = {"smile": 2.0, "beard": 2.0, "skin": 1.5, "hair_length": 1.5, "age": 2.0, "yaw": 1.5}
MULTIPLES = (0.0, 0.5, 1.0, 1.5, 2.0)
AT_1 = MULTIPLES.index(1.0)
FIGURES = ("identity_to_truth", "identity_to_photo", "perceptual_to_truth", "seams")
SCALE = {"seams": 127.5}  # grey levels
LEAST_GAIN = 0.3  # of the reference at the nominal strength, for a photo to count in a direction


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


def editable(reference: Sequence[Row]) -> dict[str, list[int]]:
    """The seeds of the photos that count, by direction, of the directions that have some."""
    found = {
        name: [
            row["seed"] for row in reference if row["edits"][name]["rendering"][AT_1]["gain"] >= LEAST_GAIN
        ]
        for name in NOMINAL
    }
    return {name: seeds for name, seeds in found.items() if seeds}


def at_equal_gain(rows: Sequence[Row], reference: Sequence[Row], direction: str, way: str) -> EqualGain:
    gains = pooled(rows, direction, way, "gain")
    wanted = pooled(reference, direction, "rendering", "gain")[AT_1]
    place, reached = crossing(gains, wanted)
    figures = {name: interpolated(pooled(rows, direction, way, name), place) for name in FIGURES}
    return EqualGain(interpolated(MULTIPLES, place), reached, gains[AT_1] / wanted, figures)


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
    counted = editable(arms[REFERENCE])
    if not counted:
        return "no photo yet on which an edit of the reference shows"
    strengths = ", ".join(f"{name} {NOMINAL[name]} ({len(some)} photos)" for name, some in counted.items())
    title = f"{len(seeds)} photos: {', '.join(map(str, seeds))}; nominal strengths: {strengths}"
    tables = [f"{title}\n\n{fit_table(arms)}"]
    for way in rows[0]["settings"]["ways"]:
        found = {
            name: {
                one: at_equal_gain(
                    *([by_arm[a][seed] for seed in counted[one]] for a in (name, REFERENCE)), one, way
                )
                for one in counted
            }
            for name in arms
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
    return markdown([figure.replace("_", " "), *next(iter(found.values()))], lines)


def nominal_table(found: Mapping[str, Mapping[str, EqualGain]]) -> str:
    lines = [
        [name, *(f"{one.nominal:.2f} ({one.multiple:.2f})" for one in by_direction.values())]
        for name, by_direction in found.items()
    ]
    return markdown(["gain at 1 (multiple at equal gain)", *next(iter(found.values()))], lines)
