"""What a composite replaces: edited segments and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chunky_core.compositing import COMPOSITE_MODES, KEEP_DETAIL, composite, edited_segments, render
from chunky_core.compositing.correction_mask import CorrectionPart
from chunky_core.compositing.fill import fill_region
from chunky_core.compositing.refine_boundaries import with_masks
from chunky_core.errors import InvalidInputError, WrongGeneratorError
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.images import from_uint8, to_uint8
from chunky_core.inversion import (
    Edit,
    Inversion,
    ProjectionConfig,
    load_inversion,
    project,
    save_inversion,
)
from chunky_core.segments import segments_from_masks
from tests.projection_tools import photo_of_parts, same_picture

WAYS = [{"mode": mode, "between": between} for mode in COMPOSITE_MODES for between in (False, True)]
WAY_NAMES = [f"{way['mode']}{', between' if way['between'] else ''}" for way in WAYS]


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)


@pytest.fixture(scope="module", params=["independent", "joint", "mixed"])
def inversion(request: pytest.FixtureRequest, generator: Generator) -> Inversion:
    """Three soft segments, two of which touch, in a static ground."""
    size = generator.img_resolution
    masks = {name: torch.zeros(size, size) for name in ("left_eye", "right_eye", "mouth")}
    masks["left_eye"][4:14, 4:15] = masks["right_eye"][4:14, 15:26] = 1
    masks["mouth"][20:28, 8:24] = 1
    segments = segments_from_masks(masks, feather=0.8)
    photo = from_uint8(to_uint8(photo_of_parts(generator, segments).clamp(-1, 1)))
    spaces = {"mouth": "s", "left_eye": "w"} if request.param == "mixed" else {}
    mode = "joint" if request.param == "joint" else "independent"
    return project(
        generator, photo, segments, ProjectionConfig(mode=mode, num_steps=6, dilation=1, spaces=spaces)
    )


def edit(generator: Generator, strength: float, *names: str, seed: int = 0) -> Edit:
    tensor = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(seed))
    return Edit(Direction("any", "w", tensor), strength, names)


def weight_of(inversion: Inversion, *names: str) -> Tensor:
    return torch.stack([one.mask for one in inversion.segments if one.name in names]).sum(dim=0)


def changed(inversion: Inversion, picture: Tensor) -> Tensor:
    """bool [H,W]: where the numbers aren't the photo's."""
    assert inversion.photo is not None
    return (picture != inversion.photo).any(dim=1)[0]


@pytest.mark.parametrize("keep_detail", KEEP_DETAIL)
@pytest.mark.parametrize("way", WAYS, ids=WAY_NAMES)
def test_5_at_strength_0_a_composite_is_the_photo(
    generator: Generator, inversion: Inversion, way: dict[str, Any], keep_detail: Any
) -> None:
    still = inversion.with_edits(edit(generator, 0.0, "all"), edit(generator, 0.0, "mouth", seed=1))
    for one in (inversion, still, inversion.with_edits(edit(generator, 1.0, "all")).without_edit(0)):
        assert torch.equal(composite(generator, one, keep_detail=keep_detail, **way), inversion.photo)


@pytest.mark.parametrize("keep_detail", KEEP_DETAIL)
@pytest.mark.parametrize("way", WAYS, ids=WAY_NAMES)
def test_only_edited_segments_change(
    generator: Generator, inversion: Inversion, way: dict[str, Any], keep_detail: Any
) -> None:
    edited = inversion.with_edits(edit(generator, 2.0, "eyes"), edit(generator, 0.0, "mouth", seed=1))
    moved = changed(inversion, composite(generator, edited, keep_detail=keep_detail, **way))
    inside = weight_of(inversion, "left_eye", "right_eye")[0, 0] > 0.999
    assert not moved[weight_of(inversion, "left_eye", "right_eye")[0, 0] == 0].any()
    assert moved[inside].float().mean() > 0.9


def test_all_segments_without_detail_are_the_rendered_picture(
    generator: Generator, inversion: Inversion
) -> None:
    edited = inversion.with_edits(edit(generator, 2.0, "mouth"))
    drawn = composite(generator, edited, replace="all segments", keep_detail="off", mode="soft blend")
    assert torch.allclose(drawn, render(generator, edited), atol=1e-5)
    assert torch.equal(render(generator, inversion), render(generator, edited, edited=False))


def test_the_edits_of_a_segment_are_those_that_it_has_among_all(
    generator: Generator, inversion: Inversion
) -> None:
    """Names in an edit that are not replaced don't matter, and the order of edits is kept."""
    many = inversion.with_edits(
        edit(generator, 1.5, "mouth"), edit(generator, 0.0, "eyes"), edit(generator, -1.0, "all", seed=2)
    )
    assert edited_segments(many) == inversion.names
    one = inversion.with_edits(edit(generator, 1.5, "mouth"), edit(generator, -1.0, "mouth", seed=2))
    assert edited_segments(one) == ("mouth",)
    options: dict[str, Any] = {"mode": "soft blend", "keep_detail": "off"}
    mouth = weight_of(inversion, "mouth")[0, 0] == 1
    whole, part = (composite(generator, record, **options) for record in (many, one))
    assert torch.allclose(whole[..., mouth], part[..., mouth], atol=1e-5)


