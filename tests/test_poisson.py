from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor
from torch.nn import functional as F

from chunky_core.compositing import poisson_blend
from chunky_core.errors import InvalidInputError
from chunky_core.images import from_uint8, to_uint8
from chunky_core.segments import blend, mask_box, segments_from_masks

GREY_LEVEL = 2 / 255
NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def oracle(
    picture: Tensor,
    photo: Tensor,
    mask: Tensor,
    *,
    mixed: bool = False,
    boundary: str = "picture",
    screen: Tensor | None = None,
) -> Tensor:
    """Perez et al. 2003, equation 7, pixel by pixel and solved directly. All [3,H,W], mask and screen [H,W]."""
    g, f, weight = picture.double().numpy(), photo.double().numpy().copy(), mask.double().numpy()
    inside = weight > 0
    index = np.full(inside.shape, -1)
    index[inside] = np.arange(inside.sum())
    entries, b = [], np.zeros((inside.sum(), 3))
    for y, x in zip(*np.nonzero(inside), strict=True):
        p = index[y, x]
        if screen is not None and not (boundary == "soft" and weight[y, x] < 1 - 1 / 512):
            entries.append((p, p, screen[y, x].item()))
            b[p] += screen[y, x].item() * g[:, y, x]
        for dy, dx in NEIGHBOURS:
            v, u = y + dy, x + dx
            if not (0 <= v < inside.shape[0] and 0 <= u < inside.shape[1]):
                continue
            own, of_photo = g[:, y, x] - g[:, v, u], f[:, y, x] - f[:, v, u]
            guide = np.where(abs(of_photo) > abs(own), of_photo, own) if mixed else own
            if boundary == "soft":
                guide = of_photo if min(weight[y, x], weight[v, u]) < 1 - 1 / 512 else own
            if boundary == "photo" and not inside[v, u]:
                guide = of_photo
            entries.append((p, p, 1.0))
            b[p] += guide
            if inside[v, u]:
                entries.append((p, index[v, u], -1.0))
            else:
                b[p] += f[:, v, u]
    rows, columns, values = zip(*entries, strict=True)
    matrix = csr_matrix(coo_matrix((values, (rows, columns))))
    f[:, inside] = spsolve(matrix.tocsc(), b).reshape(-1, 3).T
    return torch.from_numpy(f)


