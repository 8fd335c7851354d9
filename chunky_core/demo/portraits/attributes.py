"""The names of the attributes, parts and labels, and the record that decodes a person's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

ATTRIBUTES: tuple[str, ...] = (
    "skin", "undertone", "face_width", "jaw", "chin_length", "cheek_fullness", "temple_width",
    "hair_colour", "hair_redness", "hair_length", "hair_volume", "hair_wave", "fringe", "parting",
    "age", "eye_size", "eye_tilt", "eye_colour", "eyelid", "eye_spacing", "iris_size",
    "brow_height", "brow_thickness", "brow_tilt", "brow_arch",
    "nose_width", "nose_length", "nose_bridge",
    "mouth_width", "lip_thickness", "lip_bow", "lip_colour", "eye_makeup", "blush",
    "smile", "mouth_open", "gaze_x", "gaze_y", "yaw", "beard", "glasses", "ear_size",
    "background_hue", "background_lightness", "cloth_hue", "cloth_lightness", "collar", "light",
)  # fmt: skip
INDEX: dict[str, int] = {name: index for index, name in enumerate(ATTRIBUTES)}

# What holds the parts together: every part reads these from the row of "skin".
SHARED_ATTRIBUTES: tuple[str, ...] = (
    "face_width", "jaw", "chin_length", "cheek_fullness", "temple_width", "eye_spacing", "yaw", "light",
)  # fmt: skip

PARTS: tuple[str, ...] = (
    "background", "hair", "skin", "left_brow", "right_brow", "left_eye", "right_eye",
    "nose", "mouth", "ears", "neck", "cloth", "glasses",
)  # fmt: skip
EXTRAS: tuple[str, ...] = ("bindi", "face_mask", "hand", "hat", "jewellery", "odd_glasses")
LABELS: tuple[str, ...] = PARTS + EXTRAS
LABEL: dict[str, int] = {name: index for index, name in enumerate(LABELS)}
PALETTE: Tensor = torch.tensor(
    [
        [40, 40, 60], [120, 70, 30], [240, 200, 170], [90, 200, 90], [40, 140, 60], [80, 120, 255],
        [40, 60, 200],
        [255, 150, 60], [230, 40, 80], [200, 120, 200], [170, 140, 110], [60, 160, 170], [250, 240, 60],
        [160, 0, 30], [150, 220, 240], [250, 170, 140], [130, 30, 60], [220, 190, 90], [255, 60, 30],
    ],
    dtype=torch.uint8,
)  # fmt: skip


@dataclass(frozen=True)
class Traits:
    """The attributes of one part as fractions [B,K]: the normal distribution's CDF, 0..1."""

    fractions: Tensor

    def between(self, name: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """[B,1,1]: `low` for the smallest fraction, `high` for the largest."""
        return (low + (high - low) * self.fractions[:, INDEX[name]]).view(-1, 1, 1)


def fractions_of(u: Tensor) -> Tensor:
    """Standard normal numbers to fractions in (0, 1)."""
    return 0.5 * torch.erfc(u * -(0.5**0.5))


def traits_by_part(fractions: Tensor) -> Mapping[str, Traits]:
    """Fractions [B,K], or [B,P,K] with one row for each of PARTS, to the traits of every part."""
    if fractions.dim() == 2:
        whole = Traits(fractions)
        return {part: whole for part in PARTS}
    rows = fractions.clone()
    shared = [INDEX[name] for name in SHARED_ATTRIBUTES]
    rows[:, :, shared] = fractions[:, LABEL["skin"], shared][:, None]
    return {part: Traits(rows[:, index]) for index, part in enumerate(PARTS)}
