"""Masks that follow an edit: where labels go, who takes what is uncovered, and what stays in any case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from chunky_core.checkpoints import load_generator
from chunky_core.compositing import COMPOSITE_MODES, KEEP_DETAIL, composite, with_followed_masks
from chunky_core.compositing.label_transfer import REACH, nearest_matches, transferred_labels
from chunky_core.compositing.uncovered import inpainted_part
from chunky_core.demo.portraits import INDEX
from chunky_core.editing import load_directions
from chunky_core.editing.directions import DEMO_DIRECTIONS
from chunky_core.generator.features import recorded_features
from chunky_core.generator.generator import Generator
from chunky_core.generator.spaces import Direction, LatentCode
from chunky_core.inversion import Edit, Inversion, SegmentCode, SegmentCodes
from chunky_core.segments import segments_from_masks
from tests.devices import on_device
from tests.test_stylegan3 import RECORDED, made_from

SIZE = 64


@pytest.fixture(scope="module")
def generator(make_generator: Callable[..., Generator]) -> Generator:
    return make_generator(seed=1, resolution=SIZE, channel_base=512, channel_max=32)


def scene(generator: Generator, masks: dict[str, Tensor], *, feather: float = 0.0) -> Inversion:
    """Every segment with a code of its own; the photo is smooth, and what no mask covers is static."""
    segments = segments_from_masks(masks, feather=feather, gaps="static")
    rng = torch.Generator().manual_seed(0)
    codes = [
        LatentCode("w", torch.randn(1, generator.w_dim, generator=rng).to(generator.w_avg))
        for _ in segments.names
    ]
    coarse = torch.rand(1, 3, 6, 6, generator=rng) * 2 - 1
    photo = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(-1, 1)
    made = [
        SegmentCode(name, mask[None], code)
        for name, mask, code in zip(segments.names, segments.masks, codes, strict=True)
    ]
    return Inversion(
        photo.to(generator.w_avg),
        SegmentCodes(made),
        segments.static,
        generator.fingerprint,
    )


def direction(generator: Generator) -> Direction:
    tensor = torch.randn(generator.w_dim, generator=torch.Generator().manual_seed(5))
    return Direction("any", "w", tensor)


def box_mask(top: int, left: int, bottom: int, right: int) -> Tensor:
    mask = torch.zeros(SIZE, SIZE)
    mask[top:bottom, left:right] = 1
    return mask


class Shifted:
    """A follower of pictures in which everything has moved to the right by some pixels."""

    def __init__(self, pixels: int) -> None:
        self.pixels, self.asked = pixels, list[str]()

    def __call__(
        self, own: Generator, inversion: Inversion, segment: SegmentCode, edits: Sequence[Edit]
    ) -> Tensor:
        self.asked.append(segment.name)
        masks = inversion.masks
        labels = torch.cat([masks.masks[:, 0], masks.static[0]])
        return labels[..., (torch.arange(SIZE) - self.pixels).clamp(min=0)]


def test_a_segment_moves_takes_from_neighbours_and_leaves_room_to_what_its_picture_shows(
    generator: Generator,
) -> None:
    masks = {
        "left": box_mask(16, 0, 48, 20),
        "head": box_mask(16, 20, 48, 40),
        "right": box_mask(16, 40, 48, 64),
    }
    still = scene(generator, masks)
    edited = still.with_edits(Edit(direction(generator), 1.0, ("head",)))
    found = with_followed_masks(generator, edited, Shifted(6))
    planes = {name: mask for name, mask in found.inversion.masks.planes().items()}
    assert torch.equal(planes["head"], box_mask(16, 26, 48, 46))
    # with a rim of a pixel, as what is left may show beyond its mask
    assert torch.equal(planes["left_uncovered"], box_mask(16, 19, 48, 26))
    assert torch.equal(planes["left"], box_mask(16, 0, 48, 19))
    assert torch.equal(planes["right"], box_mask(16, 46, 48, 64))
    assert list(planes) == ["left", "head", "right", "left_uncovered"]
    assert torch.equal(found.inversion.static_mask, still.static_mask)
    assert found.inversion.edits[0].segments == ("head", "left_uncovered")
    assert torch.equal(found.before["left_uncovered"][0, 0], masks["left"])
    assert torch.equal(
        found.inversion.segments["left_uncovered"].code.tensor, still.segments["left"].code.tensor
    )


def test_static_pixels_stay_and_what_is_uncovered_of_them_is_drawn_by_what_uncovers_it(
    generator: Generator,
) -> None:
    edited = scene(generator, {"head": box_mask(16, 20, 48, 40)}).with_edits(
        Edit(direction(generator), 1.0, ("all",))
    )
    found = with_followed_masks(generator, edited, Shifted(6))
    assert found.inversion.names == ("head", "static_uncovered") and found.uncovered == {
        "static_uncovered": "static"
    }
    assert torch.equal(found.inversion.masks["head"][0, 0], box_mask(16, 26, 48, 40))
    assert torch.equal(found.inversion.masks["static_uncovered"][0, 0], box_mask(16, 20, 48, 26))
    assert torch.equal(found.inversion.static_mask, edited.static_mask)
    codes = [one.code.tensor for one in (*found.inversion.segments, *edited.segments)]
    assert all(torch.equal(code, codes[0]) for code in codes)


def test_what_static_pixels_cut_off_is_told(generator: Generator) -> None:
    edited = scene(generator, {"head": box_mask(16, 20, 48, 40)}).with_edits(
        Edit(direction(generator), 1.0, ("all",))
    )
    assert with_followed_masks(generator, edited, Shifted(6)).cut == {"head": pytest.approx(6 / 20)}
    with pytest.warns(UserWarning, match="static pixels.*30% of head.*segment of its own"):
        picture = composite(generator, edited, follow=Shifted(6))
    told: list[str] = []
    assert torch.equal(composite(generator, edited, follow=Shifted(6), notify=told.append), picture)
    assert len(told) == 1 and "30% of head" in told[0]


def test_with_a_background_to_move_over_nothing_is_cut(generator: Generator) -> None:
    masks = {"head": box_mask(16, 20, 48, 40), "around": torch.ones(SIZE, SIZE)}
    edited = scene(generator, masks, feather=2.0).with_edits(Edit(direction(generator), 1.0, ("head",)))
    assert not with_followed_masks(generator, edited, Shifted(6)).cut
    still = scene(generator, {"head": masks["head"]}, feather=2.0)
    assert not with_followed_masks(
        generator, still.with_edits(Edit(direction(generator), 1.0, ("all",))), Shifted(0)
    ).cut


def test_a_segment_that_its_neighbours_cover_is_left_out(generator: Generator) -> None:
    masks = {"wide": box_mask(0, 0, 64, 60), "thin": box_mask(0, 60, 64, 64)}
    edited = scene(generator, masks).with_edits(Edit(direction(generator), 1.0, ("all",)))
    found = with_followed_masks(generator, edited, Shifted(4)).inversion
    assert found.names == ("wide",) and found.edits[0].segments == ("wide",)
    assert torch.allclose(found.masks.masks, torch.ones(1, 1, SIZE, SIZE))


def test_segments_of_one_code_and_the_same_edits_are_looked_at_once(generator: Generator) -> None:
    own = scene(generator, {"a": box_mask(0, 0, 64, 32), "b": box_mask(0, 32, 64, 64)})
    first = own.segments[0].code
    shared = SegmentCodes(SegmentCode(one.name, one.mask, first) for one in own.segments)
    for segments, asked in ((own.segments, ["a", "b"]), (shared, ["a"])):
        follower = Shifted(2)
        edited = Inversion(own.photo, segments, own.static_mask, own.fingerprint).with_edits(
            Edit(direction(generator), 1.0, ("all",))
        )
        with_followed_masks(generator, edited, follower)
        assert follower.asked == asked


@pytest.mark.parametrize(
    ("mode", "keep_detail"),
    [*((mode, KEEP_DETAIL[-1]) for mode in COMPOSITE_MODES), ("as needed", "off"), ("soft blend", "keep")],
)
def test_a_composite_that_follows_keeps_static_pixels_and_at_strength_0_the_photo(
    generator: Generator, mode: Any, keep_detail: Any
) -> None:
    masks = {"head": box_mask(16, 20, 48, 40), "rest": box_mask(8, 8, 56, 56) - box_mask(16, 20, 48, 40)}
    still = scene(generator, masks, feather=1.0)
    options: dict[str, Any] = {"mode": mode, "keep_detail": keep_detail, "follow": True}
    options["notify"] = list[str]().append
    for strength in (0.0, 1.0):
        edited = still.with_edits(Edit(direction(generator), strength, ("head",)))
        picture = composite(generator, edited, **options)
        stays = (still.static_mask == 1).expand(-1, 3, -1, -1) if strength else torch.ones_like(picture) == 1
        assert still.photo is not None and torch.equal(picture[stays], still.photo[stays])
        assert picture.isfinite().all() and torch.equal(picture, still.photo) == (strength == 0)


def test_the_picture_is_that_of_the_moved_masks(generator: Generator) -> None:
    """The head is drawn where it went; beside it the photo stays, also where the head isn't edited into."""
    masks = {
        "left": box_mask(0, 0, 64, 20),
        "head": box_mask(0, 20, 64, 40),
        "right": box_mask(0, 40, 64, 64),
    }
    edited = scene(generator, masks).with_edits(Edit(direction(generator), 2.0, ("head",)))
    options: dict[str, Any] = {"mode": "soft blend", "keep_detail": "off"}
    changed = [
        (composite(generator, edited, follow=follow, **options) != edited.photo).any(dim=1)[0].any(dim=0)
        for follow in (False, Shifted(6))
    ]
    assert changed[0].nonzero().flatten().tolist() == [*range(20, 40)]
    assert changed[1].nonzero().flatten().tolist() == [*range(19, 46)]


