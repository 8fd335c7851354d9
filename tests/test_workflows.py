"""The shipped workflows against the node schemas: a workflow that no longer fits its nodes opens broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pack_on_double import ROOT, Pack, pack  # noqa: F401  # pack is a fixture
from tests.workflow_tools import CONTROLS, NOTES, WIDGET_TYPES, widget_values, widgets_of_schema

WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
CORE_OUTPUTS = {
    "SaveImage": ["IMAGE"],
    "PreviewImage": ["IMAGE"],
    "ImageStitch": ["IMAGE"],
    "EmptyImage": ["IMAGE"],
    "ImageBlend": ["IMAGE"],
    "ImageCompositeMasked": ["IMAGE"],
    "ThresholdMask": ["MASK"],
    "GrowMask": ["MASK"],
    "MaskComposite": ["MASK"],
    "BatchMasksNode": ["MASK"],
    "PreviewAny": ["STRING"],
}
ANY = "*"
PYTHON_TYPES = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool, "COMBO": str}


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_there_is_a_first_workflow_with_a_thumbnail() -> None:
    assert "start_here" in [path.stem for path in WORKFLOWS]
    for path in WORKFLOWS:
        assert path.with_suffix(".jpg").is_file(), f"{path.name} has no thumbnail"


def test_nodes_exist_and_are_explained(pack: Pack, workflow: dict[str, Any]) -> None:  # noqa: F811
    types = [node["type"] for node in workflow["nodes"]]
    unknown = set(types) - set(pack.nodes) - set(CORE_OUTPUTS) - NOTES
    assert not unknown
    assert NOTES & set(types)
    assert workflow["groups"]


def test_widget_values_fit(pack: Pack, workflow: dict[str, Any]) -> None:  # noqa: F811
    for node in workflow["nodes"]:
        schema = pack.schemas.get(node["type"])
        if schema is None:
            continue
        values = widget_values(node, widgets_of_schema(schema))
        for entry in (entry for entry in schema.inputs if entry.widget is not None):
            check_value(f"{node['type']}.{entry.id}", values[entry.id], entry)
            if entry.widget.get("control_after_generate"):
                assert values[f"{entry.id} control"] == "fixed", (
                    f"{node['type']}.{entry.id} changes by itself"
                )


def check_value(name: str, value: Any, entry: Any) -> None:
    assert isinstance(value, PYTHON_TYPES[entry.io_type]), f"{name} = {value!r} is no {entry.io_type}"
    assert isinstance(value, bool) == (entry.io_type == "BOOLEAN"), name
    if "min" in entry.widget:
        assert entry.widget["min"] <= value <= entry.widget["max"], f"{name} = {value}"
    if "options" in entry.widget:
        assert value in entry.widget["options"], f"{name} = {value!r}, not among {entry.widget['options']}"
    assert value not in CONTROLS, f"{name} = {value!r}: widget values have shifted"


def test_links_are_typed_and_required_inputs_connected(pack: Pack, workflow: dict[str, Any]) -> None:  # noqa: F811
    nodes = {node["id"]: node for node in workflow["nodes"]}
    schemas = pack.schemas
    for _, source, output, target, slot, kind in workflow["links"]:
        assert outputs_of(nodes[source], schemas)[output] == kind
        entry = nodes[target]["inputs"][slot]
        assert entry["type"] in (kind, ANY)
        if nodes[target]["type"] in schemas:
            declared = {one.id: one.io_type for one in schemas[nodes[target]["type"]].inputs}
            assert declared[entry["name"]] == kind
    for node in nodes.values():
        required = {
            one.id
            for one in getattr(schemas.get(node["type"]), "inputs", [])
            if one.io_type not in WIDGET_TYPES and not one.optional
        }
        linked = {entry["name"] for entry in node.get("inputs", []) if entry.get("link") is not None}
        assert required <= linked, f"{node['type']} lacks {required - linked}"


def outputs_of(node: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    schema = schemas.get(node["type"])
    return CORE_OUTPUTS[node["type"]] if schema is None else [output.io_type for output in schema.outputs]


def test_files_are_small(workflow: dict[str, Any]) -> None:
    assert len(json.dumps(workflow)) < 100_000


def test_thumbnails_are_small() -> None:
    for path in WORKFLOWS:
        assert Path(path.with_suffix(".jpg")).stat().st_size < 200_000
