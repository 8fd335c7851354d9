"""The library's functions tell in their own words what they were given and what they expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chunky_core.alignment import (
    Face,
    FacePoints,
    align,
    average_landmarks,
    choose_face,
    detect_faces,
    faces_from_landmarks,
    faces_in_boxes,
    landmarks_in_crop,
)
from chunky_core.alignment.face_crop import AlignedCrop, extract_crop, extract_labels, extract_mask
from chunky_core.alignment.pasting import paste_back, paste_mask
from chunky_core.checkpoints.generators import load_generator
from chunky_core.compositing import composite
from chunky_core.compositing.modes import seamless_clone
from chunky_core.editing import load_directions
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.images import load_image, save_image, to_uint8
from chunky_core.inversion import ProjectionConfig, load_inversion, project
from chunky_core.inversion.original_crop import Alignment
from chunky_core.segments import segments_from_label_map, single_segment
from chunky_core.segments.face_mesh import FaceLandmarks, read_face_landmarks, segment_face
from chunky_core.segments.label_files.reading import read_named_labels
from tests.face_tools import drawn_mesh

SIZE = 32
NAN = float("nan")
FACE = Face((4, 4, 20, 20))
MESH = FaceLandmarks(drawn_mesh())
ALIGNMENT = Alignment(((4.0, 4.0), (4.0, 28.0), (28.0, 28.0), (28.0, 4.0)), (SIZE, SIZE))


def noise(seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(1, 3, SIZE, SIZE, generator=rng) * 2 - 1).to(dtype)


BAD_PICTURES: dict[str, Any] = {
    "uint8": (noise() * 100).to(torch.uint8),
    "long": noise().long(),
    "complex": noise().to(torch.complex64),
    "bool": noise() > 0,
    "float8": noise().to(torch.float8_e4m3fn),
    "numpy": noise().numpy(),
    "None": None,
    "list": [1, 2, 3],
    "meta": noise().to("meta"),
    "sparse": noise().to_sparse(),
    "NaN": noise() * NAN,
    "empty": noise()[:0],
    "one channel": noise()[:, :1],
    "without a batch": noise()[0],
}
TAKERS: dict[str, Callable[[Any], object]] = {
    "set_in, picture": lambda bad: seamless_clone(noise(), bad, torch.ones(1, 1, SIZE, SIZE)),
    "set_in, photo": lambda bad: seamless_clone(bad, noise(), torch.ones(1, 1, SIZE, SIZE)),
    "align, photo": lambda bad: align(bad, FACE, 16),
    "aligned_crop": lambda bad: extract_crop(bad, ALIGNMENT, 16),
    "paste_back, photo": lambda bad: paste_back(bad, noise(1), AlignedCrop(noise(), ALIGNMENT)),
    "paste_back, before": lambda bad: paste_back(noise(), noise(1), AlignedCrop(bad, ALIGNMENT)),
    "paste_back, after": lambda bad: paste_back(noise(), bad, AlignedCrop(noise(), ALIGNMENT)),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_no_picture(taker: str, kind: str) -> None:
    with pytest.raises(InvalidInputError):
        TAKERS[taker](BAD_PICTURES[kind])


@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_no_photo_to_project(generator: Generator, kind: str) -> None:
    with pytest.raises(InvalidInputError):
        project(generator, BAD_PICTURES[kind], single_segment((SIZE, SIZE)), ProjectionConfig(num_steps=1))


@pytest.mark.parametrize("kind", ["uint8", "long", "None", "numpy", "NaN", "empty", "without a batch"])
def test_no_image_to_save(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InvalidInputError):
        save_image(BAD_PICTURES[kind], tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("factor", [200.0, -1.0, NAN])
def test_a_mask_beyond_0_to_1(factor: float) -> None:
    with pytest.raises(InvalidInputError, match="expected 0..1"):
        seamless_clone(noise(1), noise(), torch.full((1, 1, SIZE, SIZE), factor))


@pytest.mark.parametrize("detail", [NAN, -1, 9])
def test_a_share_of_detail_beyond_0_to_1(detail: float) -> None:
    with pytest.raises(InvalidInputError, match="expected 0 to 1"):
        paste_back(noise(), noise(1), AlignedCrop(noise(), ALIGNMENT), detail=detail)


@pytest.mark.parametrize("size", [0, -5, 10**6])
def test_a_crop_of_no_sensible_size(size: int) -> None:
    with pytest.raises(InvalidInputError, match="expected 1 to 8192 pixels"):
        extract_crop(noise(), ALIGNMENT, size)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_pasting_into_a_photo_of_half_precision(dtype: torch.dtype) -> None:
    """As in full precision, rounded; what doesn't change keeps its bits."""
    photo, before = noise(2, dtype), noise(3)
    pasted = paste_back(photo, -before, AlignedCrop(before, ALIGNMENT))
    wanted = paste_back(photo.float(), -before, AlignedCrop(before, ALIGNMENT))
    assert pasted.dtype == dtype
    assert pasted.isfinite().all()
    assert torch.equal(pasted, wanted.to(dtype))
    assert torch.equal(pasted[..., :4, :], photo[..., :4, :])