def ramp(size: int = 40) -> Tensor:
    """A photo that inpainting continues well: smooth, from left to right."""
    return torch.linspace(-0.8, 0.8, size).expand(1, 3, size, size).clone()


def test_a_part_is_continued_over_what_is_uncovered_and_only_there() -> None:
    photo, mask = ramp(), torch.zeros(1, 1, 40, 40)
    mask[..., 15:21, 15:21] = 1
    shown = torch.where(mask > 0, 1.0, photo)  # something else was before it
    filled = inpainted_part(shown, 1 - mask, mask)
    assert filled is not None
    assert (filled - photo).abs().max() < 0.1
    assert torch.equal(filled[(mask == 0).expand_as(photo)], photo[(mask == 0).expand_as(photo)])


def test_nothing_is_continued_of_which_hardly_anything_is_known() -> None:
    photo, mask = ramp(), torch.zeros(1, 1, 40, 40)
    mask[..., 15:21, 15:21] = 1
    assert inpainted_part(photo, torch.zeros_like(mask), mask) is None
    beside = torch.zeros_like(mask)
    beside[..., 14, 14:18] = 1
    assert inpainted_part(photo, beside, mask) is None


def test_matches_lead_to_where_features_came_from() -> None:
    features = torch.randn(1, 8, 20, 60, generator=torch.Generator().manual_seed(0))
    found = nearest_matches(features, features.roll((2, -3), dims=(2, 3)))
    inside = (..., slice(3, -3), slice(4, -4))
    assert (found[:, 0][inside] == 3).all() and (found[:, 1][inside] == -2).all()
    far = nearest_matches(features, features.roll(REACH + 3, dims=3))
    assert far.square().sum(dim=1).sqrt().max() <= REACH


