"""Seams between segments: against a direct solver, and on inversions through Poisson Composite's options."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from chunky_core.boxes import Box
from chunky_core.compositing import composite, render
from chunky_core.compositing.segment_seams import poisson_blend_segments, shift_segment_colors
from chunky_core.errors import InvalidInputError
from chunky_core.generator.generator import Generator
from chunky_core.inversion.record import Inversion
from chunky_core.segments import SegmentMasks, mask_box, segments_from_masks
from tests.inversion_tools import make_inversion
from tests.test_poisson import GREY_LEVEL, NEIGHBOURS, scene

HEIGHT, WIDTH = 30, 26


def divided(static: bool = True, feather: float = 1.0) -> SegmentMasks:
    """Left, right and a spot on their border, with a static frame above and on the left."""
    masks = {name: torch.zeros(HEIGHT, WIDTH) for name in ("left", "right", "spot", "keep")}
    masks["left"][:, :13], masks["right"][:, 13:], masks["spot"][10:17, 9:18] = 1, 1, 1
    masks["keep"][:5], masks["keep"][:, :3] = 1, 1
    if not static:
        del masks["keep"]
    return segments_from_masks(masks, static=("keep",) if static else (), feather=feather)


def own_pictures(segments: SegmentMasks) -> tuple[list[Tensor], list[Box], Tensor]:
    """A crop and a box for every segment, and their whole pictures [N,3,H,W]."""
    wholes = torch.cat([scene(HEIGHT, WIDTH, seed)[0] for seed in range(len(segments.names))])
    boxes = [mask_box(mask, margin=1) for mask in segments.masks]
    crops = [
        whole[None, :, b.top : b.bottom, b.left : b.right] for whole, b in zip(wholes, boxes, strict=True)
    ]
    return crops, boxes, wholes


def oracle(photo: Tensor, segments: SegmentMasks, wholes: Tensor, mixed: bool, screen: float = 0.0) -> Tensor:
    """The equations of `poisson_blend_segments` pixel by pixel, with scipy's direct solver."""
    f, g = photo[0].double().numpy().copy(), wholes.double().numpy()
    static, masks = segments.static[0, 0].double().numpy(), segments.masks[:, 0].numpy()
    labels = np.where(static > 1 / 512, -1, masks.argmax(axis=0))
    index = np.full(labels.shape, -1)
    index[labels >= 0] = np.arange((labels >= 0).sum())
    entries, b = [], np.zeros((index.max() + 1, 3))
    for y, x in zip(*np.nonzero(labels >= 0), strict=True):
        entries.append((index[y, x], index[y, x], screen))
        b[index[y, x]] += screen * g[labels[y, x], :, y, x]
        for dy, dx in NEIGHBOURS:
            v, u = y + dy, x + dx
            if not (0 <= v < HEIGHT and 0 <= u < WIDTH):
                continue
            owners = [label for label in (labels[y, x], labels[v, u]) if label >= 0]
            own = np.mean([g[label, :, y, x] - g[label, :, v, u] for label in owners], axis=0)
            of_photo = photo[0].double().numpy()[:, y, x] - photo[0].double().numpy()[:, v, u]
            if mixed:
                own = np.where(abs(of_photo) > abs(own), of_photo, own)
            share = max(static[y, x], static[v, u]) > 1 / 512
            p = index[y, x]
            b[p] += (1 - share) * own + share * of_photo
            entries.append((p, p, 1.0))
            if index[v, u] >= 0:
                entries.append((p, index[v, u], -1.0))
            else:
                b[p] += f[:, v, u]
    rows, columns, values = zip(*entries, strict=True)
    f[:, labels >= 0] = spsolve(coo_matrix((values, (rows, columns))).tocsc(), b).T
    return torch.from_numpy(f)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("feather", [0.0, 1.0])
def test_agrees_with_a_direct_solver(mixed: bool, feather: float) -> None:
    segments, (_, photo) = divided(feather=feather), scene(HEIGHT, WIDTH, 9)
    crops, boxes, wholes = own_pictures(segments)
    result = poisson_blend_segments(photo, segments, crops, boxes, mixed=mixed)
    expected = oracle(photo, segments, wholes, mixed)
    assert (result[0].double() - expected).abs().max() < 0.05 * GREY_LEVEL
    static = segments.static[0, 0] == 1
    assert torch.equal(result[..., static], photo[..., static])


def test_a_screen_agrees_with_a_direct_solver() -> None:
    segments, (_, photo) = divided(), scene(HEIGHT, WIDTH, 9)
    crops, boxes, wholes = own_pictures(segments)
    screen = torch.full((1, 1, HEIGHT, WIDTH), 0.25)
    result = poisson_blend_segments(photo, segments, crops, boxes, screen=screen)
    expected = oracle(photo, segments, wholes, mixed=False, screen=0.25)
    assert (result[0].double() - expected).abs().max() < 0.05 * GREY_LEVEL


