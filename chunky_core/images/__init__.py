"""Photos, masks and label maps between files, 8-bit arrays and tensors."""

from __future__ import annotations

from ..deprecated import old_modules, old_names
from .image_files import is_image_file, open_image
from .label_maps import Color, read_label_colors, read_label_map, save_label_map
from .levels import from_uint8, to_uint8
from .mask_files import read_mask
from .mixtures import mixture_problem
from .photos import color_profile, load_image, profile_space, save_image
from .same_photo import is_same_photo

__all__ = [
    "Color",
    "color_profile",
    "from_uint8",
    "is_image_file",
    "is_same_photo",
    "load_image",
    "mixture_problem",
    "open_image",
    "profile_space",
    "read_label_colors",
    "read_label_map",
    "read_mask",
    "save_image",
    "save_label_map",
    "to_uint8",
]
__path__.append(old_modules("images"))
__getattr__ = old_names(__name__)
