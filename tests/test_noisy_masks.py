"""Masks whose black isn't 0: noise counts as nothing, soft edges stay."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chunky_core.boxes import Box
from chunky_core.compositing.fill_parts import connected_parts
from chunky_core.errors import InvalidInputError
from chunky_core.segments import mask_box, segments_from_masks
from chunky_core.segments.masks import BLACK, check_extent, feather, without_noise

SIZE = 128


def square() -> Tensor:
    mask = torch.zeros(SIZE, SIZE)
    mask[40:70, 50:90] = 1
    return mask


def noises() -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(0)
    draw = torch.rand(SIZE, SIZE, generator=rng)
    return {
        "flat": torch.full((SIZE, SIZE), 1 / 255),
        "two levels": (draw * 3).floor() / 255,
        "a sigmoid's": torch.full((SIZE, SIZE), 1e-5),
        "far specks": torch.where(draw < 0.003, 2 / 255, 0),
        "the rim of a video": torch.where(torch.arange(SIZE) < 3, 2 / 255, 0).expand(SIZE, -1),
    }


@pytest.mark.parametrize("kind", noises())
def test_noise_is_nothing(kind: str) -> None:
    noisy = torch.maximum(square(), noises()[kind])
    assert torch.equal(without_noise(noisy), square())
    assert mask_box(without_noise(noisy)) == Box(40, 50, 70, 90) != mask_box(noisy)
    made = segments_from_masks({"a": noisy, "b": torch.maximum(square().roll(50, 0), noises()[kind])})
    assert torch.equal(made.masks[0, 0], square()) and mask_box(made.masks[1]) == Box(90, 50, 120, 90)
    assert len(connected_parts(noisy[None, None])) == 1


@pytest.mark.parametrize("sigma", [0.7, 2.0, 6.0])
def test_soft_edges_keep_their_faint_ends(sigma: float) -> None:
    soft = feather(square().double(), sigma)
    assert ((soft > 0) & (soft < BLACK)).any()
    assert without_noise(soft) is soft


def test_masks_without_anything_faint_are_returned_as_they_are() -> None:
    for mask in (square(), square() > 0, 0.5 * square(), torch.ones(4, 4), torch.zeros(4, 4)):
        assert without_noise(mask) is mask


def test_only_noise_is_empty() -> None:
    assert without_noise(noises()["two levels"]).max() == 0
    with pytest.raises(InvalidInputError, match="'a' is black, its brightest pixel is 2 of 255"):
        segments_from_masks({"a": noises()["two levels"]})


def test_a_segmenters_soft_output_still_covers_the_picture() -> None:
    rng = torch.Generator().manual_seed(3)
    coarse = torch.randn(12, 1, 6, 6, generator=rng)
    logits = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic")[:, 0] * 4
    weights = torch.softmax(logits, dim=0)
    made = segments_from_masks({str(i): weight for i, weight in enumerate(weights)})
    assert made.static.max() == 0
    kept = made.masks[:, 0] > 0
    assert ((made.masks[:, 0] - weights).abs() < 12 * BLACK * weights + 1e-6)[kept].all()
    assert (weights[~kept] < BLACK).all()


def test_how_far_a_feather_may_reach() -> None:
    check_extent(32, (64, 100), "it")
    check_extent(4, (3, 3), "it")
    for pixels, size, most in (
        (33, (64, 100), 32),
        (-1, (64, 64), 32),
        (float("nan"), (64, 64), 32),
        (5, (3, 3), 4),
    ):
        with pytest.raises(
            InvalidInputError, match=f"it is .* in a picture of .*; expected pixels, 0 to {most} "
        ):
            check_extent(pixels, size, "it")
