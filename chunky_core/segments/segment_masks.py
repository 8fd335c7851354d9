"""Segments of a photo: named soft masks that add up to one together with a static rest."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..wording import in_pixels
from .incoming import check_values
from .names import check_name, resolve_names, resolve_one


@dataclass(frozen=True, eq=False, repr=False)
class SegmentMasks:
    """The division of a photo (P2 = Subrtova et al. 2022, equation 3).

    names: N different names.
    masks: [N,1,H,W] in [0,1], S_i, already multiplied by 1 - S^X; no mask is empty.
    static: [1,1,H,W] in [0,1], S^X, where the photo itself stays.
    All weights add up to one at every pixel within 1e-6. `masks["mouth"]` is one of them, [1,1,H,W]; `len`, `in` and
    iteration are over the names.
    Raises InvalidInputError, naming the mask, if they are not so, and for a name that is no valid Unicode.
    """

    names: tuple[str, ...]
    masks: Tensor
    static: Tensor

    def __post_init__(self) -> None:
        _check_shapes(self.names, self.masks, self.static)
        for name in self.names:
            check_name(name)
        total = self.static[0].to(torch.float64, copy=True)
        check_values("static", self.static)
        for name, mask in zip(self.names, self.masks, strict=True):
            check_values(name, mask)
            if not mask.any():
                raise InvalidInputError(
                    f"the mask of {name!r} is empty; expected at least one pixel above 0, or leave it out"
                )
            total += mask
        worst = (total - 1).abs().max().item()
        if worst > 1e-6:
            raise InvalidInputError(
                f"the masks and the static mask add up to 1 only within {worst:.2g}, expected 1e-6; build "
                "them with segments_from_masks"
            )

    def __repr__(self) -> str:
        count, (height, width) = len(self), self.size
        segments = f"{count} segment{'s' * (count != 1)}"
        return f"{type(self).__name__}({segments}, static {self.static.mean().item():.0%}, {width}x{height})"

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> Tensor:
        """The mask [1,1,H,W] of the one segment that `name` means. Raises InvalidInputError for none and several."""
        index = self.names.index(resolve_one(name, self.names))
        return self.masks[index : index + 1]

    def __call__(self) -> SegmentMasks:
        """Itself, for what was written when an inversion's masks were a method."""
        message = (
            "an inversion's masks are a property now; write .masks without (), which goes with version 0.3"
        )
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.static.shape[-2:]
        return height, width

    def planes(self) -> dict[str, Tensor]:
        """Name -> mask [H,W], views of `masks`."""
        return dict(zip(self.names, self.masks[:, 0], strict=True))

    def resolve(self, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """The segments that `wanted` means, each once, in its order: names in any case, plurals such as "eyes", or
        "all" (see `resolve_names`). Raises InvalidInputError for an entry that is unknown or ambiguous.
        """
        return resolve_names(wanted, self.names)

    def check_photo(self, photo: Tensor) -> None:
        """Raise InvalidInputError for a photo [...,H,W] of another size."""
        if photo.shape[-2:] != self.static.shape[-2:]:
            raise InvalidInputError(
                f"the photo is {in_pixels(photo)}, the segments are for {in_pixels(self.static)}; use the photo that "
                "they were made for (after Align Face, if that cut it out)"
            )


def single_segment(size: tuple[int, int], device: torch.device | str = "cpu") -> SegmentMasks:
    """One segment "all" that covers a photo of (height, width) pixels: a projection by it is a global one."""
    mask = torch.ones(1, 1, *size, device=device)
    return SegmentMasks(("all",), mask, torch.zeros_like(mask))


def _check_shapes(names: tuple[str, ...], masks: Tensor, static: Tensor) -> None:
    if masks.ndim != 4 or masks.shape[1] != 1 or static.shape != (1, 1, *masks.shape[2:]):
        raise InvalidInputError(
            f"masks are {list(masks.shape)} and the static mask {list(static.shape)}; expected [N,1,H,W] and "
            "[1,1,H,W] of one size"
        )
    if not names or len(set(names)) != len(names) or len(names) != len(masks):
        raise InvalidInputError(
            f"{len(masks)} masks have the names {list(names)}; expected a different one for each"
        )
