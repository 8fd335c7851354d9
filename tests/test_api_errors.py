"""The library's functions tell in their own words what they were given and what they expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chunky_core.alignment.face_crop import aligned_crop, paste_back
from chunky_core.checkpoints.generators import load_generator
from chunky_core.compositing.modes import set_in
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.images import save_image, to_uint8
from chunky_core.inversion import ProjectionConfig, project
from chunky_core.inversion.original_crop import Alignment
from chunky_core.segments import segments_from_label_map, single_segment

SIZE = 32
NAN = float("nan")
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
    "set_in, picture": lambda bad: set_in(bad, noise(), torch.ones(1, 1, SIZE, SIZE)),
    "set_in, photo": lambda bad: set_in(noise(), bad, torch.ones(1, 1, SIZE, SIZE)),
    "aligned_crop": lambda bad: aligned_crop(bad, ALIGNMENT, 16),
    "paste_back, photo": lambda bad: paste_back(bad, noise(), noise(1), ALIGNMENT),
    "paste_back, before": lambda bad: paste_back(noise(), bad, noise(1), ALIGNMENT),
    "paste_back, after": lambda bad: paste_back(noise(), noise(), bad, ALIGNMENT),
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
        set_in(noise(), noise(1), torch.full((1, 1, SIZE, SIZE), factor))


@pytest.mark.parametrize("detail", [NAN, -1, 9])
def test_a_share_of_detail_beyond_0_to_1(detail: float) -> None:
    with pytest.raises(InvalidInputError, match="expected 0 to 1"):
        paste_back(noise(), noise(), noise(1), ALIGNMENT, detail=detail)


@pytest.mark.parametrize("size", [0, -5, 10**6])
def test_a_crop_of_no_sensible_size(size: int) -> None:
    with pytest.raises(InvalidInputError, match="expected 1 to 8192 pixels"):
        aligned_crop(noise(), ALIGNMENT, size)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_pasting_into_a_photo_of_half_precision(dtype: torch.dtype) -> None:
    """As in full precision, rounded; what doesn't change keeps its bits."""
    photo, before = noise(2, dtype), noise(3)
    pasted = paste_back(photo, before, -before, ALIGNMENT)
    wanted = paste_back(photo.float(), before, -before, ALIGNMENT)
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
        {"steps": NAN},
        {"steps": "3"},
        {"steps": 1.5},
        {"steps": True},
        {"seed": -1},
        {"seed": 2**64},
        {"seed": None},
        {"dilation": 1.5},
        {"dilation": 10**6},
        {"spaces": ["w"]},
        {"losses": "l2"},
        {"losses": None},
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
