"""Composites of inversions that differ in their edits, such as a strip of strengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..callbacks import Callback
from ..generator.generator import Generator
from ..inversion import Inversion
from .composite import composite
from .renderings import Renderings, renderings_of


def composite_series(
    generator: Generator,
    inversions: Sequence[Inversion],
    *,
    kept: Renderings | None = None,
    callback: Callback | None = None,
    **options: Any,
) -> Tensor:
    """The `composite` of each, [N,3,H,W] on the photo's device; what they share is drawn once.

    inversions: at least one, such as `strength_series` makes; in an order in which neighbors are most alike. callback:
    called with the number of pictures done, of all, and the last one. options: of `composite`.
    """
    kept, pictures = renderings_of(generator, kept), []
    for index, inversion in enumerate(inversions, 1):
        pictures.append(composite(generator, inversion, kept=kept, **options))
        if callback is not None:
            callback(index, len(inversions), pictures[-1])
    return torch.cat(pictures)
