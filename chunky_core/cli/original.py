"""The photo that a crop was cut from, and what the crop's edits make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..alignment import AlignedCrop, paste_back
from ..alignment.face_detection import draw_quads
from ..images import from_uint8, save_image, to_uint8

CROP, OUTLINE, PASTED = "crop.png", "outline.png", "edited_photo.png"
NAMES = (CROP, OUTLINE, PASTED)


@dataclass(frozen=True)
class OriginalPhoto:
    """photo: [1,3,H,W] in [-1,1]; crop: its face, in whole gray levels. known: what else is told in the figures.

    made_by: how the segments were made, as the inversion's settings tell it: entries by name.
    """

    photo: Tensor = field(repr=False)
    crop: AlignedCrop
    known: Mapping[str, Any] = field(default_factory=dict)
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def write(self, edited: Tensor, folder: Path, profile: bytes | None) -> dict[str, Any]:
        """Write the photo with the crop as it was edited, the crop, and the photo with its outline; returns figures.

        edited: [1,3,size,size] in [-1,1]. changed_photo_pixels: how many of the photo's 8-bit pixels changed.
        """
        levels = from_uint8(to_uint8(edited).cpu().numpy())  # as it is saved
        pasted = paste_back(self.photo, levels, self.crop)
        save_image(pasted, folder / PASTED, profile)
        save_image(self.crop.image, folder / CROP, profile)
        save_image(draw_quads(self.photo, (self.crop.alignment,)), folder / OUTLINE)
        changed = (to_uint8(pasted) != to_uint8(self.photo)).any(-1)
        quad = [[round(x, 2), round(y, 2)] for x, y in self.crop.alignment.quad]
        return {**self.known, "quad": quad, "changed_photo_pixels": int(changed.sum())}
