"""What a mask's levels and transparency mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from chunky_core.errors import InvalidInputError
from chunky_core.images import read_mask
from tests.picture_tools import blocks, encoded, file_of, png

ON = blocks(np.array([[0, 1, 1], [1, 0, 1]], np.uint8), 8)


def is_read_as(path: Path, mask: np.ndarray, tolerance: float = 0.0) -> bool:
    return bool((read_mask(path) - torch.from_numpy(mask.astype(np.float32))).abs().max() <= tolerance)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_0_and_1_are_off_and_on(tmp_path: Path, dtype: type) -> None:
    assert is_read_as(file_of(tmp_path, encoded(ON.astype(dtype), "PNG")), ON)
    assert is_read_as(file_of(tmp_path, encoded(np.dstack([ON] * 3), "PNG")), ON)
    assert is_read_as(file_of(tmp_path, encoded(np.dstack([ON * 0] * 3 + [ON]), "PNG")), ON)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_levels_0_and_1_are_off_and_on_at_any_depth(tmp_path: Path, depth: int) -> None:
    assert is_read_as(file_of(tmp_path, png(ON, depth)), ON)


@pytest.mark.parametrize("depth", [2, 4])
def test_few_levels_span_black_to_white(tmp_path: Path, depth: int) -> None:
    levels = np.arange(1 << depth, dtype=np.uint8).reshape(2, -1)
    assert is_read_as(file_of(tmp_path, png(levels, depth)), levels / levels.max(), 1e-6)


def test_eight_bit_levels_in_a_file_of_sixteen(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert is_read_as(file_of(tmp_path, encoded(levels, "PNG")), levels / 255, 1e-6)
    assert is_read_as(file_of(tmp_path, encoded(levels * 257, "PNG")), levels / 255, 1e-6)


@pytest.mark.parametrize("brightest", [2, 18, 31])
def test_a_label_map_is_no_mask(tmp_path: Path, brightest: int) -> None:
    for levels in (ON * np.uint8(brightest), (ON * np.uint8(brightest)).astype(np.uint16)):
        with pytest.raises(InvalidInputError, match=f"nearly black.* {brightest} of 255"):
            read_mask(file_of(tmp_path, encoded(levels, "PNG")))


def test_an_empty_mask_stays_empty(tmp_path: Path) -> None:
    assert is_read_as(file_of(tmp_path, encoded(ON * 0, "PNG")), ON * 0)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "WEBP", "JPEG", "PPM"])
def test_masks_of_any_format(tmp_path: Path, kind: str) -> None:
    content = encoded(ON * np.uint8(255), kind, "RGB" if kind in ("AVIF", "WEBP") else None)
    assert is_read_as(file_of(tmp_path, content), ON, 0.1)


def test_alpha_is_the_mask_unless_it_is_opaque(tmp_path: Path) -> None:
    alpha = np.linspace(0, 255, ON.size).astype(np.uint8).reshape(ON.shape)
    colours = np.random.default_rng(0).integers(0, 256, (*ON.shape, 3), dtype=np.uint8)
    grey = ON * np.uint8(255)
    for kind in ("PNG", "TIFF"):  # a TIFF's colours under half transparency must not matter
        for painted in (colours, colours * 0, np.full_like(colours, 255)):
            assert is_read_as(
                file_of(tmp_path, encoded(np.dstack([painted, alpha]), kind)), alpha / 255, 1e-6
            )
        for opaque in (255, 254):
            picture = np.dstack([grey] * 3 + [np.full_like(grey, opaque)])
            assert is_read_as(file_of(tmp_path, encoded(picture, kind)), ON)


def test_transparency_and_black_and_white_are_two_masks(tmp_path: Path) -> None:
    alpha = np.full_like(ON, 255)
    alpha[:, :5] = 0
    for content in (
        encoded(np.dstack([ON * np.uint8(255)] * 3 + [alpha]), "PNG"),
        encoded(Image.fromarray(np.dstack([ON * np.uint8(255), alpha]), "LA"), "PNG"),
    ):
        with pytest.raises(InvalidInputError, match="two masks; expected one"):
            read_mask(file_of(tmp_path, content))


def test_a_grey_cmyk_jpeg_is_a_mask(tmp_path: Path) -> None:
    assert is_read_as(file_of(tmp_path, encoded(ON * np.uint8(255), "JPEG", "CMYK")), ON, 0.05)


@pytest.mark.parametrize("brightest", [256, 4095, 8191])
def test_sixteen_bits_that_are_nearly_black(tmp_path: Path, brightest: int) -> None:
    with pytest.raises(InvalidInputError, match=f"nearly black.* {brightest} of 65535"):
        read_mask(file_of(tmp_path, encoded(ON.astype(np.uint16) * brightest, "PNG")))
    assert is_read_as(
        file_of(tmp_path, encoded(ON.astype(np.uint16) * 8300, "PNG")), ON * (8300 / 65535), 1e-6
    )
