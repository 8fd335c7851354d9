"""Moving boundaries: analytic speeds, topology, monotony, and partitions that stay exact."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.ndimage import label
from torch import Tensor

from chunky_core.errors import InvalidInputError
from chunky_core.segments import SegmentMasks, segments_from_masks
from chunky_core.segments.level_set import (
    boundary_speed,
    evolve,
    feature_speed,
    refine_segments,
)
from chunky_core.segments.level_set.narrow_band import (
    BAND_HALF_WIDTH,
    mask_interface,
    narrow_band_distance,
    soft_mask,
)

SIZE = 200
CENTRE = (99.3, 99.8)  # not on the grid


def to_centre(y: float = CENTRE[0], x: float = CENTRE[1], size: int = SIZE) -> Tensor:
    line = torch.arange(size, dtype=torch.float32)
    return torch.hypot(line[:, None] - y, line - x)


def disc(radius: float, *centre: float) -> Tensor:
    return soft_mask(radius - to_centre(*centre))[None, None]


def band_distance(mask: Tensor) -> Tensor:
    """Signed distances [H,W] to the 0.5 level of a mask [H,W], cut to the band."""
    level, size = mask - 0.5, (mask.shape[0], mask.shape[1])
    return narrow_band_distance(level.flatten(), mask_interface(level), size)[0].view(size)


FULL = torch.ones(1, 1, SIZE, SIZE)


def test_distance_in_the_band_of_soft_and_hard_edges() -> None:
    exact = 40.4 - to_centre()
    cut = exact.clamp(-BAND_HALF_WIDTH, BAND_HALF_WIDTH)
    assert (band_distance(soft_mask(exact)) - cut).abs().max() < 0.15
    assert (band_distance(soft_mask(exact, 9)) - cut).abs().max() < 0.15
    assert (band_distance((exact > 0).float()) - cut).abs().max() < 0.75  # a pixel's half diagonal
    slanted = 0.6 * torch.arange(50.0)[:, None] - 0.8 * torch.arange(50.0) + 3.3
    inner = slice(12, 38)  # the borders cut the line off, so distances there are to its end
    error = band_distance(soft_mask(slanted)) - slanted.clamp(-BAND_HALF_WIDTH, BAND_HALF_WIDTH)
    assert error[inner, inner].abs().max() < 0.1


def test_masks_without_boundary() -> None:
    for whole in (torch.ones(8, 9), torch.zeros(8, 9)):
        assert not len(mask_interface(whole - 0.5).pixels)
        assert (band_distance(whole).abs() == BAND_HALF_WIDTH).all()
    for mask in (FULL, 0.4 * FULL, 0 * FULL):
        assert torch.equal(evolve(mask, FULL, distance=9, sign=-1), mask)


def test_soft_mask_and_band_distance_are_inverse() -> None:
    mask = disc(30.7)
    for _ in range(5):
        mask = soft_mask(band_distance(mask[0, 0]))[None, None]
    assert (mask - disc(30.7)).abs().max() < 0.05


@pytest.mark.parametrize(("radius", "sign"), [(20.0, 1), (45.5, 1), (90.0, -1), (62.2, -1)])
def test_a_disc_moves_at_the_analytic_speed(radius: float, sign: int) -> None:
    moved = evolve(disc(radius), FULL, distance=50, sign=sign)
    exact = radius + 50 * sign - to_centre()
    error = (band_distance(moved[0, 0]) - exact)[exact.abs() < 3].abs()
    assert error.max() < 0.3
    assert abs(math.sqrt(moved.sum() / math.pi) - (radius + 50 * sign)) < 0.1


def test_speed_scales_the_distance() -> None:
    moved = evolve(disc(40.0), 0.5 * FULL, distance=40, sign=1)
    assert abs(math.sqrt(moved.sum() / math.pi) - 60) < 0.1


def test_hard_masks_move_as_soft_ones() -> None:
    moved = evolve((disc(40.0) > 0.5).float(), FULL, distance=30, sign=1)
    assert abs(math.sqrt(moved.sum() / math.pi) - 70) < 0.3


def test_curvature_alone_shrinks_a_disc_as_its_equation_says() -> None:
    moved = evolve(disc(30.0), 0 * FULL, distance=50, sign=1, curvature=2.0)
    assert abs(math.sqrt(moved.sum() / math.pi) - math.sqrt(30**2 - 2 * 2 * 50)) < 0.15
    still = evolve(disc(20.0), FULL, distance=5, sign=1, curvature=20.0)  # curvature against speed
    assert abs(math.sqrt(still.sum() / math.pi) - 20) < 0.2


def test_two_discs_merge() -> None:
    both = torch.maximum(disc(25.0, 100, 60), disc(25.0, 100, 140))
    assert label((both[0, 0] > 0.5).numpy())[1] == 2
    moved = evolve(both, FULL, distance=25, sign=1)
    assert label((moved[0, 0] > 0.5).numpy())[1] == 1
    exact = torch.maximum(50 - to_centre(100, 60), 50 - to_centre(100, 140))
    assert (moved[0, 0] - soft_mask(exact)).abs().mean() < 2e-3
    apart = evolve(moved, FULL, distance=45, sign=-1)
    assert label((apart[0, 0] > 0.5).numpy())[1] == 2


@pytest.mark.parametrize("sign", [1, -1])
def test_area_is_monotone(sign: int) -> None:
    rng = torch.Generator().manual_seed(0)
    speed = torch.rand(1, 1, SIZE, SIZE, generator=rng)
    seen = [disc(50.0)]
    times: list[float] = []

    def watch(moved: float, mask: Tensor) -> None:
        seen.append(mask)
        times.append(moved)

    final = evolve(seen[0], speed, distance=30, sign=sign, callback=watch)
    assert times == sorted(times) and times[-1] == pytest.approx(30) and len(times) > 4
    assert torch.equal(final, seen[-1])
    areas = [mask.sum().item() * sign for mask in seen]
    assert areas == sorted(areas) and areas[-1] > areas[0]
    assert ((final - seen[0]) * sign >= 0).all()
    assert final.min() >= 0 and final.max() <= 1


def test_the_half_disc_grows_where_the_pictures_differ() -> None:
    """Under the paper's sign (P1, 2.3) the side with F grows; with the other sign it shrinks away."""
    mask, half = disc(50.0), torch.zeros(1, 1, SIZE, SIZE)
    half[..., 100:] = 1
    grown, shrunk = (evolve(mask, half, distance=40, sign=sign) for sign in (1, -1))
    assert abs(grown[0, 0, 99, 100:].sum() - 90.3) < 0.5
    assert (grown - mask)[..., :99].abs().max() < 0.02 and (shrunk - mask)[..., :99].abs().max() < 0.02
    right = mask[..., 100:].sum()
    assert grown[..., 100:].sum() > 2.5 * right and shrunk[..., 100:].sum() < 0.6 * right


