"""The parts of a correction mask, S_2 of P2 = Subrtova et al. 2022, fig. 10, and the words that describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..segments.masks import without_noise

TARGETS = ("photo", "picture")
KEYWORDS = ("fit", "take", *TARGETS)


@dataclass(frozen=True, eq=False)
class CorrectionPart:
    """One part of a correction mask.

    mask: [1,1,H,W] in [0,1]. fit: whether the new picture must agree with the target there; each pixel counts
    as much as the mask says. take: whether the new segment is shown there. target: "photo", or "picture",
    which is what the inversion draws now, its edits included. Raises InvalidInputError for another target or
    shape, and for a mask that is empty or holds anything but numbers in [0,1].
    """

    mask: Tensor = field(repr=False)
    target: str = "photo"
    fit: bool = True
    take: bool = True

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise InvalidInputError(f"a part's target is {self.target!r}; expected {' or '.join(TARGETS)}")
        if self.mask.ndim != 4 or self.mask.shape[:2] != (1, 1):
            raise InvalidInputError(f"a part's mask is {list(self.mask.shape)}; expected [1, 1, H, W]")
        low, high = self.mask.min().item(), self.mask.max().item()
        if not (low >= 0 and 0 < high <= 1 + 1e-6):  # written so that NaN counts too
            raise InvalidInputError(
                f"a part's mask holds {low:g} to {high:g}; expected 0 to 1, with at least one pixel above 0"
            )


def parse_correction_parts(masks: Sequence[Tensor], text: str) -> tuple[CorrectionPart, ...]:
    """A part for each of the masks [1,1,H,W] from one line of words for each, or from one line for all.

    Each line holds "fit", "take" or both, and "photo" or "picture" where it is to fit; "photo" if neither is
    said. Raises InvalidInputError for another number of lines, other words, and a line with neither fit nor take.
    """
    lines = [line.replace(",", " ").lower().split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        lines *= len(masks)
    if len(lines) != len(masks):
        raise InvalidInputError(
            f"{len(lines)} lines describe {len(masks)} parts; write one line for each part, or one for all, such "
            'as "fit take"'
        )
    return tuple(_parsed(mask, words) for mask, words in zip(masks, lines, strict=True))


def connected_component_masks(mask: Tensor) -> list[Tensor]:
    """The connected components > 0 of a mask [1,1,H,W], corners included, as masks of their own; topmost first.

    Noise of its black is no component. An empty mask has none.
    """
    from scipy.ndimage import label

    labels, count = label((without_noise(mask)[0, 0] > 0).cpu().numpy(), structure=np.ones((3, 3)))
    components = torch.from_numpy(labels).to(mask.device)
    return [mask * (components == number) for number in range(1, count + 1)]


def _parsed(mask: Tensor, words: Sequence[str]) -> CorrectionPart:
    given, targets = set(words), [target for target in TARGETS if target in words]
    if not given <= set(KEYWORDS) or not given & {"fit", "take"} or len(targets) > 1:
        raise InvalidInputError(
            f'a part is described as "{" ".join(words)}"; expected fit, take or both, and photo or picture'
        )
    return CorrectionPart(mask, targets[0] if targets else TARGETS[0], "fit" in given, "take" in given)
