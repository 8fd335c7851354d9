"""The palette of strokes that were painted over a photo, learnt from the strokes."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InvalidInputError
from ..label_images import Palette
from .color_unmixing import NOISE, one_coat

MOST_STROKE_COLOURS = 16
_FEWEST = 4  # pixels in the middle of a stroke of full colour
_FULL = 0.97  # opacity
_SAME = 12  # grey levels; colours nearer to each other are one, seen through the last of a soft edge


def palette_of_strokes(original: Tensor, painted: Tensor) -> Palette:
    """The colours of strokes, the most painted first, named "#rrggbb".

    original, painted: uint8 [H,W,3], RGB, the same photo without and with strokes. A colour counts where a stroke
    covers the photo wholly: all of the 3x3 pixels around were painted and have it. Soft edges don't count, nor do thin
    coats, which differ with the photo or lie on the way from it to another colour. Raises InvalidInputError where no
    stroke has a full colour and for more than 16 colours, as of a picture that isn't the photo with strokes.
    """
    changed = (painted.int() - original.int()).abs().amax(dim=-1) > NOISE
    colours, counts = _flat_colours(painted, changed)
    found: list[Tensor] = []
    for colour in colours[counts.argsort(descending=True, stable=True)]:
        if all((colour.int() - one.int()).abs().amax() > _SAME for one in found):
            found.append(colour)
    places = [changed & (painted == colour).all(dim=-1) for colour in found]
    thin = [_is_thin_coat(original[there], painted[there], found) for there in places]
    found = [colour for colour, is_thin in zip(found, thin, strict=True) if not is_thin]
    if not found:
        raise InvalidInputError(
            "no stroke shows its full colour, so the palette can't be learnt; paint with full opacity and hardness, "
            "or list the colours in the palette"
        )
    if len(found) > MOST_STROKE_COLOURS:
        raise InvalidInputError(
            f"the strokes seem to have {len(found)} colours, expected at most {MOST_STROKE_COLOURS}; connect as "
            "original the very picture that was painted on, saved without loss, or list the colours in the palette"
        )
    return Palette(torch.stack(found), tuple("#" + bytes(one.tolist()).hex() for one in found))


def _flat_colours(painted: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
    """Colours [n,3] that fill whole painted neighbourhoods of 3x3 pixels, and in how many pixels."""
    planes = torch.cat([painted.permute(2, 0, 1).float(), changed[None].float()])[None]
    high, low = (torch.nn.functional.max_pool2d(sign * planes, 3, 1, 1)[0] for sign in (1, -1))
    flat = (high[:3] == -low[:3]).all(dim=0) & (low[3] == -1)
    colours, counts = painted[flat].unique(dim=0, return_counts=True)
    enough = counts >= _FEWEST
    return colours[enough], counts[enough]


def _is_thin_coat(below: Tensor, above: Tensor, colours: list[Tensor]) -> bool:
    """Whether pixels [n,3] of one colour are what a thin coat of another one makes of a flat photo."""
    for colour in colours:
        opacity, error = one_coat(below.double(), above.double(), colour.double())
        if ((error <= NOISE) & (opacity < _FULL)).double().mean() > 0.5:
            return True
    return False
