"""The part "suite": how many of the repository's tests of numerics pass on the device.

Those of CHOSEN come first, the ones that a GPU can get wrong first of all. When the time is up the rest is left out
and counted.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .part import Part, part_options

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = ["devices", "region", "region_batches", "objective", "losses", "poisson", "blend", "spaces"]
CHOSEN = {
    "tiny": ["blend", "spaces"],
    "small": SMALL,
    "full": [
        *SMALL,
        *[
            "invariants",
            "projection_resume",
            "partial_synthesis",
            "renderings",
            "hooks",
            "latents",
            "composite",
            "projection",
            "level_set",
            "render",
            "noise_maps",
            "stylegan2_variants",
            "stylegan3",
        ],
        *[
            "poisson_segments",
            "poisson_modes",
            "edits",
            "segments",
            "detail",
            "boundaries",
            "perceptual",
            "identity_loss",
            "statistics",
        ],
        *["fill", "seams", "fitting", "edit_segments", "alignment", "schedule"],
    ],
}
SECONDS = {"tiny": 60, "small": 300, "full": 110}


def main() -> None:
    part = part_options(__doc__)
    counts = Counts(part, time.monotonic() + SECONDS[part.size])
    paths = [str(ROOT / "tests" / f"test_{name}.py") for name in CHOSEN[part.size]]
    ended = pytest.main(["--rootdir", str(ROOT), "--device", str(part.device), *paths], plugins=[counts])
    counts.write()
    good = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    sys.exit(0 if ended in good else 1)


class Counts:
    """A plugin of pytest's that counts outcomes, writes them down every few tests, and ends when the time is up."""

    EVERY = 20

    def __init__(self, part: Part, deadline: float) -> None:
        self.part, self.deadline = part, deadline
        self.counts, self.failures = Counter[str](), list[str]()
        self.started = self.chosen = 0

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.counts["deselected"] += len(items)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.chosen = len(session.items)

    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self.started += 1
        if time.monotonic() > self.deadline:
            item.session.shouldstop = "the time is up"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self.counts[report.outcome if report.when == "call" or report.skipped else "errors"] += 1
            if report.failed:
                self.failures.append(report.nodeid)
        if report.when == "teardown" and self.started % self.EVERY == 0:
            self.write()

    def write(self) -> None:
        names = ("passed", "failed", "errors", "skipped", "deselected")
        result: dict[str, Any] = {name: self.counts[name] for name in names}
        self.part.write("suite", result | {"not_run": self.chosen - self.started, "failures": self.failures})


if __name__ == "__main__":
    main()
