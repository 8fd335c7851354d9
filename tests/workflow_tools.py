"""Workflows in the page's own format, read against what the host knows of the nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

WORKFLOWS = sorted((Path(__file__).parent.parent / "workflows").glob("*.json"))
NOTES = {"Note", "MarkdownNote"}
CONTROLS = {"fixed", "increment", "decrement", "randomize"}
UNSAVED = {"ImageCompare": {"compare_view": {}}}  # what the host asks for but a saved workflow doesn't hold
MUTED, BYPASSED = 2, 4  # modes of a node
WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}

TITLE = 30  # canvas pixels of a node's title, which lies above its position
SLOT, WIDGET, PADDING = 20, 24, 14  # canvas pixels of a row of slots, of a widget, and around the widgets
# Canvas pixels for what a running node writes below its widgets: two lines of its state, four of the fit, at 280 wide.
# The page shares what is free equally between it and a text field of the node.
TEXT_BELOW = 150
SAYS_ITS_FIT = ("ChunkyGAN_SegmentedProjection", "ChunkyGAN_PivotalTuning")
MARGIN = 10  # canvas pixels that the page leaves around the nodes when it fits them to the window,
USED = 0.75  # and the part of the window that it then takes
SMALLEST_TEXT, TEXT = (
    8,
    14,
)  # pixels: below the first the page draws no text, the second is its size at zoom 1

Widgets = list[
    tuple[str, bool]
]  # names in the page's order; True = followed by what to do with a seed after a run


def widgets_of_schema(schema: Any) -> Widgets:
    """Widgets of a node of the double."""
    entries = (entry for entry in schema.inputs if entry.widget is not None)
    return [(entry.id, bool(entry.widget.get("control_after_generate"))) for entry in entries]


def widgets_of_info(info: Mapping[str, Any]) -> Widgets:
    """Widgets of a node of the real host, from its /object_info."""
    entries = [*info["input"].get("required", {}).items(), *info["input"].get("optional", {}).items()]
    return [
        (name, bool((options or [{}])[0].get("control_after_generate")))
        for name, (kind, *options) in entries
        if isinstance(kind, list) or kind in WIDGET_TYPES
    ]


def widget_values(node: Mapping[str, Any], widgets: Widgets) -> dict[str, Any]:
    """The values of a node's widgets by name. Raises ValueError if there are too few or too many."""
    names = [part for name, control in widgets for part in ([name, f"{name} control"] if control else [name])]
    values = node.get("widgets_values", [])
    if len(values) != len(names):
        raise ValueError(f"node {node['id']} has {len(values)} widget values, expected {names}")
    return dict(zip(names, values, strict=True))


def to_prompt(workflow: Mapping[str, Any], widgets: Mapping[str, Widgets]) -> dict[str, Any]:
    """What the page sends to the host for a workflow: without muted nodes, past those that are bypassed."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: link for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in NOTES or node["mode"] in (MUTED, BYPASSED):
            continue
        values = widget_values(node, widgets[node["type"]])
        inputs = {name: value for name, value in values.items() if not name.endswith(" control")}
        sources = {
            entry["name"]: source_of(entry.get("link"), nodes, links) for entry in node.get("inputs", [])
        }
        inputs |= {name: source for name, source in sources.items() if source is not None}
        inputs |= UNSAVED.get(node["type"], {})
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def source_of(
    link: int | None, nodes: Mapping[int, Mapping[str, Any]], links: Mapping[int, Sequence[Any]]
) -> list[Any] | None:
    """The node and output that a link brings, None where it is muted or nothing is linked."""
    while link is not None:
        _, origin, output, _, _, kind = links[link]
        if nodes[origin]["mode"] == MUTED:
            return None
        if nodes[origin]["mode"] != BYPASSED:
            return [str(origin), output]
        link = next((entry["link"] for entry in nodes[origin]["inputs"] if entry["type"] == kind), None)
    return None


Rectangle = Sequence[float]  # x, y, width, height in canvas pixels


def rectangles(workflow: Mapping[str, Any]) -> dict[int, Rectangle]:
    """What each node covers, by id, with its title; a collapsed one is its title only."""
    return {node["id"]: rectangle(node) for node in workflow["nodes"]}


def rectangle(node: Mapping[str, Any]) -> Rectangle:
    (x, y), (width, height) = node["pos"], node["size"]
    return [x, y - TITLE, width, TITLE + (0 if node["flags"].get("collapsed") else height)]


def least_height(node: Mapping[str, Any]) -> int:
    """The height below which the page enlarges a node, so that it covers what lies under it."""
    if node["flags"].get("collapsed") or node["type"] in NOTES:
        return 0
    slots = [entry for entry in node.get("inputs", []) if not entry.get("widget")]
    rows = max(len(slots), len(node.get("outputs", [])), 1)
    text = 2 * TEXT_BELOW if node["type"] in SAYS_ITS_FIT else 0
    return SLOT * rows + WIDGET * len(node.get("widgets_values", [])) + PADDING + text


def overlaps(covered: Mapping[Any, Rectangle]) -> list[tuple[Any, Any]]:
    """Pairs of keys whose rectangles share some area."""
    return [
        (one, other)
        for (one, first), (other, second) in combinations(covered.items(), 2)
        if all(
            first[axis] < second[axis] + second[axis + 2] and second[axis] < first[axis] + first[axis + 2]
            for axis in (0, 1)
        )
    ]


def contains(outer: Rectangle, inner: Rectangle) -> bool:
    return all(
        outer[axis] <= inner[axis] and inner[axis] + inner[axis + 2] <= outer[axis] + outer[axis + 2]
        for axis in (0, 1)
    )


def zoom_when_fitted(covered: Sequence[Rectangle], window: tuple[int, int]) -> float:
    """The zoom at which the page shows all of a freshly opened graph."""
    spans = [
        max(one[axis] + one[axis + 2] for one in covered) - min(one[axis] for one in covered)
        for axis in (0, 1)
    ]
    return min(USED * side / (span + 2 * MARGIN) for side, span in zip(window, spans, strict=True))
