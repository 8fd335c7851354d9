"""The templates as a user meets them: a click on each card of the template browser, in the real page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.host.browser import run_program
from tests.host.comfyui import PACK, needs_comfyui
from tests.workflow_tools import NOTES, WORKFLOWS, overlaps

pytestmark = needs_comfyui


@pytest.fixture(scope="module")
def visits(server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What templates.mjs saw of each template, by name; the last line it printed is under ""."""
    shots = tmp_path_factory.mktemp("shots")
    return {
        report.get("name", ""): report for report in run_program("templates.mjs", server, PACK, str(shots))
    }


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
