"""What Latent Edit and Load Direction list in the real page for the generator that they are connected to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.host.browser import run_program
from tests.host.comfyui import needs_comfyui
from tests.pack_on_double import TINY

pytestmark = needs_comfyui

DEMO = "demo (built in)"
OWN = [f"{TINY}/gaze_x", f"{TINY}/smile"]


@pytest.fixture(scope="module")
def seen(server: str) -> dict[str, dict[str, Any]]:
    """What directions.mjs saw, by the name of the case."""
    return {report["name"]: report for report in run_program("directions.mjs", server, TINY)}


def test_everything_is_listed_without_a_generator(seen: dict[str, dict[str, Any]]) -> None:
    lists = seen["not connected"]
    assert lists["direction"][-2:] == OWN and {"smile", "yaw"} < set(lists["direction"])
    assert lists["file"] == [DEMO, TINY]


@pytest.mark.parametrize("case", ["chosen", "after R", "opened", "nodes 2.0"])
def test_only_what_fits_is_listed_beside_what_is_chosen(seen: dict[str, dict[str, Any]], case: str) -> None:
    assert seen[case]["direction"] == ["smile", *OWN] and seen[case]["file"] == [DEMO, TINY]


@pytest.mark.parametrize("case", ["demo", "nodes 2.0, demo"])
def test_the_demo_has_only_its_own(seen: dict[str, dict[str, Any]], case: str) -> None:
    assert [*seen[case]["direction"], *OWN] == seen["not connected"]["direction"]
    assert seen[case]["file"] == [DEMO]


def test_the_page_has_no_errors(seen: dict[str, dict[str, Any]]) -> None:
    assert [one["errors"] for one in seen.values()] == [[]] * 7
