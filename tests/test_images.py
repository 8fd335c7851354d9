from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from chunky_core.errors import InvalidInputError
from chunky_core.images import (
    color_profile,
    from_uint8,
    load_image,
    profile_space,
    read_label_map,
    read_mask,
    save_image,
    save_label_map,
    to_uint8,
)
from tests.picture_tools import INDEXED, png


def test_all_256_levels_survive_the_way_through_floats() -> None:
    levels = torch.arange(256, dtype=torch.uint8).repeat_interleave(3).reshape(16, 16, 3)
    image = from_uint8(levels)
    assert image.shape == (1, 3, 16, 16) and image.min() == -1 and image.max() == 1
    assert torch.equal(to_uint8(image)[0], levels)


def test_levels_are_rounded_and_clipped() -> None:
    levels = torch.tensor([99.4, 99.6, 254.9, 300.0, -3.0, 0.4])
    image = (levels / 127.5 - 1).reshape(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert to_uint8(image)[0, 0, :, 0].tolist() == [99, 100, 255, 255, 0, 0]


def test_saved_image_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (7, 5, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    path = (
        tmp_path / "sm\u00f6rg\u00e5s.png"
    )  # a name that OpenCV's own file functions cannot open everywhere
    save_image(from_uint8(pixels), path)
    assert torch.equal(to_uint8(load_image(path))[0], pixels)


def test_colours_are_red_green_blue(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((2, 2, 3), (0, 0, 255), np.uint8))
    assert to_uint8(load_image(tmp_path / "red.png"))[0, 0, 0].tolist() == [255, 0, 0]


def test_sixteen_bit_grey_photo_keeps_its_precision(tmp_path: Path) -> None:
    values = np.array([[0, 1, 32768, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), values)
    image = load_image(tmp_path / "deep.png")
    expected = torch.from_numpy(values.astype(np.float32)) / 65535 * 2 - 1
    assert torch.equal(image, expected.expand(1, 3, 1, 4))


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """The same PNG with one more chunk, right behind its header."""
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return png[:33] + struct.pack(">I", len(content)) + kind + content + checksum + png[33:]


def with_profile(png: bytes, profile: bytes) -> bytes:
    return with_chunk(png, b"iCCP", b"some name\0\0" + zlib.compress(profile))


def turned(pixels: np.ndarray, orientation: int) -> bytes:
    """A PNG whose EXIF says how it is to be turned."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)  # one TIFF entry: Orientation, a SHORT
    exif = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    return with_chunk(cv2.imencode(".png", pixels)[1].tobytes(), b"eXIf", exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_photos_masks_and_labels(tmp_path: Path, orientation: int) -> None:
    stored = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    standing = stored.T if orientation > 4 else stored
    axes = {1: (), 2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}[orientation]
    expected = np.flip(standing, axes)
    path = tmp_path / "turned.png"
    path.write_bytes(turned(stored, orientation))
    assert np.array_equal(to_uint8(load_image(path))[0, ..., 0].numpy(), expected)
    assert np.array_equal(read_label_map(path).numpy(), expected)
    assert np.allclose(read_mask(path).numpy() * 255, expected, atol=1e-4)
    path.write_bytes(turned(np.dstack([stored] * 4), orientation))  # the alpha channel is the mask
    assert np.allclose(read_mask(path).numpy() * 255, expected, atol=1e-4)


@pytest.mark.parametrize("suffix", ["JPEG", "WEBP", "TIFF"])
def test_orientation_and_profile_of_other_formats(tmp_path: Path, suffix: str) -> None:
    stored, profile = (
        np.zeros((16, 32, 3), np.uint8),
        bytes(16) + b"RGB " + bytes(70_000),
    )  # two APP2 segments
    stored[:, :16] = 255
    exif = Image.Exif()
    exif[0x112] = 6
    path = tmp_path / f"photo.{suffix.lower()}"
    Image.fromarray(stored).save(path, suffix, exif=exif, icc_profile=profile)
    photo = load_image(path)
    assert photo.shape == (1, 3, 32, 16)
    assert photo[:, :, :8].min() > 0.8 and photo[:, :, -8:].max() < -0.8
    assert color_profile(path) == profile


def test_a_profile_is_written_and_the_pixels_stay(tmp_path: Path) -> None:
    image = from_uint8(torch.arange(192, dtype=torch.uint8).reshape(8, 8, 3))
    profile = bytes(16) + b"RGB " + bytes(range(256))
    save_image(image, tmp_path / "wide.png", profile)
    assert color_profile(tmp_path / "wide.png") == profile and profile_space(profile) == "RGB"
    assert torch.equal(load_image(tmp_path / "wide.png"), image)
    with Image.open(tmp_path / "wide.png") as picture:
        picture.load()  # checks every chunk
    save_image(image, tmp_path / "plain.png")
    assert color_profile(tmp_path / "plain.png") is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_description_is_left_alone(tmp_path: Path) -> None:
    image = from_uint8(torch.full((4, 4, 3), 9, dtype=torch.uint8))
    save_image(image, tmp_path / "plain.png")
    plain = (tmp_path / "plain.png").read_bytes()
    for kind, content in ((b"iCCP", b"name\0\0no zlib"), (b"iCCP", b""), (b"eXIf", b"II*\0" + b"\xff" * 40)):
        (tmp_path / "damaged.png").write_bytes(with_chunk(plain, kind, content))
        assert color_profile(tmp_path / "damaged.png") is None
        assert torch.equal(load_image(tmp_path / "damaged.png"), image)


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "picture.png"
    save_image(torch.zeros(1, 3, 4, 4), path)
    before = path.read_bytes()

    def half(self: Path, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(content[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(InvalidInputError, match="No space"):
        save_image(torch.ones(1, 3, 4, 4), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_transparency_of_a_photo_is_ignored(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "clear.png"), np.full((2, 2, 4), (10, 20, 30, 0), np.uint8))
    assert to_uint8(load_image(tmp_path / "clear.png"))[0, 1, 1].tolist() == [30, 20, 10]


def test_mask_from_grey_alpha_and_opaque_pictures(tmp_path: Path) -> None:
    grey = np.array([[0, 51, 255]], np.uint8)
    expected = torch.tensor([[0.0, 0.2, 1.0]])
    opaque, cut_out = (
        np.dstack([grey] * 3 + [np.full_like(grey, 255)]),
        np.dstack([np.full_like(grey, 9)] * 3 + [grey]),
    )
    for name, pixels in (
        ("grey", grey),
        ("rgb", np.dstack([grey] * 3)),
        ("opaque", opaque),
        ("cut_out", cut_out),
    ):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
        assert torch.allclose(read_mask(tmp_path / f"{name}.png"), expected), name


def test_colour_picture_is_no_mask(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "colour.png"), np.full((2, 2, 3), (0, 0, 255), np.uint8))
    with pytest.raises(InvalidInputError, match="colour picture; expected a grey"):
        read_mask(tmp_path / "colour.png")


def test_label_map_from_grey_and_from_colours(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [12, 255]], np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), labels)
    cv2.imwrite(str(tmp_path / "rgb.png"), np.dstack([labels] * 3))
    for name in ("grey", "rgb"):
        assert read_label_map(tmp_path / f"{name}.png").tolist() == labels.tolist()
        assert read_label_map(tmp_path / f"{name}.png").dtype == torch.int64


def test_saved_label_map_is_read_again(tmp_path: Path) -> None:
    labels = torch.arange(256).reshape(8, 32)
    save_label_map(labels, tmp_path / "labels.png")
    assert torch.equal(read_label_map(tmp_path / "labels.png"), labels)
    with pytest.raises(InvalidInputError, match=r"expected whole numbers 0\.\.255"):
        save_label_map(labels + 1, tmp_path / "labels.png")


@pytest.mark.parametrize("as_text", [True, False])
def test_the_path_may_still_come_first_with_a_warning(tmp_path: Path, as_text: bool) -> None:
    image, labels = from_uint8(torch.full((4, 6, 3), 9, dtype=torch.uint8)), torch.arange(24).reshape(4, 6)
    paths = [str(path) if as_text else path for path in (tmp_path / "photo.png", tmp_path / "labels.png")]
    with pytest.warns(DeprecationWarning, match="save_image takes what it saves first") as warned:
        save_image(*(paths[0], image))
    with pytest.warns(DeprecationWarning, match="save_label_map takes what it saves first"):
        save_label_map(*(paths[1], labels))
    assert warned[0].filename == __file__
    assert torch.equal(load_image(paths[0]), image) and torch.equal(read_label_map(paths[1]), labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_image(path=paths[0], image=-image)
        save_label_map(path=paths[1], labels=labels + 1)
    assert torch.equal(load_image(paths[0]), -image) and torch.equal(read_label_map(paths[1]), labels + 1)


def test_label_map_with_a_palette(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "parts.png"), np.array([[(0, 0, 255), (0, 0, 0)]], np.uint8))
    assert read_label_map(tmp_path / "parts.png", {(255, 0, 0): 4, (0, 0, 0): 7}).tolist() == [[4, 7]]
    with pytest.raises(InvalidInputError, match=r"1 colours that are not in the palette.* \(255, 0, 0\)"):
        read_label_map(tmp_path / "parts.png", {(0, 0, 0): 7})
    with pytest.raises(InvalidInputError, match="give its palette"):
        read_label_map(tmp_path / "parts.png")


@pytest.mark.parametrize("depth", [2, 8])
def test_label_map_from_an_indexed_png(tmp_path: Path, depth: int) -> None:
    labels = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.uint8)
    palette = bytes([0, 0, 0, 255, 0, 0, 0, 200, 9, 40, 40, 40])
    (tmp_path / "indexed.png").write_bytes(png(labels, depth, INDEXED, palette))
    assert read_label_map(tmp_path / "indexed.png").tolist() == labels.tolist()


@pytest.mark.parametrize("read", [load_image, read_mask, read_label_map])
def test_missing_and_foreign_files_are_named(tmp_path: Path, read) -> None:
    with pytest.raises(InvalidInputError, match=r"none\.png cannot be read .*check the path"):
        read(tmp_path / "none.png")
    for content in (b"", b"no picture at all"):
        (tmp_path / "text.png").write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"text\.png is not a picture"):
            read(tmp_path / "text.png")


def test_bad_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"\[1,4,2,2\]; expected \[B,3,H,W\]"):
        to_uint8(torch.zeros(1, 4, 2, 2))
    with pytest.raises(InvalidInputError, match="NaN"):
        to_uint8(torch.full((1, 3, 2, 2), torch.nan))
    with pytest.raises(InvalidInputError, match=r"float32 \[2,2,3\]; expected uint8"):
        from_uint8(torch.zeros(2, 2, 3))
    with pytest.raises(InvalidInputError, match="only PNG"):
        save_image(torch.zeros(1, 3, 2, 2), tmp_path / "a.jpg")
    with pytest.raises(InvalidInputError, match="batch of 2"):
        save_image(torch.zeros(2, 3, 2, 2), tmp_path / "a.png")
