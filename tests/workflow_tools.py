"""Workflows in the page's own format, read against what the host knows of the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTES = {"Note", "MarkdownNote"}
CONTROLS = {"fixed", "increment", "decrement", "randomize"}
WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}

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
    """What the page sends to the host for a workflow."""
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in NOTES:
            continue
        values = widget_values(node, widgets[node["type"]])
        inputs = {name: value for name, value in values.items() if not name.endswith(" control")}
        linked = (entry for entry in node.get("inputs", []) if entry.get("link") is not None)
        inputs |= {entry["name"]: sources[entry["link"]] for entry in linked}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt
