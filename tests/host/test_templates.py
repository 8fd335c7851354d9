"""The templates as a user meets them: a click on each card of the template browser, in the real page.

Besides a ComfyUI (see comfyui.py) this needs node with playwright-core, which PLAYWRIGHT_CORE names or node finds by
itself, and a Chromium, which CHROMIUM names or the path has.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.host.comfyui import PACK, needs_comfyui
from tests.pack_on_double import ROOT
from tests.workflow_tools import NOTES, WORKFLOWS, overlaps

PROGRAM = Path(__file__).parent / "templates.mjs"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
NODE = shutil.which("node")

pytestmark = needs_comfyui


def has_playwright() -> bool:
    name = os.environ.get("PLAYWRIGHT_CORE", "playwright-core")
    found = subprocess.run([str(NODE), "-e", f"require({json.dumps(name)})"], capture_output=True)
    return found.returncode == 0


@pytest.fixture(scope="module")
def visits(server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What templates.mjs saw of each template, by name; the last line it printed is under ""."""
    if not NODE or not CHROMIUM:
        pytest.skip("there is no node, or no Chromium (CHROMIUM names one)")
    if not has_playwright():
        pytest.skip("node finds no playwright-core (PLAYWRIGHT_CORE names its folder)")
    shots = tmp_path_factory.mktemp("shots")
    command = [NODE, str(PROGRAM), server, PACK, str(shots), "run"]
    done = subprocess.run(
        command, env=os.environ | {"CHROMIUM": CHROMIUM}, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    return {report.get("name", ""): report for report in reports}


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def template(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_the_host_lists_every_workflow(visits: dict[str, dict[str, Any]]) -> None:
    assert sorted(visits[""]["listed"]) == [path.stem for path in WORKFLOWS]
    assert visits[""]["errors"] == []


def test_its_files_are_served_and_its_card_shows_the_thumbnail(
    visits: dict[str, dict[str, Any]], template: Path
) -> None:
    seen = visits[template.stem]
    assert (seen["json"], seen["thumbnail"]) == (200, 200)
    assert seen["picture"] > 100


def test_a_click_opens_its_own_graph(visits: dict[str, dict[str, Any]], template: Path) -> None:
    opened, own = visits[template.stem]["graph"], json.loads(template.read_text(encoding="utf-8"))
    assert opened is not None, "the click opened nothing"
    assert sorted(opened["links"]) == sorted(own["links"])
    assert contents(opened) == contents(own)


def contents(workflow: dict[str, Any]) -> dict[int, tuple[str, Any]]:
    """id -> type and widget values, apart from what a node of the host shows there after a run."""
    own = {node["id"]: node for node in workflow["nodes"]}
    ours = {
        key for key, node in own.items() if node["type"].startswith("ChunkyGAN_") or node["type"] in NOTES
    }
    return {
        key: (node["type"], node.get("widgets_values") if key in ours else None) for key, node in own.items()
    }


def test_its_nodes_lie_apart_after_a_run(visits: dict[str, dict[str, Any]], template: Path) -> None:
    assert not overlaps(visits[template.stem]["rectangles"])


def test_it_runs(visits: dict[str, dict[str, Any]], template: Path) -> None:
    seen = visits[template.stem]
    assert seen["ended"] == "execution_success", seen.get("message")
