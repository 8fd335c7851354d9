"""The part "suite": how many tests of the repository pass on the device."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .part import Part, part_options

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ["tests/test_blend.py", "tests/test_spaces.py"]


def main() -> None:
    part = part_options(__doc__)
    counts = Counts(part)
    paths = TINY if part.size == "tiny" else ["tests"]
    rc = pytest.main(["--rootdir", str(ROOT), "--device", str(part.device), *paths], plugins=[counts])
    counts.write()
    sys.exit(0 if rc in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else 1)


class Counts:
    """A plugin of pytest's that counts outcomes, and writes them down every few tests."""

    EVERY = 20

    def __init__(self, part: Part) -> None:
        self.part, self.counts, self.failures = part, Counter[str](), list[str]()

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.counts["deselected"] += len(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            outcome = report.outcome if report.when == "call" or report.skipped else "errors"
            self.counts[outcome] += 1
            if report.failed:
                self.failures.append(report.nodeid)
        if report.when == "teardown" and sum(self.counts.values()) % self.EVERY == 0:
            self.write()

    def write(self) -> None:
        names = ("passed", "failed", "errors", "skipped", "deselected")
        result: dict[str, Any] = {name: self.counts[name] for name in names}
        self.part.write("suite", result | {"failures": self.failures})


if __name__ == "__main__":
    main()
