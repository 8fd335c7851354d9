"""Signed distance to a boundary, below a pixel's accuracy, in a narrow band around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import InvalidInputError

BAND_HALF_WIDTH = 6.0  # pixels; distances beyond it are cut to it
DISC_RADIUS = int(BAND_HALF_WIDTH) + 1  # an element lies at most one pixel from its own pixel
HALF_ELEMENT = 0.5  # half the length of an element, in pixels
ELEMENTS_AT_ONCE = 1 << 15  # 20 MB for each map of their distances
CROSS = ((0, -1), (0, 1), (-1, 0), (1, 0))


class InterfaceElements(NamedTuple):
    """Straight pieces of the zero level, one for each pixel that has a neighbor on the other side.

    pixels: [K], row-major; distance: [K], signed, of the pixel to its element; normal: [2,K], (y,x),
    unit vectors toward larger values.
    """

    pixels: Tensor
    distance: Tensor
    normal: Tensor


def soft_mask(phi: Tensor, width: float = 1.0) -> Tensor:
    """A mask whose edge is `width` pixels wide, from signed distances; the 0.5 level is where they are 0.

    phi: any shape. Returns the same shape in [0,1]. Raises InvalidInputError for a width not above 0.
    """
    if not width > 0:
        raise InvalidInputError(f"the edge is {width:g} pixels wide; expected more than 0")
    return (phi / width + 0.5).clamp(0, 1)


def neighbor_indices(index: Tensor, size: tuple[int, int], offsets: Sequence[tuple[int, int]]) -> Tensor:
    """The pixels beside `index` [K] at M offsets (dy, dx), [M*K]; the border's own pixels for those beyond it."""
    height, width = size
    y, x = index // width, index % width
    return torch.cat(
        [(y + dy).clamp(0, height - 1) * width + (x + dx).clamp(0, width - 1) for dy, dx in offsets]
    )


def mask_interface(level: Tensor) -> InterfaceElements:
    """The zero level of a map [H,W] in -0.5..0.5, a mask less 0.5, whose edges may be hard or soft.

    A pixel at the end of the range says nothing about its distance, so that its gray neighbors speak for it;
    and a slope toward it is taken as that of an edge one pixel wide, at least.
    """
    size = (level.shape[0], level.shape[1])
    flat = level.flatten()
    elements = find_interface(flat, _crossings(level), size)
    center = flat[elements.pixels]
    around = flat[neighbor_indices(elements.pixels, size, CROSS)].view(4, len(center))
    full = around.abs() > 0.499
    beyond = (around > 0) != (center > 0)
    gray = center.abs() <= 0.499
    kept = gray | (full & beyond).any(dim=0)
    hard = gray & full.any(dim=0)
    sharp = torch.where(hard & (elements.distance.abs() > center.abs()), center, elements.distance)
    return InterfaceElements(elements.pixels[kept], sharp[kept], elements.normal[:, kept])


def _crossings(level: Tensor) -> Tensor:
    """The pixels of a map [H,W] with a side neighbor of the other sign, row-major, ascending: [K]."""
    inside = level > 0
    found = torch.zeros_like(inside)
    across, down = inside[:, 1:] != inside[:, :-1], inside[1:] != inside[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found.flatten().nonzero()[:, 0]


def find_interface(phi: Tensor, candidates: Tensor, size: tuple[int, int]) -> InterfaceElements:
    """The zero level of phi [H*W], as elements of those of the candidate pixels [K] that are next to it.

    The slope along an axis is taken across the crossing, where there is one, so that the level stays where
    linear interpolation along the pixels' rows and columns puts it.
    """
    around = neighbor_indices(candidates, size, CROSS)
    center, values = phi.index_select(0, candidates), phi.index_select(0, around).view(4, len(candidates))
    near = ((values > 0) != (center > 0)).any(dim=0).nonzero()[:, 0]
    index, center, values = candidates[near], center[near], values[:, near]
    span = (around.view(4, len(candidates))[:, near] != index).float()  # 0 beyond the image's border
    across = _slope(values[0], center, values[1], span[0] + span[1])
    down = _slope(values[2], center, values[3], span[2] + span[3])
    gradient = torch.stack([down, across])
    norm = gradient.norm(dim=0).clamp(min=1e-6)
    return InterfaceElements(index, center / norm, gradient / norm)


def _slope(before: Tensor, center: Tensor, after: Tensor, span: Tensor) -> Tensor:
    backward, forward = center - before, after - center
    behind, ahead = (before > 0) != (center > 0), (after > 0) != (center > 0)
    crossing = torch.where(behind & (~ahead | (backward.abs() > forward.abs())), backward, forward)
    return torch.where(behind | ahead, crossing, (after - before) / span.clamp(min=1))


def narrow_band_distance(
    phi: Tensor, elements: InterfaceElements, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Signed distances, cut to +-BAND_HALF_WIDTH, with the signs of phi [H*W]; and the pixels [n] nearer than that.

    Every element has a distance to all pixels of a disc around it; the smallest one counts at each pixel.
    """
    height, width = size
    dy, dx = _disc(phi.device)
    wide = width + 2 * DISC_RADIUS  # with a margin, so that no disc leaves it
    plane = torch.full(((height + 2 * DISC_RADIUS) * wide,), BAND_HALF_WIDTH, device=phi.device)
    y, x = elements.pixels // width + DISC_RADIUS, elements.pixels % width + DISC_RADIUS
    for part in torch.arange(len(y), device=phi.device).split(ELEMENTS_AT_ONCE):
        targets = (dy * wide + dx)[:, None] + (y * wide + x)[part]
        distances = _element_distances(dy, dx, elements.distance[part], elements.normal[:, part])
        plane.scatter_reduce_(0, targets.flatten(), distances.flatten(), "amin")
    distance = plane.view(-1, wide)[DISC_RADIUS:-DISC_RADIUS, DISC_RADIUS:-DISC_RADIUS].flatten()
    band = (distance < BAND_HALF_WIDTH).nonzero()[:, 0]
    distance = torch.where(phi > 0, distance, -distance)
    distance[elements.pixels] = elements.distance  # not from neighboring elements: the level must not creep
    return distance, band


def _disc(device: torch.device) -> tuple[Tensor, Tensor]:
    """The steps dy [M] and dx [M] to the pixels that the element of a pixel can have in the band."""
    line = torch.arange(-DISC_RADIUS, DISC_RADIUS + 1, device=device)
    dy, dx = torch.cartesian_prod(line, line).unbind(dim=1)
    near = dy * dy + dx * dx <= DISC_RADIUS * DISC_RADIUS
    return dy[near], dx[near]


def _element_distances(dy: Tensor, dx: Tensor, distance: Tensor, normal: Tensor) -> Tensor:
    """[M,K]: distances between K elements and the pixels at the steps [M] from their own."""
    across = torch.stack([dy, dx], dim=1).float() @ normal + distance
    along = torch.stack([-dx, dy], dim=1).float() @ normal
    beyond = along.abs_().sub_(HALF_ELEMENT).clamp_(min=0)
    return across.square_().addcmul_(beyond, beyond).sqrt_()
