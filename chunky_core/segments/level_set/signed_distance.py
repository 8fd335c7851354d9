"""Signed distance to a boundary, below a pixel's accuracy: in a narrow band for motion, everywhere for masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import InvalidInputError

REACH = 6.0  # half-width of the narrow band in pixels; distances beyond it are cut to it
MARGIN = int(REACH) + 1  # a piece lies at most one pixel from its own pixel
HALF_PIECE = 0.5  # half the length of the straight piece of boundary that belongs to one pixel
PIECES_AT_ONCE = 1 << 15  # 20 MB for each map of their offers
CROSS = ((0, -1), (0, 1), (-1, 0), (1, 0))


class Pieces(NamedTuple):
    """Straight pieces of the zero level, one for each pixel that has a neighbour on the other side.

    pixels: [K], row-major; distance: [K], signed, of the pixel to its piece; normal: [2,K], (y,x),
    unit vectors toward larger values.
    """

    pixels: Tensor
    distance: Tensor
    normal: Tensor


def signed_distance(mask: Tensor) -> Tensor:
    """Distance in pixels to the 0.5 level of a mask, positive inside.

    mask: [H,W] in [0,1]. Between two pixels the mask is taken as linear, so a soft edge gives the boundary to
    a fraction of a pixel. Returns float32 [H,W]; a mask that does not cross 0.5 gives infinity with the sign
    of its side. Raises InvalidInputError for another shape.
    """
    if mask.ndim != 2:
        raise InvalidInputError(f"the mask is {list(mask.shape)}; expected one mask [H,W]")
    level = mask.detach().to(torch.float32) - 0.5
    size = (mask.shape[0], mask.shape[1])
    flat = level.flatten()
    pieces = mask_pieces(level)
    if not len(pieces.pixels):
        return torch.where(level > 0, torch.inf, -torch.inf)
    distance, _ = band_distance(flat, pieces, size)
    far = (distance.abs() >= REACH).nonzero()[:, 0]
    distance[far] = _foot_distance(far, pieces, size[1]) * distance[far].sign()
    return distance.view(size)


def soft_mask(phi: Tensor, width: float = 1.0) -> Tensor:
    """A mask whose edge is `width` pixels wide, from signed distances; the 0.5 level is where they are 0.

    phi: any shape. Returns the same shape in [0,1]. Raises InvalidInputError for a width not above 0.
    """
    if not width > 0:
        raise InvalidInputError(f"the edge is {width:g} pixels wide; expected more than 0")
    return (phi / width + 0.5).clamp(0, 1)


def neighbours(index: Tensor, size: tuple[int, int], offsets: Sequence[tuple[int, int]]) -> Tensor:
    """The pixels beside `index` [K] at M offsets (dy, dx), [M*K]; the border's own pixels for those beyond it."""
    height, width = size
    y, x = index // width, index % width
    return torch.cat(
        [(y + dy).clamp(0, height - 1) * width + (x + dx).clamp(0, width - 1) for dy, dx in offsets]
    )


def mask_pieces(level: Tensor) -> Pieces:
    """The zero level of a map [H,W] in -0.5..0.5, a mask less 0.5, whose edges may be hard or soft.

    A pixel at the end of the range says nothing about its distance, so that its grey neighbours speak for it;
    and a slope toward it is taken as that of an edge one pixel wide, at least.
    """
    size = (level.shape[0], level.shape[1])
    flat = level.flatten()
    pieces = boundary_pieces(flat, _crossings(level), size)
    centre = flat[pieces.pixels]
    around = flat[neighbours(pieces.pixels, size, CROSS)].view(4, len(centre))
    full = around.abs() > 0.499
    beyond = (around > 0) != (centre > 0)
    grey = centre.abs() <= 0.499
    kept = grey | (full & beyond).any(dim=0)
    hard = grey & full.any(dim=0)
    sharp = torch.where(hard & (pieces.distance.abs() > centre.abs()), centre, pieces.distance)
    return Pieces(pieces.pixels[kept], sharp[kept], pieces.normal[:, kept])


