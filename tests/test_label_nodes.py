"""Load Label Map, and Label Map from Image with presets and files of names, on the double of the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chunky_core.segments.label_files.presets import CELEBAMASK_COLORS, VOC_COLORS
from tests.pack_on_double import Pack
from tests.picture_tools import blocks, encoded, file_of, with_palette

LOAD, LABELS, SEGMENTS = (
    "ChunkyGAN_LoadLabelMap",
    "ChunkyGAN_LabelMapFromImage",
    "ChunkyGAN_SegmentMasks",
)
NUMBERS = blocks(np.array([[0, 1, 2], [15, 2, 0]], np.uint8))
PALETTE = [VOC_COLORS[label] for label in range(256)]
EMAIL = "anna.muster@example.org"


@pytest.fixture
def inputs(pack: Pack) -> Iterator[Path]:
    """The host's input folder, empty before and after."""
    import shutil

    folder = pack.base / "input"
    yield folder
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def notices(pack: Pack) -> Iterator[Any]:
    pack.server.events.clear()
    yield lambda: [data["text"] for event, data in pack.server.events if event == "chunkygan.notice"]
    pack.server.events.clear()


def as_loaded(numbers: np.ndarray, colors: dict[int, tuple[int, int, int]] | None = None) -> Tensor:
    """Host IMAGE of gray levels, or of the colors of numbers, as its loader makes it."""
    levels = np.dstack([numbers] * 3) if colors is None else np.array([*colors.values()])[numbers]
    return torch.from_numpy(levels.astype(np.float32) / 255)[None]


def options(pack: Pack, node: str, widget: str) -> list[str]:
    (found,) = [entry for entry in pack.schemas[node].inputs if entry.id == widget]
    return list(found.widget["options"])


def test_files_and_folders_of_the_input_folder_are_offered(pack: Pack, inputs: Path) -> None:
    assert options(pack, LOAD, "file") == ["no picture in the input folder"]
    content = encoded(NUMBERS, "PNG")
    for name in ("a.png", "set/1.png", "set/2.png", "one/x.png", "clipspace/y.png"):
        (inputs / name).parent.mkdir(exist_ok=True)
        file_of(inputs, content, name)
    file_of(inputs, content, f"set/task-1-annotation-2-by-{EMAIL}-tag-hair-0.png")
    file_of(inputs, b"sky\nsea", "set/Class_Names.TXT")
    assert options(pack, LOAD, "file") == ["a.png", "one/x.png", "set/", "set/1.png", "set/2.png"]
    presets = ["CelebAMask-HQ", "BiSeNet", "SegFormer face parsing", "PASCAL VOC"]
    assert options(pack, LOAD, "names") == ["auto", *presets, "set/Class_Names.TXT"]
    assert options(pack, LABELS, "names") == ["as the palette says", *presets, "set/Class_Names.TXT"]


def test_a_map_with_its_names_becomes_segments(pack: Pack, inputs: Path, notices: Any) -> None:
    (inputs / "export").mkdir()
    file_of(inputs, encoded(with_palette(NUMBERS, PALETTE), "PNG"), "export/label.png")
    names = ["_background_", "hair", "mouth", *[f"n{i}" for i in range(3, 15)], "hat"]
    file_of(inputs, "\n".join(names).encode(), "export/label_names.txt")
    for file in ("export/label.png", "export/"):
        label_map, found = pack.run(LOAD, file=file)
        assert found == "background, hair, mouth, hat"
        assert label_map.labels.dtype == torch.uint8 and np.array_equal(label_map.labels[0].numpy(), NUMBERS)
    assert any("has the names of" in note and "2 mouth" in note for note in notices())
    photo = torch.zeros(1, 2 * NUMBERS.shape[0], 2 * NUMBERS.shape[1], 3)
    ((made,),) = pack.run(SEGMENTS, image=photo, label_map=label_map, grow=0, feather=0.0)
    assert made.names == ("hair", "mouth", "hat")
    assert np.array_equal(made.masks[1, 0].numpy()[::2, ::2], NUMBERS == 2)


