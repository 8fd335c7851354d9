"""Whether two pictures are one photo that different programs have decoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ..wording import in_pixels

# All in grey levels. Measured between Pillow, OpenCV and ComfyUI (PyAV) over JPEG files of 4:4:4, 4:2:2 and 4:2:0 at
# quality 60 to 95, and crops of them: .9, 2.4, .5 and 2.9 at most (docs/inputs.md).
MEAN_LUMA, LUMA, MEAN_CHROMA, CHROMA = 1.1, 3.2, 0.8, 3.5
_LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in JPEG
_LUMA_WINDOW, _CHROMA_WINDOW = 3, 9  # pixels
_NEAR_CLIPPED = 2.5  # levels
_TURNS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mirrored": lambda image: image.flip(-1),
    "turned by 180 degrees": lambda image: image.flip(-1, -2),
    "turned by 90 degrees": lambda image: image.rot90(1, (-2, -1)),
    "turned by 270 degrees": lambda image: image.rot90(3, (-2, -1)),
}


def is_same_photo(photo: Tensor, other: Tensor) -> bool:
    """Whether two pictures differ by no more than what decoders of one file make of it.

    photo, other: [1,3,H,W] in [-1,1]. Decoders agree on the brightness of a pixel to two or three levels; the colour of
    JPEG files they interpolate, so that it may lie anywhere in the range that colours around it span. A picture that
    was edited visibly, if in a few pixels only, or brightened by three levels, is another one, and so is one of another
    size or turned.
    """
    if photo.shape != other.shape:
        return False
    pictures = [_levels(photo), _levels(other)]
    (luma, chroma), (other_luma, other_chroma) = (_split(levels) for levels in pictures)
    luma_change, chroma_change = (other_luma - luma).abs(), (other_chroma - chroma).abs()
    shift = (other_chroma - chroma).mean((-2, -1)).abs().max()
    if luma_change.mean() > MEAN_LUMA or shift > MEAN_CHROMA:
        return False
    span = torch.minimum(_span(chroma), _span(other_chroma))
    if bool((chroma_change > CHROMA + span).any()):
        return False
    # Colours beyond black and white are cut off, and brightness with them.
    is_clipped = torch.minimum(*(_near_clipped(levels) for levels in pictures))
    allowed = LUMA + is_clipped * span.amax(1, keepdim=True)
    return not bool((_averaged(luma_change, _LUMA_WINDOW) > allowed).any())


def how_photos_differ(photo: Tensor, other: Tensor) -> str:
    """What another picture does to a photo, in words for errors: its size, that it is turned, or by how many levels.

    photo, other: [1,3,h,w] in [-1,1].
    """
    size, other_size = in_pixels(photo), in_pixels(other)
    turned = next((words for words, turn in _TURNS.items() if is_same_photo(photo, turn(other))), "")
    if turned:
        return f"it is that photo {turned}"
    if photo.shape != other.shape:
        return f"it has {other_size} pixels, that one {size}"
    change = (_levels(other) - _levels(photo)).abs()
    share = (change.amax(1) > LUMA).float().mean().item()
    return (
        f"{share:.2%} of its pixels are off by more than {LUMA:g} grey levels, the largest by {change.max():.0f}, more "
        "than programs decode a file differently"
    )


def _levels(photo: Tensor) -> Tensor:
    return (photo.detach().to("cpu", torch.float32) * 127.5 + 127.5).clamp(0, 255)


def _split(levels: Tensor) -> tuple[Tensor, Tensor]:
    """[1,3,H,W] -> luma [1,1,H,W], and red and blue without it [1,2,H,W]."""
    luma = (levels * levels.new_tensor(_LUMA_WEIGHTS).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return luma, levels[:, ::2] - luma


def _span(chroma: Tensor) -> Tensor:
    """The range of the colours around each pixel."""
    return _greatest(chroma, _CHROMA_WINDOW) + _greatest(-chroma, _CHROMA_WINDOW)


def _near_clipped(levels: Tensor) -> Tensor:
    """[1,1,H,W]: 1 beside pixels of which a channel is black or white, 0 elsewhere."""
    is_clipped = ((levels - 127.5).abs() > 127.5 - _NEAR_CLIPPED).float()
    return _greatest(is_clipped, _LUMA_WINDOW).amax(1, keepdim=True)


def _greatest(planes: Tensor, window: int) -> Tensor:
    return F.max_pool2d(planes, window, stride=1, padding=window // 2)


def _averaged(planes: Tensor, window: int) -> Tensor:
    return F.avg_pool2d(planes, window, stride=1, padding=window // 2, count_include_pad=False)
