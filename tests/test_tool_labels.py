"""Label maps and folders of masks as tools write them: the labels, the names, and never an e-mail address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import chunky_core as cg
from chunky_core.cli.masks import load_segments
from chunky_core.errors import InvalidInputError
from chunky_core.images import open_image
from chunky_core.segments.label_files.label_studio import stroke, without_address
from chunky_core.segments.label_files.presets import CELEBAMASK_COLORS, CELEBAMASK_NAMES, VOC_COLORS
from tests.picture_tools import blocks, encoded, file_of, with_palette

LABELS = blocks(np.array([[0, 1, 2], [15, 2, 0]], np.uint8))
PALETTE = [VOC_COLORS[label] for label in range(256)]
EMAIL = "anna.muster@example.org"


def areas(made: cg.NamedLabels) -> dict[str, np.ndarray]:
    """Name -> where it is."""
    labels = made.labels.numpy()
    found: dict[str, np.ndarray] = {}
    for label, name in made.names.items():
        if (labels == label).any():
            found[name] = found.get(name, np.zeros(labels.shape, bool)) | (labels == label)
    return found


def same(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def disc(size: int, row: float, column: float, radius: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return ((y - row) ** 2 + (x - column) ** 2 < radius**2) * np.uint8(255)


@pytest.fixture
def astronaut(shared: Path, tmp_path: Path) -> dict[str, Path]:
    """The same face as every tool writes it, each with its names beside it."""
    maps = shared / "faces" / "label_maps"
    beside = {
        "cvat": ("astronaut_cvat.png", "astronaut_cvat_labelmap.txt", "labelmap.txt"),
        "labelme": ("astronaut_labelme_voc.png", "astronaut_labelme_label_names.txt", "label_names.txt"),
        "segformer": ("labels_16bit.png", "../segformer_tiny/config.json", "config.json"),
    }
    for tool, (picture, names, called) in beside.items():
        (tmp_path / tool).mkdir()
        (tmp_path / tool / picture).write_bytes((maps / picture).read_bytes())
        (tmp_path / tool / called).write_bytes((maps / names).read_bytes())
    found = {tool: tmp_path / tool / picture for tool, (picture, _, _) in beside.items()}
    return found | {"parts": maps / "celebamask_parts_512_for_1024_photo"}


def test_every_tool_gives_the_same_areas(shared: Path, astronaut: dict[str, Path]) -> None:
    maps = shared / "faces" / "label_maps"
    expected = areas(cg.read_named_labels(maps / "astronaut_celebamask.png"))  # with its .json
    assert len(expected) == 10 and expected["mouth"].any()
    assert same(areas(cg.read_named_labels(maps / "astronaut_celebamask.png", "celebamask")), expected)
    assert same(areas(cg.read_named_labels(maps / "astronaut_bisenet.png", "bisenet")), expected)
    for tool, path in astronaut.items():
        made = cg.read_named_labels(path)
        assert same(areas(made), expected), tool
        assert tool == "parts" or f"{path} has the names of {path.parent}" in made.notes[0]


def test_parts_of_512_serve_a_photo_of_1024(shared: Path, tmp_path: Path, capsys) -> None:
    """Every pixel of the map becomes four of the photo's, and boundaries are soft."""
    parts = shared / "faces" / "label_maps" / "celebamask_parts_512_for_1024_photo"
    photo = open_image(file_of(tmp_path, encoded(np.zeros((1024, 1024, 3), np.uint8), "PNG"), "0.png"))
    hard = load_segments(parts, photo, "background", 0, 0.0)
    labels = cg.read_named_labels(parts).labels
    mouth = hard.masks[hard.names.index("mouth"), 0]
    doubled = (labels == CELEBAMASK_NAMES.index("mouth")).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.equal(mouth, doubled.float())
    soft = load_segments(parts, photo, "background", 0, 1.5)
    assert soft.names == hard.names and ((soft.masks > 0.2) & (soft.masks < 0.8)).any()
    assert capsys.readouterr().err.count("512x512 and was resized to the photo's 1024x1024") == 2