def scene(height: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    """A picture and an unrelated 8-bit photo, smooth with some noise."""
    rng = torch.Generator().manual_seed(seed)
    smooth = F.interpolate(torch.randn(2, 3, 5, 5, generator=rng), (height, width), mode="bicubic") * 0.4
    both = (smooth + 0.1 * torch.randn(2, 3, height, width, generator=rng)).clamp(-1, 1)
    return both[:1], from_uint8(to_uint8(both[1:]))


def region_of(kind: str, height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    rng = torch.Generator().manual_seed(3)
    return {
        "disc": (y - height / 2) ** 2 + (x - width / 2) ** 2 < (0.3 * height) ** 2,
        "ring": ((y - height / 2) ** 2 + (x - width / 2) ** 2 - (0.3 * height) ** 2).abs() < 2 * height,
        "corner": (y > 0.6 * height) & (x > 0.5 * width),
        "bottom": y > 0.5 * height,
        "scattered": torch.rand(height, width, generator=rng) < 0.55,
        "all but a corner": (y + x) > 0,
        "one pixel": (y == 3) & (x == 4),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["disc", "ring", "corner", "bottom", "scattered", "all but a corner", "one pixel"]
)
@pytest.mark.parametrize(("height", "width"), [(48, 48), (37, 53)])
@pytest.mark.parametrize(
    "options", [{}, {"mixed": True}, {"boundary": "photo"}], ids=["seamless", "mixed", "boundary"]
)
def test_agrees_with_a_sparse_direct_solver(kind: str, height: int, width: int, options: dict) -> None:
    picture, photo = scene(height, width, seed=height)
    region = region_of(kind, height, width)
    result = poisson_blend(photo, picture, region[None, None].float(), **options)
    expected = oracle(picture[0], photo[0], region, **options)
    assert (result[0].double() - expected).abs().max() < 0.03 * GREY_LEVEL


def test_soft_masks_agree_with_a_sparse_direct_solver() -> None:
    picture, photo = scene(48, 48, seed=11)
    mask = segments_from_masks({"face": region_of("disc", 48, 48).float()}, feather=2.0).masks
    result = poisson_blend(photo, picture, mask, boundary="soft")
    expected = oracle(picture[0], photo[0], mask[0, 0], boundary="soft")
    assert (result[0].double() - expected).abs().max() < 0.03 * GREY_LEVEL


@pytest.mark.parametrize("kind", ["disc", "corner", "scattered", "one pixel"])
@pytest.mark.parametrize("boundary", ["picture", "photo", "soft"])
def test_a_screen_agrees_with_a_sparse_direct_solver(kind: str, boundary: str) -> None:
    """Strengths from 1e-6 to 1, side by side."""
    picture, photo = scene(37, 53, seed=4)
    screen = 10 ** (-6 * torch.rand(37, 53, generator=torch.Generator().manual_seed(0)))
    mask = region_of(kind, 37, 53).float()
    if boundary == "soft" and kind == "disc":
        mask = segments_from_masks({"face": mask}, feather=2.0).masks[0, 0]
    result = poisson_blend(photo, picture, mask, boundary=boundary, screen=screen)
    expected = oracle(picture[0], photo[0], mask, boundary=boundary, screen=screen)
    assert (result[0].double() - expected).abs().max() < 0.03 * GREY_LEVEL


def test_a_screen_of_zero_changes_nothing_and_a_strong_one_all() -> None:
    picture, photo = scene(40, 40, seed=5)
    mask = region_of("disc", 40, 40).float()
    plain, zero, strong = (
        poisson_blend(photo, picture, mask, screen=screen)
        for screen in (None, torch.zeros(40, 40), torch.full((40, 40), 1e5))
    )
    assert (plain - zero).abs().max() < 0.03 * GREY_LEVEL
    assert (strong - torch.where(mask > 0, picture, photo)).abs().max() < 1e-3
    everything = torch.ones(40, 40)
    assert torch.allclose(poisson_blend(photo, picture, everything, screen=everything), picture, atol=1e-6)


@pytest.mark.parametrize(
    ("screen", "message"),
    [
        (torch.ones(40, 39), "screen is 39x40, the photo 40x40"),
        (torch.full((40, 40), -1.0), "screen has values that are below 0"),
        (torch.full((40, 40), torch.nan), "screen has values that are below 0 or not finite"),
    ],
)
def test_a_wrong_screen_is_named(screen: Tensor, message: str) -> None:
    picture, photo = scene(40, 40, seed=5)
    with pytest.raises(InvalidInputError, match=message):
        poisson_blend(photo, picture, torch.ones(40, 40), screen=screen)


def test_large_region_reaches_the_image_border() -> None:
    """At 256 pixels, where a poor solver would stop far from the solution."""
    picture, photo = scene(256, 256, seed=1)
    region = region_of("bottom", 256, 256)
    result = poisson_blend(photo, picture, region[None, None].float())
    assert (result[0].double() - oracle(picture[0], photo[0], region)).abs().max() < 0.05 * GREY_LEVEL


@pytest.mark.parametrize("seed", range(6))
def test_static_pixels_and_inputs_stay_bit_for_bit(seed: int) -> None:
    picture, photo = scene(33, 40, seed)
    mask = F.interpolate(
        torch.randn(1, 1, 5, 5, generator=torch.Generator().manual_seed(seed)), (33, 40)
    ).clamp(0, 1)
    before = [t.clone() for t in (picture, photo, mask)]
    for options in ({}, {"mixed": True}, {"boundary": "photo"}, {"band": 2}):
        result = poisson_blend(photo, picture, mask, **options)
        outside = (mask == 0).expand_as(photo)
        assert outside.any() and torch.equal(result[outside], photo[outside])
        assert result.isfinite().all()
    assert all(map(torch.equal, before, (picture, photo, mask)))


def test_a_harmonic_photo_is_filled_in_exactly() -> None:
    """A constant picture has no differences, so the result is the harmonic function with that border."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    harmonic = ((x - 20) * (y - 15) / 400 + x / 80 - y / 100).expand(
        1, 3, 40, 40
    )  # each term: discrete Laplacian 0
    mask = region_of("disc", 40, 40)[None, None].float()
    result = poisson_blend(harmonic, torch.full_like(harmonic, 0.3), mask)
    assert (result - harmonic).abs().max() < 1e-5


@pytest.mark.parametrize("options", [{}, {"mixed": True}, {"boundary": "photo"}])
def test_a_constant_offset_disappears(options: dict) -> None:
    _, photo = scene(40, 40, seed=2)
    shift = torch.tensor([0.3, -0.2, 0.1])[:, None, None]
    mask = region_of("corner", 40, 40)[None, None].float()
    assert (poisson_blend(photo, photo + shift, mask, **options) - photo).abs().max() < 1e-5


def test_rim_photo_removes_the_seam_of_a_blended_picture() -> None:
    _, photo = scene(40, 40, seed=2)
    mask = region_of("disc", 40, 40)[None, None].float()
    blended = photo + 0.3 * mask
    assert (poisson_blend(photo, blended, mask, boundary="photo") - photo).abs().max() < 1e-5
    assert (
        poisson_blend(photo, blended, mask) - blended
    ).abs().max() < 1e-5  # the seam is among its differences


@pytest.mark.parametrize("boundary", ["photo", "soft"])
def test_a_feathered_blend_loses_its_tint_only_without_the_cross_fade(boundary: str) -> None:
    """A cross-fade turns the jump of colours into a ramp, which counts as a part of it, but for a soft boundary."""
    _, photo = scene(48, 48, seed=9)
    segments = segments_from_masks({"face": region_of("disc", 48, 48).float()}, feather=2.0)
    box = mask_box(segments.masks)
    crops = [(photo + 0.3)[..., box.top : box.bottom, box.left : box.right]]
    left = [
        (poisson_blend(photo, picture, 1 - segments.static, boundary=boundary) - photo).abs().max()
        for picture in (blend(photo, segments, crops, [box], cross_fade=fade) for fade in (True, False))
    ]
    assert (left[0] > 0.1 if boundary == "photo" else left[0] < 2e-3) and left[1] < 2e-3


def test_band_leaves_the_depth_of_the_region_alone() -> None:
    picture, photo = scene(60, 60, seed=4)
    region = region_of("disc", 60, 60)
    mask = region[None, None].float()
    result = poisson_blend(photo, picture, mask, band=4)
    deep = region & (F.max_pool2d(1 - mask, 11, 1, 5)[0, 0] == 0)
    assert deep.any() and torch.equal(result[..., deep], picture[..., deep])
    wide = poisson_blend(photo, picture, mask, band=60)
    assert (wide - poisson_blend(photo, picture, mask)).abs().max() < 0.01 * GREY_LEVEL
    assert (result - wide).abs().max() > GREY_LEVEL


def test_empty_region_gives_the_photo_and_a_full_one_its_mean() -> None:
    picture, photo = scene(20, 20, seed=5)
    empty = poisson_blend(photo, picture, torch.zeros(1, 1, 20, 20))
    assert torch.equal(empty, photo) and empty.data_ptr() != photo.data_ptr()
    full = torch.ones(1, 1, 20, 20)
    shifted = poisson_blend(photo, picture, full)
    mean = (photo - picture).mean(dim=(2, 3), keepdim=True)
    assert (shifted - (picture + mean)).abs().max() < 1e-5
    assert torch.equal(poisson_blend(photo, picture, full, band=2), picture)
    mixed = poisson_blend(photo, picture, full, mixed=True)
    assert torch.allclose(mixed.mean(dim=(2, 3)), photo.mean(dim=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("kind", ["all", "all but a corner"])
def test_a_picture_tied_at_one_pixel_converges(kind: str) -> None:
    """The hardest case for the coarse grids, whose answer is known: the picture and a constant."""
    picture, photo = scene(300, 260, seed=12)
    mask = torch.ones(1, 1, 300, 260)
    if kind == "all but a corner":
        mask[..., 0, 0] = 0
        offset = (photo - picture)[..., :1, :1]
    else:
        offset = (photo - picture).mean(dim=(2, 3), keepdim=True)
    difference = poisson_blend(photo, picture, mask) - picture - offset
    assert difference.abs().max() < 0.1 * GREY_LEVEL


def test_every_photo_of_a_batch_is_solved_with_its_own_mask() -> None:
    pictures, photos = (torch.cat(t) for t in zip(scene(24, 24, 6), scene(24, 24, 7), strict=True))
    masks = torch.stack([region_of("disc", 24, 24), region_of("corner", 24, 24)])[:, None].float()
    both = poisson_blend(photos, pictures, masks)
    for i in range(2):
        alone = poisson_blend(photos[i : i + 1], pictures[i : i + 1], masks[i : i + 1])
        assert torch.equal(both[i : i + 1], alone)
    assert torch.equal(poisson_blend(photos, pictures, masks[:1])[:1], both[:1])


def test_bad_input_is_named() -> None:
    picture, photo = scene(8, 8, seed=8)
    mask = torch.ones(1, 1, 8, 8)
    with pytest.raises(InvalidInputError, match="picture is a picture of 7x8, the photo a picture of 8x8"):
        poisson_blend(photo, picture[..., 1:], mask)
    with pytest.raises(InvalidInputError, match="mask is 7x8, the photo 8x8"):
        poisson_blend(photo, picture, mask[..., 1:])
    with pytest.raises(InvalidInputError, match="the picture contains NaN"):
        poisson_blend(photo, picture * torch.nan, mask)
    with pytest.raises(InvalidInputError, match="boundary is 'edge'"):
        poisson_blend(photo, picture, mask, boundary="edge")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="band is 0"):
        poisson_blend(photo, picture, mask, band=0)
