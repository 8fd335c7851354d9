"""Functions that take their arguments in another order than in version 0.1: old names and old calls, which warn."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.alignment.face_crop import AlignedCrop, extract_crop, face_alignment
from chunky_core.alignment.faces import Face
from chunky_core.alignment.pasting import paste_back
from chunky_core.compositing import poisson_blend, seamless_clone
from chunky_core.compositing.color_shift import shift_colors
from chunky_core.compositing.segment_seams import poisson_blend_segments, shift_segment_colors
from chunky_core.evaluation.fidelity import measure_fidelity
from chunky_core.evaluation.seam_visibility import (
    interior_gradient_error,
    seam_gradient_error,
    seam_gradient_errors,
)
from chunky_core.inversion.original_crop import Alignment
from chunky_core.segments.masks import mask_box
from tests.projection_tools import pieces
from tests.toy_networks import networks, picture

SIZE = 32
PHOTO, OTHER = picture(1, SIZE, SIZE).float(), picture(0, SIZE, SIZE).float()
MASK = torch.nn.functional.pad(torch.ones(1, 1, 12, 14), (9, 9, 10, 10))
QUAD = ((4.0, 4.0), (4.0, 28.0), (28.0, 28.0), (28.0, 4.0))


def old(place: str) -> Callable[..., Any]:
    """The function at an old place, of which the look-up warns."""
    module, _, name = place.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"chunky_core.{place} is now "):
        return getattr(importlib.import_module(f"chunky_core.{module}"), name)


@pytest.mark.parametrize(
    ("place", "new"),
    [
        ("compositing.set_in", seamless_clone),
        ("compositing.modes.set_in", seamless_clone),
        ("compositing.poisson_composite", poisson_blend),
        ("compositing.poisson.poisson_composite", poisson_blend),
        ("compositing.colour_shift.colour_shift", shift_colors),
        ("compositing.color_shift.colour_shift", shift_colors),
    ],
)
def test_old_blends_take_the_picture_first(place: str, new: Callable[..., Tensor]) -> None:
    expected, function = new(PHOTO, OTHER, MASK, boundary="soft"), old(place)
    assert not torch.equal(expected, new(OTHER, PHOTO, MASK, boundary="soft"))
    assert torch.equal(function(OTHER, PHOTO, MASK, rim="soft"), expected)
    assert torch.equal(function(OTHER, photo=PHOTO, mask=MASK, rim="soft"), expected)
    assert torch.equal(function(mask=MASK, photo=PHOTO, picture=OTHER, rim="soft"), expected)


@pytest.mark.parametrize(
    ("place", "new"),
    [
        ("evaluation.seams.seam_error", seam_gradient_error),
        ("evaluation.seams.inner_error", interior_gradient_error),
        ("evaluation.seams.seams", seam_gradient_errors),
    ],
)
def test_old_measures_of_seams(place: str, new: Callable[..., Any]) -> None:
    assert old(place)(OTHER, PHOTO, pieces(SIZE), width=2) == new(PHOTO, OTHER, pieces(SIZE), width=2)


def test_old_fidelity() -> None:
    expected = measure_fidelity(PHOTO, OTHER, pieces(SIZE), networks())
    assert expected.segments != measure_fidelity(OTHER, PHOTO, pieces(SIZE), networks()).segments
    assert old("evaluation.fidelity.fidelity")(OTHER, PHOTO, pieces(SIZE), networks()) == expected


@pytest.mark.parametrize(
    ("name", "new"), [("join_segments", poisson_blend_segments), ("shift_segments", shift_segment_colors)]
)
def test_old_removal_of_seams_between_segments(name: str, new: Callable[..., Tensor]) -> None:
    masks = pieces(SIZE)
    boxes = [mask_box(mask[None], margin=1) for mask in masks.masks]
    renderings = [OTHER[..., box.top : box.bottom, box.left : box.right] for box in boxes]
    function = old(f"compositing.between_segments.{name}")
    expected = new(PHOTO, masks, renderings, boxes, boundary="half")
    assert torch.equal(function(PHOTO, masks, renderings, boxes, rim="half"), expected)


@pytest.mark.parametrize("form", ["positional", "mask too", "keywords"])
def test_old_pasting_takes_both_crops(form: str) -> None:
    alignment, weight = Alignment(QUAD, (SIZE, SIZE)), torch.full((1, 1, 16, 16), 0.5)
    crop = AlignedCrop(extract_crop(PHOTO, alignment, 16), alignment)
    after = crop.image.flip(3)
    mask = weight if form == "mask too" else None
    expected = paste_back(PHOTO, after, crop, mask, detail=0.5)
    assert not torch.equal(expected, PHOTO)
    with pytest.warns(DeprecationWarning, match="paste_back has other arguments now"):
        if form == "keywords":
            pasted = paste_back(  # type: ignore[call-arg]
                photo=PHOTO, before=crop.image, after=after, alignment=alignment, detail=0.5
            )
        else:
            rest = (weight,) if form == "mask too" else ()
            pasted = paste_back(PHOTO, crop.image, after, alignment, *rest, detail=0.5)  # type: ignore
    assert torch.equal(pasted, expected)


def test_an_alignment_of_a_face_in_the_old_order() -> None:
    face = Face((5, 6, 20, 20))
    with pytest.warns(DeprecationWarning, match="face_alignment has other arguments now"):
        assert face_alignment(face, PHOTO) == face_alignment(PHOTO, face)  # type: ignore[arg-type]


def test_a_faces_box_is_its_rectangle() -> None:
    with pytest.warns(DeprecationWarning, match="Face: 'box' is now 'rectangle'"):
        assert Face((1, 2, 3, 4)).box == (1, 2, 3, 4)
