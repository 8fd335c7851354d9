"""The shipped workflows against the node schemas: a workflow that no longer fits its nodes opens broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.pack_on_double import Pack
from tests.workflow_tools import (
    CONTROLS,
    NOTES,
    SMALLEST_TEXT,
    TEXT,
    WIDGET_TYPES,
    WORKFLOWS,
    contains,
    least_height,
    overlaps,
    rectangles,
    widget_values,
    widgets_of_schema,
    zoom_when_fitted,
)

WINDOW = (1600, 900)  # pixels
CORE_OUTPUTS = {
    "SaveImage": ["IMAGE"],
    "PreviewImage": ["IMAGE"],
    "ImageCompare": [],
    "BatchImagesNode": ["IMAGE"],
    "EmptyImage": ["IMAGE"],
    "SolidMask": ["MASK"],
    "ImageBlend": ["IMAGE"],
    "ImageCompositeMasked": ["IMAGE"],
    "ThresholdMask": ["MASK"],
    "GrowMask": ["MASK"],
    "MaskComposite": ["MASK"],
    "BatchMasksNode": ["MASK"],
    "PreviewAny": ["STRING"],
    "LoadImage": ["IMAGE", "MASK"],
    "LoadMediaPipeFaceLandmarker": ["FACE_DETECTION_MODEL"],
    "MediaPipeFaceLandmarker": ["FACE_LANDMARKS", "BOUNDING_BOX"],
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "CLIPTextEncode": ["CONDITIONING"],
    "SAM3_Detect": ["MASK", "BOUNDING_BOX"],
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


def test_nodes_exist_and_are_explained(pack: Pack, workflow: dict[str, Any]) -> None:
    types = [node["type"] for node in workflow["nodes"]]
    unknown = set(types) - set(pack.nodes) - set(CORE_OUTPUTS) - NOTES
    assert not unknown
    assert NOTES & set(types)
    assert workflow["groups"]


def test_widget_values_fit(pack: Pack, workflow: dict[str, Any]) -> None:
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


def test_links_are_typed_and_required_inputs_connected(pack: Pack, workflow: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    schemas = pack.schemas
    for _, source, output, target, slot, kind in workflow["links"]:
        assert outputs_of(nodes[source], schemas)[output] == kind
        entry = nodes[target]["inputs"][slot]
        assert entry["type"] == ANY or kind in entry["type"].split(",")
        if nodes[target]["type"] in schemas:
            declared = {one.id: one.io_type for one in schemas[nodes[target]["type"]].inputs}
            assert kind in declared[entry["name"]].split(",")
    for node in nodes.values():
        required = {
            one.id
            for one in getattr(schemas.get(node["type"]), "inputs", [])
            if one.io_type not in WIDGET_TYPES and not one.optional
        }
        linked = {entry["name"] for entry in node.get("inputs", []) if entry.get("link") is not None}
        assert required <= linked, f"{node['type']} lacks {required - linked}"


def test_both_ends_of_a_link_know_it(workflow: dict[str, Any]) -> None:
    nodes = {node["id"]: node for node in workflow["nodes"]}
    said = {
        (link, node["id"], slot)
        for node in nodes.values()
        for slot, output in enumerate(node["outputs"])
        for link in output["links"] or []
    }
    heard = {
        (entry["link"], node["id"], slot)
        for node in nodes.values()
        for slot, entry in enumerate(node["inputs"])
        if entry["link"] is not None
    }
    assert said == {(link, source, output) for link, source, output, *_ in workflow["links"]}
    assert heard == {(link, target, slot) for link, _, _, target, slot, _ in workflow["links"]}


def test_every_node_lies_in_one_group_and_on_no_other_node(workflow: dict[str, Any]) -> None:
    covered = rectangles(workflow)
    groups = {group["title"]: group["bounding"] for group in workflow["groups"]}
    assert not overlaps(covered)
    assert not overlaps(groups)
    for key, one in covered.items():
        assert sum(contains(group, one) for group in groups.values()) == 1, f"node {key} is in no group"


def test_every_node_has_room_for_its_widgets_and_what_it_says(workflow: dict[str, Any]) -> None:
    short = {
        node["type"]: (node["size"][1], needed)
        for node in workflow["nodes"]
        if node["size"][1] < (needed := least_height(node))
    }
    assert not short


def test_it_can_be_read_when_it_opens(workflow: dict[str, Any]) -> None:
    covered = [*rectangles(workflow).values(), *(group["bounding"] for group in workflow["groups"])]
    assert zoom_when_fitted(covered, WINDOW) > SMALLEST_TEXT / TEXT


def test_start_here_projects_only_what_it_edits(pack: Pack) -> None:
    path = next(path for path in WORKFLOWS if path.stem == "start_here")
    values: dict[str, list[dict[str, Any]]] = {}
    for node in json.loads(path.read_text(encoding="utf-8"))["nodes"]:
        if node["type"] in pack.schemas:
            widgets = widgets_of_schema(pack.schemas[node["type"]])
            values.setdefault(node["type"], []).append(widget_values(node, widgets))
    (masks,) = values["ChunkyGAN_SegmentMasks"]
    edited = {edit["segments"] for edit in values["ChunkyGAN_LatentEdit"]}
    assert set(masks["only"].split(", ")) == edited


def outputs_of(node: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    schema = schemas.get(node["type"])
    return CORE_OUTPUTS[node["type"]] if schema is None else [output.io_type for output in schema.outputs]


def test_files_are_small(workflow: dict[str, Any]) -> None:
    assert len(json.dumps(workflow)) < 100_000


def test_thumbnails_are_small() -> None:
    for path in WORKFLOWS:
        assert path.with_suffix(".jpg").stat().st_size < 200_000
