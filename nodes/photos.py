"""Photos that inversions were saved without, and their way back in."""

from __future__ import annotations

import torch
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from .host import each_photo, per_photo, plain_tensors, to_host
from .types import InversionBatch

PHOTO_TIP = "The photo that was inverted; needed only where the inversion was saved without it."
ABSENT = "the inversion was saved without its photo; connect the photo to the photo input of Load Inversion"


def with_photos(inversions: InversionBatch, photo: Tensor | None) -> InversionBatch:
    """The inversions with their photos (host IMAGE) put back; None leaves them as they are.

    Raises InvalidInputError for another photo than the one inverted.
    """
    if photo is None:
        return inversions
    with plain_tensors():
        photos = per_photo(tuple(each_photo(photo)), len(inversions), "photos")
        return tuple(record.with_photo(one) for record, one in zip(inversions, photos, strict=True))


def photos_of(inversions: InversionBatch) -> Tensor | ExecutionBlocker:
    """The photos as host IMAGE; where one is absent, what keeps nodes connected to them from running."""
    photos = [record.photo for record in inversions if record.photo is not None]
    if len(photos) < len(inversions):
        return ExecutionBlocker(ABSENT)
    with plain_tensors():
        return to_host(torch.cat(photos))
