"""Names of labels from files of labelling tools: every way to write them means the same, every slip has its words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import chunky_core as cg
from chunky_core.errors import InvalidInputError
from chunky_core.segments.label_files.finding import given_table, label_table, read_names
from chunky_core.segments.label_files.presets import VOC_COLORS, label_preset
from chunky_core.segments.parsing.settings import label_names

LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nhair:192,0,128::\nmouth: 64, 128 ,0 :lips,teeth:open\n"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_presets_have_the_orders_of_their_sources(shared: Path) -> None:
    maps = shared / "faces" / "label_maps"
    for preset, file in (
        ("CelebAMask-HQ", "astronaut_celebamask.json"),
        ("BiSeNet", "astronaut_bisenet.json"),
    ):
        names = json.loads((maps / file).read_text())
        assert cg.LABEL_PRESETS[preset].numbers == {int(label): name for label, name in names.items()}
    config = json.loads((shared / "faces" / "segformer_tiny" / "config.json").read_text())
    assert cg.LABEL_PRESETS["SegFormer face parsing"].numbers == label_names(config)


def test_pascal_voc_has_21_classes_its_colours_and_void(shared: Path) -> None:
    voc = cg.LABEL_PRESETS["PASCAL VOC"]
    assert len(voc.numbers) == 21 and voc.numbers[15] == "person" and voc.void == {255}
    with Image.open(shared / "faces" / "label_maps" / "astronaut_labelme_voc.png") as picture:
        palette = np.array(picture.getpalette("RGB")).reshape(-1, 3)
    for label, color in enumerate(palette.tolist()):
        assert VOC_COLORS[label] == tuple(color)
    assert VOC_COLORS[15] == (192, 128, 128) and VOC_COLORS[255] == (224, 224, 192)


@pytest.mark.parametrize(
    ("written_as", "meant"),
    [
        ("celebamask", "CelebAMask-HQ"),
        ("CelebAMask-HQ", "CelebAMask-HQ"),
        ("BISENET", "BiSeNet"),
        ("Pascal_VOC", "PASCAL VOC"),
        ("voc", "PASCAL VOC"),
        ("segformer", "SegFormer face parsing"),
    ],
)
def test_presets_are_found_under_short_names_in_any_case(written_as: str, meant: str) -> None:
    assert label_preset(written_as) is cg.LABEL_PRESETS[meant]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_ends_of_lines_and_encodings(tmp_path: Path, ends: str, encoding: str) -> None:
    lines = LABELMAP.replace("\n", ends).encode(encoding)
    table = read_names(written(tmp_path, "labelmap.txt", lines))
    assert table.colors == {(0, 0, 0): "background", (192, 0, 128): "hair", (64, 128, 0): "mouth"}
    names = ends.join(["_background_", "re\u0301gion", "T\u00eate", ""]).encode(encoding)
    table = read_names(written(tmp_path, "class_names.txt", names))
    assert table.numbers == {0: "background", 1: "r\u00e9gion", 2: "T\u00eate"} and table.void == {255}


def test_a_list_with_what_is_ignored_begins_at_the_second_line(tmp_path: Path) -> None:
    table = read_names(written(tmp_path, "labels.txt", "__ignore__\n_background_\nhair\n"))
    assert table.numbers == {0: "background", 1: "hair"} and table.void == {255}


def test_a_list_that_names_255_has_no_void(tmp_path: Path) -> None:
    table = read_names(
        written(tmp_path, "class_names.txt", "\n".join(f"name{label}" for label in range(256)))
    )
    assert table.numbers[255] == "name255" and not table.void


def test_a_labelmap_without_colours_numbers_its_lines(tmp_path: Path) -> None:
    for lines in ("background\nhair\nmouth", "background:::\nhair:::\nmouth:::\n"):
        table = read_names(written(tmp_path, "labelmap.txt", lines))
        assert table.numbers == {0: "background", 1: "hair", 2: "mouth"}
        assert table.shown[128, 0, 0] == 1


def test_files_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    assert (
        given_table(written(tmp_path, "classes.txt", LABELMAP)).colors
        == read_names(written(tmp_path, "labelmap.txt", LABELMAP)).colors
    )
    assert given_table(written(tmp_path, "p.txt", "#f00 hair\n#00ff00 mouth")).colors == {
        (255, 0, 0): "hair",
        (0, 255, 0): "mouth",
    }
    assert given_table(written(tmp_path, "g.txt", "3 hair\n7 mouth")).numbers == {3: "hair", 7: "mouth"}
    assert given_table(written(tmp_path, "label_names.txt", "3 hair\n7 mouth")).numbers == {
        0: "3 hair",
        1: "7 mouth",
    }
    assert given_table(written(tmp_path, "names.json", '{"4": "hair"}')).numbers == {4: "hair"}
    config = json.dumps({"id2label": {"0": "sky", "1": "wall, brick"}})
    table = given_table(written(tmp_path, "config.json", b"\xef\xbb\xbf" + config.encode()))
    assert table.numbers == {0: "sky", 1: "wall brick"} and "'wall, brick' is called" in table.notes[0]


def test_labels_of_one_name_are_one_area_and_case_counts(tmp_path: Path) -> None:
    assert cg_names(tmp_path, "hair\nhair\nHair") == {0: "hair", 1: "hair", 2: "Hair"}
    table = read_names(written(tmp_path, "labelmap.txt", "hair:1,2,3::\nhair:4,5,6::"))
    assert set(table.colors.values()) == {"hair"} and len(table.colors) == 2


def cg_names(folder: Path, text: str) -> dict[int, str]:
    return dict(read_names(written(folder, "class_names.txt", text)).numbers)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("class_names.txt", "", "names nothing"),
        ("class_names.txt", "__ignore__\n", "names nothing"),
        ("class_names.txt", "hair\n\nmouth", "line 2 has no name"),
        ("class_names.txt", "<!DOCTYPE html>\n<html>", "line 1 is '<!DOCTYPE html>'; expected a name"),
        ("class_names.txt", "x" * 300, "expected a name of at most 100 characters"),
        ("class_names.txt", "hair\nbou\x07che", "line 2: the name 'bou\\x07che' is no valid text"),
        ("class_names.txt", b"hair\nT\xeate", "no text in UTF-8 (byte 6)"),
        ("class_names.txt", "a,b\na b", "which differ in signs only"),
        ("labelmap.txt", "# only a comment\n", "names nothing"),
        ("labelmap.txt", "hair:1,2,3::\n:4,5,6::", "line 2 has no name"),
        ("labelmap.txt", "hair:1,2::", "line 1 has the colour '1,2'; expected red, green and blue"),
        ("labelmap.txt", "hair:1,2,256::", "line 1 has the colour '1,2,256'"),
        ("labelmap.txt", "hair:1,2,3::\nmouth::", "gives 'mouth' no colour, others it does"),
        (
            "labelmap.txt",
            "hair:1,2,3::\nmouth:1,2,3::",
            "gives the colour 1,2,3 to 'hair' and to 'mouth'",
        ),
        (
            "labelmap.txt",
            "\n".join(f"n{i}:{i // 256},{i % 256},7::" for i in range(256)),
            "256 colours; expected fewer",
        ),
        ("config.json", '{"id2label": {"0": "a", "2": "b"}}', "names no labels; expected id2label"),
        ("config.json", '{"id2label": {"0": "a", "1": " "}}', "labels without a name in id2label"),
        ("config.json", '{"id2label": ', "no table of label names"),
    ],
)
def test_every_slip_names_the_file_and_what_to_do(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(InvalidInputError) as caught:
        read_names(path)
    assert said in str(caught.value) and str(path) in str(caught.value)


def test_what_lies_beside_a_map_or_above_it_is_found(tmp_path: Path) -> None:
    maps = tmp_path / "SegmentationClass"
    maps.mkdir()
    picture = maps / "photo.png"
    with pytest.raises(
        InvalidInputError, match=r"has no names.*labelmap\.txt.*preset \(CelebAMask-HQ, BiSeNet"
    ):
        label_table(picture)
    written(maps, "config.json", '{"model": 3}')  # of something else
    written(tmp_path, "CLASS_NAMES.TXT", "sky\nsea")
    assert label_table(picture).numbers == {0: "sky", 1: "sea"}
    written(maps, "Label_Names.txt", "a\nb")
    assert label_table(picture).numbers == {0: "a", 1: "b"}
    written(maps, "config.json", '{"id2label": {"0": "p", "1": "q"}}')
    with pytest.raises(InvalidInputError, match=r"Label_Names\.txt and config\.json lie in .*choose one"):
        label_table(picture)
    assert label_table(picture, "voc").numbers[15] == "person"
    assert label_table(picture, maps / "config.json").numbers == {0: "p", 1: "q"}
    written(maps, "photo.json", '{"0": "own"}')
    assert label_table(picture).numbers == {0: "own"}


def test_names_that_are_neither_preset_nor_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInputError, match="no preset of names and no file 'bisnet'; expected one of CelebA"
    ):
        given_table("bisnet")
    with pytest.raises(InvalidInputError, match="is a folder"):
        given_table(tmp_path)


def test_labelmes_outlines_are_no_names(tmp_path: Path) -> None:
    written(tmp_path, "photo.json", '{"version": "5", "shapes": [], "imagePath": "photo.jpg"}')
    written(tmp_path, "class_names.txt", "sky\nsea")
    assert label_table(tmp_path / "photo.png").numbers == {0: "sky", 1: "sea"}


def test_pictures_of_instances_are_not_named_by_classes(tmp_path: Path) -> None:
    for name in ("SegmentationObject", "SegmentationObjectPNG", "SegmentationClass"):
        (tmp_path / name).mkdir()
    written(tmp_path, "labelmap.txt", LABELMAP)
    assert label_table(tmp_path / "SegmentationClass" / "a.png").colors
    for name in ("SegmentationObject", "SegmentationObjectPNG"):
        with pytest.raises(InvalidInputError, match="shows instances.* SegmentationClass"):
            label_table(tmp_path / name / "a.png")


def test_a_networks_folder_names_labels_by_its_config(tmp_path: Path) -> None:
    written(tmp_path, "config.json", '{"id2label": {"0": "sky", "1": "sea"}}')
    assert given_table(tmp_path).numbers == {0: "sky", 1: "sea"}
    assert label_table(tmp_path / "config.png").numbers == {0: "sky", 1: "sea"}
