"""The scripts for the page know the names that the nodes use."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from tests.pack_on_double import Pack

ROOT = Path(__file__).parent.parent


def constants(path: Path) -> set[str]:
    """Every text in a Python file."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_type_has_a_colour_of_its_own() -> None:
    script = (ROOT / "web" / "js" / "socket_colours.js").read_text(encoding="utf-8")
    coloured = dict(re.findall(r"^  (CHUNKYGAN_\w+): \"(#[0-9a-f]{6})\",$", script, re.MULTILINE))
    types = {text for text in constants(ROOT / "nodes" / "types.py") if text.startswith("CHUNKYGAN_")}
    assert set(coloured) == types
    assert len(set(coloured.values())) == len(types)


def test_the_page_listens_for_what_the_nodes_send() -> None:
    script = (ROOT / "web" / "js" / "notices.js").read_text(encoding="utf-8")
    heard = set(re.findall(r"^const \w+ = \"(chunkygan\..+?)\"", script, re.MULTILINE))
    sent = {text for text in constants(ROOT / "nodes" / "notices.py") if text.startswith("chunkygan.")}
    assert heard == sent and len(sent) == 2


def test_the_page_knows_the_widgets_that_count_with_a_preset(pack: Pack) -> None:
    script = (ROOT / "web" / "js" / "presets.js").read_text(encoding="utf-8")
    texts = dict(re.findall(r'^const (\w+) = "(.+)"$', script, re.MULTILINE))
    widgets = {entry.id: entry.widget for entry in pack.schemas[texts["NODE"]].inputs if entry.widget}
    assert texts["CUSTOM"] in widgets["preset"]["options"]
    always = re.search(r"^const ALWAYS = \[(.+)\]$", script, re.MULTILINE)
    assert always is not None
    named = set(re.findall(r'"(\w+)"', always[1]))
    assert "preset" in named <= set(widgets)


def test_the_page_knows_whose_lists_follow_the_generator(pack: Pack) -> None:
    script = (ROOT / "web" / "js" / "direction_list.js").read_text(encoding="utf-8")
    texts = dict(re.findall(r'^const (\w+) = "(.+)"$', script, re.MULTILINE))
    lists = re.findall(r'^  (\w+): \{ widget: "(\w+)", answer: "(\w+)" \},$', script, re.MULTILINE)
    assert len(lists) == 2
    answers = sys.modules[f"{pack.module.__name__}.nodes.direction_list"]
    assert {answer for _, _, answer in lists} == set(answers.Fitting.__annotations__)
    for node, widget, _ in lists:
        inputs = {entry.id: entry for entry in pack.schemas[node].inputs}
        assert texts["INPUT"] in inputs and inputs[widget].widget["options"]
    loader = {entry.id: entry.widget for entry in pack.schemas[texts["LOADER"]].inputs}
    assert "auto" in loader[texts["UPSAMPLING"]]["options"] and texts["NAME"] in loader
    assert texts["ROUTE"] == answers.ROUTE and texts["ROUTE"] in pack.server.routes.handlers


def test_the_page_knows_what_segment_channels_sends_and_sets(pack: Pack) -> None:
    script = (ROOT / "web" / "js" / "segment_channels.js").read_text(encoding="utf-8")
    texts = dict(re.findall(r'^const (\w+) = "(.+)"$', script, re.MULTILINE))
    widgets = {entry.id: entry.widget for entry in pack.schemas[texts["NODE"]].inputs if entry.widget}
    assert widgets[texts["RANK"]]["min"] == 1 and texts["SHEET"] not in widgets
    module = ROOT / "nodes" / "segment_channels.py"
    assert {texts["OUTPUT"], "rank", "caption", "image"} <= constants(module)
    assert set(re.findall(r"\bchannel\.(\w+)", script)) == {"rank", "caption", "image"}
    assert "sheet.serialize = false" in script  # else saved values would shift
