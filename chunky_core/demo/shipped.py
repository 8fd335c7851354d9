"""The six demo photos that the project ships as files, with their label maps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..images import load_image, read_label_map, save_image, save_label_map
from ..saving import save_bytes
from .photos import demo_photo
from .portraits import LABELS

PHOTOS = Path(__file__).parent / "assets" / "photos"
# seed of the person, extras; none of them can be made by the generator
RECIPES: tuple[tuple[int, tuple[str, ...]], ...] = (
    (7, ()),
    (15, ("jewellery",)),
    (24, ("bindi",)),
    (3, ("hand",)),
    (25, ("hat",)),
    (20, ("odd_glasses",)),
)
LABEL_NAMES: dict[int, str] = dict(enumerate(LABELS))


@dataclass(frozen=True)
class ShippedPhoto:
    """image: [1,3,256,256] in [-1,1]; labels: [256,256] integers, named by LABEL_NAMES."""

    image: Tensor
    labels: Tensor


def load_shipped_photo(number: int) -> ShippedPhoto:
    """Photo `number`, 1 to 6. Raises InvalidInputError for another number."""
    if not 1 <= number <= len(RECIPES):
        raise InvalidInputError(f"there is no demo photo {number}; choose 1 to {len(RECIPES)}")
    return ShippedPhoto(load_image(PHOTOS / f"{number}.png"), read_label_map(PHOTOS / f"{number}_labels.png"))


def write_shipped_photos(folder: Path = PHOTOS) -> None:
    """Paint the six photos anew into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (seed, extras) in enumerate(RECIPES, 1):
        photo = demo_photo(seed, extras=extras)
        save_image(photo.image, folder / f"{number}.png")
        save_label_map(photo.labels.to(torch.uint8), folder / f"{number}_labels.png")
        names = {str(label): LABEL_NAMES[label] for label in photo.labels.unique().tolist()}
        save_bytes(folder / f"{number}_labels.json", (json.dumps(names, indent=1) + "\n").encode())
