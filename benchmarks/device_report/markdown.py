"""Prints a report as tables in Markdown: python -m benchmarks.device_report.markdown out/gpu.json"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # the other benchmarks

from timing import markdown


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(as_markdown(json.loads(Path(sys.argv[1]).read_text())))


def as_markdown(report: Mapping[str, Any]) -> str:
    """The tables of a report, also of one whose parts did not all come to their end."""
    sections = [_summary(report)]
    if report.get("correctness"):
        sections.append(_correctness(report["correctness"]))
    if report.get("timings"):
        sections.append(_timings(report["timings"]))
    return "\n\n".join(sections)


def _summary(report: Mapping[str, Any]) -> str:
    machine, suite = report.get("machine", {}), report.get("suite")
    fields = ("device", "card", "driver", "torch", "cuda", "python", "threads", "memory_gib")
    rows = [[name, str(machine[name])] for name in fields if name in machine]
    if suite:
        names = ("passed", "failed", "errors", "skipped", "deselected", "not_run")
        rows.append(["tests", ", ".join(f"{suite[name]} {name.replace('_', ' ')}" for name in names)])
    parts = report.get("parts", {})
    rows.append(
        [
            "parts",
            ", ".join(f"{name} {one['status']} ({one['seconds']:.0f} s)" for name, one in parts.items()),
        ]
    )
    rows.append(["result", "passed" if report.get("passed") else "FAILED"])
    return markdown(["what", "found"], rows)


def _correctness(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            check["name"],
            check["dtype"],
            "none" if check["difference"] is None else f"{check['difference']:.1e}",
            f"{check['bound']:g}",
            check["unit"],
            "" if check["passed"] else "FAILED",
        ]
        for check in checks
    ]
    return markdown(["what", "dtype", "largest difference", "at most", "unit", ""], rows)


def _timings(timings: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            timing["arm"],
            str(timing["pixels"]),
            timing["dtype"],
            f"{timing['seconds']:.4f}",
            "not measured" if timing["peak_mib"] is None else f"{timing['peak_mib']:.0f}",
        ]
        for timing in timings
    ]
    return markdown(["what", "pixels", "dtype", "median s", "peak MiB"], rows)


if __name__ == "__main__":
    main()
