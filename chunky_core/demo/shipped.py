"""The six demo photos that the project ships as files, with their label maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..errors import InvalidInputError
from ..images import load_image, read_label_map
from .portraits import LABELS

PHOTOS = Path(__file__).parent / "assets" / "photos"
# arguments of `demo_photo` that draw them: seed, extras; the generator can draw none of them exactly
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
