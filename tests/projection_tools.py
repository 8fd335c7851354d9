"""Small photos that a random generator can draw segment by segment."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from chunky_core.generator.generator import Generator
from chunky_core.inversion import Inversion
from chunky_core.segments import SegmentMasks, blend, mask_box, segments_from_masks


def pieces(size: int) -> SegmentMasks:
    """A small block, a wide band and the rest, with soft edges and static rows at the bottom."""
    block, band, rest, static = (torch.zeros(size, size) for _ in range(4))
    block[size // 4 : size // 4 + 5, size // 4 : size // 4 + 6] = 1
    band[size // 2 : size // 2 + 6] = 1
    static[-3:] = 1
    rest[:-3] = 1
    masks = {"rest": rest, "band": band, "block": block, "keep": static}
    return segments_from_masks(masks, static=("keep",), feather=0.7)


def photo_of_parts(generator: Generator, segments: SegmentMasks, seed: int = 3) -> Tensor:
    """A photo that the generator can draw segment by segment: one random code each."""
    z = torch.randn(len(segments.names), generator.z_dim, generator=torch.Generator().manual_seed(seed))
    z = z.to(generator.device)
    images = generator.synthesis(generator.mapping(z))
    boxes = [mask_box(mask) for mask in segments.masks]
    crops = [
        image[None, :, b.top : b.bottom, b.left : b.right] for image, b in zip(images, boxes, strict=True)
    ]
    return blend(torch.zeros_like(images[:1]), segments, crops, boxes)


def codes(inversion: Inversion) -> list[Tensor]:
    return [segment.code.tensor for segment in inversion.segments]


def same_picture(one: Tensor, other: Tensor) -> bool:
    """To the bit, or but for rounding where they lie, and so were blended, on different devices."""
    if one.device == other.device:
        return torch.equal(one, other)
    return bool((one.cpu() - other.cpu()).abs().max() < 1e-5)


def assert_same(one: Inversion, other: Inversion) -> None:
    assert all(torch.equal(a, b) for a, b in zip(codes(one), codes(other), strict=True))
    assert one.losses == other.losses


class Interrupted(BaseException):
    """As the host's own, which is no Exception."""


def stopping_at(step: int, exception: BaseException) -> Callable[[int, int, Tensor | None], None]:
    """A callback that raises after a step."""

    def callback(done: int, total: int, image: Tensor | None) -> None:
        if done == step:
            raise exception

    return callback