def background_of(generator: Generator, code: Tensor, lightness: Tensor) -> Tensor:
    """Where the picture of a code answers to the lightness of the background, bool [H,W]: the true background."""
    light, dark = (generator.synthesis(code + sign * lightness) for sign in (1.5, -1.5))
    return (light - dark).abs().mean(dim=1)[0] > 0.6


def background_lightness() -> Tensor:
    """The direction along which it grows by one deviation: the demo generator reads attributes off w linearly."""
    rows = load_file(DEMO_DIRECTIONS)["readout/weight"].float()
    row = rows[INDEX["background_lightness"]]
    return row / row.square().sum()


def overlap(one: Tensor, other: Tensor) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize(("name", "strength", "least"), [("yaw", 2.0, 0.95), ("hair_length", -2.0, 0.93)])
def test_the_heads_outline_is_found_in_the_edited_picture(name: str, strength: float, least: float) -> None:
    """Against the generator's own answer, in the demo domain."""
    demo, directions = load_generator("demo"), load_directions("demo")
    code = demo.w_avg[None] + directions["hair_length"].tensor
    lightness = background_lightness()
    after = code + strength * directions[name].tensor
    truth = [background_of(demo, one, lightness) for one in (code, after)]
    masks = segments_from_masks({"background": truth[0].float(), "head": (~truth[0]).float()})
    segments = SegmentCodes(
        SegmentCode(part, mask[None], LatentCode("w", code))
        for part, mask in zip(masks.names, masks.masks, strict=True)
    )
    inversion = Inversion(demo.synthesis(code).clamp(-1, 1), segments, masks.static, demo.fingerprint)
    edits = [Edit(directions[name], strength, ("all",))]
    labels = transferred_labels(demo, inversion, segments[1], edits)
    assert torch.allclose(labels.sum(dim=0), torch.ones(labels.shape[1:]), atol=1e-5)
    found, unmoved = overlap(labels[0] > 0.5, truth[1]), overlap(*truth)
    assert found > max(least, unmoved + 0.03), (found, unmoved)