def test_filled_and_refined_segments_count_as_edited_also_in_the_file(
    generator: Generator, inversion: Inversion, tmp_path: Path
) -> None:
    masks = inversion.masks
    grown = segments_from_masks(
        {name: (mask[0] > 0.3).float() for name, mask in zip(masks.names, masks.masks, strict=True)}, grow=1
    )
    refined = with_masks(inversion, grown, refined=["mouth"])
    part = CorrectionPart(
        torch.nn.functional.pad(torch.ones(1, 1, 4, 6), (20, 6, 15, 13)), take=True, fit=False
    )
    filled = fill_region(generator, inversion.with_edits(edit(generator, 1.0, "mouth")), "mouth", [part])
    assert edited_segments(with_masks(inversion, grown)) == ()
    assert edited_segments(with_masks(inversion, masks, refined=["mouth"])) == ()
    assert edited_segments(refined) == ("mouth",)
    assert edited_segments(filled.without_edit(0)) == ("mouth_fill",)
    for record in (refined, filled):
        save_inversion(record, tmp_path / "one.safetensors")
        opened = load_inversion(tmp_path / "one.safetensors")
        assert edited_segments(opened) == edited_segments(record)
        assert same_picture(composite(generator, opened), composite(generator, record))


def test_without_its_photo_an_inversion_is_drawn_wholly(generator: Generator) -> None:
    size = generator.img_resolution
    masks = {"left": torch.zeros(size, size), "right": torch.zeros(size, size)}
    masks["left"][:, : size // 2] = masks["right"][:, size // 2 :] = 1
    segments = segments_from_masks(masks)
    photo = photo_of_parts(generator, segments).clamp(-1, 1)
    inversion = project(generator, photo, segments, ProjectionConfig(num_steps=3, dilation=0))
    absent = inversion.with_edits(edit(generator, 1.0, "left")).without_photo()
    blended, drawn = composite(generator, absent, mode="soft blend"), render(generator, absent)
    assert torch.allclose(blended, drawn, atol=1e-5, rtol=1e-5)  # other batches, so other sums
    with pytest.raises(InvalidInputError, match='saved without its photo.*"all segments"'):
        composite(generator, absent, replace="edited segments")


def test_nothing_given_is_changed(generator: Generator, inversion: Inversion) -> None:
    assert inversion.photo is not None
    photo, static = inversion.photo.clone(), inversion.static_mask.clone()
    edited = inversion.with_edits(edit(generator, 2.0, "mouth"))
    composite(generator, edited).add_(1)
    composite(generator, inversion).add_(1)
    assert torch.equal(inversion.photo, photo) and torch.equal(inversion.static_mask, static)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replace": "edited"}, "replace is 'edited'; expected one of edited segments, all segments"),
        ({"keep_detail": "move"}, "keep_detail is 'move'; expected one of off, keep, keep and move"),
        (
            {"mode": "hard"},
            "mode is 'hard'; expected one of full, seam only, colour shift only, soft blend, as",
        ),
        ({"band": 0}, "band is 0; expected at least 1 pixel"),
        ({"band": 8.5}, "band is 8.5; expected at least 1 pixel, in whole numbers"),
        ({"band": True}, "band is True; expected at least 1 pixel"),
    ],
)
def test_an_unknown_choice_is_refused_also_without_edits(
    generator: Generator, inversion: Inversion, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        composite(generator, inversion, **options)
    with pytest.raises(WrongGeneratorError):
        composite(generator, replace(inversion, fingerprint="0" * 64))
