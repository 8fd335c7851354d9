"""The workflow for one's own photo in the real host, on the stand-ins that it opens with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.host.comfyui import needs_comfyui, run_in_executor
from tests.pack_on_double import ROOT, Pack
from tests.workflow_tools import Widgets, to_prompt, widgets_of_schema

pytestmark = needs_comfyui

YUNET = "face_detection_yunet_2023mar.onnx"
WORKFLOW = ROOT / "workflows" / "your_photo.json"
CORE: dict[str, Widgets] = {  # of the host's own nodes that run
    "SaveImage": [("filename_prefix", False)],
    "PreviewImage": [],
    "ImageCompare": [],
}


@pytest.fixture(scope="module")
def prompt(pack: Pack) -> dict[str, Any]:
    own = {name: widgets_of_schema(schema) for name, schema in pack.schemas.items()}
    return to_prompt(json.loads(WORKFLOW.read_text(encoding="utf-8")), CORE | own)


def of_kind(prompt: dict[str, Any], kind: str) -> list[str]:
    return [key for key, node in prompt.items() if node["class_type"] == kind]


def test_what_needs_files_is_left_out(prompt: dict[str, Any]) -> None:
    """The portrait and its landmarks stand in; Face Segments goes past Add Segment to the projection."""
    kinds = {node["class_type"] for node in prompt.values()}
    assert kinds == CORE.keys() | {
        f"ChunkyGAN_{name}"
        for name in (
            *("DemoPortrait", "LoadStyleGAN", "AlignFace", "FaceSegments", "SegmentPreview"),
            *("SegmentedProjection", "LatentEdit", "PoissonComposite", "PasteBack"),
        )
    }
    (portrait,) = of_kind(prompt, "ChunkyGAN_DemoPortrait")
    assert not {"photo", "photo_landmarks"} & prompt[portrait]["inputs"].keys()
    (projection,), (face,) = (
        of_kind(prompt, f"ChunkyGAN_{name}") for name in ("SegmentedProjection", "FaceSegments")
    )
    assert prompt[projection]["inputs"]["segments"] == [face, 0]
    (align,) = of_kind(prompt, "ChunkyGAN_AlignFace")
    assert "photo_masks" not in prompt[align]["inputs"]


def test_it_runs_and_changes_eyes_and_mouth_only(base: Path, prompt: dict[str, Any]) -> None:
    (portrait,) = of_kind(prompt, "ChunkyGAN_DemoPortrait")
    given = {"class_type": "SaveImage", "inputs": {"images": [portrait, 0], "filename_prefix": "given"}}
    (done,) = run_in_executor(base, [{"prompt": {**prompt, "given": given}}])
    assert done["success"], done["errors"]
    (save,) = of_kind(prompt, "SaveImage")
    before, after = (picture(base, done["outputs"][key]) for key in ("given", save))
    changed = (before != after).any(-1)
    assert before.shape == after.shape == (768, 768, 3) and 0 < changed.mean() < 0.15
    rows, columns = np.nonzero(changed)
    assert rows.min() > 200 and rows.max() < 680 and columns.min() > 150 and columns.max() < 620


def picture(base: Path, output: dict[str, Any]) -> np.ndarray:
    (image,) = output["images"]
    read = cv2.imread(str(base / "output" / image["subfolder"] / image["filename"]))
    assert read is not None
    return read


def test_a_photo_and_a_detector_take_their_place(base: Path, shared: Path, pack: Pack) -> None:
    """Load Image switched on and YuNet chosen, as the note says: the tilted astronaut through the same graph."""
    workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    for node in workflow["nodes"]:
        if node["type"] == "LoadImage":
            node["mode"] = 0
    own = {name: widgets_of_schema(schema) for name, schema in pack.schemas.items()}
    loading: dict[str, Widgets] = {"LoadImage": [("image", False), ("upload", False)]}
    prompt = to_prompt(workflow, CORE | loading | own)
    (align,), (save,) = (of_kind(prompt, kind) for kind in ("ChunkyGAN_AlignFace", "SaveImage"))
    prompt[align]["inputs"]["model"] = YUNET
    photo, detector = base / "input" / "photo.png", base / "models" / "chunkygan" / "faces" / YUNET
    detector.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(shared / "faces" / "astronaut_turned30.png", photo)
    shutil.copyfile(shared / "faces" / YUNET, detector)
    (done,) = run_in_executor(base, [{"prompt": prompt}])
    assert done["success"], done["errors"]
    before, after = cv2.imread(str(photo)), picture(base, done["outputs"][save])
    assert before is not None and before.shape == after.shape
    rows, columns = np.nonzero((before != after).any(-1))
    assert len(rows) > 200 and rows.min() > 150 and rows.max() < 270  # the face lies about (400, 205)
    assert columns.min() > 330 and columns.max() < 460
