"""The preset of Segmented Projection in the real page: what is grey, and what workflows of before get."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.host.browser import run_program
from tests.host.comfyui import ask, needs_comfyui
from tests.workflow_tools import WORKFLOWS

pytestmark = needs_comfyui

KIND = "ChunkyGAN_SegmentedProjection"


@pytest.fixture(scope="module")
def seen(server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What presets.mjs saw, by the name of the case."""
    workflow = json.loads(next(path for path in WORKFLOWS if path.stem == "start_here").read_text())
    for node in workflow["nodes"]:
        if node["type"] == KIND:
            assert node["widgets_values"].pop() == "custom"
    path = tmp_path_factory.mktemp("before") / "workflow.json"
    path.write_text(json.dumps(workflow), encoding="utf-8")
    return {report["name"]: report for report in run_program("presets.mjs", server, str(path))}


@pytest.fixture(scope="module")
def widgets(server: str) -> set[str]:
    """The names of all widgets of the node, as the page has them."""
    inputs = ask(f"{server}/object_info/{KIND}")[KIND]["input"]
    entries = {**inputs["required"], **inputs["optional"]}
    links = {"generator", "image", "segments", "loss", "start", "alignment"}
    return {*entries} - links


def test_nothing_is_grey_without_a_preset(seen: dict[str, dict[str, Any]]) -> None:
    for name in ("new", "given up", "saved before"):
        assert (seen[name]["preset"], seen[name]["disabled"]) == ("custom", []), name


def test_with_a_preset_all_is_grey_that_does_not_count(
    seen: dict[str, dict[str, Any]], widgets: set[str]
) -> None:
    for name, preset in (("chosen", "draft"), ("saved with one", "good")):
        assert seen[name]["preset"] == preset
        assert set(seen[name]["disabled"]) == widgets - {"preset", "seed", "start_as"}, name


def test_the_page_has_no_errors(seen: dict[str, dict[str, Any]]) -> None:
    assert [one["errors"] for one in seen.values()] == [[]] * 5
