"""Triplets of pictures whose order of likeness is known: a reference, a near picture, a far one.

Graded: the same disturbance, or the same change of attributes, weakly and strongly. Equal L2: a disturbance that
leaves the person as it is, beside another person at the same squared error; or a cast or a small shift beside a blur
at the same squared error (Wang and Bovik 2009: mean shifts disturb far less than blur of the same error).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..photos import paint_photos
from ..portraits import INDEX
from .people import IDENTITY_ATTRIBUTES, draw_rows

Disturbance = Callable[[Tensor, Tensor, Tensor], Tensor]  # images, strengths 0..1 [B,1,1,1], draws [B,8]
BISECTIONS = 9
TOLERANCE = 0.05  # of the squared error, above which a triplet of equal L2 is left out
SMALLEST_CHANGE = 2e-4  # mean squared error; below, nobody sees another person
RESOLUTION, CROP = 128, 64


@dataclass(frozen=True)
class Triplets:
    """reference, near, far: [B,3,R,R] in [-1,1], all of one kind."""

    kind: str
    reference: Tensor
    near: Tensor
    far: Tensor


def shift(images: Tensor, strength: Tensor, draws: Tensor) -> Tensor:
    """Moved by up to 6 pixels, in any direction."""
    angle = 6.2832 * draws[:, 0]
    move = 6 * strength.flatten() * 2 / images.shape[-1]
    theta = torch.eye(2, 3).repeat(len(images), 1, 1)
    theta[:, 0, 2], theta[:, 1, 2] = move * angle.cos(), move * angle.sin()
    return _sample(images, F.affine_grid(theta, list(images.shape), align_corners=False))


def warp(images: Tensor, strength: Tensor, draws: Tensor) -> Tensor:
    """Bent by smooth waves of up to 5 pixels."""
    identity = torch.eye(2, 3).repeat(len(images), 1, 1)
    grid = F.affine_grid(identity, list(images.shape), align_corners=False)
    wave = torch.sin((3 + 3 * draws[:, None, None, :2]) * grid.flip(-1) + 6.2832 * draws[:, None, None, 2:4])
    return _sample(images, grid + wave * strength * 5 * 2 / images.shape[-1])


def grain(images: Tensor, strength: Tensor, draws: Tensor) -> Tensor:
    rng = torch.Generator().manual_seed(int(draws[0, 7] * 2**40))
    return images + 0.6 * strength * torch.randn(images.shape, generator=rng)


def cast(images: Tensor, strength: Tensor, draws: Tensor) -> Tensor:
    """Another colour of light over everything."""
    return images + 0.7 * strength * (2 * draws[:, 4:7] - 1)[:, :, None, None]


def turn(images: Tensor, strength: Tensor, draws: Tensor) -> Tensor:
    """Rotated by up to 6 degrees and enlarged or reduced by up to 6 %."""
    angle = 0.105 * strength.flatten() * torch.where(draws[:, 0] < 0.5, -1.0, 1.0)
    scale = 1 + 0.12 * strength.flatten() * (draws[:, 1] - 0.5)
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale * angle.cos()
    theta[:, 0, 1], theta[:, 1, 0] = -scale * angle.sin(), scale * angle.sin()
    return _sample(images, F.affine_grid(theta, list(images.shape), align_corners=False))


def contrast(images: Tensor, strength: Tensor, draws: Tensor) -> Tensor:
    """More or less contrast, by up to a half."""
    return images * (1 + 0.5 * strength * torch.where(draws[:, 0] < 0.5, -1.0, 1.0)[:, None, None, None])


def blur(images: Tensor, strength: Tensor, draws: Tensor) -> Tensor:
    """Mixed with what a box of 9 pixels leaves after two passes."""
    soft = images
    for _ in range(2):
        soft = F.avg_pool2d(F.pad(soft, (4, 4, 4, 4), mode="replicate"), 9, stride=1)
    return torch.lerp(images, soft, strength)


DISTURBANCES: dict[str, Disturbance] = {
    "shift": shift,
    "warp": warp,
    "grain": grain,
    "cast": cast,
    "blur": blur,
}
PERSON_KEPT = ("shift", "warp", "grain", "cast")  # beside another person at equal L2
MILDER_THAN_BLUR = ("cast", "shift")
NEVER_TRAINED: dict[str, Disturbance] = {"turn": turn, "contrast": contrast}  # for held-out figures alone
KINDS: tuple[str, ...] = (
    *(f"{name}: weak < strong" for name in DISTURBANCES),
    "attributes: weak < strong",
    *(f"{name} < another person" for name in PERSON_KEPT),
    *(f"{name} < blur" for name in MILDER_THAN_BLUR),
    *(f"{name} < another person" for name in NEVER_TRAINED),
)


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, "bilinear", "border", align_corners=False)


def is_trained(kind: str) -> bool:
    return kind.partition(" ")[0] not in NEVER_TRAINED


def is_of_equal_error(kind: str) -> bool:
    """Whether L2 can only guess."""
    return "weak" not in kind


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """[B]"""
    return (a - b).square().mean((1, 2, 3))


def draw_triplets(seed: int, rounds: int, size: int = 8) -> list[Triplets]:
    """`rounds` times one batch of every kind."""
    return [some for number in range(rounds) for some in draw_round(seed, number, size)]


def draw_round(seed: int, number: int, size: int) -> Iterator[Triplets]:
    """A batch of every kind, at most `size` each: pictures of 128 pixels if `number` is even, else crops of 64."""
    rng = torch.Generator().manual_seed((seed << 20) + number)
    weak, strong, reference = _people(rng, size)
    if number % 2:
        top, left = (int(torch.randint(16, RESOLUTION - CROP - 8, (), generator=rng)) for _ in range(2))
        area = (..., slice(top, top + CROP), slice(left, left + CROP))
        weak, strong, reference = weak[area], strong[area], reference[area]
    changed = squared_error(reference, weak) > SMALLEST_CHANGE
    yield from _of_equal_error(rng, reference[changed], weak[changed])
    yield Triplets("attributes: weak < strong", reference[changed], weak[changed], strong[changed])
    yield from _disturbed(rng, reference)


def _people(rng: torch.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures of people, changed a little in their identity, changed thrice as much; nuisances alike."""
    rows = draw_rows(rng, size)
    kept = [INDEX[name] for name in IDENTITY_ATTRIBUTES]
    step = torch.zeros_like(rows)
    chosen = torch.rand(size, rows.shape[1], len(kept), generator=rng) < 0.5
    step[..., kept] = (draw_rows(rng, size) - rows)[..., kept] * chosen
    people = torch.cat([rows + 0.25 * step, rows + 0.75 * step, rows])
    nuisances = rng if float(torch.rand((), generator=rng)) < 0.5 else None
    weak, strong, reference = (
        paint_photos(people, RESOLUTION, (), nuisances, rng).image.mul(2).sub(1).chunk(3)
    )
    return weak, strong, reference