def test_the_border_of_the_image_is_no_obstacle() -> None:
    mask = torch.zeros(1, 1, 60, 90)
    mask[..., :20] = 1
    for axes in ((2, 3), (3, 2)):
        for flip in ((), (2, 3)):
            turned = mask.permute(0, 1, *axes).flip(flip)
            moved = evolve(turned, torch.ones_like(turned), distance=30, sign=1)
            assert abs(moved.sum() / 60 - 50) < 0.01
    shrunk = evolve(mask, torch.ones_like(mask), distance=25, sign=-1)
    assert not shrunk.any()


def test_nothing_moves_where_it_must_not() -> None:
    mask, allowed = disc(40.0), FULL.clone()
    allowed[..., 120:] = 0
    moved = evolve(mask, FULL, distance=30, sign=1, allowed=allowed)
    assert torch.equal(moved[..., 120:], mask[..., 120:])
    assert abs(moved[0, 0, 99, :99].sum() - 68.7) < 0.2


def test_soft_edges_stay_where_nothing_moves() -> None:
    mask, half = soft_mask(50 - to_centre(), 8)[None, None], torch.zeros(1, 1, SIZE, SIZE)
    half[..., 100:] = 1
    moved = evolve(mask, half, distance=20, sign=1)
    assert (moved - mask)[..., :97].abs().max() < 0.03  # two pixels beside the part that moves


def test_inputs_stay_and_inference_mode_serves() -> None:
    mask, speed = disc(30.0), FULL.clone()
    expected = evolve(mask, speed, distance=8, sign=1)
    assert torch.equal(mask, disc(30.0)) and torch.equal(speed, FULL)
    with torch.inference_mode():
        assert torch.equal(evolve(mask.clone(), speed, distance=8, sign=1), expected)


def test_speed_is_the_difference_of_the_pictures() -> None:
    photo = torch.zeros(1, 3, 64, 64)
    picture = photo.clone()
    picture[..., 20:40, 20:40] = torch.tensor([0.3, 0.6, 0.9])[:, None, None]
    speed = boundary_speed(photo, picture, blur=0)
    assert torch.equal(speed[0, 0] > 0, picture[0, 0] > 0) and (speed[speed > 0] == 1).all()
    half = boundary_speed(photo, picture, blur=0, scale=1.2)
    assert half.max().item() == pytest.approx(0.5)
    assert not boundary_speed(photo, photo).any()
    assert boundary_speed(photo, photo + 1 / 127.5).max() < 0.1  # a grey level is no reason to move


