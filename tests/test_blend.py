from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from chunky_core.boxes import Box
from chunky_core.errors import InvalidInputError
from chunky_core.images import from_uint8, to_uint8
from chunky_core.segments import SegmentMasks, blend, mask_box, segments_from_masks, single_segment

SIZE = 32


def random_scene(seed: int) -> tuple[Tensor, SegmentMasks, Tensor]:
    """An 8-bit photo, overlapping soft segments and one full picture per segment."""
    rng = torch.Generator().manual_seed(seed)
    photo = from_uint8(torch.randint(0, 256, (SIZE, SIZE, 3), dtype=torch.uint8, generator=rng))
    noise = F.interpolate(torch.randn(3, 1, 5, 5, generator=rng), (SIZE, SIZE), mode="bicubic")[:, 0]
    masks = {f"part{i}": (mask - 0.3).clamp(0, 1) for i, mask in enumerate(noise)}
    segments = segments_from_masks(masks, grow=seed % 3, feather=float(seed % 2))
    return photo, segments, torch.rand(3, 1, 3, SIZE, SIZE, generator=rng) * 2 - 1


def crop(picture: Tensor, box: Box) -> Tensor:
    return picture[..., box.top : box.bottom, box.left : box.right]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("margin", [0, 3])
def test_blend_is_equation_3(seed: int, margin: int) -> None:
    photo, segments, pictures = random_scene(seed)
    boxes = [mask_box(mask, margin) for mask in segments.masks]
    before = photo.clone()
    result = blend(photo, segments, [crop(p, b) for p, b in zip(pictures, boxes, strict=True)], boxes)
    expected = segments.static * photo + (segments.masks[:, None] * pictures).sum(dim=0)
    assert (result - expected).abs().max() < 1e-6
    assert torch.equal(photo, before)


@pytest.mark.parametrize("seed", range(6))
def test_static_pixels_survive_any_number_of_rounds(seed: int) -> None:
    original, segments, pictures = random_scene(seed)
    boxes = [mask_box(mask) for mask in segments.masks]
    photo = original
    for _ in range(5):
        photo = blend(photo, segments, [crop(p, b) for p, b in zip(pictures, boxes, strict=True)], boxes)
        photo = from_uint8(to_uint8(photo))
    kept = (segments.static[0, 0] == 1).nonzero(as_tuple=True)
    assert len(kept[0]) > 0
    assert torch.equal(to_uint8(photo)[0][kept], to_uint8(original)[0][kept])


def test_a_single_segment_gives_its_picture() -> None:
    picture = torch.rand(1, 3, SIZE, SIZE)
    result = blend(
        torch.zeros_like(picture), single_segment((SIZE, SIZE)), [picture], [Box(0, 0, SIZE, SIZE)]
    )
    assert torch.equal(result, picture)


def test_without_cross_fade_the_photo_shows_only_where_no_segment_is() -> None:
    photo, segments, pictures = random_scene(1)
    ones = torch.ones_like(pictures)
    boxes = [mask_box(mask) for mask in segments.masks]
    crops = [crop(p, b) for p, b in zip(ones, boxes, strict=True)]
    result = blend(photo, segments, crops, boxes, cross_fade=False)
    assert (result - torch.where(segments.static == 1, photo, 1)).abs().max() < 1e-6


def test_gradient_is_the_mask() -> None:
    photo, segments, pictures = random_scene(0)
    boxes = [mask_box(mask) for mask in segments.masks]
    crops = [crop(p, b).clone().requires_grad_() for p, b in zip(pictures, boxes, strict=True)]
    blend(photo, segments, crops, boxes).sum().backward()
    for mask, box, part in zip(segments.masks, boxes, crops, strict=True):
        assert torch.allclose(part.grad, crop(mask[None], box).expand_as(part))


def test_bad_input_is_named() -> None:
    photo, whole = torch.zeros(1, 3, SIZE, SIZE), single_segment((SIZE, SIZE))
    full = Box(0, 0, SIZE, SIZE)
    with pytest.raises(InvalidInputError, match="photo is 8x8, the segments are for 32x32"):
        blend(torch.zeros(1, 3, 8, 8), whole, [photo], [full])
    with pytest.raises(InvalidInputError, match="1 segments have 0 crops and 1 boxes"):
        blend(photo, whole, [], [full])
    with pytest.raises(InvalidInputError, match="crop of 'all' is"):
        blend(photo, whole, [photo[..., 1:]], [full])
    with pytest.raises(InvalidInputError, match="box of 'all' is .* holds"):
        blend(photo, whole, [photo[..., 1:]], [Box(0, 1, SIZE, SIZE)])