def test_without_features_labels_still_follow_and_nothing_moves_without_an_edit() -> None:
    own = made_from(on_device(load_file(RECORDED)))
    with recorded_features(own, (32, 64)) as features:
        own.synthesis(own.w_avg[None])
    assert features == {}
    height, width = own.img_size
    left = torch.zeros(height, width)
    left[:, : width // 2] = 1
    masks = segments_from_masks({"left": left, "right": 1 - left})
    code = LatentCode("w", own.w_avg[None])
    segments = SegmentCodes(
        SegmentCode(n, m[None], code) for n, m in zip(masks.names, masks.masks, strict=True)
    )
    inversion = Inversion(torch.zeros(1, 3, height, width), segments, masks.static, own.fingerprint)
    labels = transferred_labels(own, inversion, segments[0], [])
    assert torch.allclose(labels[:2], masks.masks[:, 0], atol=1e-3)


def test_features_are_recorded_only_within(generator: Generator) -> None:
    code = generator.w_avg[None]
    with recorded_features(generator, (16, 32, 1024)) as features:
        generator.synthesis(code)
    assert {resolution: one.shape[-1] for resolution, one in features.items()} == {16: 16, 32: 32}
    kept = dict(features)
    generator.synthesis(code + 1)
    assert all(features[key] is kept[key] for key in kept)


def test_an_edit_that_moves_nothing_changes_next_to_nothing(generator: Generator) -> None:
    """At the borders of soft masks, too, where little of a segment shows."""
    masks = {"a": box_mask(8, 8, 40, 32), "b": box_mask(8, 32, 40, 56), "around": torch.ones(SIZE, SIZE)}
    inversion = scene(generator, masks, feather=2.0)
    edited = inversion.with_edits(Edit(direction(generator), 1e-6, ("a",)))
    for mode in COMPOSITE_MODES:
        change = composite(generator, edited, follow=True, mode=mode) - inversion.photo
        assert 127.5 * change.abs().max() < 0.5, mode
