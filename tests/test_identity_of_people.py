"""Identity on real photographs, from file to distance, with dlib's descriptor (King 2017) as the embedder.

Needs dlib and face_recognition_models. CHUNKYGAN_FACE_PHOTOS names a checkout of ageitgey/face_recognition.
"""

from __future__ import annotations

import os
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from chunky_core.alignment import align, choose_face, detect_faces
from chunky_core.images import load_image, to_uint8
from chunky_core.losses.face_frame import Points, align_to_template

dlib: Any = pytest.importorskip("dlib", reason="dlib (pip: dlib-bin) isn't installed")
models = pytest.importorskip("face_recognition_models", reason="face_recognition_models isn't installed")

THRESHOLD = 0.6  # of dlib's own documentation
# Where dlib's face chips of 150 pixels have the five points; the mean of 37 faces.
TEMPLATE = ((48.2, 46.7), (99.9, 46.8), (73.9, 75.8), (49.5, 103.7), (98.9, 103.6))


@cache
def descriptor_network() -> Any:
    folder = Path(models.__file__).parent / "models"
    return dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))


def descriptor(images: Tensor, points: Points) -> np.ndarray:
    chip = to_uint8(align_to_template(images, points, (150, 150), TEMPLATE))[0].numpy()
    return np.array(descriptor_network().compute_face_descriptor(np.ascontiguousarray(chip)))


def described(path: Path, detector: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of a photo's largest face: by its points in the photo, and by those found again in its FFHQ crop."""
    photo = load_image(path)
    found = []
    for picture in (photo, align(photo, choose_face(detect_faces(photo, model=detector)), 512).image):
        points = choose_face(detect_faces(picture, model=detector)).points
        assert points is not None
        found.append(descriptor(picture, [*points.eyes, *points.mouth]))
    return found[0], found[1]


@pytest.fixture(scope="module")
def detector(shared: Path) -> Path:
    return shared / "faces" / "face_detection_yunet_2023mar.onnx"


def test_a_turned_photo_and_its_crop_show_the_same_person(shared: Path, detector: Path) -> None:
    files = (shared / "faces" / name for name in ("astronaut.png", "astronaut_turned30.png"))
    vectors = [vector for file in files for vector in described(file, detector)]
    assert max(np.linalg.norm(a - b) for a, b in combinations(vectors, 2)) < THRESHOLD / 2


def test_people_are_told_apart(detector: Path) -> None:
    root = os.environ.get("CHUNKYGAN_FACE_PHOTOS", "")
    if not root:
        pytest.skip("CHUNKYGAN_FACE_PHOTOS names no checkout of ageitgey/face_recognition")
    files = sorted((Path(root) / "examples" / "knn_examples" / "train").glob("*/*.jp*g"))
    people = [(file.parent.name, *described(file, detector)) for file in files]
    same, other = [], []
    for (name, *vectors), (other_name, *others) in combinations(people, 2):
        distances = [float(np.linalg.norm(a - b)) for a, b in zip(vectors, others, strict=True)]
        (same if name == other_name else other).extend(distances)
    print(f"same {min(same):.2f} to {max(same):.2f}, other {min(other):.2f} to {max(other):.2f}")
    assert len(same) >= 6 and max(same) < THRESHOLD < min(other)