def parts_folder(folder: Path, *photos: str) -> np.ndarray:
    """Overlapping parts for each photo; returns the label map that the data set's own script makes of them."""
    layers = {"skin": disc(64, 34, 32, 26), "hair": disc(64, 14, 32, 22), "mouth": disc(64, 48, 32, 8)}
    layers |= {"l_lip": disc(64, 52, 32, 6), "neck": disc(64, 63, 32, 9)}
    folder.mkdir(parents=True, exist_ok=True)
    expected = np.zeros((64, 64), np.int64)
    for name in CELEBAMASK_NAMES[1:]:
        if name in layers:
            expected[layers[name] != 0] = CELEBAMASK_NAMES.index(name)
            for photo in photos:
                file_of(folder, encoded(np.dstack([layers[name]] * 3), "PNG"), f"{photo}_{name}.png")
    return expected


def test_later_parts_cover_earlier_ones_as_in_the_data_set(tmp_path: Path) -> None:
    expected = parts_folder(tmp_path / "parts", "00012")
    made = cg.read_named_labels(tmp_path / "parts")
    assert np.array_equal(made.labels.numpy(), expected)
    assert {"skin", "hair", "mouth", "l_lip", "neck", "background"} == set(areas(made))
    skin_below_hair = (disc(64, 34, 32, 26) > 0) & (disc(64, 14, 32, 22) > 0)
    assert areas(made)["hair"][skin_below_hair].all()


def test_one_of_several_photos_is_told_by_number_name_or_file(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    expected = parts_folder(folder, "00012", "00340")
    file_of(folder, encoded(disc(64, 10, 10, 6), "PNG"), "00340_HAT.PNG")
    with pytest.raises(InvalidInputError, match=r"masks of 2 photos, 00012, 00340; choose one by its number"):
        cg.read_named_labels(folder)
    for told in ({"photo": "12"}, {"photo": "00012"}, {"photo_file": "a/12.jpg"}):
        assert np.array_equal(cg.read_named_labels(folder, **told).labels.numpy(), expected)
    assert "hat" in areas(cg.read_named_labels(folder, photo="340"))
    with pytest.raises(InvalidInputError, match="00012, 00340, of which none can be '7'"):
        cg.read_named_labels(folder, photo="7")
    parts_folder(tmp_path / "named", "anna", "ben")
    assert np.array_equal(cg.read_named_labels(tmp_path / "named", photo="ben").labels.numpy(), expected)


def test_the_whole_data_set_is_looked_up_by_number(tmp_path: Path) -> None:
    expected = parts_folder(tmp_path / "anno" / "2", "04100", "04101")
    (tmp_path / "anno" / "0").mkdir()
    assert np.array_equal(cg.read_named_labels(tmp_path / "anno", photo="4100").labels.numpy(), expected)


def test_the_only_photo_of_a_folder_is_taken_and_said(tmp_path: Path) -> None:
    parts_folder(tmp_path / "parts", "00012")
    assert cg.read_named_labels(tmp_path / "parts", photo_file="portrait.png").notes == ()
    (note,) = cg.read_named_labels(tmp_path / "parts", photo_file="7.png").notes
    assert "has the masks of photo 00012 only; they are taken" in note


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("00012_beard.png", 64, "00012_beard.png is no part of CelebAMask-HQ"),
        ("photo.png", 64, "photo.png is no picture of CelebAMask-HQ"),
        ("00012_hat.png", 32, "64x64 and 32x32; expected one size"),
    ],
)
def test_what_doesnt_belong_among_parts_is_refused(tmp_path: Path, name: str, size: int, said: str) -> None:
    parts_folder(tmp_path, "00012")
    file_of(tmp_path, encoded(disc(size, 10, 10, 5), "PNG"), name)
    with pytest.raises(InvalidInputError, match=said):
        cg.read_named_labels(tmp_path)


def test_numbered_masks_of_ones_own_keep_their_names(tmp_path: Path) -> None:
    for name in ("01_hair", "02_skin"):
        file_of(tmp_path, encoded(disc(64, 32, 32, 20 if name == "01_hair" else 8), "PNG"), f"{name}.png")
    assert set(areas(cg.read_named_labels(tmp_path))) == {"01_hair", "02_skin"}


def voc_files(folder: Path) -> dict[str, Path]:
    """One map as PASCAL VOC stores it, in RGB as a loader shows it, and with its palette in another order."""
    labels = np.where(cv2.erode(LABELS, np.ones((3, 3))) == LABELS, LABELS, 255).astype(np.uint8)
    indexed = with_palette(labels, PALETTE)
    used = np.unique(labels)[::-1]
    moved = with_palette(
        np.searchsorted(used[::-1], labels)[...].astype(np.uint8),
        [VOC_COLORS[int(label)] for label in used[::-1]],
    )
    return {
        "indexed": file_of(folder, encoded(indexed, "PNG"), "indexed.png"),
        "rgb": file_of(folder, encoded(indexed, "PNG", "RGB"), "rgb.png"),
        "moved": file_of(folder, encoded(moved, "PNG"), "moved.png"),
    }


