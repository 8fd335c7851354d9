"""What a report consists of, and when it is good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FORMAT, VERSION = "chunkygan-device-report", 1
CHECK = {
    "name": str,
    "dtype": str,
    "difference": (float, type(None)),
    "bound": float,
    "unit": str,
    "passed": bool,
}
TIMING = {
    "arm": str, "pixels": int, "dtype": str, "seconds": float, "rounds": int, "peak_mib": (float, type(None))
}  # fmt: skip
SUITE = {
    "passed": int,
    "failed": int,
    "errors": int,
    "skipped": int,
    "deselected": int,
    "not_run": int,
    "failures": list,
}
MACHINE = {"device": str, "card": str, "driver": str, "torch": str, "python": str, "memory_gib": float}


def passed(report: Mapping[str, Any], parts: Sequence[str]) -> bool:
    """Whether every part that was asked for came to its end, every check held, no test failed and most were reached.

    Timings that did not come to their end don't count: a slow machine computes no less correctly.
    """
    ended = {name: one["status"] == "done" for name, one in report["parts"].items()}
    if not all(ended.get(part, False) for part in parts if part != "timings"):
        return False
    if "correctness" in parts and not report.get("correctness"):
        return False
    suite = report.get("suite", {})
    if "suite" in parts and suite.get("passed", 0) < max(suite.get("not_run", 0), 1):
        return False  # less than half of it was reached
    checks = all(check["passed"] for check in report.get("correctness", []))
    return checks and not suite.get("failed") and not suite.get("errors")


def problems(report: Mapping[str, Any]) -> list[str]:
    """What a report lacks or has in another form; [] for a good one."""
    found = []
    if (report.get("format"), report.get("version")) != (FORMAT, VERSION):
        found.append(f"format and version are not {FORMAT} {VERSION}")
    for name, kind in (("parts", dict), ("passed", bool), ("seconds", float)):
        if not isinstance(report.get(name), kind):
            found.append(f"{name} is missing")
    records = [("machine", [report["machine"]] if "machine" in report else [], MACHINE)]
    records += [("suite", [report["suite"]] if "suite" in report else [], SUITE)]
    records += [("correctness", report.get("correctness", []), CHECK)]
    records += [("timings", report.get("timings", []), TIMING)]
    for title, entries, fields in records:
        for entry in entries:
            found += [
                f"{title}: {name} is {entry.get(name)!r}"
                for name, kind in fields.items()
                if not isinstance(entry.get(name), kind)
            ]
    return found
