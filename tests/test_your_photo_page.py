"""docs/your_photo.md: its Python runs as it stands, with the demo generator and a photo from the reference files."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from textwrap import dedent

import pytest
import torch

import chunky_core as cg
from chunky_core.images import to_uint8

pytestmark = pytest.mark.cpu("the demo generator is loaded onto it")
PAGE = (Path(__file__).parent.parent / "docs" / "your_photo.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
YUNET = "face_detection_yunet_2023mar.onnx"


@pytest.fixture
def names(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """What the page's code leaves, run in `tmp_path`; two steps of W in the place of the preset's."""
    faces = shared / "faces"
    stand_ins = {
        '"stylegan2-ffhq-1024x1024.pkl"': '"demo", device="cpu"',
        '"directions.safetensors"': '"demo"',
        '"photo.jpg"': repr(str(faces / "astronaut.png")),
        f'"{YUNET}"': repr(str(faces / YUNET)),
        'cg.project_preset(G, crop.image, masks, "draft")': 'cg.project(G, crop.image, masks, space="w", num_steps=2)',
    }
    code = CODE
    for name, stand_in in stand_ins.items():
        assert code.count(name) == 1, name
        code = code.replace(name, stand_in)
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return runpy.run_path("page.py")


def test_it_changes_the_mouth_and_nothing_else(names: dict, tmp_path: Path):
    before, after = names["photo"], cg.load_image(tmp_path / "edited.png")
    rows, columns = torch.nonzero((to_uint8(before) != to_uint8(after)).any(-1)[0], as_tuple=True)
    assert len(rows) > 50
    assert rows.min() > 120 and rows.max() < 180 and columns.min() > 180 and columns.max() < 270
    assert set(names["masks"].names) == {"mouth", "left_eye", "right_eye"}


def test_it_has_ten_lines_of_work():
    assert len([line for line in CODE.splitlines() if line and not line.startswith("import")]) <= 12


def test_landmarks_in_the_place_of_the_detector(shared: Path, tmp_path: Path):
    """The page's other lines, on the reference landmarks."""
    (block,) = (part for part in PAGE.split("\n\n") if "faces = cg.read_face_landmarks" in part)
    data = json.loads((shared / "faces" / "face_landmarks_astronaut.json").read_text(encoding="utf-8"))
    photo = cg.load_image(shared / "faces" / "astronaut.png")
    scope = {"cg": cg, "data": data, "photo": photo, "G": cg.load_generator("demo", device="cpu")}
    (tmp_path / "page.py").write_text(dedent(block), encoding="utf-8")
    scope = runpy.run_path(str(tmp_path / "page.py"), scope)
    assert scope["crop"].image.shape == (1, 3, 256, 256) and scope["mesh"].points.shape == (478, 2)
    assert "estimated" not in scope["mesh"].data


def test_the_files_are_those_that_errors_and_workflow_name():
    from chunky_core.alignment.yunet import FILE

    workflow = (Path(__file__).parent.parent / "workflows" / "your_photo.json").read_text(encoding="utf-8")
    for file in (
        FILE,
        "mediapipe_face_fp32.safetensors",
        "sam3.1_multiplex_fp16.safetensors",
        "vgg16-397923af.pth",
    ):
        assert file in PAGE and file in workflow
