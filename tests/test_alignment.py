"""The aligned crop and the way back: geometry, areas, and what must not change."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chunky_core.alignment.face_crop import AlignedCrop, align, extract_crop
from chunky_core.alignment.face_points import FacePoints
from chunky_core.alignment.faces import Face, ffhq_quad, quad_from_rectangle
from chunky_core.alignment.pasting import paste_back
from chunky_core.alignment.perspective import Quad, quad_to_photo
from chunky_core.errors import InvalidInputError
from chunky_core.inversion import Alignment

FACE = FacePoints(((80.0, 100.0), (120.0, 100.0)), ((85.0, 140.0), (115.0, 140.0)))
HEIGHT, WIDTH = 90, 120
WHOLE: Quad = ((0, 0), (0, HEIGHT), (WIDTH, HEIGHT), (WIDTH, 0))


def rotated(quad: Quad, degrees: float, about: tuple[float, float]) -> Quad:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    (ax, ay), moved = about, []
    for x, y in quad:
        moved.append((ax + c * (x - ax) - s * (y - ay), ay + s * (x - ax) + c * (y - ay)))
    return moved[0], moved[1], moved[2], moved[3]


TILTED = rotated(((35, 20), (35, 70), (85, 70), (85, 20)), 30, (60, 45))


def noise(height: int = HEIGHT, width: int = WIDTH, channels: int = 3, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(1, channels, height, width, generator=rng) * 1.6 - 0.8


def waves(x: Tensor, y: Tensor) -> Tensor:
    """A smooth picture as a function of the photo's coordinates."""
    return torch.stack([torch.sin(x / 14), torch.cos(y / 11), torch.sin((x + y) / 17)])[None] * 0.4


def centres(height: int, width: int) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return x, y


def in_photo(quad: Quad, size: int) -> tuple[Tensor, Tensor]:
    """Photo coordinates of the crop's pixel centres; quad: a parallelogram."""
    u, v = (plane / size for plane in centres(size, size))
    (x, y), (dx, dy), _, (rx, ry) = quad
    return x + u * (rx - x) + v * (dx - x), y + u * (ry - y) + v * (dy - y)


def in_crop(quad: Quad, size: int, height: int = HEIGHT, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    """Crop coordinates of the photo's pixel centres; quad: a rectangle."""
    x, y = centres(height, width)
    (ox, oy), (dx, dy), _, (rx, ry) = quad
    right, down = (rx - ox, ry - oy), (dx - ox, dy - oy)
    across = ((x - ox) * right[0] + (y - oy) * right[1]) / math.hypot(*right) ** 2
    along = ((x - ox) * down[0] + (y - oy) * down[1]) / math.hypot(*down) ** 2
    return across * size, along * size


def test_ffhq_quad_of_an_upright_face() -> None:
    # eyes 40 px apart, mouth 40 px below: half a side is max(2·40, 1.8·40), the centre a tenth toward the mouth
    assert ffhq_quad(FACE) == ((20, 24), (20, 184), (180, 184), (180, 24))
    long_face = FacePoints(FACE.eyes, ((85.0, 200.0), (115.0, 200.0)))
    assert ffhq_quad(long_face) == ((-80, -70), (-80, 290), (280, 290), (280, -70))


@pytest.mark.parametrize("degrees", [-100, 17, 180])
def test_ffhq_quad_turns_with_the_face(degrees: float) -> None:
    points = (*FACE.eyes, *FACE.mouth)
    a, b, c, d = rotated(points, degrees, (3, 5))  # type: ignore[arg-type]
    expected = torch.tensor(rotated(ffhq_quad(FACE), degrees, (3, 5)))
    for eyes, mouth in (((a, b), (c, d)), ((b, a), (c, d)), ((a, b), (d, c))):
        assert torch.allclose(torch.tensor(ffhq_quad(FacePoints(eyes, mouth))), expected, atol=1e-4)


def test_points_on_one_line_tell_no_direction() -> None:
    with pytest.raises(InvalidInputError, match="on one line"):
        FacePoints(((0, 0), (10, 0)), ((20, 0), (30, 0)))
    with pytest.raises(InvalidInputError, match="finite"):
        FacePoints(((0, 0), (math.nan, 0)), ((0, 9), (9, 9)))


def test_quad_from_a_box() -> None:
    assert quad_from_rectangle((10, 20, 40, 20)) == ((10, 10), (10, 50), (50, 50), (50, 10))
    assert quad_from_rectangle((10, 20, 40, 20), scale=2) == ((-10, -10), (-10, 70), (70, 70), (70, -10))
    with pytest.raises(InvalidInputError, match="above 0"):
        quad_from_rectangle((0, 0, 0, 5))


@pytest.mark.cpu("about maps between coordinates, which stay on the CPU")
def test_the_map_takes_corners_to_corners() -> None:
    quad: Quad = ((10, 5), (2, 80), (95, 70), (70, 12))  # no parallelogram
    corners = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 1], [1, 0, 1.0]]).double()
    mapped = corners @ quad_to_photo(quad).T
    assert torch.allclose(mapped[:, :2] / mapped[:, 2:], torch.tensor(quad).double())
    for bad in (((0, 0), (9, 9), (9, 0), (0, 9)), ((0, 0), (1, 1), (2, 2), (3, 3))):
        with pytest.raises(InvalidInputError, match="not convex"):
            quad_to_photo(bad)


