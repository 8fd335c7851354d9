"""Damaged files of every kind: what the kind holds or one clear error, and nothing else happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.kinds import CHECKPOINTS, KINDS, OTHERS

CASES = int(os.environ.get("CHUNKYGAN_FUZZ_CASES", "2000"))  # of each format of checkpoints
# Of the others one in so many.
SHARES = dict.fromkeys(CHECKPOINTS, 1) | dict.fromkeys(OTHERS, 4) | {"settings": 8}
GROUPS = (*((kind,) for kind in CHECKPOINTS), tuple(OTHERS))  # one process each; those of others are short
ROOT = Path(__file__).resolve().parent.parent


def fuzz(kinds: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The summaries of a fuzzer's runs in their own process."""
    found: dict[str, dict[str, Any]] = {}
    for count in sorted({CASES // SHARES[kind] for kind in kinds}):
        alike = [kind for kind in kinds if CASES // SHARES[kind] == count]
        options = ["--format", *alike, "--count", str(count), "--seed", "0"]
        command = [sys.executable, "-m", "tests.fuzz.run", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert done.stdout, done.stderr[-3000:]
        summaries = [json.loads(line) for line in done.stdout.splitlines()]
        found |= {summary["format"]: summary for summary in summaries}
    return found


@pytest.fixture(scope="module")
def summaries() -> dict[str, dict[str, Any]]:
    with ThreadPoolExecutor(2) as pool:
        return {kind: summary for found in pool.map(fuzz, GROUPS) for kind, summary in found.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, summaries: dict[str, dict[str, Any]]) -> None:
    summary, cases = summaries[kind], CASES // SHARES[kind]
    assert summary["failures"] == []
    assert summary["cases"] == cases == summary["loaded"] + summary["refused"]
    assert summary["refused"] > cases / 4  # the damage reaches what is read
    assert summary["peak_growth_mib"] < (150 if kind in CHECKPOINTS else 64)
    assert summary["slowest_seconds"] < 10