@pytest.mark.parametrize("device", ["cuda:99", "xyz", "", "meta", None, 3.5])
def test_no_device(device: Any) -> None:
    with pytest.raises(InvalidInputError, match="can't be used here"):
        load_generator("demo", device=device)


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.float8_e4m3fn, "float32", None])
def test_no_dtype_of_weights(dtype: Any) -> None:
    with pytest.raises(InvalidInputError, match="dtype is"):
        load_generator("demo", dtype=dtype)


@pytest.mark.parametrize(
    "knobs",
    [
        {"num_steps": NAN},
        {"num_steps": "3"},
        {"num_steps": 1.5},
        {"num_steps": True},
        {"seed": -1},
        {"seed": 2**64},
        {"seed": None},
        {"dilation": 1.5},
        {"dilation": 10**6},
        {"spaces": ["w"]},
        {"loss": "l2"},
        {"loss": None},
    ],
    ids=str,
)
def test_knobs_of_the_projection(knobs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(knobs))):
        ProjectionConfig(**knobs)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint8, np.int16, np.int32])
def test_label_maps_of_any_whole_numbers(dtype: type) -> None:
    labels = np.zeros((SIZE, SIZE), dtype)
    labels[8:24, 8:24] = 5
    made = segments_from_label_map(torch.from_numpy(labels), {0: "rest", 5: "part"})
    assert made.masks[made.names.index("part")].sum() == 256


def test_images_of_floats_only() -> None:
    with pytest.raises(InvalidInputError, match="holds uint8 numbers; expected floats"):
        to_uint8(BAD_PICTURES["uint8"])


@pytest.mark.parametrize(
    ("place", "wrong", "said"),
    [
        ("generator", "demo", "the generator is of type str; expected Generator"),
        ("masks", torch.ones(1, 1, 32, 32), "masks is of type Tensor; expected SegmentMasks"),
        ("config", 50, "config is of type int; expected ProjectionConfig"),
        ("start", "x.safetensors", "start is of type str; expected Inversion"),
        ("callback", 3, "a callback is of type int; expected a function"),
        ("autosave", 1, "a callback is of type int; expected a function"),
    ],
)
def test_things_of_another_kind_are_refused_before_a_projection(
    generator: Generator, place: str, wrong: object, said: str
) -> None:
    size = generator.img_resolution
    given = {
        "generator": generator,
        "photo": torch.zeros(1, 3, size, size),
        "masks": single_segment((size, size)),
    }
    with pytest.raises(InvalidInputError, match=said):
        project(**(given | {place: wrong}))