@pytest.mark.parametrize("kind", ["indexed", "rgb", "moved"])
def test_pascal_voc_by_number_or_colour_and_void_is_no_area(tmp_path: Path, kind: str) -> None:
    path = voc_files(tmp_path)[kind]
    made = cg.read_named_labels(path, "voc")
    found = areas(made)
    assert set(found) == {"background", "aeroplane", "bicycle", "person"}
    void = (made.labels == 255).numpy()
    assert void.any() and not sum(area & void for area in found.values()).any()
    assert all((LABELS[area] == LABELS[area][0]).all() for area in found.values())
    assert any("void and belong to no area" in note for note in made.notes)
    assert any("colours of its palette" in note for note in made.notes) == (kind == "moved")
    segments = cg.segments_from_label_map(made.labels, made.names, static=["background"], gaps="nearest")
    assert not segments.static[0, 0][(LABELS != 0) & void].all()


def test_labelme_writes_a_folder_or_a_data_set(tmp_path: Path) -> None:
    one = tmp_path / "photo_json"
    one.mkdir()
    labels = np.where(LABELS == 15, 255, LABELS).astype(np.uint8)
    for name in ("label.png", "img.png", "label_viz.png"):
        file_of(
            one, encoded(with_palette(labels, PALETTE), "PNG", None if name == "label.png" else "RGB"), name
        )
    (one / "label_names.txt").write_text("_background_\r\nhair, long\r\nmouth")
    made = cg.read_named_labels(one)
    assert set(areas(made)) == {"background", "hair long", "mouth"}
    assert any("'hair, long' is called 'hair long'" in note for note in made.notes)
    pictures = tmp_path / "voc" / "SegmentationClassPNG"
    pictures.mkdir(parents=True)
    file_of(pictures, encoded(with_palette(labels, PALETTE), "PNG"), "a.png")
    (tmp_path / "voc" / "class_names.txt").write_text("_background_\nskin\nhat\n")
    assert set(areas(cg.read_named_labels(pictures / "a.png"))) == {"background", "skin", "hat"}


def test_smoothed_edges_of_a_colour_map_go_to_a_neighbour_and_new_colours_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labelmap.txt").write_text("background:0,0,0::\nhair:255,0,0::\nmouth:0,0,255::\n")
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)[
        blocks(np.array([[0, 1], [2, 0]]), 32)
    ]
    smooth = cv2.GaussianBlur(colours, (5, 5), 1.0)
    found = areas(cg.read_named_labels(file_of(tmp_path, encoded(smooth, "PNG"), "map.png")))
    assert set(found) == {"background", "hair", "mouth"}
    assert np.abs(found["hair"] ^ (colours[..., 0] > 0)).sum() < 64
    colours[:9, :9] = (0, 200, 0)
    path = file_of(tmp_path, encoded(colours, "PNG"), "map.png")
    with pytest.raises(
        InvalidInputError, match=r"map\.png has an area of the colour #00c800 \(81 .*labelmap\.txt no name"
    ):
        cg.read_named_labels(path)
    colours[:9, :9] = VOC_COLORS[255]
    made = cg.read_named_labels(file_of(tmp_path, encoded(colours, "PNG"), "map.png"))
    assert not sum(area[:9, :9] for area in areas(made).values()).any() and "void" in made.notes[-1]


def test_celebamasks_own_colours_are_its_numbers(tmp_path: Path) -> None:
    labels = blocks(np.arange(19, dtype=np.uint8).reshape(1, 19))
    colours = np.array(list(CELEBAMASK_COLORS.values()), np.uint8)[labels]
    path = file_of(tmp_path, encoded(colours, "PNG"), "12.png")
    assert np.array_equal(cg.read_named_labels(path, "celebamask").labels.numpy(), labels)


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        (LABELS, "bisenet", None),
        (LABELS + np.uint8(4), "bisenet", r"label 19 .*BiSeNet no name for it; it has 19, 0 to 18: choose"),
        (np.where(LABELS == 15, 22, LABELS).astype(np.uint8), "voc", r"label 22 .*it has 21, 0 to 20"),
        (np.where(LABELS == 15, 255, LABELS).astype(np.uint8), "celebamask", r"label 255 .*0 to 18"),
    ],
)
def test_another_number_of_classes_is_told(tmp_path: Path, labels: np.ndarray, names: str, said: str) -> None:
    path = file_of(tmp_path, encoded(labels, "PNG"), "map.png")
    if said is None:
        assert "the preset BiSeNet: 0 background" in cg.read_named_labels(path, names).notes[0]
        return
    with pytest.raises(InvalidInputError, match=said):
        cg.read_named_labels(path, names)