@pytest.mark.parametrize("shifted", [False, True])
def test_offsets_of_segments_disappear(shifted: bool) -> None:
    """Every segment draws the photo in another tint: the photo comes back."""
    segments, (_, photo) = divided(), scene(HEIGHT, WIDTH, 9)
    _, boxes, _ = own_pictures(segments)
    tints = torch.tensor([[0.3, 0.1, -0.2], [-0.4, 0.0, 0.2], [0.1, 0.5, 0.0]])[..., None, None]
    crops = [
        (photo + tint)[..., box.top : box.bottom, box.left : box.right]
        for tint, box in zip(tints, boxes, strict=True)
    ]
    method = shift_segment_colors if shifted else poisson_blend_segments
    assert (method(photo, segments, crops, boxes) - photo).abs().max() < 1e-3


def test_without_static_pixels_the_mean_colour_is_kept() -> None:
    segments, (_, photo) = divided(static=False, feather=0.0), scene(HEIGHT, WIDTH, 9)
    crops, boxes, wholes = own_pictures(segments)
    hard = (wholes * segments.masks).sum(dim=0, keepdim=True)
    for band in (None, 2):
        result = poisson_blend_segments(photo, segments, crops, boxes, band=band)
        assert not torch.allclose(result, hard, atol=0.01)
        if band is None:
            assert torch.allclose(result.mean(dim=(2, 3)), hard.mean(dim=(2, 3)), atol=1e-5)
    tinted = [crop + 0.1 * index for index, crop in enumerate(crops)]
    same = shift_segment_colors(photo, segments, crops, boxes)
    assert (shift_segment_colors(photo, segments, tinted, boxes) - same - 0.1).abs().max() < 1e-4


def test_a_band_leaves_the_depth_of_segments_alone() -> None:
    segments, (_, photo) = divided(feather=0.0), scene(HEIGHT, WIDTH, 9)
    crops, boxes, wholes = own_pictures(segments)
    result = poisson_blend_segments(photo, segments, crops, boxes, band=2)
    assert torch.equal(result[..., 20:, 17:], wholes[1:2, :, 20:, 17:])
    assert not torch.equal(result[..., 20:, 12:14], wholes[1:2, :, 20:, 12:14])


@pytest.fixture(scope="module")
def inversion(generator: Generator) -> Inversion:
    """With static rows that are wide enough to hold pixels of weight 1."""
    record = make_inversion(generator)
    size = generator.img_resolution
    masks = {name: torch.zeros(size, size) for name in (*record.names, "keep")}
    masks["left_eye"][5:19, 4:19], masks["right_eye"][5:19, 24:39], masks["skin"][:-12] = 1, 1, 1
    masks["keep"][-12:] = 1
    parts = segments_from_masks(masks, static=("keep",), feather=0.8)
    segments = tuple(
        replace(one, mask=mask[None]) for one, mask in zip(record.segments, parts.masks, strict=True)
    )
    return replace(record, segments=segments, static_mask=parts.static)


@pytest.mark.parametrize("mode", ["full", "seam only", "colour shift only"])
@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_static_pixels_stay_in_every_mode(
    generator: Generator, inversion: Inversion, mode: str, between: bool, mixed: bool
) -> None:
    picture = composite(generator, inversion, mode=mode, between=between, mixed=mixed, band=3)  # type: ignore[arg-type]
    static = inversion.static_mask[0, 0] == 1
    assert static.any() and picture.isfinite().all()
    assert torch.equal(picture[..., static], inversion.photo[..., static])  # type: ignore[index]
    assert not torch.equal(picture, render(generator, inversion))


def test_segments_are_joined_less_abruptly(generator: Generator, inversion: Inversion) -> None:
    """Across the borders of hard-edged segments the jumps shrink to those within."""
    labels = torch.cat([segment.mask for segment in inversion.segments]).argmax(dim=0)[0]
    border = labels.diff(dim=1) != 0
    steps = [
        picture.diff(dim=-1)[..., border].abs().mean()
        for picture in (
            render(generator, inversion, cross_fade=False),
            composite(generator, inversion, between=True),
        )
    ]
    assert steps[1] < steps[0]


def test_a_photo_that_is_absent_and_a_wrong_mode(generator: Generator, inversion: Inversion) -> None:
    bare = replace(inversion, static_mask=torch.zeros_like(inversion.static_mask), segments=_whole(inversion))
    for mixed in (False, True):
        shown = composite(generator, bare.without_photo(), mode="full", between=True, mixed=mixed)
        plain = render(generator, bare.without_photo())
        assert torch.allclose(shown.mean(dim=(2, 3)), plain.mean(dim=(2, 3)), atol=0.2)
    with pytest.raises(InvalidInputError, match="mode is 'none'"):
        composite(generator, inversion, mode="none")  # type: ignore[arg-type]


def _whole(inversion: Inversion) -> tuple:
    """The segments with the static row given to the last one."""
    *others, last = inversion.segments
    return (*others, replace(last, mask=last.mask + inversion.static_mask))
