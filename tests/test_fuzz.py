"""Damaged files of every kind: what the kind holds or one clear error, and nothing else happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.kinds import CHECKPOINTS, KINDS, OTHERS

CASES = int(os.environ.get("CHUNKYGAN_FUZZ_CASES", "2000"))  # of each format of checkpoints
# Of the others one in so many.
SHARES = (
    dict.fromkeys(CHECKPOINTS, 1)
    | dict.fromkeys(OTHERS, 4)
    | {"settings": 8, "direction-tools": 8, "channels": 10}
)
ROOT = Path(__file__).resolve().parent.parent


def fuzz(kind: str, count: int) -> dict[str, Any]:
    """The summary of a fuzzer's run in its own process."""
    command = [sys.executable, "-m", "tests.fuzz.run", "--format", kind, "--count", str(count), "--seed", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.stdout, done.stderr[-3000:]
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str) -> None:
    cases = CASES // SHARES[kind]
    summary = fuzz(kind, cases)
    assert summary["failures"] == []
    assert summary["cases"] == cases == summary["loaded"] + summary["refused"]
    assert summary["refused"] > cases / 4  # the damage reaches what is read
    assert summary["peak_growth_mib"] < (150 if kind in CHECKPOINTS else 64)
    assert summary["slowest_seconds"] < 10