def studio_folder(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(names):
        file_of(folder, encoded(disc(64, 20, 12 + 14 * place, 6), "PNG"), f"{name}.png")
    return folder


@pytest.mark.parametrize("who", [EMAIL, "3", "jean-paul@x-y.example.org", "", "m\u00fcller@b.de"])
def test_label_studios_names_lose_who_made_them(tmp_path: Path, who: str) -> None:
    folder = studio_folder(
        tmp_path / "strokes",
        *(
            f"task-7-annotation-12-by-{who}-tag-{label}"
            for label in ("Hair-0", "Hair-1", "left eye-0", "a, b-0")
        ),
    )
    made = cg.read_named_labels(folder)
    assert set(areas(made)) == {"Hair", "left eye", "a b"}
    assert (areas(made)["Hair"] == (disc(64, 20, 12, 6) | disc(64, 20, 26, 6) > 0)).all()
    one = stroke(f"task-7-annotation-12-by-{who}-tag-Hair-0")
    assert one is not None and one.photo == "7-12" and one.label == "Hair"


def test_label_studios_tasks_are_chosen_by_number(tmp_path: Path) -> None:
    name = f"task-{{}}-annotation-{{}}-by-{EMAIL}-tag-{{}}-0"
    folder = studio_folder(
        tmp_path, name.format(1, 4, "hair"), name.format(2, 5, "hat"), name.format(2, 6, "cap")
    )
    with pytest.raises(InvalidInputError, match="3 photos, 1-4, 2-5, 2-6; choose") as caught:
        cg.read_named_labels(folder, photo_file="1.png")
    assert set(areas(cg.read_named_labels(folder, photo="1"))) == {"hair"}
    assert set(areas(cg.read_named_labels(folder, photo="2-6"))) == {"cap"}
    with pytest.raises(InvalidInputError, match="2 can be '2'"):
        cg.read_named_labels(folder, photo="2")
    assert EMAIL not in str(caught.value)


def test_no_message_has_the_address_of_who_annotated(tmp_path: Path, capsys) -> None:
    name = f"task-1-annotation-2-by-{EMAIL}-tag-{{}}"
    photo = open_image(file_of(tmp_path, encoded(np.zeros((128, 128, 3), np.uint8), "PNG"), "photo.png"))
    folder = studio_folder(tmp_path / "strokes", name.format("hair-0"), name.format("mouth-0"))
    file_of(folder, b"{}", f"{name.format('hair-0')}.txt")
    faint = disc(64, 30, 30, 9) // 2
    file_of(folder, encoded(faint, "PNG"), f"{name.format('faint-0')}.png")
    segments = load_segments(folder, photo, "", 0, 0.0)
    said = capsys.readouterr().err
    assert segments.names == ("faint", "hair", "mouth")
    assert "left aside" in said and "resized" in said and "shows through" in said
    assert "anna" not in said and "example" not in said
    for broken, content in (("hair-0", b"\x89PNG\r\n\x1a\n"), ("x", encoded(faint, "PNG"))):
        file_of(folder, content, f"{name.format(broken)}.png")
        with pytest.raises(InvalidInputError) as caught:
            load_segments(folder, photo, "", 0, 0.0)
        assert "anna" not in str(caught.value) and "example" not in str(caught.value)
        (folder / f"{name.format('hair-0')}.png").unlink(missing_ok=True)
        assert caught.value.__cause__ is None


def test_a_mask_of_ones_own_with_an_address_in_its_name_is_refused(tmp_path: Path) -> None:
    studio_folder(tmp_path, "hair", f"hat by {EMAIL}")
    with pytest.raises(InvalidInputError, match="e-mail address in its name") as caught:
        cg.read_named_labels(tmp_path)
    assert EMAIL not in str(caught.value)
    assert without_address(f"x/{EMAIL}/y") == "x/.../y"


def test_a_folder_of_masks_is_stacked_with_small_ones_on_top(tmp_path: Path) -> None:
    for name, radius in (("mouth", 6), ("face", 25)):
        file_of(tmp_path, encoded(disc(64, 32, 32, radius), "PNG"), f"{name}.png")
    found = areas(cg.read_named_labels(tmp_path))
    assert np.array_equal(found["mouth"], disc(64, 32, 32, 6) > 0)
    assert np.array_equal(found["face"], (disc(64, 32, 32, 25) > 0) & ~found["mouth"])
    with pytest.raises(InvalidInputError, match="masks of one photo, named after their segments"):
        cg.read_named_labels(tmp_path, photo="12")


def test_an_indexed_map_with_other_colours_keeps_its_numbers(tmp_path: Path) -> None:
    colours = [(255, 255, 255), (200, 30, 30), *[(30, 200, 30)] * 13, (9, 9, 9)]
    path = file_of(tmp_path, encoded(with_palette(LABELS, colours), "PNG"), "map.png")
    assert np.array_equal(cg.read_named_labels(path, "voc").labels.numpy(), LABELS)
    with Image.open(path) as picture:
        assert picture.mode == "P"


def test_a_mask_that_others_cover_wholly_is_noted(tmp_path: Path) -> None:
    face, mouth = np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8)
    face[2:14, 2:14] = mouth[6:9, 6:9] = 255
    for name, mask in (("face", face), ("mouth", mouth), ("mouth_again", mouth)):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    made = cg.read_named_labels(tmp_path)
    present = {made.names[label] for label in made.labels.unique().tolist() if label}
    (hidden,) = {"face", "mouth", "mouth_again"} - present
    assert [note for note in made.notes if f": {hidden} left no pixel" in note]
    (tmp_path / f"{hidden}.png").unlink()
    assert cg.read_named_labels(tmp_path).notes == ()


