"""Inputs that once went wrong, each a script that ends with 0 if a user sees what is right. They lie beside the
project, in ../shared or where CHUNKYGAN_SHARED says, and are skipped where they don't.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CASES = Path(os.environ.get("CHUNKYGAN_SHARED", ROOT.parent / "shared")) / "cases"
SCRIPTS = sorted(CASES.glob("*/*.py"))
PATIENCE = 300  # seconds
ABSENT = pytest.mark.skip(reason=f"the cases are absent: {CASES} (set CHUNKYGAN_SHARED)")


@pytest.mark.parametrize(
    "script",
    SCRIPTS or [pytest.param(CASES, marks=ABSENT)],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_case(script: Path, tmp_path: Path) -> None:
    places = {"PYTHONPATH": str(ROOT), "CASE_TMP": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment = os.environ | places | {"OMP_NUM_THREADS": "2"}
    environment.pop("COMFYUI_PATH", None)  # on the double of the host's API
    run = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=PATIENCE,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"[-3000:]