@pytest.mark.parametrize(
    "knobs",
    [
        {"learning_rate": "a"},
        {"warmup": None},
        {"lambda_reg": "a"},
        {"global_code": "no"},
        {"refine": "mouth"},
        {"refine": 3},
    ],
    ids=str,
)
def test_knobs_of_another_kind(knobs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(knobs))):
        ProjectionConfig(**knobs)


def test_one_knob_under_two_names(generator: Generator) -> None:
    size = generator.img_resolution
    with pytest.raises(TypeError, match="the same"):
        project(generator, torch.zeros(1, 3, size, size), single_segment((size, size)), steps=1, num_steps=2)


def test_swapped_arguments_are_told_at_once(generator: Generator) -> None:
    with pytest.raises(InvalidInputError, match="the generator is of type .*; it comes first"):
        composite(3, generator)  # type: ignore[arg-type]


ODD: dict[str, Any] = {
    "None": None,
    "3.5": 3.5,
    "NaN": NAN,
    "object": object(),
    "text": "?",
    "bytes": b"x",
    "empty tuple": (),
    "numbers": [1, 2],
    "texts": ["x", "y"],
    "table": {"a": 1},
    "array": np.zeros((3, 3)),
    "0-d tensor": torch.tensor(1.0),
    "tensor": torch.zeros(3),
}
PATHS = ("text",)  # what is odd everywhere but here
HANDED: dict[str, tuple[Callable[[Any], object], tuple[str, ...]]] = {
    "align, face": (lambda odd: align(noise(), odd, 16), ()),
    "align, size": (lambda odd: align(noise(), FACE, odd), ("numbers",)),
    "extract_crop, alignment": (lambda odd: extract_crop(noise(), odd, 16), ()),
    "extract_mask, mask": (lambda odd: extract_mask(odd, ALIGNMENT, 16), ()),
    "extract_mask, alignment": (lambda odd: extract_mask(torch.zeros(SIZE, SIZE), odd, 16), ()),
    "extract_labels, labels": (lambda odd: extract_labels(odd, ALIGNMENT, 16), ()),
    "extract_labels, alignment": (lambda odd: extract_labels(torch.zeros(SIZE, SIZE), odd, 16), ()),
    "paste_mask, mask": (lambda odd: paste_mask(odd, ALIGNMENT), ()),
    "paste_mask, alignment": (lambda odd: paste_mask(torch.zeros(16, 16), odd), ()),
    "paste_back, crop": (lambda odd: paste_back(noise(), noise(1), odd), ()),
    "paste_back, its alignment": (lambda odd: paste_back(noise(), noise(1), AlignedCrop(noise(), odd)), ()),
    "paste_back, mask": (
        lambda odd: paste_back(noise(), noise(1), AlignedCrop(noise(), ALIGNMENT), odd),
        ("None",),
    ),
    "paste_back, detail": (
        lambda odd: paste_back(noise(), noise(1), AlignedCrop(noise(), ALIGNMENT), detail=odd),
        (),
    ),
    "segment_face, landmarks": (lambda odd: segment_face(odd, (100, 100)), ()),
    "segment_face, size": (lambda odd: segment_face(MESH, odd), ("numbers",)),
    "segment_face, rename": (lambda odd: segment_face(MESH, 99, rename=odd), ("None",)),
    "segment_face, static": (lambda odd: segment_face(MESH, 99, static=odd), ("empty tuple",)),
    "segment_face, only": (lambda odd: segment_face(MESH, 99, only=odd), ("empty tuple",)),
    "segment_face, grow": (lambda odd: segment_face(MESH, 99, grow=odd), ()),
    "segment_face, feather": (lambda odd: segment_face(MESH, 99, feather=odd), ("3.5",)),
    "segment_face, gaps": (lambda odd: segment_face(MESH, 99, gaps=odd), ()),
    "landmarks_in_crop, landmarks": (lambda odd: landmarks_in_crop(odd, ALIGNMENT, 16), ("empty tuple",)),
    "landmarks_in_crop, one of them": (lambda odd: landmarks_in_crop([odd], ALIGNMENT, 16), ()),
    "landmarks_in_crop, alignment": (lambda odd: landmarks_in_crop([MESH], odd, 16), ()),
    "landmarks_in_crop, size": (lambda odd: landmarks_in_crop([MESH], ALIGNMENT, odd), ("numbers",)),
    "faces_from_landmarks": (lambda odd: faces_from_landmarks(odd), ("empty tuple",)),
    "read_face_landmarks": (lambda odd: read_face_landmarks(odd, 99), ()),
    "read_face_landmarks, size": (
        lambda odd: read_face_landmarks({"frames": [], "image_size": (99, 99)}, odd),
        ("numbers",),
    ),
    "choose_face": (lambda odd: choose_face(odd), ()),
    "choose_face, which": (lambda odd: choose_face((FACE,), odd), ()),
    "average_landmarks": (lambda odd: average_landmarks(odd), ()),
    "faces_in_boxes, faces": (lambda odd: faces_in_boxes(odd, [(1, 2, 3, 4)]), ()),
    "faces_in_boxes, boxes": (lambda odd: faces_in_boxes([FACE], odd), ("empty tuple",)),
    "Face, rectangle": (lambda odd: Face(odd).quad, ()),
    "Face, points": (lambda odd: Face((1, 2, 3, 4), odd).quad, ("None",)),
    "FacePoints": (lambda odd: FacePoints(odd, ((1, 2), (3, 4))), ()),
    "Alignment, quad": (lambda odd: Alignment(odd, (9, 9)), ()),
    "Alignment, size": (lambda odd: Alignment(ALIGNMENT.quad, odd), ("numbers",)),
    "detect_faces, model": (lambda odd: detect_faces(noise(), model=odd), ("None", *PATHS)),
    "read_named_labels, path": (lambda odd: read_named_labels(odd), ()),
    "read_named_labels, names": (lambda odd: read_named_labels("?", odd), ()),
    "read_named_labels, photo": (lambda odd: read_named_labels("?", photo=odd), ()),
    "read_named_labels, photo_file": (lambda odd: read_named_labels("?", photo_file=odd), ()),
    "load_generator": (lambda odd: load_generator(odd), PATHS),
    "load_generator, upsampling": (lambda odd: load_generator("demo", upsampling=odd), ("None",)),
    "load_image": (lambda odd: load_image(odd), ()),
    "load_inversion": (lambda odd: load_inversion(odd), ()),
    "load_directions": (lambda odd: load_directions(odd), ()),
    "save_image": (lambda odd: save_image(noise(), odd), ()),
}