def test_names_that_a_folder_of_masks_does_not_need_are_said_to_be_left_aside(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(tmp_path / "face.png")
    (note,) = cg.read_named_labels(tmp_path, "BiSeNet").notes
    assert "BiSeNet wasn't needed" in note


def test_a_choice_that_contradicts_what_lies_beside_is_questioned(tmp_path: Path) -> None:
    """JSON of numbers, in whole or in part, and labelmap.txt of another tool; not names that agree."""
    path = file_of(tmp_path, encoded(LABELS, "PNG"), "map.png")
    (tmp_path / "map.json").write_text('{"0": "background", "1": "hair", "2": "nose"}')
    made = cg.read_named_labels(path, "CelebAMask-HQ")
    assert made.names[1] == "skin"
    (said,) = (note for note in made.notes if "says otherwise" in note)
    assert (
        "map.json says otherwise (hair, not skin); the preset CelebAMask-HQ was chosen and is taken" in said
    )
    (tmp_path / "map.json").write_text('{"0": "background", "1": "skin", "2": "nose"}')
    assert not [note for note in cg.read_named_labels(path, "CelebAMask-HQ").notes if "otherwise" in note]
    (tmp_path / "map.json").unlink()
    (tmp_path / "label_names.txt").write_text("\n".join(["background", "hair", "nose", *"abcdefghijklm"]))
    notes = cg.read_named_labels(path, "celeba").notes
    assert any("label_names.txt says otherwise (hair, not skin" in note for note in notes)
    notes = cg.read_named_labels(path, tmp_path / "label_names.txt").notes
    assert not [note for note in notes if "otherwise" in note]


def test_a_photo_that_is_named_for_a_single_map_is_not_needed(tmp_path: Path) -> None:
    path = file_of(tmp_path, encoded(LABELS, "PNG"), "map.png")
    notes = cg.read_named_labels(path, "CelebAMask-HQ", photo="12").notes
    assert any("is the label map of one photo; '12' wasn't needed" in note for note in notes)
    assert not [note for note in cg.read_named_labels(path, "CelebAMask-HQ").notes if "wasn't needed" in note]


def test_one_photo_is_one_photo(tmp_path: Path) -> None:
    file_of(tmp_path, encoded((LABELS > 0).astype(np.uint8) * 255, "PNG"), "00012_skin.png")
    with pytest.raises(InvalidInputError, match="has the masks of 1 photo, 00012, of which none can be '13'"):
        cg.read_named_labels(tmp_path, photo="13")
