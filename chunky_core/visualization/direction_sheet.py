"""What directions do, as a contact sheet: a row for each direction, a column for each strength."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..callbacks import Callback
from ..checks import check_callback, check_type, checked_list
from ..compositing.render import render
from ..editing.discovery.viewing import pictures_at_once, viewing_resolution
from ..editing.edits import checked_strength, edited_code
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import SPACES, Direction, LatentCode, convert, synthesis_input
from ..inversion import Edit, Inversion
from .sheets import contact_sheet

STRENGTHS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
CELL = 192  # pixels of a picture's longer side


def direction_sheet(
    generator: Generator,
    directions: Sequence[Direction],
    shown_on: LatentCode | Inversion,
    strengths: Sequence[float] = STRENGTHS,
    *,
    labels: Sequence[str] = (),
    cell: int = CELL,
    callback: Callback | None = None,
) -> Tensor:
    """Pictures [1,3,H,W] in [-1,1] of a code, or of all segments of an inversion, moved along each direction.

    shown_on: one code [1,...] in any space, or an inversion, whose own edits stay. strengths: of the columns. labels:
    of the rows; () = the names of the directions. cell: longer side of a picture in pixels, which is not enlarged.
    callback(done, pictures, newest) after each row. Raises InvalidInputError where there is nothing to draw, and for a
    direction or code of another generator.
    """
    directions = checked_list(directions, "the directions", Direction, "give a list, also of one")
    strengths = checked_list(strengths, "the strengths", object)
    for strength in strengths:
        checked_strength(strength)
    check_type(shown_on, "what they are shown on", LatentCode | Inversion)
    if isinstance(shown_on, LatentCode) and len(shown_on.tensor) != 1:
        raise InvalidInputError(f"{len(shown_on.tensor)} codes were given; directions are shown on one")
    check_callback(callback)
    if not directions or not strengths:
        raise InvalidInputError(
            f"{len(directions)} directions and {len(strengths)} strengths were given; expected at least one of each"
        )
    panels: list[tuple[str, Tensor]] = []
    titles = labels or [direction.name for direction in directions]
    for direction, title in zip(directions, titles, strict=True):
        row = _smaller(_row(generator, direction, shown_on, strengths), cell)
        captions = [f"{title}: {strength:+g}" if strength else title for strength in strengths]
        panels += zip(captions, row.split(1), strict=True)
        if callback is not None:
            callback(len(panels), len(directions) * len(strengths), row[-1:])
    return contact_sheet(panels, columns=len(strengths))


def _row(
    generator: Generator, direction: Direction, shown_on: LatentCode | Inversion, strengths: Sequence[float]
) -> Tensor:
    """[len(strengths),3,h,w] on the CPU."""
    edits = [Edit(direction, strength) for strength in strengths]
    with torch.no_grad():
        if isinstance(shown_on, Inversion):
            return torch.cat([render(generator, shown_on.with_edits(edit)).cpu() for edit in edits])
        start = LatentCode(shown_on.space, shown_on.tensor.to(generator.device))
        codes = [edited_code(generator, start, [edit]) for edit in edits]
        space = max(*(code.space for code in codes), "w+", key=SPACES.index)
        moved = torch.cat([convert(generator, code, space).tensor for code in codes])
        resolution = viewing_resolution(generator)
        inputs = [
            synthesis_input(generator, LatentCode(space, part))
            for part in moved.split(pictures_at_once(generator, resolution))
        ]
        return torch.cat(
            [generator.synthesis(one, out_resolution=resolution).float().cpu() for one in inputs]
        )


def _smaller(pictures: Tensor, cell: int) -> Tensor:
    height, width = pictures.shape[-2:]
    scale = cell / max(height, width)
    if scale >= 1:
        return pictures.clamp(-1, 1)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    return functional.interpolate(pictures, size, mode="bilinear", antialias=True).clamp(-1, 1)