@pytest.mark.parametrize("taker", HANDED)
def test_odd_arguments_are_refused_in_words_of_ours(taker: str) -> None:
    """Of any kind, whatever is not what the function takes; none is taken for something else."""
    function, fine = HANDED[taker]
    for kind, odd in ODD.items():
        if kind not in fine:
            with pytest.raises(InvalidInputError):
                function(odd)


def test_a_face_of_which_only_the_rectangle_is_known_has_no_mesh() -> None:
    said = "only the face's rectangle is known.*give a face that has points"
    with pytest.raises(InvalidInputError, match=said) as caught:
        average_landmarks(FACE)
    assert "box" not in str(caught.value) and "mask" not in str(caught.value)


@pytest.mark.parametrize(
    "taker",
    [
        lambda bright: align(bright, FACE, 16),
        lambda bright: extract_crop(bright, ALIGNMENT, 16),
        lambda bright: paste_back(bright, noise(1), AlignedCrop(noise(), ALIGNMENT)),
        lambda bright: paste_back(noise(), bright, AlignedCrop(noise(), ALIGNMENT)),
        lambda bright: paste_back(noise(), noise(1), AlignedCrop(bright, ALIGNMENT)),
        lambda bright: detect_faces(bright),
    ],
)
def test_numbers_in_0_to_255(taker: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidInputError, match="expected .-1, 1.: divide 0..255 by 127.5"):
        taker((noise() + 1) * 127.5)
