"""Layers as people write them: "0-7, 10", "4-", "medium"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import InvalidInputError

# What StyleGAN's authors call coarse, middle and fine styles (Karras et al. 2019, fig. 3), by the vectors of W+ of any
# resolution: those up to 8, 32 and more pixels; StyleCLIP's mappers split W+ the same way
NAMED = {"coarse": "0-3", "medium": "4-7", "fine": "8-"}
MOST_LAYERS = 1 << 12  # more than any generator has
_RANGE = re.compile(r"(\d{1,4})(?:\s*-\s*(\d{1,4})?)?")
_HOW = "write numbers and ranges from 0, such as '0-7, 10', '8-', or coarse, medium, fine"


def parse_layers(text: str, count: int, whose: str = "the layers") -> tuple[int, ...]:
    """Numbers of layers in ascending order, each once; () for an empty text and "all".

    count: how many there are; "8-" goes up to the last. Both ends of a range count. Raises InvalidInputError for what
    can't be read, for a range that runs backwards and for layers that aren't there.
    """
    text = text.strip().lower()
    if text in ("", "all"):
        return ()
    layers: set[int] = set()
    for part in text.split(","):
        layers |= set(_range(NAMED.get(part.strip(), part.strip()), count, whose, text))
    return tuple(sorted(layers))


def layers_text(layers: Iterable[int]) -> str:
    """As `parse_layers` reads it: runs of numbers as ranges; "all" for none."""
    runs: list[list[int]] = []
    for layer in sorted(set(layers)):
        if runs and layer == runs[-1][1] + 1:
            runs[-1][1] = layer
        else:
            runs.append([layer, layer])
    return ", ".join(f"{low}-{high}" if high > low else str(low) for low, high in runs) or "all"


def _range(part: str, count: int, whose: str, text: str) -> range:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise InvalidInputError(f"{whose} are {text[:60]!r}; {_HOW}")
    low = int(match[1])
    high = low if "-" not in part else count - 1 if match[2] is None else int(match[2])
    if not low <= high < count:
        raise InvalidInputError(f"{whose} are {text[:60]!r}; there are 0 to {count - 1}, the lower one first")
    return range(low, high + 1)
