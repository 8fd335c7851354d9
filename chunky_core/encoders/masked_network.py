"""The network of the masked encoder: a photo that is zero outside of its mask, and the mask, to whitened codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_whole
from ..errors import InvalidInputError
from ..losses.resize import resize

GROUPS = 8  # of the normalizations: every number of channels is a multiple of it
LARGEST_SIZE = 4096  # of any number in a header; more is damage
_SHRUNK = 2  # pixels of a side that become channels before the first convolution


@dataclass(frozen=True)
class MaskedSizes:
    """size: pixels of each side of what the network sees; channels: of its maps, the first at half of that side, each
    next one at half of the one before; hidden: numbers before the last layer; layers, w_dim: of the codes.

    Raises InvalidInputError for numbers that don't fit together.
    """

    layers: int
    w_dim: int
    size: int = 128
    channels: tuple[int, ...] = (32, 64, 96, 160, 256)
    hidden: int = 256

    def __post_init__(self) -> None:
        if not isinstance(self.channels, tuple | list) or not 2 <= len(self.channels) <= 8:
            raise InvalidInputError(f"channels are {self.channels!r:.60}; expected the widths of 2 to 8 maps")
        for name in ("layers", "w_dim", "size", "hidden"):
            check_whole(getattr(self, name), name, 1, LARGEST_SIZE)
        for width in self.channels:
            check_whole(width, "a width in channels", 1, LARGEST_SIZE)
            if width % GROUPS:
                raise InvalidInputError(f"a width in channels is {width}; expected a multiple of {GROUPS}")
        if self.size % 2 ** len(self.channels):
            raise InvalidInputError(f"size is {self.size}; expected a multiple of {2 ** len(self.channels)}")


class _Halving(nn.Module):
    """A map at half of its size, and one more convolution beside it."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(before, width, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(GROUPS, width)

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = F.silu(self.norm(self.down(maps)))
        return result


class _Beside(nn.Module):
    """maps + a convolution of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(GROUPS, width)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + F.silu(self.norm(self.conv(maps)))


class MaskedNetwork(nn.Module):
    """pictures [B,4,size,size] of `masked_input` -> whitened codes [B,layers,w_dim], of which 0 is the mean code."""

    def __init__(self, sizes: MaskedSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = sizes.channels
        self.stem = nn.Conv2d(4 * _SHRUNK**2, widths[0], 3, padding=1)
        stages: list[nn.Module] = []
        for index, (before, width) in enumerate(zip(widths, widths[1:], strict=False)):
            stages.append(_Halving(before, width))
            if (
                0 < index < len(widths) - 2
            ):  # the largest map costs too much time, the smallest too many weights
                stages.append(_Beside(width))
        self.stages = nn.Sequential(*stages)
        cells = (sizes.size // 2 ** len(widths)) ** 2
        self.hidden = nn.Linear(widths[-1] * cells, sizes.hidden)
        self.out = nn.Linear(sizes.hidden, sizes.layers * sizes.w_dim)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = F.silu(self.stem(F.pixel_unshuffle(pictures, _SHRUNK)))
        maps = self.stages(maps)
        result: Tensor = self.out(F.silu(self.hidden(maps.flatten(1))))
        return result.unflatten(1, (self.sizes.layers, self.sizes.w_dim))


def masked_input(photo: Tensor, masks: Tensor, size: int) -> Tensor:
    """[B,4,size,size]: the photo [B,3,H,W] in [-1,1] times its mask [B,1,H,W] in [0,1], and the mask.

    What lies outside of the mask is zero before anything is made smaller: the result doesn't depend on it.
    """
    return resize(torch.cat([torch.where(masks > 0, photo * masks, 0.0), masks], 1), (size, size))