def _crossings(level: Tensor) -> Tensor:
    """The pixels of a map [H,W] with a side neighbour of the other sign, row-major, ascending: [K]."""
    inside = level > 0
    found = torch.zeros_like(inside)
    across, down = inside[:, 1:] != inside[:, :-1], inside[1:] != inside[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found.flatten().nonzero()[:, 0]


def boundary_pieces(phi: Tensor, candidates: Tensor, size: tuple[int, int]) -> Pieces:
    """The zero level of phi [H*W], in straight pieces, at those of the candidate pixels [K] that are next to it.

    The slope along an axis is taken across the crossing, where there is one, so that the level stays where
    linear interpolation along the pixels' rows and columns puts it.
    """
    around = neighbours(candidates, size, CROSS)
    centre, values = phi.index_select(0, candidates), phi.index_select(0, around).view(4, len(candidates))
    near = ((values > 0) != (centre > 0)).any(dim=0).nonzero()[:, 0]
    index, centre, values = candidates[near], centre[near], values[:, near]
    span = (around.view(4, len(candidates))[:, near] != index).float()  # 0 beyond the image's border
    across = _slope(values[0], centre, values[1], span[0] + span[1])
    down = _slope(values[2], centre, values[3], span[2] + span[3])
    gradient = torch.stack([down, across])
    steepness = gradient.norm(dim=0).clamp(min=1e-6)
    return Pieces(index, centre / steepness, gradient / steepness)


def _slope(before: Tensor, centre: Tensor, after: Tensor, span: Tensor) -> Tensor:
    backward, forward = centre - before, after - centre
    behind, ahead = (before > 0) != (centre > 0), (after > 0) != (centre > 0)
    crossing = torch.where(behind & (~ahead | (backward.abs() > forward.abs())), backward, forward)
    return torch.where(behind | ahead, crossing, (after - before) / span.clamp(min=1))


def band_distance(phi: Tensor, pieces: Pieces, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Signed distances, cut to +-REACH, with the signs of phi [H*W]; and the pixels [n] nearer than REACH.

    Every piece offers its distance to all pixels of a disc around it, and the smallest offer counts.
    """
    height, width = size
    dy, dx = _disc(phi.device)
    wide = width + 2 * MARGIN  # the canvas has a margin, so that no disc leaves it
    canvas = torch.full(((height + 2 * MARGIN) * wide,), REACH, device=phi.device)
    y, x = pieces.pixels // width + MARGIN, pieces.pixels % width + MARGIN
    for part in torch.arange(len(y), device=phi.device).split(PIECES_AT_ONCE):
        targets = (dy * wide + dx)[:, None] + (y * wide + x)[part]
        offers = _offers(dy, dx, pieces.distance[part], pieces.normal[:, part])
        canvas.scatter_reduce_(0, targets.flatten(), offers.flatten(), "amin")
    distance = canvas.view(-1, wide)[MARGIN:-MARGIN, MARGIN:-MARGIN].flatten()
    band = (distance < REACH).nonzero()[:, 0]
    distance = torch.where(phi > 0, distance, -distance)
    distance[pieces.pixels] = pieces.distance  # not from neighbouring pieces: the level must not creep
    return distance, band


def _disc(device: torch.device) -> tuple[Tensor, Tensor]:
    """The steps dy [M] and dx [M] to the pixels that the piece of a pixel can have in the band."""
    line = torch.arange(-MARGIN, MARGIN + 1, device=device)
    dy, dx = torch.cartesian_prod(line, line).unbind(dim=1)
    near = dy * dy + dx * dx <= MARGIN * MARGIN
    return dy[near], dx[near]


def _offers(dy: Tensor, dx: Tensor, distance: Tensor, normal: Tensor) -> Tensor:
    """[M,K]: distances between K pieces and the pixels at the steps [M] from their own."""
    across = torch.stack([dy, dx], dim=1).float() @ normal + distance
    along = torch.stack([-dx, dy], dim=1).float() @ normal
    beyond = along.abs_().sub_(HALF_PIECE).clamp_(min=0)
    return across.square_().addcmul_(beyond, beyond).sqrt_()


def _foot_distance(pixels: Tensor, pieces: Pieces, width: int) -> Tensor:
    """Distance [n] of pixels [n] to the nearest foot of a piece's own pixel; good beyond the band."""
    from scipy.spatial import cKDTree

    rows = torch.stack([pieces.pixels // width, pieces.pixels % width])
    feet = rows - pieces.distance * pieces.normal
    wanted = torch.stack([pixels // width, pixels % width])
    distance, _ = cKDTree(feet.T.cpu().numpy()).query(wanted.T.cpu().numpy())
    return torch.from_numpy(distance).to(feet)
