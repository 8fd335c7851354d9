"""The record of an inversion: a photo, its segments with their codes, and the list of edits on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import InvalidInputError, WrongGeneratorError
from ..generator.generator import Generator
from ..generator.spaces import Direction, LatentCode
from ..segments.segments import Segments


@dataclass(frozen=True, eq=False)
class Edit:
    """Move the codes of some segments by strength x direction; strength is in standard deviations of the
    direction.

    `segments` holds names or group names as `Segments.resolve` takes them ("eyes", "all").
    """

    direction: Direction
    strength: float
    segments: tuple[str, ...] = ("all",)


@dataclass(frozen=True, eq=False)
class Segment:
    """One part of the photo: mask [1,1,H,W] in [0,1], 1 = inside, and the latent code that draws it."""

    name: str
    mask: Tensor
    code: LatentCode


@dataclass(frozen=True, eq=False)
class Inversion:
    """A photo [1,3,H,W] in [-1,1] explained by segments; nothing in it is ever changed, every method makes a
    new one.

    static_mask [1,1,H,W]: where it is 1 the photo itself stays. fingerprint: of the generator that the codes
    belong to. settings: what the projection was asked for, plain values only. losses: one curve per segment,
    one value per step. stopped: None, or why the projection ended early. Raises InvalidInputError where
    masks, names and photo don't fit together.
    """

    photo: Tensor
    segments: tuple[Segment, ...]
    static_mask: Tensor
    fingerprint: str
    edits: tuple[Edit, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    stopped: str | None = None

    def __post_init__(self) -> None:
        masks = self.masks()  # Segments checks names, sizes, signs and sums
        if self.photo.ndim != 4 or self.photo.shape[:2] != (1, 3):
            raise InvalidInputError(
                f"the photo has shape {tuple(self.photo.shape)}; expected [1, 3, height, width]"
            )
        if self.photo.shape[-2:] != masks.static.shape[-2:]:
            raise InvalidInputError(
                f"the photo is {_size(self.photo)}, its masks are {_size(masks.static)}; resize one of them"
            )
        for edit in self.edits:
            masks.resolve(edit.segments)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the segments, in order."""
        return tuple(segment.name for segment in self.segments)

    def masks(self) -> Segments:
        """The masks as a `Segments` record."""
        if not self.segments:
            raise InvalidInputError("the inversion has no segments; it needs at least one")
        masks = torch.cat([segment.mask for segment in self.segments])
        return Segments(names=self.names, masks=masks, static=self.static_mask)

    def with_edits(self, *edits: Edit) -> Inversion:
        """Append edits. Raises InvalidInputError, with the known names, for a segment that isn't here."""
        return replace(self, edits=self.edits + edits)

    def without_edit(self, index: int) -> Inversion:
        """Remove the edit at `index` (0 = first)."""
        if not 0 <= index < len(self.edits):
            raise InvalidInputError(
                f"there is no edit {index}; the inversion has {len(self.edits)}, counted from 0"
            )
        return replace(self, edits=self.edits[:index] + self.edits[index + 1 :])

    def with_edit_order(self, order: Sequence[int]) -> Inversion:
        """Reorder the edits: `order` names each of the present positions once."""
        if sorted(order) != list(range(len(self.edits))):
            raise InvalidInputError(
                f"edit order {list(order)} must name each of the {len(self.edits)} edits once, counted from 0"
            )
        return replace(self, edits=tuple(self.edits[index] for index in order))


def check_generator(inversion: Inversion, generator: Generator) -> None:
    """Raise WrongGeneratorError, which names both fingerprints, unless they are the same."""
    if inversion.fingerprint != generator.fingerprint:
        raise WrongGeneratorError(
            f"this inversion was made with generator {inversion.fingerprint[:12]}, the one given is "
            f"{generator.fingerprint[:12]}; load the generator it was made with, or project the photo again"
        )


def _size(image: Tensor) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"
