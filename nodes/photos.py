"""Photos that inversions were saved without and their way back in, and photos of which little changes."""

from __future__ import annotations

import comfy.model_management as memory
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


def into_photo(photo: Tensor, changed: Tensor) -> Tensor:
    """What the core made of photos, as IMAGE, with the host's own numbers wherever nothing changed.

    photo: host IMAGE [1 or B,H,W,C >= 3]; changed: [B,3,H,W] in [-1,1]. Channels beyond three (transparency) are
    always the photo's; so are numbers beyond 0..1 and levels finer than 8 bits where the colours didn't change.
    """
    result = photo.detach().clone().float().repeat(len(changed) // len(photo), 1, 1, 1)
    core = torch.cat(each_photo(photo)).expand_as(changed)
    moved = (changed != core).any(1)[..., None].to(result.device)
    result[..., :3] = torch.where(moved, to_host(changed).to(result.device), result[..., :3])
    return result.to(memory.intermediate_device())