def test_the_whole_photo_is_its_own_crop() -> None:
    photo = noise(64, 64)
    alignment = Alignment(((0, 0), (0, 64), (64, 64), (64, 0)), (64, 64))
    assert (extract_crop(photo, alignment, 64) - photo).abs().max() < 1e-4
    assert torch.allclose(extract_crop(photo, alignment, 16), F.avg_pool2d(photo, 4), atol=1e-4)


@pytest.mark.parametrize("size", [40, 128])
def test_a_tilted_crop_shows_what_lies_there(size: int) -> None:
    photo = waves(*centres(HEIGHT, WIDTH))
    crop = extract_crop(photo, Alignment(TILTED, (HEIGHT, WIDTH)), size)
    assert (crop - waves(*in_photo(TILTED, size))).abs().max() < 4e-3


def test_shrinking_does_not_alias() -> None:
    x, y = centres(256, 256)
    board = torch.where((x.floor() + y.floor()) % 2 == 0, 0.9, -0.9).expand(1, 3, -1, -1)
    quad = rotated(((40, 40), (40, 216), (216, 216), (216, 40)), 10, (128, 128))
    assert extract_crop(board, Alignment(quad, (256, 256)), 32).abs().max() < 0.06


def test_beyond_its_border_the_photo_is_mirrored() -> None:
    photo = noise(32, 32)
    left = Alignment(((-32, 0), (-32, 32), (0, 32), (0, 0)), (32, 32))
    with pytest.raises(InvalidInputError, match="outside the photo"):
        extract_crop(photo, left, 32)
    half = Alignment(((-16, 0), (-16, 32), (16, 32), (16, 0)), (32, 32))
    expected = torch.cat([photo[..., :16].flip(-1), photo[..., :16]], -1)
    assert (extract_crop(photo, half, 32) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("quad", [TILTED, WHOLE, quad_from_rectangle((-30, 40, 70, 70))])
def test_the_round_trip_without_an_edit_changes_no_bit(quad: Quad) -> None:
    levels = (noise(channels=4) * 32767).round().double() / 32767  # 16 bits and transparency
    alignment = Alignment(quad, (HEIGHT, WIDTH))
    crop = extract_crop(levels, alignment, 48)
    pasted = paste_back(levels, crop.clone(), AlignedCrop(crop, alignment))
    assert pasted.dtype == levels.dtype and torch.equal(pasted, levels) and pasted is not levels


@pytest.mark.parametrize("size", [24, 50, 160])
def test_only_pixels_around_edited_ones_change(size: int) -> None:
    photo = noise(channels=4)
    alignment = Alignment(TILTED, (HEIGHT, WIDTH))
    before = extract_crop(photo, alignment, size)
    first, last = round(0.4 * size), round(0.6 * size)
    after = before.clone()
    after[:, :, first:last, first:last] = noise(last - first, last - first, seed=1)
    kept = photo.clone()
    pasted = paste_back(photo, after, AlignedCrop(before, alignment))
    changed = (pasted != photo).any(1)[0]
    u, v = in_crop(TILTED, size)
    reach = 0.5 + max(0.71 * size / 50, 1e-3)  # half a crop pixel and half a photo pixel's diagonal
    near = [(first - reach < plane) & (plane < last + reach) for plane in (u, v)]
    inner = [(first + 1 < plane) & (plane < last - 1) for plane in (u, v)]
    assert not (changed & ~(near[0] & near[1])).any()
    assert changed[inner[0] & inner[1]].all() and changed.any()
    assert torch.equal(pasted[:, 3], photo[:, 3]) and torch.equal(photo, kept)


@pytest.mark.parametrize("size", [30, 50, 200])
def test_a_smooth_change_arrives_where_it_belongs(size: int) -> None:
    def bump(u: Tensor, v: Tensor) -> Tensor:
        """Of coordinates 0..1; nothing near the crop's border."""
        return 0.4 * torch.exp(-((u - 0.45) ** 2 + (v - 0.55) ** 2) / 0.012)

    photo = noise() / 2
    before = extract_crop(photo, Alignment(TILTED, (HEIGHT, WIDTH)), size)
    u, v = (plane / size for plane in centres(size, size))
    pasted = paste_back(
        photo, before + bump(u, v), AlignedCrop(before, Alignment(TILTED, (HEIGHT, WIDTH))), detail=1
    )
    u, v = (plane / size for plane in in_crop(TILTED, size))
    assert (pasted - photo - bump(u, v)).abs().max() < 8e-3


def test_a_finer_crop_is_averaged() -> None:
    photo = torch.zeros(1, 3, HEIGHT, WIDTH)
    alignment = Alignment(quad_from_rectangle((30, 20, 50, 50)), (HEIGHT, WIDTH))
    before = torch.zeros(1, 3, 200, 200)
    x, y = centres(200, 200)
    board = torch.where((x.floor() + y.floor()) % 2 == 0, 0.9, -0.9).expand(1, 3, -1, -1)
    assert paste_back(photo, board, AlignedCrop(before, alignment)).abs().max() < 0.02


def test_changes_fade_toward_sides_inside_the_photo_only() -> None:
    photo = torch.zeros(1, 3, HEIGHT, WIDTH)
    before = torch.zeros(1, 3, 60, 60)
    whole = paste_back(photo, before + 0.5, AlignedCrop(before, Alignment(WHOLE, (HEIGHT, WIDTH))))
    assert torch.allclose(whole, torch.full_like(whole, 0.5), atol=1e-5)
    cut = Alignment(quad_from_rectangle((-10, 20, 60, 60)), (HEIGHT, WIDTH))  # its left side lies outside
    part = paste_back(photo, before + 0.5, AlignedCrop(before, cut))[0, 0]
    assert torch.allclose(part[50, :40], torch.full((40,), 0.5), atol=1e-5)
    assert part[:20].abs().max() == 0 and part[:, 50:].abs().max() == 0
    # the ramp: no step of more than the smooth step's steepest slope, 1.5 x 0.5 over 60/32 pixels
    assert part[50].diff().abs().max() < 0.42 and part[:, 20].diff().abs().max() < 0.42


def test_fine_detail_stays_under_a_shift_and_goes_under_a_new_shape() -> None:
    x, y = centres(HEIGHT, WIDTH)
    fine = torch.where(x.floor() % 2 == 0, 0.3, -0.3).expand(1, 3, -1, -1)  # finer than a crop of 20 pixels
    alignment = Alignment(quad_from_rectangle((20, 5, 80, 80)), (HEIGHT, WIDTH))
    before = extract_crop(fine, alignment, 20)

    def contrast(after: Tensor, **options: float) -> Tensor:
        pasted = paste_back(fine, after, AlignedCrop(before, alignment), **options)
        return pasted[0, 0, 30:60, 45:75].diff(dim=-1).abs().mean()

    squares = ((torch.arange(20) // 3) % 2)[:, None] != ((torch.arange(20) // 3) % 2)
    shape = before + 0.4 * squares
    assert contrast(before + 0.2) > 0.55  # the photo's own is 0.6
    assert contrast(shape, detail=1.0) > 0.5 and contrast(shape) < 0.2


def test_fine_detail_goes_where_the_change_takes_the_face() -> None:
    """A smooth pattern moves by two pixels of a crop that is a third as fine as the photo, whose grain goes along."""
    rng = torch.Generator().manual_seed(3)
    side, step = 240, 3
    coarse = F.interpolate(torch.randn(1, 3, 20, 20, generator=rng) * 0.3, (side, side), mode="bicubic")
    grain = 0.1 * torch.randn(1, 3, side, side, generator=rng)
    photo = coarse + grain - F.interpolate(F.avg_pool2d(grain, step), scale_factor=step)
    alignment = Alignment(quad_from_rectangle((0, 0, side, side)), (side, side))
    before = extract_crop(photo, alignment, side // step)
    after = before.roll(2, dims=3)
    wanted, inner = photo.roll(2 * step, dims=3), (..., slice(40, -40), slice(40, -40))

    def error(**options: bool) -> float:
        pasted = paste_back(photo, after, AlignedCrop(before, alignment), **options)
        return (pasted - wanted)[inner].square().mean().sqrt().item()

    assert error() < 0.6 * error(move_detail=False)


def test_an_edit_outside_the_photo_changes_nothing() -> None:
    photo, alignment = noise(), Alignment(quad_from_rectangle((-30, 10, 60, 60)), (HEIGHT, WIDTH))
    before = extract_crop(photo, alignment, 60)
    after = before.clone()
    after[..., :20] += 0.1
    assert torch.equal(paste_back(photo, after, AlignedCrop(before, alignment)), photo)


def test_a_mask_on_the_crop_limits_the_change() -> None:
    photo, alignment = noise(), Alignment(TILTED, (HEIGHT, WIDTH))
    before = extract_crop(photo, alignment, 50)
    mask = torch.zeros(1, 1, 50, 50)
    assert torch.equal(paste_back(photo, before + 0.1, AlignedCrop(before, alignment), mask), photo)
    mask[..., :25, :] = 1
    half = before.clone()
    half[..., :25, :] += 0.1
    masked = paste_back(photo, before + 0.1, AlignedCrop(before, alignment), mask)
    assert torch.allclose(masked, paste_back(photo, half, AlignedCrop(before, alignment)), atol=1e-6)


def test_a_quad_seen_askew_goes_there_and_back() -> None:
    quad: Quad = ((25, 12), (14, 78), (98, 70), (90, 20))
    alignment = Alignment(quad, (HEIGHT, WIDTH))
    photo = waves(*centres(HEIGHT, WIDTH))
    before = extract_crop(photo, alignment, 96)
    after = -before
    again = extract_crop(paste_back(photo, after, AlignedCrop(before, alignment), detail=1), alignment, 96)
    inside = (..., slice(8, -8), slice(8, -8))
    assert (again[inside] - after[inside]).abs().max() < 0.02


def test_it_works_in_inference_mode() -> None:
    with torch.inference_mode():
        photo, alignment = noise(), Alignment(TILTED, (HEIGHT, WIDTH))
        before = extract_crop(photo, alignment, 32)
        assert not torch.equal(paste_back(photo, before + 0.1, AlignedCrop(before, alignment)), photo)


def test_what_does_not_fit_is_named() -> None:
    photo, alignment = noise(), Alignment(TILTED, (HEIGHT, WIDTH))
    crop = extract_crop(photo, alignment, 32)
    with pytest.raises(InvalidInputError, match="120x91, the alignment was made for 120x90"):
        extract_crop(noise(HEIGHT + 1), alignment, 32)
    with pytest.raises(InvalidInputError, match="expected 1 to 8192 pixels"):
        extract_crop(photo, alignment, 0)
    with pytest.raises(InvalidInputError, match="of one size"):
        paste_back(photo, crop[..., 1:], AlignedCrop(crop, alignment))
    with pytest.raises(InvalidInputError, match="paint the mask on the crop"):
        paste_back(photo, crop, AlignedCrop(crop, alignment), torch.ones(1, 1, HEIGHT, WIDTH))
    with pytest.raises(InvalidInputError, match="outside 0..1"):
        paste_back(photo, crop, AlignedCrop(crop, alignment), torch.full((1, 1, 32, 32), 2.0))
    with pytest.raises(InvalidInputError, match="NaN"):
        paste_back(photo, crop * torch.nan, AlignedCrop(crop, alignment))


def test_a_crop_goes_back_where_it_came_from() -> None:
    points = FacePoints(((30, 24), (50, 26)), ((32, 44), (48, 45)))
    photo, face = noise(), Face((20, 15, 40, 30), points)
    crop = align(photo, face, size=48)
    assert crop.alignment == Alignment(ffhq_quad(points), (HEIGHT, WIDTH))
    assert torch.equal(crop.image, extract_crop(photo, crop.alignment, 48))
    assert torch.equal(paste_back(photo, crop.image, crop), photo)
    changed = crop.image.clone()
    changed[..., 20:28, 20:28] += 0.3
    again = align(paste_back(photo, changed, crop, detail=1), face, size=48).image
    assert (again - changed)[..., 22:26, 22:26].abs().max() < 0.1 < (crop.image - changed).abs().max()


def test_without_points_the_crop_is_the_square_around_the_rectangle() -> None:
    crop = align(noise(), Face((10, 20, 40, 20)), size=20)
    assert crop.image.shape == (1, 3, 20, 20)
    assert crop.alignment.quad == quad_from_rectangle((10, 20, 40, 20))
