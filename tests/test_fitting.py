"""Masks and label maps of another size than their photo."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from chunky_core.errors import InvalidInputError
from chunky_core.segments.fitting import fit_labels, fit_mask, is_placeholder


def test_what_fits_is_returned_as_it_is() -> None:
    mask, labels = torch.rand(2, 5, 7), torch.arange(35).view(5, 7)
    assert fit_mask(mask, (5, 7), "it") is mask and fit_labels(labels, (5, 7), "it") is labels


def test_a_shrunk_mask_is_the_mean_of_the_pixels_below() -> None:
    rng = torch.Generator().manual_seed(0)
    mask = torch.rand(2, 1, 48, 60, generator=rng, dtype=torch.float64)
    assert torch.allclose(fit_mask(mask, (16, 20), "it"), F.avg_pool2d(mask, 3))
    odd = fit_mask(mask, (17, 21), "it")  # no whole factor: every pixel of the mask still counts alike
    assert torch.allclose(odd.mean(dim=(2, 3)), mask.mean(dim=(2, 3)), atol=1e-6)


def test_an_enlarged_mask_is_interpolated_and_keeps_its_range_and_type() -> None:
    mask = torch.zeros(9, 12)
    mask[3:6, 4:8] = 1
    larger = fit_mask(mask, (36, 48), "it")
    assert torch.allclose(larger, F.interpolate(mask[None, None], (36, 48), mode="bilinear")[0, 0], atol=1e-6)
    assert larger.min() == 0 and larger.max() == 1 and larger[18, 24] == 1
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert torch.allclose(fit_mask(mask.to(dtype), (36, 48), "it").float(), larger, atol=1e-2)
        assert fit_mask(mask.to(dtype), (36, 48), "it").dtype == dtype
    assert torch.equal(fit_mask(mask.bool(), (36, 48), "it"), larger)


def test_labels_are_never_mixed() -> None:
    rng = torch.Generator().manual_seed(1)
    labels = torch.randint(0, 9, (2, 20, 30), generator=rng) * 1000
    assert torch.equal(
        fit_labels(labels, (40, 60), "it"), labels.repeat_interleave(2, 1).repeat_interleave(2, 2)
    )
    assert torch.equal(
        fit_labels(labels.repeat_interleave(3, 1).repeat_interleave(3, 2), (20, 30), "it"), labels
    )
    assert set(fit_labels(labels, (33, 50), "it").unique().tolist()) <= set(labels.unique().tolist())
    assert fit_labels(labels.to(torch.uint8), (40, 60), "it").dtype == torch.uint8


@pytest.mark.parametrize("size", [(512, 341), (511, 341), (2000, 1333), (1001, 667), (64, 43)])
def test_sides_that_were_rounded_have_the_same_aspect(size: tuple[int, int]) -> None:
    assert fit_mask(torch.rand(1000, 667), size, "it").shape == size
    assert fit_labels(torch.zeros(size, dtype=torch.int64), (1000, 667), "it").shape == (1000, 667)


@pytest.mark.parametrize("size", [(512, 512), (512, 338), (667, 1000), (1000, 660), (1, 64)])
def test_another_aspect_is_refused_with_both_sizes(size: tuple[int, int]) -> None:
    found, wanted = f"{size[1]}x{size[0]}", "667x1000"
    for fit in (fit_mask, fit_labels):
        with pytest.raises(InvalidInputError, match=f"^the mask is {found}, the photo is {wanted}; "):
            fit(torch.eye(max(size))[: size[0], : size[1]].long(), (1000, 667), "the mask")


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_the_placeholder_of_a_picture_without_transparency_is_refused(level: float) -> None:
    placeholder = torch.full((1, 64, 64), level)
    with pytest.raises(
        InvalidInputError, match="the mask is a constant 64x64 placeholder.*real mask of 512x512"
    ):
        fit_mask(placeholder, (512, 512), "the mask")
    assert fit_mask(placeholder, (64, 64), "the mask") is placeholder
    placeholder[0, 5, 5] = 0.5
    assert not is_placeholder(placeholder) and fit_mask(placeholder, (512, 512), "it").shape == (1, 512, 512)


def test_what_is_no_mask_is_refused() -> None:
    for shape in ((5,), (0, 64, 64), (64, 0)):
        with pytest.raises(InvalidInputError, match="shape"):
            fit_mask(torch.zeros(shape), (8, 8), "the mask")