def test_parts_of_several_photos_need_a_number(pack: Pack, inputs: Path) -> None:
    (inputs / "anno").mkdir()
    for photo, level in (("00003", 255), ("00004", 0)):
        face = np.full((32, 32), 255, np.uint8)
        hair = np.full((32, 32), level, np.uint8)
        file_of(inputs, encoded(face, "PNG"), f"anno/{photo}_skin.png")
        file_of(inputs, encoded(hair, "PNG"), f"anno/{photo}_hair.png")
    with pytest.raises(pack.errors.InvalidInputError, match="00003, 00004; choose one"):
        pack.run(LOAD, file="anno/")
    assert pack.run(LOAD, file="anno/", photo="3")[1] == "hair"
    assert pack.run(LOAD, file="anno/", photo=" 00004 ")[1] == "skin"


def test_label_studios_folder_has_no_address_in_anything(pack: Pack, inputs: Path, notices: Any) -> None:
    (inputs / "strokes").mkdir()
    for label in ("hair", "mouth"):
        mask = np.zeros((32, 32), np.uint8)
        mask[: 16 if label == "hair" else 4] = 255
        file_of(inputs, encoded(mask, "PNG"), f"strokes/task-1-annotation-2-by-{EMAIL}-tag-{label}-0.png")
    label_map, names = pack.run(LOAD, file="strokes/")
    assert names == "hair, mouth" or names == "mouth, hair"
    seen = [*label_map.names.values(), *notices(), *options(pack, LOAD, "file")]
    seen.append(pack.nodes[LOAD].fingerprint_inputs(file="strokes/"))
    assert "anna" not in "".join(seen)


def test_files_that_are_gone_or_outside_are_explained_before_anything_runs(pack: Pack, inputs: Path) -> None:
    node = pack.nodes[LOAD]
    file_of(inputs, encoded(NUMBERS, "PNG"), "a.png")
    file_of(inputs.parent, encoded(NUMBERS, "PNG"), "outside.png")
    assert node.validate_inputs(file="a.png", names="auto") is True
    for file in ("gone.png", "../outside.png", str(inputs.parent / "outside.png"), "", ".", "a\0"):
        assert "there is no label map" in node.validate_inputs(file=file)
    assert "no file of names 'x.txt' in the input folder" in node.validate_inputs(file="a.png", names="x.txt")
    assert "no file of names" in pack.nodes[LABELS].validate_inputs(names="x.txt")
    assert pack.nodes[LABELS].validate_inputs(names="BiSeNet") is True
    (inputs.parent / "outside.png").unlink()


def test_a_changed_file_or_names_beside_it_run_anew(pack: Pack, inputs: Path) -> None:
    node = pack.nodes[LOAD]
    file_of(inputs, encoded(NUMBERS, "PNG"), "a.png")
    seen = {node.fingerprint_inputs(file="a.png", names="auto", photo="")}
    file_of(inputs, b"sky\nsea\nland", "class_names.txt")
    seen.add(node.fingerprint_inputs(file="a.png", names="auto", photo=""))
    assert node.fingerprint_inputs(file="a.png", names="auto", photo="") in seen
    seen.add(node.fingerprint_inputs(file="a.png", names="auto", photo="3"))
    file_of(inputs, encoded(NUMBERS[:9], "PNG"), "a.png")
    seen.add(node.fingerprint_inputs(file="a.png", names="auto", photo=""))
    assert len(seen) == 4


def test_an_unnamed_map_lists_what_can_name_it(pack: Pack, inputs: Path) -> None:
    file_of(inputs, encoded(NUMBERS, "PNG"), "a.png")
    with pytest.raises(pack.errors.InvalidInputError, match=r"has no names; .*preset \(CelebAMask-HQ"):
        pack.run(LOAD, file="a.png")
    assert pack.run(LOAD, file="a.png", names="BiSeNet")[1] == "background, skin, l_brow, neck_l"


