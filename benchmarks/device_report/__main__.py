"""Runs the parts of the report, each in a process of its own with a time limit, and writes one JSON file.

Ends with 1 where the device computes something else than the CPU, where a test fails, or where a part did not end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .schema import FORMAT, VERSION, passed

LIMITS = {"machine": 30, "correctness": 90, "suite": 150, "timings": 90}  # seconds, on a GPU
CPU_FACTOR = 4  # more time for each on the CPU
# Of the CPU's threads no more than: where other programs hold one of many up, all wait for it.
THREADS = {"correctness": 4, "suite": 1}
GRACE = 5  # seconds from asking a part to end until it is ended


def main() -> int:
    options = _options()
    start, parts, report = time.monotonic(), {}, {"format": FORMAT, "version": VERSION}
    for part in options.parts:
        limit = LIMITS[part] * (CPU_FACTOR if options.device == "cpu" else 1)
        print(f"{part} (at most {limit} s)", flush=True)
        found, parts[part] = run_part(part, options.device, options.size, limit)
        report |= found
    report |= {"parts": parts, "seconds": round(time.monotonic() - start, 1)}
    report["passed"] = passed(report, options.parts)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{'passed' if report['passed'] else 'FAILED'} after {report['seconds']} s: {options.out}")
    return 0 if report["passed"] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device_report", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cpu, cuda, cuda:N or mps")
    parser.add_argument("--out", type=Path, default=Path("out/gpu.json"))
    parser.add_argument(
        "--size",
        choices=("tiny", "small", "full"),
        help="tiny: seconds, for a test of the report; small: up to 256 pixels; full: to 1024 where the memory allows "
        "(default: full, on the CPU small)",
    )
    parser.add_argument("--parts", nargs="+", choices=list(LIMITS), default=list(LIMITS))
    options = parser.parse_args()
    options.size = options.size or ("small" if options.device == "cpu" else "full")
    return options


def run_part(part: str, device: str, size: str, limit: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a part found, and how it ended: {"status": "done", "failed" or "timed out", "seconds"}.

    A part writes what it has as it goes, so that one which is ended at its limit leaves that.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, start = Path(folder) / "part.json", time.monotonic()
        command = [sys.executable, "-m", f"{__package__}.{part}", "--device", device, "--size", size]
        process = subprocess.Popen([*command, "--out", str(out)], env=_environment(part))
        try:
            status = "failed" if process.wait(limit) else "done"
        except subprocess.TimeoutExpired:
            status = "timed out"
            _end(process)
        seconds = round(time.monotonic() - start, 1)
        found = json.loads(out.read_text()) if out.is_file() else {}
    return found, {"status": status, "seconds": seconds, "limit": limit}


def _environment(part: str) -> dict[str, str]:
    if part not in THREADS:
        return dict(os.environ)
    return os.environ | {"OMP_NUM_THREADS": str(min(THREADS[part], os.cpu_count() or 1))}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