def test_speed_from_features() -> None:
    maps = [torch.zeros(1, 4, 16, 16), torch.zeros(1, 8, 8, 8)]
    others = [map_.clone() for map_ in maps]
    others[0][:, 1, 8:, 8:] = 2
    others[1][:, 3, 4:, 4:] = 1
    speed = feature_speed(maps, others, (64, 64))
    assert speed.shape == (1, 1, 64, 64) and speed.max() == 1
    assert (speed[..., 40:, 40:] > 0.95).all() and not speed[..., :24, :24].any()
    assert not feature_speed(maps, maps, (64, 64)).any()


def three() -> SegmentMasks:
    masks = {"left": disc(30.0, 100, 60)[0, 0], "right": disc(30.0, 100, 125)[0, 0]}
    masks["frame"] = (to_centre() > 95).float()
    return segments_from_masks(masks | {"rest": FULL[0, 0]}, static=["frame"])


def check_sum(segments: SegmentMasks) -> None:
    assert (segments.masks.sum(0) + segments.static[0] - 1).abs().max() < 1e-6


def test_refined_segments_still_divide_the_photo() -> None:
    segments = three()
    refined = refine_segments(
        segments, {"left": FULL, "right": FULL}, distance=12, signs={"left": 1, "right": -1}
    )
    check_sum(refined)
    assert refined.names == segments.names and torch.equal(refined.static, segments.static)
    radii = (refined.masks.sum(dim=(1, 2, 3)) / math.pi).sqrt()[:2].tolist()
    assert radii == pytest.approx([42, 18], abs=0.1)
    far = to_centre(100, 60) > 50
    assert torch.equal(refined.masks[0, 0, far], segments.masks[0, 0, far])


def test_a_growing_segment_covers_others_but_not_what_is_static() -> None:
    speed = {"left": FULL}
    refined = refine_segments(three(), speed, distance=40, signs=1)
    check_sum(refined)
    assert torch.equal(refined.static, three().static)
    assert refined.masks[0, 0, 100, 110] == 1 and refined.masks[1, 0, 100, 110] == 0
    entered = refine_segments(three(), speed, distance=40, signs=1, enter_static=True)
    check_sum(entered)
    assert entered.static.sum() < three().static.sum() - 50


def test_what_a_segment_leaves_goes_to_the_nearest() -> None:
    squares = {"left": torch.zeros(40, 60), "right": torch.zeros(40, 60)}
    squares["left"][:, :30] = 1
    squares["right"][:, 30:50] = 1  # and the rest is static
    refined = refine_segments(
        segments_from_masks(squares), {"right": torch.ones(1, 1, 40, 60)}, distance=5, signs=-1
    )
    assert refined.masks[0, 0, 20].sum() == pytest.approx(35, abs=0.01)
    assert refined.static[0, 0, 20].sum() == pytest.approx(15, abs=0.01)


@pytest.mark.parametrize(
    ("speeds", "options", "words"),
    [
        ({"left": FULL}, {"distance": 40, "signs": -1}, "'left'"),
        ({"rest": FULL}, {"distance": 150, "signs": 1}, "'left'"),
        ({"nose": FULL}, {"distance": 4, "signs": 1}, "nose"),
        ({}, {"distance": 4, "signs": 1}, "expected some of"),
        ({"left": FULL}, {"distance": 4, "signs": {"right": 1}}, "no sign for"),
        ({"left": FULL}, {"distance": 4, "signs": 0}, "sign is 0"),
        ({"left": FULL}, {"distance": -1, "signs": 1}, "distance is -1"),
        ({"left": FULL[..., :100]}, {"distance": 1, "signs": 1}, "resize"),
        ({"left": 2 * FULL}, {"distance": 1, "signs": 1}, "outside 0..1"),
        ({"left": math.nan * FULL}, {"distance": 1, "signs": 1}, "outside 0..1"),
    ],
)
def test_errors_say_what_is_wrong(speeds: dict[str, Tensor], options: dict, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        refine_segments(three(), speeds, **options)


def test_a_segment_that_is_nowhere_solid_is_named() -> None:
    masks = torch.cat([0.4 * disc(20.0), 1 - 0.4 * disc(20.0)])
    with pytest.raises(InvalidInputError, match="'pale' is nowhere above 0.5"):
        refine_segments(SegmentMasks(("pale", "rest"), masks, 0 * FULL), {"pale": FULL}, distance=3, signs=1)


def test_pictures_and_features_must_match() -> None:
    with pytest.raises(
        InvalidInputError, match="picture of 8x8, .* with a picture of 9x8; expected one of each"
    ):
        boundary_speed(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))
    with pytest.raises(InvalidInputError, match="percentile"):
        boundary_speed(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), percentile=0)
    with pytest.raises(InvalidInputError, match="NaN"):
        boundary_speed(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), math.nan))
    with pytest.raises(InvalidInputError, match="same shapes"):
        feature_speed([torch.zeros(1, 3, 8, 8)], [], (8, 8))
