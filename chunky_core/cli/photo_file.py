"""What of a photo's file the pictures can't keep, said on stderr."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ..images import color_profile, profile_space
from ..images.image_files import ImageFile

BYTE = 255  # the largest number of 8 bits


def rgb_profile(photo: Path) -> bytes | None:
    """The photo's ICC profile, if it is one of RGB; says so where it is dropped, as the pixels were converted."""
    profile = color_profile(photo)
    if profile and profile_space(profile) != "RGB":
        space = profile_space(profile)
        print(
            f"the colour profile of {photo} is for {space}, the pictures are RGB without one", file=sys.stderr
        )
        return None
    return profile


def note_dropped(photo: ImageFile) -> None:
    """Say what the pictures will lack of a photo: more than 8 bits, transparency. Raises InvalidInputError where the
    photo is damaged.
    """
    if photo.max_sample > BYTE:
        print(
            f"{photo.path} has more than 8 bits per channel, the pictures are written with 8", file=sys.stderr
        )
    if photo.has_alpha and np.array(photo.decoded().convert("RGBA").getchannel("A")).min() < BYTE:
        print(
            f"{photo.path} is transparent in places: the colours that are stored there count, and the pictures are "
            "written without transparency",
            file=sys.stderr,
        )
