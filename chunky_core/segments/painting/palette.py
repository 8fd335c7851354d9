"""The palette of strokes that were painted over a photo, learned from the strokes."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InvalidInputError
from ..label_images import Palette
from .color_unmixing import NOISE, fit_one_layer

MAX_STROKE_COLORS = 16
_FEWEST = 4  # pixels in the middle of a stroke of full color
_FULL = 0.97  # opacity
_SAME = 12  # gray levels; colors nearer to each other are one, seen through the last of a soft edge


def palette_of_strokes(original: Tensor, painted: Tensor) -> Palette:
    """The colors of strokes, the most painted first, named "#rrggbb".

    original, painted: uint8 [H,W,3], RGB, the same photo without and with strokes. A color counts where a stroke
    covers the photo wholly: all of the 3x3 pixels around were painted and have it. Soft edges don't count, nor do
    translucent layers, which differ with the photo or lie on the way from it to another color. Raises InvalidInputError
    where no stroke has a full color and for more than 16 colors, as of an image that isn't the photo with strokes.
    """
    changed = (painted.int() - original.int()).abs().amax(dim=-1) > NOISE
    colors, counts = _flat_colors(painted, changed)
    found: list[Tensor] = []
    for color in colors[counts.argsort(descending=True, stable=True)]:
        if all((color.int() - one.int()).abs().amax() > _SAME for one in found):
            found.append(color)
    places = [changed & (painted == color).all(dim=-1) for color in found]
    translucent = [_is_translucent(original[there], painted[there], found) for there in places]
    found = [color for color, drop in zip(found, translucent, strict=True) if not drop]
    if not found:
        raise InvalidInputError(
            "no stroke shows its full colour, so the palette can't be learnt; paint with full opacity and hardness, "
            "or list the colours in the palette"
        )
    if len(found) > MAX_STROKE_COLORS:
        raise InvalidInputError(
            f"the strokes seem to have {len(found)} colours, expected at most {MAX_STROKE_COLORS}; connect as "
            "original the very picture that was painted on, saved without loss, or list the colours in the palette"
        )
    return Palette(torch.stack(found), tuple("#" + bytes(one.tolist()).hex() for one in found))


def _flat_colors(painted: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
    """Colors [n,3] that fill whole painted neighborhoods of 3x3 pixels, and in how many pixels."""
    planes = torch.cat([painted.permute(2, 0, 1).float(), changed[None].float()])[None]
    high, low = (torch.nn.functional.max_pool2d(sign * planes, 3, 1, 1)[0] for sign in (1, -1))
    flat = (high[:3] == -low[:3]).all(dim=0) & (low[3] == -1)
    colors, counts = painted[flat].unique(dim=0, return_counts=True)
    enough = counts >= _FEWEST
    return colors[enough], counts[enough]


def _is_translucent(below: Tensor, above: Tensor, colors: list[Tensor]) -> bool:
    """Whether pixels [n,3] of one color are what a translucent layer of another one makes of a flat photo."""
    for color in colors:
        opacity, error = fit_one_layer(below.double(), above.double(), color.double())
        if ((error <= NOISE) & (opacity < _FULL)).double().mean() > 0.5:
            return True
    return False
