"""The pictures that an encoder is trained with: the generator's own of mixed codes, disturbed, and photos."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...checks import check_shape
from ...errors import InvalidInputError
from ...generator.generator import Generator
from ...images import from_uint8, to_uint8
from ...losses.resize import resize

TOGETHER = 16  # pictures that the generator draws at a time
TRUNCATION = (0.6, 1.1)  # of the codes


@dataclass(frozen=True, eq=False)
class PhotoExamples:
    """Photos without known codes: uint8 [N,3,R,R]; labels: uint8 [N,R,R], or None.

    The label maps lend masks to the generator's pictures, too. Raises InvalidInputError for other shapes.
    """

    images: Tensor
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        check_shape(self.images, "the photos", ("N", 3, "R", "R"))
        if self.images.dtype != torch.uint8 or not len(self.images):
            raise InvalidInputError(
                f"there are {len(self.images)} photos of {self.images.dtype}; expected some, of uint8"
            )
        if self.labels is not None and len(self.labels) != len(self.images):
            raise InvalidInputError(
                f"there are {len(self.images)} photos and {len(self.labels)} label maps; give one for each, or none"
            )


@dataclass(frozen=True, eq=False)
class PicturePool:
    """images: uint8 [N,3,size,size]; codes: w+ [N,num_ws,w_dim] on the CPU."""

    images: Tensor
    codes: Tensor


@torch.no_grad()
def draw_pool(generator: Generator, space: str, count: int, size: int, seed: int, number: int) -> PicturePool:
    """The pictures of pool `number`, the same for the same seed."""
    rng = torch.Generator().manual_seed(2 * ((seed << 20) + number))
    codes = draw_mixed_codes(generator, space, count, rng)
    drawn = [to_bytes(draw_pictures(generator, ws, size)) for ws in codes.split(TOGETHER)]
    return PicturePool(torch.cat(drawn), codes)


@torch.no_grad()
def draw_mixed_codes(generator: Generator, space: str, count: int, rng: torch.Generator) -> Tensor:
    """Codes in W as w+ [count,num_ws,w_dim]; for the space "w+" two thirds are mixed of two codes: the layers above a
    random one from another code (style mixing, Karras et al. 2019), or every layer at a place of its own between both.
    """
    w, other = (_draw_w(generator, count, rng) for _ in range(2))
    layers = torch.arange(generator.num_ws)
    kind = torch.randint(3 if space == "w+" else 1, (count, 1, 1), generator=rng)
    crossover = torch.randint(1, max(2, generator.num_ws), (count, 1), generator=rng)
    styles = (layers >= crossover).float()[..., None]
    places = torch.rand(count, generator.num_ws, 1, generator=rng)
    share = torch.where(kind == 0, torch.zeros(()), torch.where(kind == 1, styles, places))
    return torch.lerp(w[:, None], other[:, None], share)


def _draw_w(generator: Generator, count: int, rng: torch.Generator) -> Tensor:
    z = torch.randn(count, generator.z_dim, generator=rng).to(generator.device)
    classes = torch.randint(generator.c_dim, (count,), generator=rng) if generator.c_dim else None
    w = generator.mapping(z, classes)[:, 0].float().cpu()
    mean = generator.w_avg.float().cpu()
    return torch.lerp(mean, w, torch.empty(count, 1).uniform_(*TRUNCATION, generator=rng))


def draw_pictures(generator: Generator, ws: Tensor, size: int) -> Tensor:
    """[B,3,size,size] in about [-1,1], drawn at the lowest resolution that is not lower; differentiable."""
    enough = [one for one in generator.out_resolutions if one >= size]
    resolution = enough[0] if enough else generator.img_resolution
    drawn = generator.synthesis(ws.to(generator.device), out_resolution=resolution).float()
    return resize(drawn, (size, size))


def to_bytes(images: Tensor) -> Tensor:
    """[B,3,h,w] in [-1,1] -> uint8 [B,3,h,w] on the CPU."""
    return to_uint8(images.cpu()).permute(0, 3, 1, 2).contiguous()


def from_bytes(images: Tensor) -> Tensor:
    """uint8 [B,3,h,w] -> [B,3,h,w] in [-1,1]."""
    return from_uint8(images.permute(0, 2, 3, 1))


def disturb(images: Tensor, rng: torch.Generator) -> Tensor:
    """Blur, grain, cast and contrast of a random strength, one for each picture of the batch [B,3,H,W]."""
    strength = torch.rand(4, len(images), 1, 1, 1, generator=rng)
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    blurred = images + (soft - images) * (1.6 * strength[0] - 0.6).clamp(min=0.0)
    cast = 0.12 * torch.randn(len(images), 3, 1, 1, generator=rng) * strength[1]
    grain = 0.12 * torch.randn(images.shape, generator=rng) * (strength[2] - 0.4).clamp(min=0.0)
    return (blurred * (1 + 0.2 * (strength[3] - 0.5)) + cast + grain).clamp(-1, 1)
