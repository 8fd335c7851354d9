"""Labels are the numbers that a file stores; where these were mixed they are refused, or snapped if that is sure."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from chunky_core.errors import InvalidInputError
from chunky_core.images import read_label_colors, read_label_map
from tests.picture_tools import COLOUR, GREY_ALPHA, INDEXED, blocks, encoded, file_of, png, tiff, with_palette

LABELS = blocks(np.array([[0, 1, 2], [3, 2, 0]], np.uint8))
FACE = blocks(np.random.default_rng(0).integers(0, 19, (8, 8), dtype=np.uint8))


def read(folder: Path, content: bytes, **options: object) -> np.ndarray:
    return read_label_map(file_of(folder, content), **options).numpy()


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_indices_are_kept_where_colours_repeat(tmp_path: Path, kind: str) -> None:
    picture = with_palette(LABELS, [(9, 9, 9), (255, 0, 0), (9, 9, 9), (255, 0, 0)])
    assert np.array_equal(read(tmp_path, encoded(picture, kind)), LABELS)


def test_greys_of_a_palette_are_levels_where_the_names_or_the_format_say_so(tmp_path: Path) -> None:
    levels = np.array([0, 2, 7, 18], np.uint8)
    greys = with_palette(LABELS, [(level, level, level) for level in levels])
    for kind, plain in (("GIF", levels[LABELS]), ("BMP", levels[LABELS]), ("PNG", LABELS), ("TIFF", LABELS)):
        content = encoded(greys, kind)
        assert np.array_equal(read(tmp_path, content), plain)
        assert np.array_equal(read(tmp_path, content, legal=range(19)), levels[LABELS])
        assert np.array_equal(read(tmp_path, content, legal=(0, 2, 7, 18)), levels[LABELS])
        assert np.array_equal(read(tmp_path, content, legal=(0, 1, 2, 3)), LABELS)
    assert np.array_equal(
        read(tmp_path, encoded(levels[LABELS], "GIF")), levels[LABELS]
    )  # Pillow makes a palette


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_levels_are_the_stored_numbers(tmp_path: Path, depth: int) -> None:
    labels = (LABELS.astype(np.int64) * ((1 << depth) // 3)) % (1 << depth)
    assert np.array_equal(read(tmp_path, png(labels, depth)), labels)


def test_few_bits_as_they_are_shown_where_only_these_have_names(tmp_path: Path) -> None:
    for depth in (1, 2, 4):
        labels = LABELS % 2
        shown = labels * np.uint8(255 // ((1 << depth) - 1))
        assert np.array_equal(read(tmp_path, png(labels, depth), legal=(0, int(shown.max()))), shown)
        assert np.array_equal(read(tmp_path, png(labels, depth), legal=(0, 1)), labels)
        assert np.array_equal(read(tmp_path, png(labels, depth), legal=(0, 1, int(shown.max()))), labels)


def test_every_level_of_four_bits(tmp_path: Path) -> None:
    labels = np.arange(16, dtype=np.uint8).reshape(2, 8)
    assert np.array_equal(read(tmp_path, png(labels, 4)), labels)
    assert np.array_equal(read(tmp_path, png(labels, 4, INDEXED, bytes(48))), labels)


@pytest.mark.parametrize("most", [3, 200, 255, 1000, 65535])
def test_a_pgm_has_the_maximum_that_it_says(tmp_path: Path, most: int) -> None:
    labels = np.array([[0, 1, 2, 3], [most, most // 2, most // 3, 0]])
    content = b"P5\n# by hand\n4 2\n%d\n" % most + labels.astype(">u2" if most > 255 else np.uint8).tobytes()
    assert np.array_equal(read(tmp_path, content), labels)


def test_transparency_is_ignored(tmp_path: Path) -> None:
    alpha = np.arange(LABELS.size, dtype=np.uint8).reshape(LABELS.shape)
    deep = LABELS.astype(np.uint16) * 300
    for content, expected in (
        (encoded(Image.fromarray(np.dstack([LABELS, alpha]), "LA"), "PNG"), LABELS),
        (encoded(np.dstack([LABELS] * 3 + [alpha]), "PNG"), LABELS),
        (png(np.dstack([deep, alpha]), 16, GREY_ALPHA), deep),
        (png(np.dstack([deep] * 3), 16, COLOUR), deep),
    ):
        assert np.array_equal(read(tmp_path, content), expected)


@pytest.mark.parametrize("dtype", [np.int32, np.uint16])
def test_whole_numbers_of_segmentation_tools(tmp_path: Path, dtype: type) -> None:
    labels = LABELS.astype(dtype) * 700
    assert np.array_equal(read(tmp_path, encoded(Image.fromarray(labels), "TIFF")), labels)


def test_numbers_that_no_label_can_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="-1 to 2; expected 0 to 65535"):
        read(tmp_path, encoded(Image.fromarray(LABELS.astype(np.int32) - 1), "TIFF"))
    with pytest.raises(InvalidInputError, match="holds floats"):
        read(tmp_path, encoded(Image.fromarray(LABELS.astype(np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "JPEG2000"])
def test_lossy_files_are_refused_whatever_they_show(tmp_path: Path, kind: str) -> None:
    for labels in (FACE, LABELS, np.full_like(FACE, 3)):
        content = encoded(labels, kind, "RGB" if kind in ("AVIF", "WEBP") else None)
        with pytest.raises(InvalidInputError, match=r"no clean label map.*save it anew as PNG"):
            read(tmp_path, content, legal=range(19))


def test_a_lossless_webp_is_as_good_as_a_png(tmp_path: Path) -> None:
    assert np.array_equal(read(tmp_path, encoded(FACE, "WEBP", "RGB", lossless=True)), FACE)


def test_an_interpolated_png_is_refused(tmp_path: Path) -> None:
    smooth = cv2.resize(FACE, (192, 192), interpolation=cv2.INTER_LINEAR)
    with pytest.raises(InvalidInputError, match=r"labels in between, such as \d+ between .* 'nearest"):
        read(tmp_path, encoded(smooth, "PNG"), legal=range(19))


@pytest.mark.parametrize("quality", [80, 90, 98])
def test_levels_far_apart_are_found_again_after_a_jpeg(tmp_path: Path, quality: int) -> None:
    y, x = np.mgrid[:96, :96]
    labels = np.uint8(127) * (np.hypot(x - 40, y - 50) < 30) + np.uint8(127) * (np.hypot(x - 45, y - 55) < 14)
    content = encoded(labels, "JPEG", quality=quality)
    stored = np.array(Image.open(file_of(tmp_path, content)))
    assert not np.array_equal(stored, labels)
    assert np.array_equal(read(tmp_path, content, legal=(0, 127, 254)), labels)
    assert np.array_equal(read(tmp_path, encoded(stored, "PNG"), legal=(0, 127, 254)), labels)
    for legal in (None, (), (0,), (0, 1, 127, 254), (0, 254)):
        with pytest.raises(InvalidInputError, match="no clean label map"):
            read(tmp_path, content, legal=legal)


def test_a_blur_that_meets_a_legal_level_is_not_snapped(tmp_path: Path) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[20:44, 20:44] = 254
    smooth = cv2.blur(labels, (5, 5))
    with pytest.raises(InvalidInputError, match="no clean label map"):
        read(tmp_path, encoded(smooth, "PNG"), legal=(0, 127, 254))


def test_a_colour_picture_lists_its_colours(tmp_path: Path) -> None:
    picture = with_palette(LABELS, [(0, 0, 0), (255, 0, 0), (0, 200, 9), (1, 2, 3)])
    with pytest.raises(InvalidInputError, match=r"4 colours: #00.* give its palette"):
        read(tmp_path, encoded(picture, "PNG", "RGB"))


def test_colours_of_indexed_and_deep_pictures(tmp_path: Path) -> None:
    colours = [(0, 0, 0), (255, 0, 0), (0, 200, 9), (1, 2, 3)]
    expected = torch.tensor(colours, dtype=torch.uint8)[torch.from_numpy(LABELS.astype(np.int64))]
    for content in (
        encoded(with_palette(LABELS, colours), "GIF"),
        png(expected.numpy().astype(np.uint16) * 257, 16, COLOUR),
    ):
        assert torch.equal(read_label_colors(file_of(tmp_path, content)), expected)
    with pytest.raises(InvalidInputError, match="16 bits"):
        read_label_colors(file_of(tmp_path, png(expected.numpy().astype(np.uint16) * 256, 16, COLOUR)))


@pytest.mark.parametrize("method", ["quantize", "adaptive", "by hand"])
def test_dark_greys_in_another_order_than_the_indices_are_the_labels(tmp_path: Path, method: str) -> None:
    every = blocks(np.random.default_rng(0).permutation(np.arange(64, dtype=np.uint8) % 19).reshape(8, 8))
    greys = Image.fromarray(every if method != "by hand" else every % 6)
    if method == "quantize":
        picture = greys.quantize(64)
    elif method == "adaptive":
        picture = greys.convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=32)
    else:
        order = [5, 0, 3, 1, 2, 4]
        picture = with_palette(np.argsort(order)[np.array(greys)], [(grey, grey, grey) for grey in order])
    labels, content = np.array(greys), encoded(picture, "PNG")
    assert not np.array_equal(np.array(Image.open(file_of(tmp_path, content))), labels)
    assert np.array_equal(read(tmp_path, content, legal=range(labels.max() + 1)), labels)
    assert np.array_equal(read(tmp_path, content, legal=range(150)), labels)
    assert np.array_equal(read(tmp_path, content), labels)


def test_greys_that_were_chosen_to_be_seen_are_not_taken_for_labels(tmp_path: Path) -> None:
    for greys in ([0, 85, 170, 255], [255, 170, 85, 0], [0, 255, 128, 192]):
        content = encoded(with_palette(LABELS, [(grey, grey, grey) for grey in greys]), "PNG")
        assert np.array_equal(read(tmp_path, content), LABELS)
        assert np.array_equal(read(tmp_path, content, legal=range(5)), LABELS)
        with pytest.raises(
            InvalidInputError, match=r"indices \(0 to 3\) and its greys \(0 to 255\).* grey picture"
        ):
            read(tmp_path, content, legal=range(256))


@pytest.mark.parametrize(
    "palette", [[(2, 2, 3), (0, 0, 0), (1, 1, 1), (3, 3, 3)], [(3, 3, 3), (0, 0, 0)] * 2]
)
def test_palettes_with_a_colour_or_equal_greys_mean_their_indices(tmp_path: Path, palette: list) -> None:
    assert np.array_equal(
        read(tmp_path, encoded(with_palette(LABELS, palette), "PNG"), legal=range(4)), LABELS
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_0_is_white_means_what_is_seen_or_what_is_stored(tmp_path: Path, dtype: type) -> None:
    stored = LABELS.astype(dtype)
    seen = np.iinfo(dtype).max - stored.astype(np.int64)
    content = tiff(stored, 0)
    assert np.array_equal(read(tmp_path, content), seen)
    assert np.array_equal(read(tmp_path, content, legal=range(4)), LABELS)
    assert np.array_equal(read(tmp_path, content, legal=np.unique(seen).tolist()), seen)


def test_labels_with_a_high_number_for_what_is_nothing_are_found_again(tmp_path: Path) -> None:
    labels = np.array([3, 15, 255, 1], np.uint8)[LABELS]
    content = encoded(Image.fromarray(labels).quantize(32), "PNG")
    assert np.array_equal(read(tmp_path, content, legal=(*range(21), 255)), labels)
