"""The labels that Train Mask Generator is given, whatever they come as: one class for each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ..chunky_core.errors import InvalidInputError
from ..chunky_core.segments.label_names import split_names
from ..chunky_core.segments.mask_generator.examples import labels_by_place
from ..chunky_core.wording import counted
from .host import mask_to_core
from .types import LabelMap, SegmentsBatch

BACKGROUND = "background"
Labels: TypeAlias = LabelMap | SegmentsBatch | Tensor  # the last a host MASK


@dataclass(frozen=True, eq=False)
class NamedClasses:
    """labels: int64 [N,H,W], places in `names`, -1 where nothing is known."""

    labels: Tensor
    names: tuple[str, ...]


def named_classes(
    labels: Labels, names: str, pictures: int, known: tuple[str, ...] | None = None
) -> NamedClasses:
    """The classes of each picture. known: the names to keep to, None: those that occur.

    Raises InvalidInputError for labels of another number of pictures, and names that don't fit.
    """
    if isinstance(labels, LabelMap):
        maps, found = labels.labels.long(), dict(labels.names)
    elif isinstance(labels, Tensor):
        maps, found = _of_masks(labels, split_names(names), pictures)
    else:
        maps, found = _of_segments(labels)
    if len(maps) != pictures:
        raise InvalidInputError(
            f"labels of {counted(len(maps), 'picture')} for {counted(pictures, 'code')}; give one for each, in the "
            "same order"
        )
    (placed,), wanted = labels_by_place([(maps, found)], known)
    return NamedClasses(placed, wanted)


def _of_masks(masks: Tensor, names: list[str], pictures: int) -> tuple[Tensor, dict[int, str]]:
    """Picture by picture, and within one in the order of names; what is covered less than half is background."""
    planes = mask_to_core(masks)[:, 0]
    if not names or len(planes) != len(names) * pictures:
        raise InvalidInputError(
            f"{counted(len(planes), 'mask')} for {counted(pictures, 'code')} and {counted(len(names), 'name')}; give "
            "as many masks for each code as there are names, picture by picture"
        )
    by_picture = planes.unflatten(0, (pictures, len(names)))
    strongest, places = by_picture.max(dim=1)
    found = dict(enumerate(names))
    own = next((place for place, name in found.items() if name == BACKGROUND), len(names))
    return torch.where(strongest < 0.5, own, places), found | {own: BACKGROUND}


def _of_segments(batch: SegmentsBatch) -> tuple[Tensor, dict[int, str]]:
    """The strongest segment of each pixel; the static rest is background."""
    names = tuple(dict.fromkeys([name for one in batch for name in one.names] + [BACKGROUND]))
    maps = []
    for one in batch:
        weights = torch.cat([one.static[:, 0], one.masks[:, 0]])
        own = torch.tensor([names.index(name) for name in (BACKGROUND, *one.names)])
        maps.append(own[weights.argmax(dim=0).cpu()])
    return torch.stack(maps), dict(enumerate(names))
