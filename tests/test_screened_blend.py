"""Seams removed as needed: a tint goes, a good fit and an edit stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chunky_core.compositing import composite, poisson_blend, seamless_clone
from chunky_core.compositing.render import render_segment
from chunky_core.demo.photos import demo_photo
from chunky_core.demo.shipped import LABEL_NAMES
from chunky_core.evaluation.metrics import mse
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction
from chunky_core.images import load_image
from chunky_core.inversion import Edit, Inversion, ProjectionConfig, project
from chunky_core.segments import mask_box, segments_from_masks
from chunky_core.segments.masks import grow
from tests.projection_tools import photo_of_parts
from tests.test_poisson import region_of, scene

FITS = sorted((Path(__file__).parent / "data" / "lone_fits").glob("*.png"))
LABELS = {"mouth": "mouth", "brow": "left_brow"}


@pytest.fixture(scope="module", params=FITS, ids=lambda path: path.stem)
def fit(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Tensor]:
    """A demo photo, the fit of one segment of it set into it, and the segment's hard mask."""
    seed, part = request.param.stem.split("_")
    photo = demo_photo(int(seed))
    label = next(label for label, name in LABEL_NAMES.items() if name == LABELS[part])
    mask = (photo.labels == label)[None, None].float()
    top, left, bottom, right = mask_box(mask)
    rendering = photo.image.clone()
    rendering[..., top:bottom, left:right] = load_image(request.param)
    return photo.image, torch.where(mask > 0, rendering, photo.image), mask


def test_a_good_fit_is_never_worse_for_it(fit: tuple[Tensor, Tensor, Tensor]) -> None:
    photo, rendering, mask = fit
    fitted = mse(rendering, photo, mask)
    assert mse(seamless_clone(photo, rendering, mask, mode="as needed"), photo, mask) < fitted


def test_poisson_in_full_spreads_the_blurred_outline_of_a_mouth() -> None:
    """What the mode is for, on the same fits; without this the test above would say little."""
    worse = []
    for path in FITS:
        if path.stem.endswith("mouth"):
            photo = demo_photo(int(path.stem[:4]))
            mask = (photo.labels == 8)[None, None].float()
            top, left, bottom, right = mask_box(mask)
            rendering = photo.image.clone()
            rendering[..., top:bottom, left:right] = load_image(path)
            full = poisson_blend(photo.image, rendering, mask, boundary="photo")
            worse.append(mse(full, photo.image, mask) / mse(rendering, photo.image, mask))
    assert min(worse) > 1.2 and max(worse) > 2


@pytest.mark.parametrize("tint", [0.3, -0.2])
def test_a_tint_of_the_whole_disappears(fit: tuple[Tensor, Tensor, Tensor], tint: float) -> None:
    photo, rendering, mask = fit
    tinted = rendering + tint * mask
    result = seamless_clone(photo, tinted, mask, mode="as needed")
    assert mse(result, photo, mask) < 1.2 * mse(rendering, photo, mask)


@pytest.mark.parametrize("kind", ["disc", "corner", "bottom", "ring"])
def test_of_the_photo_with_a_tint_the_photo_is_left(kind: str) -> None:
    _, photo = scene(60, 80, seed=1)
    mask = region_of(kind, 60, 80)[None, None].float()
    shift = torch.tensor([0.3, -0.2, 0.1])[:, None, None]
    result = seamless_clone(photo, photo + shift, mask, mode="as needed")
    assert (result - photo).abs().max() < 1e-3
    assert torch.equal(result[:, :, mask[0, 0] == 0], photo[:, :, mask[0, 0] == 0])


def test_an_error_of_the_edge_stays_at_the_edge() -> None:
    """Two pixels within the boundary are off; Poisson's solution in full carries that to the center."""
    _, photo = scene(80, 80, seed=3)
    mask = region_of("disc", 80, 80)[None, None].float()
    inner = 1 - grow(1 - mask, 2)
    rendering = photo + 0.3 * (mask - inner)
    deep = grow(1 - mask, 14) == 0
    assert deep.any()
    needed, full = (
        seamless_clone(photo, rendering, mask, mode=mode, boundary="photo") for mode in ("as needed", "full")
    )
    assert (needed - photo)[deep.expand_as(photo)].abs().max() < 0.01
    assert (full - photo)[deep.expand_as(photo)].abs().min() > 0.2
    at_edge = ((mask > 0) & (grow(1 - mask, 1) > 0)).expand_as(photo)
    assert (needed - photo)[at_edge].abs().mean() < 0.5 * (rendering - photo)[at_edge].abs().mean()


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=32, channel_base=512, channel_max=32)


@pytest.fixture(scope="module", params=[0.0, 1.0], ids=["hard", "soft"])
def tinted(request: pytest.FixtureRequest, generator: Generator) -> tuple[Inversion, Tensor]:
    """An inversion whose photo is what its one segment draws, and how the generator draws it edited."""
    square = torch.zeros(32, 32)
    square[6:26, 6:26] = 1
    segments = segments_from_masks({"face": square}, feather=request.param)
    config = ProjectionConfig(num_steps=1, dilation=0)
    made = project(generator, photo_of_parts(generator, segments).clamp(-1, 1), segments, config)
    direction = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(0))
    edited = made.with_edits(Edit(Direction("any", "w", direction), 2.0, ("face",)))
    photo = render_segment(generator, made, made.segments[0], [])
    record = replace(edited, photo=photo)
    return record, render_segment(generator, record, record.segments[0], record.edits)


def test_an_edit_of_a_perfect_fit_keeps_its_colors_inside(
    generator: Generator, tinted: tuple[Inversion, Tensor]
) -> None:
    """No offset is confirmed where the unedited rendering is the photo, however far the edit moves the colors."""
    inversion, drawn = tinted
    result = composite(generator, inversion, mode="as needed", keep_detail="off")
    deep = (grow(inversion.static_mask, 4) == 0).expand_as(drawn)
    assert deep.any() and (drawn - inversion.backdrop())[deep].abs().mean() > 0.02
    needed = (result - drawn)[deep].abs().mean()
    full = (composite(generator, inversion, mode="full", keep_detail="off") - drawn)[deep].abs().mean()
    assert needed < 0.3 * full
    assert torch.equal(
        result[..., inversion.static_mask[0, 0] == 1],
        inversion.backdrop()[..., inversion.static_mask[0, 0] == 1],
    )


def test_unedited_segments_that_are_perfect_stay_so(
    generator: Generator, tinted: tuple[Inversion, Tensor]
) -> None:
    inversion = tinted[0].without_edit(0)
    for between in (False, True):
        result = composite(
            generator, inversion, mode="as needed", replace="all segments", keep_detail="off", between=between
        )
        assert (result - inversion.backdrop()).abs().max() < 1e-3
