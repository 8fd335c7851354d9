"""Opens damaged files in this process: `python -m tests.fuzz.run --format ada --count 2000 --seed 0`.

Every case must give what its kind holds or a ChunkyError, in little time and memory, and touch nothing but its
file. Prints a JSON summary per format and exits with 1 if a case does not. A failing case is made again by its number:
`--first N --count 1`.
"""

from __future__ import annotations

import argparse
import codecs
import gc
import json
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

import torch

from chunky_core.errors import ChunkyError

from .guard import ForbiddenError, Guard
from .kinds import KINDS

ADDRESS_SPACE = 1 << 30  # what a case may map beyond what the process has when the first one starts
PATIENCE = 20  # seconds; a case that takes longer hangs
MEBIBYTE = 1 << 20
# Of opcodes, zips and web pages; Python imports a codec where it is used first.
CODECS = (
    *("latin-1", "raw_unicode_escape", "unicode_escape", "utf-8", "ascii", "cp437"),
    *("utf-16", "utf-16-le", "utf-16-be"),
)


@dataclass
class Summary:
    """What happened; peak_growth_mib: by how much the process's resident memory exceeded that of loading the seed."""

    format: str
    seed: int
    seed_bytes: int = 0
    cases: int = 0
    loaded: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    slowest_case: int = -1
    peak_growth_mib: float = 0.0


class Fuzzer:
    """Runs cases against one good file."""

    def __init__(self, kind: str, seed: int, folder: Path, guard: Guard) -> None:
        self.summary = Summary(kind, seed)
        self.kind = KINDS[kind]
        self.path = folder / self.kind.name
        self.kind.write(self.path)
        self.data = self.path.read_bytes()
        self.summary.seed_bytes = len(self.data)
        self.file = self.path.open("wb", buffering=0)  # stays open: a case then opens nothing for writing
        self.guard = guard

    def warm_up(self) -> None:
        """Imports what is imported on first use and shows that the undamaged file loads."""
        for encoding in CODECS:
            codecs.lookup(encoding)
        for _ in range(3):
            self._place(self.data)
            self.kind.load(self.path)
            self._place(self.data[:20])
            try:
                self.kind.load(self.path)
            except ChunkyError as error:
                traceback.format_exception(error)

    def run(self, first: int, count: int) -> Summary:
        self.warm_up()
        gc.collect()
        limit_address_space()
        signal.signal(signal.SIGALRM, _too_slow)
        before, start = peak_memory(), time.perf_counter()
        for case in range(first, first + count):
            self.case(case)
        self.summary.seconds = round(time.perf_counter() - start, 2)
        self.summary.peak_growth_mib = round((peak_memory() - before) / MEBIBYTE, 1)
        return self.summary

    def case(self, case: int) -> None:
        data = self.kind.damage(self.data, Random(f"{self.summary.format}/{self.summary.seed}/{case}"))
        self._place(data)
        start = time.perf_counter()
        signal.alarm(PATIENCE)
        self.guard.armed = True
        try:
            outcome = self._load()
        finally:
            self.guard.armed = False
            signal.alarm(0)
        self._count(case, outcome, time.perf_counter() - start)

    def _load(self) -> str:
        """ "loaded", "refused", or what went wrong."""
        try:
            return "loaded" if isinstance(self.kind.load(self.path), self.kind.result) else "something else"
        except ChunkyError as error:
            fine = 0 < len(str(error)) < 2000 and "\n" not in str(error)
            return "refused" if fine else f"bad message: {str(error)[:200]!r}"
        except (Exception, ForbiddenError) as error:  # noqa: BLE001 - whatever else is raised is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-3:]
            return f"{error!r:.300} at {' > '.join(f'{Path(f.filename).name}:{f.lineno}' for f in place)}"

    def _count(self, case: int, outcome: str, seconds: float) -> None:
        self.summary.cases += 1
        self.summary.loaded += outcome == "loaded"
        self.summary.refused += outcome == "refused"
        if self.guard.violations:
            outcome = f"forbidden: {self.guard.violations.pop()}"
        if outcome not in ("loaded", "refused"):
            self.summary.failures.append(f"case {case}: {outcome}")
        if seconds > self.summary.slowest_seconds:
            self.summary.slowest_seconds, self.summary.slowest_case = round(seconds, 4), case

    def _place(self, data: bytes) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.file.write(data)


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"a case took more than {PATIENCE} s")


def peak_memory() -> int:
    """The most resident memory that this process has had so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def limit_address_space() -> None:
    """Makes an allocation far beyond the seed's fail (where the system says how much is mapped now)."""
    status = Path("/proc/self/statm")
    if status.exists():
        mapped = int(status.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + ADDRESS_SPACE, resource.RLIM_INFINITY))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--format", choices=sorted(KINDS), nargs="+", required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # weights that are not finite are named in a warning
    guard = Guard()
    failed = False
    for kind in options.format:
        with tempfile.TemporaryDirectory() as folder:
            fuzzer = Fuzzer(kind, options.seed, Path(folder), guard)
            summary = fuzzer.run(options.first, options.count)
            fuzzer.file.close()
        print(json.dumps(asdict(summary)), flush=True)
        failed = failed or bool(summary.failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
