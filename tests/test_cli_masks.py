"""Masks and label maps as the command line takes them: every file counts or is named, every label has a name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from chunky_core.cli import main
from chunky_core.cli.masks import load_segments
from chunky_core.errors import InvalidInputError
from chunky_core.images import open_image
from chunky_core.segments import SegmentMasks
from chunky_core.segments.label_files.finding import label_table
from tests.cli_tools import edit
from tests.picture_tools import animated, blocks, encoded, file_of, with_palette

SIZE = 64
HAIR = np.zeros((SIZE, SIZE), np.uint8)
HAIR[:20] = 255
MOUTH = np.zeros((SIZE, SIZE), np.uint8)
MOUTH[40:50, 20:44] = 255
LABELS = (HAIR // 255 * 2 + MOUTH // 255 * 7).astype(np.uint8)  # 0, 2 and 7
NAMES = {"0": "skin", "2": "hair", "7": "mouth"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """photo.png and the folder masks with hair.png."""
    (tmp_path / "masks").mkdir()
    file_of(tmp_path, encoded(np.zeros((SIZE, SIZE, 3), np.uint8), "PNG"), "photo.png")
    file_of(tmp_path / "masks", encoded(HAIR, "PNG"), "hair.png")
    return tmp_path


def segments(folder: Path, masks: str = "masks", static: str = "") -> SegmentMasks:
    return load_segments(folder / masks, open_image(folder / "photo.png"), static, 0, 0.0)


def label_map(folder: Path, content: bytes, table: object, name: str = "labels.png") -> str:
    file_of(folder, content, name)
    (folder / name).with_suffix(".json").write_text(table if isinstance(table, str) else json.dumps(table))
    return name


def mask_of(made: SegmentMasks, name: str) -> np.ndarray:
    return made.masks[made.names.index(name), 0].numpy()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mouth.PNG", "PNG"),
        ("mouth.JPG", "JPEG"),
        ("mouth.WebP", "WEBP"),
        ("mouth.gif", "GIF"),
        ("mouth.avif", "AVIF"),
        ("mouth.jp2", "JPEG2000"),
        ("mouth.pgm", "PPM"),
        ("mouth", "PNG"),
        ("mouth.mask", "TIFF"),
    ],
)
def test_every_picture_is_a_mask_under_any_name(folder: Path, capsys, name: str, kind: str) -> None:
    mode = "RGB" if kind in ("AVIF", "WEBP") else None
    file_of(folder / "masks", encoded(MOUTH, kind, mode), name)
    made = segments(folder)
    assert made.names == ("hair", "mouth") and capsys.readouterr().err == ""
    assert np.abs(mask_of(made, "mouth") - MOUTH / 255).max() < 0.1


def test_what_is_no_picture_is_left_aside_and_named(folder: Path, capsys) -> None:
    masks = folder / "masks"
    for name in ("notes.txt", "Thumbs.db", ".DS_Store", "._hair.png", "hair.json"):
        file_of(masks, b"{}", name)
    (masks / "old").mkdir()
    assert segments(folder).names == ("hair",)
    note = capsys.readouterr().err
    assert note.count("\n") == 1
    assert all(
        name in note for name in ("notes.txt", "Thumbs.db", ".DS_Store", "._hair.png", "hair.json", "old/")
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mouth.png", encoded(MOUTH, "PNG")[:-40], "cut off"),
        ("mouth.jpg", encoded(MOUTH, "JPEG")[:-40], "cut off"),
        ("mouth.heic", bytes(4) + b"ftypheic" + bytes(30), "HEIC"),
        ("mouth.exr", b"v/1\x01" + bytes(30), "floats"),
        ("mouth.png", b"", "empty"),
        ("mouth.gif", animated("GIF"), "2 frames"),
        ("mouth.png", encoded(np.dstack([MOUTH, MOUTH, MOUTH * 0]), "PNG"), "colour picture"),
    ],
)
def test_a_picture_that_is_no_mask_is_an_error_that_names_it(
    folder: Path, name: str, content: bytes, said: str
) -> None:
    file_of(folder / "masks", content, name)
    with pytest.raises(InvalidInputError, match=rf"masks.{name} .*{said}"):
        segments(folder)


@pytest.mark.parametrize("name", ["Hair.png", "hair.jpg", " hair.png", "HAIR.webp"])
def test_two_masks_of_one_name_are_refused(folder: Path, name: str) -> None:
    if (folder / "masks" / name).exists():
        pytest.skip("this file system knows one case only")
    file_of(folder / "masks", encoded(MOUTH, "PNG"), name)
    with pytest.raises(InvalidInputError, match="name one segment"):
        segments(folder)


def test_names_are_the_same_however_their_accents_are_stored(folder: Path) -> None:
    file_of(folder / "masks", encoded(MOUTH, "PNG"), "re\u0301gion.png")
    assert segments(folder, static="r\u00e9gion").names == ("hair",)


def test_masks_of_another_size_are_fitted_and_named(folder: Path, capsys) -> None:
    file_of(
        folder / "masks",
        encoded(cv2.resize(MOUTH, (128, 128), interpolation=cv2.INTER_NEAREST), "PNG"),
        "mouth.png",
    )
    assert np.array_equal(mask_of(segments(folder), "mouth"), MOUTH / 255)
    note = capsys.readouterr().err
    assert "mouth.png is 128x128" in note and "64x64" in note and note.count("\n") == 1


def test_a_label_map_of_another_size_gets_no_new_labels(folder: Path, capsys) -> None:
    large = np.kron(LABELS, np.ones((3, 3), np.uint8))
    made = segments(folder, label_map(folder, encoded(large, "PNG"), NAMES))
    assert np.array_equal(mask_of(made, "mouth"), MOUTH / 255) and "192x192" in capsys.readouterr().err


def test_another_aspect_and_a_turned_mask_are_told_apart(folder: Path) -> None:
    file_of(folder, encoded(np.zeros((SIZE, 48, 3), np.uint8), "PNG"), "photo.png")
    file_of(folder / "masks", encoded(HAIR[:48], "PNG"), "hair.png")
    with pytest.raises(InvalidInputError, match=r"64x48, the photo is 48x64.* turned.* EXIF"):
        segments(folder)
    file_of(folder / "masks", encoded(HAIR[:30], "PNG"), "hair.png")
    with pytest.raises(InvalidInputError, match="64x30.* 48x64.* aspect"):
        segments(folder)


def test_a_photo_that_is_turned_and_masks_that_are_not_are_named(folder: Path, capsys) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    photo = np.zeros((SIZE, SIZE, 3), np.uint8)
    file_of(folder, encoded(photo, "PNG", exif=exif), "photo.png")
    segments(folder)
    assert "hair.png not in the same way" in capsys.readouterr().err
    file_of(folder / "masks", encoded(HAIR, "PNG", exif=exif), "hair.png")
    assert np.array_equal(mask_of(segments(folder), "hair"), np.rot90(HAIR, -1) / 255)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "table"),
    [
        (encoded(LABELS, "PNG"), NAMES),
        (encoded(with_palette(LABELS, [(9, 9, 9)] * 8), "PNG"), NAMES),
        (encoded(LABELS * np.uint8(36), "JPEG", quality=98), {"0": "skin", "72": "hair", "252": "mouth"}),
        (
            encoded(with_palette(LABELS, [(0, 0, 0)] * 2 + [(255, 0, 0)] * 5 + [(0, 0, 255)]), "PNG", "RGB"),
            {"#000": "skin", " #FF0000 ": " hair ", "#0000ff": "mouth", "#123456": "ear"},
        ),
        (
            encoded(with_palette(LABELS, [(0, 0, 0)] * 2 + [(255, 0, 0)] * 5 + [(0, 0, 255)]), "GIF"),
            {"#000000": "skin", "#ff0000": "hair", "#0000ff": "mouth"},
        ),
    ],
)
def test_label_maps_and_their_tables(folder: Path, content: bytes, table: dict[str, str]) -> None:
    made = segments(folder, label_map(folder, content, table), static="skin")
    assert set(made.names) == {"hair", "mouth"}
    assert np.array_equal(mask_of(made, "mouth"), MOUTH / 255) and np.array_equal(
        mask_of(made, "hair"), HAIR / 255
    )


def test_a_label_without_a_name_is_counted(folder: Path) -> None:
    name = label_map(folder, encoded(LABELS, "PNG"), {"0": "skin", "3": "never seen"})
    with pytest.raises(
        InvalidInputError, match=r'label 2 in 1280 pixels.* 1 more of its labels; add "2": "rest"'
    ):
        segments(folder, name)


def test_a_name_without_pixels_may_be_given_and_be_static(folder: Path) -> None:
    name = label_map(folder, encoded(LABELS, "PNG"), {**NAMES, "9": "hat"})
    assert segments(folder, name, static="hat, skin").names == ("hair", "mouth")


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 95}), ("AVIF", {}), ("WEBP", {"quality": 90})]
)
def test_a_lossy_label_map_of_near_numbers_is_refused(
    folder: Path, kind: str, options: dict[str, int]
) -> None:
    name = label_map(folder, encoded(LABELS, kind, "RGB", **options), NAMES)
    with pytest.raises(InvalidInputError, match=r"labels\.png is no clean label map.* PNG"):
        segments(folder, name)


def test_a_colour_that_the_table_lacks_is_named_with_the_file(folder: Path) -> None:
    colours = with_palette(LABELS, [(0, 0, 0)] * 2 + [(255, 0, 0)] * 5 + [(0, 0, 255)])
    name = label_map(folder, encoded(colours, "PNG"), {"#000000": "skin", "#ff0000": "hair"})
    with pytest.raises(InvalidInputError, match=r"labels\.png.*#0000ff \(240 pixels\).*labels\.json"):
        segments(folder, name)
    name = label_map(folder, encoded(colours, "PNG", "RGB"), NAMES)
    with pytest.raises(
        InvalidInputError, match=r"3 colours: #000000, #ff0000, #0000ff; .*\{\"#ff0000\": \"mouth\"\}"
    ):
        segments(folder, name)


def test_a_colour_near_a_named_one_is_not_swallowed(folder: Path) -> None:
    name = label_map(folder, encoded(LABELS, "PNG"), {"#000000": "skin", "#ff0000": "hair"})
    with pytest.raises(InvalidInputError, match=r"#020202 \(1280 pixels\)"):
        segments(folder, name)


def test_smoothed_edges_between_named_colours_go_to_the_nearest(folder: Path) -> None:
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)[
        blocks(np.array([[0, 1], [2, 0]]), 32)
    ]
    smooth = cv2.GaussianBlur(colours, (5, 5), 1.0)
    name = label_map(folder, encoded(smooth, "PNG"), {"#000": "skin", "#f00": "hair", "#00f": "mouth"})
    hair = mask_of(segments(folder, name), "hair")
    assert set(np.unique(hair)) == {0, 1} and np.abs(hair - (colours[..., 0] > 0)).sum() < 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is empty"),
        ("[1, 2]", "but a list"),
        ("3", "but a number"),
        ("null", "but null"),
        ('{"1": "hair", "1": "hat"}', "'1' twice"),
        ('{"1": "hair", " 1 ": "hat"}', "'1' twice"),
        ('{"#f00": "hair", "#FF0000": "hat"}', "'#FF0000' twice"),
        ('{"01": "hair"}', "'01'; write it as '1'"),
        ('{"00": "hair"}', "'00'; write it as '0'"),
        ('{"1.0": "hair"}', "'1.0', which is no label number; write whole numbers"),
        ('{"-1": "hair"}', "'-1', which is no label number"),
        ('{"\u0661": "hair"}', "no label number"),
        ('{"hair": 1}', 'turn it round: "1": "hair"'),
        ('{"hair": true}', "no label number; write whole"),
        ('{"": "hair"}', "'', which is no label number"),
        ('{"background": "0"}', 'turn it round: "0": "background"'),
        ('{"background": " 7 "}', 'turn it round: "7": "background"'),
        ('{"000000": "hair"}', "write it as '#000000'"),
        ('{"FF8000": "hair"}', "write it as '#FF8000'"),
        ('{"0xff8000": "hair"}', "write it as '#ff8000'"),
        ('{"#ff0000": "hair", "000000": "skin"}', "write it as '#000000'"),
        ('{"1": "bouch\\u0007"}', "'bouch\\x07' is no valid text"),
        ('{"#f00": "\\u009fx"}', "no valid text"),
        ('{"65536": "hair"}', "65536; expected 0 to 65535"),
        ('{"%s": "hair"}' % ("9" * 5000), "expected 0 to 65535"),
        ('{"1": 3}', "a number as the name of 1"),
        ('{"1": {"name": "hair"}}', "a table as the name of 1"),
        ('{"labels": {"1": "hair"}}', "'labels', which is no label number"),
        ('{"1": ["hair"]}', "a list as the name of 1"),
        ('{"1": " "}', "a blank name of 1"),
        ('{"1": "hair", "#ff0000": "hat"}', "colours and label numbers"),
        ('{"#ff00": "hair"}', "'#ff00'; write it as"),
        ('{"#ggg": "hair"}', "'#ggg'; write it as"),
        ('{"1": "hair",}', "no table of label names"),
        ("", "no table of label names"),
    ],
)
def test_every_slip_in_a_table_has_its_own_words(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="labels.json") as caught:
        label_table(tmp_path / "labels.png")
    assert said in str(caught.value) and len(str(caught.value)) < len(str(tmp_path)) + 250


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_table_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "labels.json").write_text('{"0": "peau", "65535": "t\u00eate"}', encoding=encoding)
    assert label_table(tmp_path / "labels.png").numbers == {0: "peau", 65535: "t\u00eate"}


def test_a_table_that_is_missing_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"labels\.png has no names; put .*labels\.json beside it"):
        label_table(tmp_path / "labels.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "labels.json")
        with pytest.raises(InvalidInputError, match="is a pipe"):
            label_table(tmp_path / "labels.png")


def test_a_photo_of_another_size_is_refused_before_masks_and_weights(
    studio: Path, capsys, monkeypatch
) -> None:
    cv2.imwrite(str(studio / "photo.png"), np.zeros((80, 90, 3), np.uint8))
    for name in ("load_segments", "load_image", "job_from_options"):
        monkeypatch.setattr(f"chunky_core.cli.edit.{name}", lambda *_: pytest.fail("it is being read"))
    assert edit(studio) == 2
    message = capsys.readouterr().err
    assert "90x80" in message and "64x64" in message


def test_a_photo_that_is_cut_off_is_one_line(studio: Path, capsys) -> None:
    content = (studio / "photo.png").read_bytes()
    (studio / "photo.png").write_bytes(content[: len(content) // 2])
    assert edit(studio) == 2
    message = capsys.readouterr().err
    assert (
        message.startswith("error: ")
        and "photo.png is damaged or cut off" in message
        and message.count("\n") == 1
    )


def test_inspect_and_convert_know_the_demo(tmp_path: Path, capsys) -> None:
    assert main(["inspect", "demo"]) == 0
    assert "256 x 256" in capsys.readouterr().out
    assert main(["convert", "demo", str(tmp_path / "made.safetensors"), "--dtype", "fp16"]) == 0
    assert main(["inspect", str(tmp_path / "made.safetensors")]) == 0


def test_masks_of_odd_levels_are_told_in_one_line(folder: Path, capsys) -> None:
    file_of(folder / "masks", encoded((MOUTH * 0.7).astype(np.uint8), "PNG"), "mouth.png")
    grey = np.where(HAIR[::-1] > 0, 255, 20).astype(np.uint8)
    file_of(folder / "masks", encoded(grey, "PNG"), "chin.png")
    segments(folder)
    note = capsys.readouterr().err
    assert note.count("\n") == 1 and "hair" not in note
    assert "mouth.png: nothing is above 0.7 of 1" in note and "chin.png: nothing is below 0.078 of 1" in note


@pytest.mark.parametrize("unnamed", [(206, 0, 0), (196, 4, 4)])
def test_an_area_near_a_named_colour_is_not_swallowed_in_a_smoothed_map(folder: Path, unnamed: tuple) -> None:
    rng = np.random.default_rng(0)
    named = [(0, 0, 0), (200, 0, 0), (0, 90, 210), (250, 240, 0), (30, 160, 60)]
    areas = np.array([*named, unnamed], np.uint8)[blocks(rng.integers(0, 5, (6, 6)), 16)]
    table = {f"#{bytes(colour).hex()}": f"area{index}" for index, colour in enumerate(named)}
    smooth = cv2.GaussianBlur(areas, (5, 5), 1.0)
    file_of(folder, encoded(np.zeros((96, 96, 3), np.uint8), "PNG"), "photo.png")
    assert len(np.unique(smooth.reshape(-1, 3), axis=0)) > 64
    assert len(segments(folder, label_map(folder, encoded(smooth, "PNG"), table)).names) == 5
    areas[40:50, 40:50] = unnamed
    smooth = cv2.GaussianBlur(areas, (5, 5), 1.0)
    with pytest.raises(
        InvalidInputError, match=rf"area of the colour #{bytes(unnamed).hex()} .* no name for it; add"
    ):
        segments(folder, label_map(folder, encoded(smooth, "PNG"), table))


def test_no_advice_names_a_tolerance_that_no_option_sets(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    with pytest.raises(InvalidInputError, match="add these colours, or save the picture"):
        segments(folder, label_map(folder, encoded(noise, "PNG"), {"#000": "skin", "#f00": "hair"}))


@pytest.mark.parametrize("sign", list(",;+:="))
def test_names_that_no_option_could_tell_are_refused(folder: Path, sign: str) -> None:
    said = rf"'a{re.escape(sign)}b' has '{re.escape(sign)}' in it.* rename it"
    name = label_map(folder, encoded(LABELS, "PNG"), {**NAMES, "7": f"a{sign}b"})
    with pytest.raises(InvalidInputError, match=rf"labels\.json: the name {said}"):
        segments(folder, name)
    name = label_map(folder, encoded(LABELS, "PNG"), {**NAMES, "9": f"a{sign}b"})
    assert len(segments(folder, name).names) == 3  # a label that doesn't occur
    file_of(folder / "masks", encoded(MOUTH, "PNG"), f"a{sign}b.png")
    with pytest.raises(InvalidInputError, match=rf"masks: the name {said}"):
        segments(folder)


def test_a_mask_whose_name_is_no_text_is_refused(folder: Path) -> None:
    try:
        file_of(folder / "masks", encoded(MOUTH, "PNG"), "bouch\x07.png")
    except OSError:
        pytest.skip("this file system knows valid names only")
    with pytest.raises(InvalidInputError, match=r"'bouch\\x07' is no valid text.* rename it"):
        segments(folder)


def test_names_in_a_table_are_the_same_however_their_accents_are_stored(folder: Path) -> None:
    name = label_map(
        folder, encoded(LABELS, "PNG"), {"0": "re\u0301gion", "2": "r\u00e9gion", "7": "BE\u0301BE\u0301"}
    )
    made = segments(folder, name, static="R\u00c9GION")
    assert made.names == ("B\u00c9B\u00c9",) and made.resolve("be\u0301be\u0301") == made.names


def test_the_names_of_a_map_and_the_photo_of_a_folder_are_options(studio: Path, capsys) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[40:56, 16:48] = 11
    file_of(studio, encoded(labels, "PNG"), "parsed.png")
    assert edit(studio, "--label-names", "bisenet", "--no-global", masks="parsed.png") == 0
    assert "the preset BiSeNet: 0 background, 11 mouth" in capsys.readouterr().err
    assert edit(studio, "--label-names", "nothing", masks="parsed.png") == 2
    assert "no preset of names and no file 'nothing'" in capsys.readouterr().err
    (studio / "anno").mkdir()
    for photo in ("00001", "00002"):
        file_of(studio / "anno", encoded(labels * np.uint8(23), "PNG"), f"{photo}_mouth.png")
    assert edit(studio, "--no-global", masks="anno") == 2
    assert "00001, 00002; choose one by its number" in capsys.readouterr().err
    assert edit(studio, "--masks-of", "2", "--no-global", masks="anno") == 0
