"""Label maps that were interpolated or compressed are told from honest ones, however thin their parts."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from chunky_core.demo.photos import demo_photo
from chunky_core.images.mixtures import mixture_problem


def face_labels(size: int) -> np.ndarray:
    """A map with the numbers of CelebAMask-HQ: glasses, ear rings and strands of hair a pixel wide, single pixels."""
    labels, scale, rng = np.zeros((size, size), np.uint8), size / 1024, np.random.default_rng(0)

    def at(*numbers: float) -> tuple[int, ...]:
        return tuple(round(number * scale) for number in numbers)

    def oval(centre: tuple[int, int], axes: tuple[int, int], label: int, thickness: int = -1) -> None:
        cv2.ellipse(
            labels, at(*centre), tuple(max(1, axis) for axis in at(*axes)), 0, 0, 360, label, thickness
        )

    oval((512, 600), (420, 520), 17)
    cv2.rectangle(labels, at(380, 800), at(640, 1023), 14, -1)
    parts = [(512, 1150, 500, 220, 16), (270, 600, 30, 70, 7), (760, 600, 30, 70, 8), (262, 690, 8, 22, 9)]
    parts += [(512, 560, 250, 340, 1), (400, 500, 60, 14, 2), (620, 500, 60, 14, 3), (400, 560, 45, 20, 4)]
    parts += [(620, 560, 45, 20, 5), (512, 640, 45, 80, 10), (512, 760, 90, 18, 12), (512, 785, 90, 22, 13)]
    for x, y, width, height, label in [*parts, (512, 772, 60, 6, 11)]:
        oval((x, y), (width, height), label)
    for x in (400, 620):
        oval((x, 560), (85, 60), 6, thickness=max(1, round(5 * scale)))
    for start in rng.integers(0, 1024, (60, 2)):
        cv2.line(labels, at(*start), at(*(start + rng.integers(-150, 150, 2))), 17, 1)
    labels[size // 3, size // 3], labels[size // 2, size // 2] = 18, 11
    return labels


def problem(labels: np.ndarray) -> str | None:
    return mixture_problem(torch.from_numpy(labels.astype(np.int64)))


def through(labels: np.ndarray, kind: str, **options: object) -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(labels).convert("RGB").save(buffer, kind, **options)
    return np.asarray(Image.open(buffer).convert("L"))


@pytest.mark.parametrize("size", [64, 256, 1024])
def test_honest_maps_are_clean_under_any_numbering(size: int) -> None:
    labels = face_labels(size)
    assert problem(labels) is None
    for seed in range(3):
        assert problem(np.random.default_rng(seed).permutation(19)[labels]) is None
    assert problem(demo_photo(20, resolution=size, extras=["odd_glasses"]).labels.numpy()) is None


@pytest.mark.parametrize("size", [64, 512])
@pytest.mark.parametrize("way", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4])
@pytest.mark.parametrize("factor", [0.75, 0.98, 1.5])
def test_interpolated_maps_are_found(size: int, way: int, factor: float) -> None:
    for labels in (face_labels(size), demo_photo(7, resolution=size).labels.numpy()):
        smaller = cv2.resize(labels, (round(size * factor),) * 2, interpolation=way)
        assert "in between" in str(problem(smaller))
        nearest = cv2.resize(labels, (round(size * factor),) * 2, interpolation=cv2.INTER_NEAREST)
        assert problem(nearest) is None


@pytest.mark.parametrize("size", [64, 256, 1024])
@pytest.mark.parametrize(("kind", "quality"), [("JPEG", 50), ("JPEG", 75), ("JPEG", 95), ("WEBP", 80)])
def test_lossy_maps_are_found_without_their_file(size: int, kind: str, quality: int) -> None:
    assert problem(through(face_labels(size), kind, quality=quality))
    if size > 64:  # where the noise leaves plain areas
        assert problem(through(face_labels(size) * 13, kind, quality=quality))


def test_the_example_is_one_of_the_map() -> None:
    labels = np.repeat(np.array([[3] * 20 + [5] + [8] * 20], np.uint8), 40, axis=0)
    labels[:10, :10] = 5
    assert "such as 5 between 3 and 8" in str(problem(labels))


def test_what_holds_no_mixture_is_clean() -> None:
    rng = np.random.default_rng(0)
    boxed = np.zeros((64, 64), np.uint8)
    boxed[10:50, 10:50], boxed[11:49, 11:49] = 128, 255
    outlined = np.repeat(np.array([[0] * 20 + [1] + [2] * 20], np.uint8), 40, axis=0)
    two = cv2.resize((face_labels(256) > 9).astype(np.uint8), (300, 300))
    for labels in (outlined, boxed, two, rng.integers(0, 19, (64, 64)), rng.integers(0, 3, (256, 256))):
        assert problem(labels) is None
    for shape in ((1, 1), (1, 9), (9, 1), (4, 6)):
        assert problem(np.arange(np.prod(shape)).reshape(shape)) is None
