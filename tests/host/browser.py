"""The programs of this folder that look at the host's page. They need node with playwright-core, which PLAYWRIGHT_CORE
names or node finds by itself, and a Chromium, which CHROMIUM names or the path has.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NODE = shutil.which("node")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")


def run_program(name: str, *arguments: str) -> list[dict[str, Any]]:
    """What a program printed, a dict per line. Skips the test where there is no browser to run it in."""
    if NODE is None or CHROMIUM is None:
        pytest.skip("there is no node, or no Chromium (CHROMIUM names one)")
    if not has_playwright(NODE):
        pytest.skip("node finds no playwright-core (PLAYWRIGHT_CORE names its folder)")
    done = subprocess.run(
        [NODE, str(Path(__file__).parent / name), *arguments],
        env=os.environ | {"CHROMIUM": CHROMIUM},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def has_playwright(node: str) -> bool:
    name = os.environ.get("PLAYWRIGHT_CORE", "playwright-core")
    found = subprocess.run(
        [node, "-e", f"require({json.dumps(name)})"], cwd=Path(__file__).parent, capture_output=True
    )
    return found.returncode == 0
