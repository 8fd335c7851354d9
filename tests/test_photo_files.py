"""Photos of every kind are read as they are to be seen, or refused before they are decoded."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from chunky_core.errors import InvalidInputError
from chunky_core.images import is_image_file, load_image, open_image, read_label_map, read_mask, to_uint8
from chunky_core.images.photos import deep_pixels
from tests.picture_tools import COLOUR, INDEXED, animated, chunk, encoded, file_of, png, tiff

NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
READERS = [load_image, read_mask, read_label_map]


def pixels_of(path: Path) -> np.ndarray:
    return to_uint8(load_image(path))[0].numpy()


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF", "JPEG2000"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, kind: str, read) -> None:
    content = encoded(NOISE, kind)
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(InvalidInputError, match=r"picture\.png is (damaged or cut off|not a picture)"):
            read(file_of(tmp_path, content[: int(len(content) * share)]))


def test_a_progressive_jpeg_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    content = encoded(NOISE, "JPEG", progressive=True)
    with pytest.raises(InvalidInputError, match="cut off"):
        load_image(file_of(tmp_path, content[: len(content) // 2]))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("size", "said"), [((8200, 8200), "8200x8200"), ((40_000, 40_000), "1,600,000,000 pixels")]
)
def test_a_picture_beyond_the_limit_is_refused_by_its_header(
    tmp_path: Path, read, size, said: str, monkeypatch
) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it is being decoded"))
    path = file_of(tmp_path, png(NOISE[:2, :2], 8, COLOUR, size=size))
    with pytest.raises(InvalidInputError, match=rf"{said}.* at most 67 megapixels \(8192x8192\)"):
        read(path)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_animations_and_pages_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InvalidInputError, match="holds 2 (frames|pages); expected one"):
        load_image(file_of(tmp_path, animated(kind)))


def test_what_follows_the_photo_in_the_file_of_a_phone_does_not_count(tmp_path: Path) -> None:
    assert pixels_of(file_of(tmp_path, animated("MPO"))).min() == 255


def test_a_tiff_with_its_preview_is_one_picture(tmp_path: Path) -> None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    preview = ImageFileDirectory_v2()
    preview[254] = 1
    small = Image.fromarray(NOISE[::4, ::4])
    small.encoderinfo = {"tiffinfo": preview}
    content = encoded(NOISE, "TIFF", save_all=True, append_images=[small])
    assert np.array_equal(pixels_of(file_of(tmp_path, content)), NOISE)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"v/1\x01" + bytes(40), "OpenEXR picture of floats"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n" + bytes(16), "HDR picture of floats"),
        (encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "holds floats"),
        (encoded(NOISE, "TIFF", "LAB"), "holds Lab colours"),
        (encoded(Image.fromarray(np.zeros((4, 4), np.int32)), "TIFF"), "holds signed numbers"),
        (bytes(4) + b"ftypheic" + bytes(40), "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"<svg/>", "SVG"),
        (b"", "empty"),
    ],
)
def test_kinds_that_are_no_photos_are_named(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        load_image(file_of(tmp_path, content))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_half_transparent_colours_are_those_stored(tmp_path: Path, kind: str) -> None:
    half = np.full((4, 4, 4), (200, 100, 50, 128), np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (pixels_of(file_of(tmp_path, encoded(half, kind, **options))) == (200, 100, 50)).all()


def test_palettes_grey_with_alpha_and_cmyk(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    palette = bytes([9, 8, 7, 255, 0, 0, 1, 2, 3])
    expected = np.frombuffer(palette, np.uint8).reshape(-1, 3)[indices]
    assert np.array_equal(pixels_of(file_of(tmp_path, png(indices, 2, INDEXED, palette))), expected)
    grey = np.dstack([NOISE[..., 0], NOISE[..., 1]])
    assert np.array_equal(
        pixels_of(file_of(tmp_path, encoded(Image.fromarray(grey, "LA"), "PNG")))[..., 2], NOISE[..., 0]
    )
    flat = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    assert np.abs(pixels_of(file_of(tmp_path, encoded(flat, "JPEG", "CMYK"))).astype(int) - flat).max() < 4


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_per_channel_are_kept(tmp_path: Path, kind: str, channels: int) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (6, 5, channels), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / f"deep.{kind}"), deep)
    expected = torch.from_numpy(deep[..., 2::-1].astype(np.float32) / 65535 * 2 - 1).permute(2, 0, 1)[None]
    assert torch.equal(load_image(tmp_path / f"deep.{kind}"), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bits_are_turned_like_eight(tmp_path: Path, orientation: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    exif = Image.Exif()
    exif[0x112] = orientation
    expected = pixels_of(file_of(tmp_path, encoded(NOISE, "PNG", exif=exif)))
    deep = NOISE.astype(np.uint16) * 257
    content = png(deep, 16, COLOUR)
    content = content[:33] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + content[33:]
    assert np.array_equal(pixels_of(file_of(tmp_path, content)), expected)
    tag = (0x112, 3, 1, orientation, False)
    tifffile.imwrite(tmp_path / "deep.tiff", deep, photometric="rgb", extratags=[tag])
    assert np.array_equal(pixels_of(tmp_path / "deep.tiff"), expected)


def test_ten_bits_of_avif_span_black_to_white(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(0, 1023, 64).astype(np.uint16)[None, :, None], 16, axis=0).repeat(3, axis=2)
    done, content = cv2.imencode(".avif", ramp, [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100])
    assert done and pixels_of(file_of(tmp_path, bytes(content))).max() > 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_in_the_header_is_that_of_the_upright_picture(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    expected = None
    for kind in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        path = file_of(tmp_path, encoded(NOISE, kind, exif=exif, **options))
        expected = pixels_of(path) if expected is None else expected
        assert open_image(path).size == expected.shape[:2] == ((60, 40) if orientation > 4 else (40, 60))
        assert np.array_equal(pixels_of(path), expected)


def test_the_orientation_of_a_png_may_follow_its_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    content = encoded(NOISE, "PNG")
    late = content[:-12] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + content[-12:]
    assert np.array_equal(pixels_of(file_of(tmp_path, late)), np.rot90(NOISE, -1))


@pytest.mark.parametrize("read", READERS)
def test_folders_pipes_and_devices_are_refused_at_once(tmp_path: Path, read) -> None:
    with pytest.raises(InvalidInputError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read(tmp_path / "with\0zero.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(InvalidInputError, match="is a pipe or a device"):
            read(tmp_path / "pipe.png")


def test_pictures_are_known_by_name_or_content(tmp_path: Path) -> None:
    assert is_image_file(file_of(tmp_path, encoded(NOISE, "PNG"), "mask")) and is_image_file(
        tmp_path / "none.HEIC"
    )
    for name, content in (
        ("a.txt", b"text"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0" + bytes(600)),
        ("labels.json", b"{}"),
    ):
        assert not is_image_file(file_of(tmp_path, content, name))
    assert not is_image_file(tmp_path / "none")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_multiplied_by_alpha_are_divided_by_it(tmp_path: Path, dtype: type, order: str) -> None:
    most = np.iinfo(dtype).max
    alpha = np.linspace(most // 4, most, 30).reshape(5, 6, 1)
    colours = np.random.default_rng(0).random((5, 6, 3)) * most
    stored = np.concatenate([colours * alpha / most, alpha], axis=2).round().astype(dtype)
    path = file_of(tmp_path, tiff(stored, 2, extra=1, order=order), "photo.tiff")
    found = (load_image(path)[0].permute(1, 2, 0).numpy() + 1) / 2
    assert np.abs(found - colours / most).max() < 4 / most
    assert np.abs(read_mask(path).numpy() - alpha[..., 0] / most).max() <= 1 / most


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_fourth_channel_that_is_no_alpha_is_none(tmp_path: Path, order: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (6, 5, 4), dtype=np.uint16)
    path = file_of(tmp_path, tiff(deep, 2, extra=0, order=order))
    assert np.abs((load_image(path)[0].permute(1, 2, 0).numpy() + 1) / 2 - deep[..., :3] / 65535).max() < 1e-6
    with pytest.raises(InvalidInputError, match="colour picture"):
        read_mask(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_channels_that_are_stored_apart(tmp_path: Path, channels: int, order: str) -> None:
    shallow = np.random.default_rng(0).integers(0, 256, (6, 5, channels), dtype=np.uint8)
    extra = 2 if channels == 4 else None
    path = file_of(tmp_path, tiff(shallow, 2, planar=True, extra=extra, order=order))
    assert np.array_equal(pixels_of(path), shallow[..., :3])
    path = file_of(tmp_path, tiff(shallow.astype(np.uint16) * 257, 2, planar=True, extra=extra, order=order))
    for read in READERS:
        with pytest.raises(InvalidInputError, match=r"planar.* export it as PNG"):
            read(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_tiff_whose_0_is_white(tmp_path: Path, dtype: type) -> None:
    grey = np.arange(0, 256, 8, dtype=np.uint8).reshape(4, 8)
    stored = (255 - grey).astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    path = file_of(tmp_path, tiff(stored, 0))
    assert np.array_equal(pixels_of(path)[..., 1], grey)
    assert np.abs(read_mask(path).numpy() - grey / 255).max() < 1e-6


def test_opencv_says_nothing_about_a_file_that_it_cannot_read(tmp_path: Path, capfd) -> None:
    content = tiff(NOISE.astype(np.uint16) * 257, 2)
    path = file_of(tmp_path, content)
    before = cv2.utils.logging.getLogLevel()
    # a compression that Pillow's stand-in reads and OpenCV doesn't know
    picture = open_image(path)
    strange = content.replace(
        struct.pack("<HHIHH", 259, 3, 1, 1, 0), struct.pack("<HHIHH", 259, 3, 1, 34925, 0)
    )
    with pytest.raises(InvalidInputError, match="rare kind"):
        deep_pixels(replace(picture, content=strange), picture.decoded())
    assert capfd.readouterr().err == "" and cv2.utils.logging.getLogLevel() == before