@pytest.mark.parametrize(
    ("preset", "colors", "expected"),
    [
        ("CelebAMask-HQ", None, "background, skin, nose, ear_r"),
        ("CelebAMask-HQ", CELEBAMASK_COLORS, "background, skin, nose, ear_r"),
        ("BiSeNet", None, "background, skin, l_brow, neck_l"),
        ("SegFormer face parsing", None, "background, skin, nose, ear_r"),
        ("PASCAL VOC", VOC_COLORS, "background, aeroplane, bicycle, person"),
        ("PASCAL VOC", None, "background, aeroplane, bicycle, person"),
    ],
)
def test_a_loaded_picture_is_read_by_levels_or_by_the_presets_colours(
    pack: Pack, preset: str, colors: Any, expected: str
) -> None:
    label_map, names = pack.run(LABELS, image=as_loaded(NUMBERS, colors), names=preset)
    assert names == expected and np.array_equal(label_map.labels[0].numpy(), NUMBERS)


def test_a_loaded_labelme_picture_is_read_by_its_palette_and_a_file(
    pack: Pack, inputs: Path, notices: Any
) -> None:
    numbers = np.where(NUMBERS == 15, 255, NUMBERS)
    file_of(inputs, b"\xef\xbb\xbf_background_\r\nhair\r\nmouth\r\n", "label_names.txt")
    label_map, names = pack.run(LABELS, image=as_loaded(numbers, VOC_COLORS), names="label_names.txt")
    assert names == "background, hair, mouth"
    assert np.array_equal(label_map.labels[0].numpy(), numbers) and "void" in notices()[-1]
    photo = torch.zeros(1, *NUMBERS.shape, 3)
    ((made,),) = pack.run(SEGMENTS, image=photo, label_map=label_map, grow=0, feather=0.0)
    assert (made.static[0, 0][torch.from_numpy(numbers == 255)] == 1).all()


def test_the_text_of_a_labelmap_can_be_pasted_as_palette(pack: Pack) -> None:
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nhair:128,0,0::\nmouth:0,128,0::\nhat:192,128,128::"
    label_map, names = pack.run(LABELS, image=as_loaded(NUMBERS, VOC_COLORS), palette=text)
    assert names == "background, hair, mouth, hat"
    assert np.array_equal(label_map.labels[0].numpy() == 3, NUMBERS == 15)


@pytest.mark.parametrize(
    ("image", "given", "said"),
    [
        (as_loaded(NUMBERS + np.uint8(4)), {"names": "BiSeNet"}, "label 19 .* no name .* 0 to 18"),
        (
            as_loaded(NUMBERS, VOC_COLORS),
            {"names": "BiSeNet"},
            "is in colour, the preset BiSeNet has numbers",
        ),
        (as_loaded(NUMBERS, VOC_COLORS), {"names": "CelebAMask-HQ"}, "colours that are not in the palette"),
        (as_loaded(NUMBERS) + 0.5 / 255, {"names": "BiSeNet"}, "between the levels of 8 bits"),
        (as_loaded(NUMBERS), {"names": "BiSeNet", "palette": "3 mouth"}, "palette has lines as well"),
    ],
)
def test_what_doesnt_fit_a_preset_is_refused(pack: Pack, image: Tensor, given: Any, said: str) -> None:
    with pytest.raises(pack.errors.InvalidInputError, match=said):
        pack.run(LABELS, image=image, **given)


def test_a_blurred_map_of_numbers_is_refused(pack: Pack) -> None:
    levels = torch.from_numpy(NUMBERS.astype(np.float32))[None, None]
    smooth = torch.nn.functional.interpolate(levels, scale_factor=3, mode="bilinear").round()[0, 0] / 255
    image = smooth[None, ..., None].expand(-1, -1, -1, 3)
    with pytest.raises(pack.errors.InvalidInputError, match="has colours that no area has"):
        pack.run(LABELS, image=image, names="BiSeNet")
