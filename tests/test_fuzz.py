"""Damaged checkpoints of every format: a generator or one clear error, and nothing else happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoint_writers import WRITERS

CASES = int(os.environ.get("CHUNKYGAN_FUZZ_CASES", "2000"))
ROOT = Path(__file__).resolve().parent.parent


def fuzz(kind: str) -> dict[str, Any]:
    """The summary of a fuzzer's run in its own process."""
    command = [sys.executable, "-m", "tests.fuzz.run", "--format", kind, "--count", str(CASES), "--seed", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert done.stdout, done.stderr[-3000:]
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


@pytest.fixture(scope="module")
def summaries() -> dict[str, dict[str, Any]]:
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(WRITERS, pool.map(fuzz, WRITERS), strict=True))


@pytest.mark.parametrize("kind", WRITERS)
def test_damaged_files(kind: str, summaries: dict[str, dict[str, Any]]) -> None:
    summary = summaries[kind]
    assert summary["failures"] == []
    assert summary["cases"] == CASES == summary["loaded"] + summary["refused"]
    assert summary["refused"] > CASES / 4  # the damage reaches what is read
    assert summary["peak_growth_mib"] < 150
    assert summary["slowest_seconds"] < 10
