"""What a second run computes again after an edit's strength was changed: the edit and what follows it, no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.host.browser import run_program
from tests.host.comfyui import ask, needs_comfyui, run_in_executor
from tests.workflow_tools import WORKFLOWS, to_prompt, widgets_of_info

pytestmark = needs_comfyui

Prompt = dict[str, dict[str, Any]]


@pytest.fixture
def start_here(server: str) -> Prompt:
    """As the page would send it, with few steps: that it runs, not how well it fits."""
    widgets = {name: widgets_of_info(one) for name, one in ask(f"{server}/object_info").items()}
    path = next(path for path in WORKFLOWS if path.stem == "start_here")
    prompt = to_prompt(json.loads(path.read_text(encoding="utf-8")), widgets)
    prompt[only(prompt, is_a("ChunkyGAN_SegmentedProjection"))]["inputs"]["steps"] = 3
    return prompt


def test_another_strength_runs_only_the_edit_and_what_follows(base: Path, start_here: Prompt) -> None:
    gaze = only(start_here, lambda node: node["inputs"].get("direction") == "gaze_x")
    changed = json.loads(json.dumps(start_here))
    changed[gaze]["inputs"]["strength"] += 0.5
    first, second, third = run_in_executor(base, [{"prompt": one} for one in (start_here, changed, changed)])
    assert first["success"] and set(first["executed"]) == set(start_here)
    assert second["success"] and set(second["executed"]) == {gaze, *followers(start_here, gaze)}
    assert third["success"] and not third["executed"]


def test_a_graph_built_by_hand_does_so_too(server: str) -> None:
    first, second = run_program("rerun.mjs", server)
    for run in (first, second):
        assert run["ended"] == "execution_success", run.get("message")
    assert "ChunkyGAN_SegmentedProjection" in first["executed"]
    assert sorted(second["executed"]) == [
        "ChunkyGAN_LatentEdit",
        "ChunkyGAN_PoissonComposite",
        "PreviewImage",
    ]


def is_a(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda node: node["class_type"] == kind


def only(prompt: Prompt, wanted: Callable[[dict[str, Any]], bool]) -> str:
    (key,) = (key for key, node in prompt.items() if wanted(node))
    return key


def followers(prompt: Prompt, key: str) -> set[str]:
    """The nodes that take, over any number of links, something from the node `key`."""
    found = {
        other for other, node in prompt.items() if any(takes(value, key) for value in node["inputs"].values())
    }
    return found.union(*(followers(prompt, other) for other in found))


def takes(value: Any, key: str) -> bool:
    return isinstance(value, list) and value[:1] == [key]