def _disturbed(rng: torch.Generator, reference: Tensor) -> Iterator[Triplets]:
    for name, disturbance in DISTURBANCES.items():
        draws = torch.rand(len(reference), 8, generator=rng)
        weak = torch.rand(len(reference), 1, 1, 1, generator=rng) * 0.5 + 0.05
        yield Triplets(
            f"{name}: weak < strong",
            reference,
            disturbance(reference, weak, draws),
            disturbance(reference, 1.6 * weak, draws),
        )


def _of_equal_error(rng: torch.Generator, reference: Tensor, other: Tensor) -> Iterator[Triplets]:
    if len(reference) == 0:
        return
    draws = torch.rand(len(reference), 8, generator=rng)
    for name in PERSON_KEPT:
        yield _equalized(f"{name} < another person", DISTURBANCES[name], reference, other, draws)
    soft = blur(reference, torch.rand(len(reference), 1, 1, 1, generator=rng) * 0.6 + 0.2, draws)
    for name in MILDER_THAN_BLUR:
        yield _equalized(f"{name} < blur", DISTURBANCES[name], reference, soft, draws)
    for name, disturbance in NEVER_TRAINED.items():
        yield _equalized(f"{name} < another person", disturbance, reference, other, draws)


def _equalized(
    kind: str, disturbance: Disturbance, reference: Tensor, far: Tensor, draws: Tensor
) -> Triplets:
    """Finds the strength at which the disturbance has the squared error of `far`; leaves out where none does."""
    target = squared_error(reference, far)
    low, high = torch.zeros_like(target), torch.ones_like(target)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = squared_error(reference, disturbance(reference, middle[:, None, None, None], draws)) < target
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    near = disturbance(reference, (low + high)[:, None, None, None] / 2, draws)
    equal = (squared_error(reference, near) / target - 1).abs() < TOLERANCE
    return Triplets(kind, reference[equal], near[equal], far[equal])
