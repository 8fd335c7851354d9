"""The figures of peers and ours as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

from benchmarks.timing import markdown

Row = dict[str, Any]
WHOLE = "whole"


def report(rows: Sequence[Row]) -> str:
    """Whole pictures, lone segments, and what each tool changes outside of the segment, as Markdown."""
    whole = [row for row in rows if row["part"] == WHOLE]
    alone = [row for row in rows if row["part"] != WHOLE]
    tables = [
        figures_table("whole picture", whole, ("perceptual", "identity", "l2")),
        figures_table("one segment", alone, ("perceptual", "l2")),
        *(figures_table(f"one segment: {part}", [row for row in alone if row["part"] == part], ("perceptual", "l2"))
          for part in dict.fromkeys(row["part"] for row in alone)),
        outside_table(alone),
    ]  # fmt: skip
    return "\n\n".join(tables)


def by_arm(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Arm -> its rows; of a photo that was measured twice, the last one."""
    found: dict[str, dict[tuple[int, str], Row]] = {}
    for row in rows:
        found.setdefault(row["arm"], {})[row["seed"], row["part"]] = row
    return {arm: list(own.values()) for arm, own in found.items()}


def figures_table(title: str, rows: Sequence[Row], figures: Sequence[str]) -> str:
    """Means over the photos."""
    lines = []
    for arm, own in by_arm(rows).items():
        values = [f"{mean(row[figure] for row in own):.4f}" for figure in figures]
        tuning = [f"{row['tuning steps']}" for row in own if "tuning steps" in row]
        seconds = f"{mean(row['seconds'] for row in own):.0f} s"
        sizes = [row["bytes"] / 1000 for row in own if "bytes" in row]
        size = f"{mean(sizes):.0f} kB" if sizes else ""
        lines.append([arm, str(len(own)), *values, seconds, ", ".join(tuning), size])
    return markdown([title, "photos", *figures, "CPU time", "tuning steps", "file"], lines)


def outside_table(rows: Sequence[Row]) -> str:
    """Share of pixels outside the mask that change, and by how many levels at most, over the photos."""
    lines = []
    for arm, own in by_arm(rows).items():
        for output in own[0]["outside"]:
            found = [row["outside"][output] for row in own]
            lines.append(
                [arm, output, f"{span(found, 'share', '{:.0%}'.format)}", span(found, "levels", str)]
            )
    return markdown(["outside the mask", "picture", "pixels changed", "by up to (levels)"], lines)


def span(found: Sequence[Row], figure: str, written: Callable[[Any], str]) -> str:
    """The least and the most of a figure."""
    values = [one[figure] for one in found]
    ends = dict.fromkeys(written(value) for value in (min(values), max(values)))
    return " … ".join(ends)
