"""The segments of an inversion: each a mask with the latent code that draws it."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping, Sequence
from dataclasses import dataclass, field
from typing import SupportsIndex, overload

from torch import Tensor

from ..generator.spaces import LatentCode
from ..segments.names import resolve_names, resolve_one


@dataclass(frozen=True, eq=False)
class SegmentCode:
    """One part of the photo: mask [1,1,H,W] in [0,1], 1 = inside, and the latent code that draws it.

    delta: what pivotal tuning adds to the generator's weights for this segment alone, by parameter name (see
    `generator.weight_deltas`), on top of `Inversion.delta`; empty = nothing. redrawn: a composite shows it without any
    edit, too, because it was filled or its boundary was refined after the projection.
    """

    name: str
    mask: Tensor
    code: LatentCode
    delta: Mapping[str, Tensor] = field(default_factory=dict)
    redrawn: bool = False

    def __repr__(self) -> str:
        height, width = self.mask.shape[-2:]
        more = "".join([", tuned" * bool(self.delta), ", redrawn" * self.redrawn])
        return f"SegmentCode({self.name!r}, {self.code.space}, {self.mask.mean().item():.1%} of {width}x{height}{more})"


class SegmentCodes(tuple[SegmentCode, ...]):
    """The segments in order, as a tuple, and by name: `segments[0]`, `segments["mouth"]`, `segments.items()`."""

    __slots__ = ()

    @overload
    def __getitem__(self, key: SupportsIndex | str) -> SegmentCode: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[SegmentCode, ...]: ...
    def __getitem__(self, key: SupportsIndex | slice | str) -> SegmentCode | tuple[SegmentCode, ...]:
        """By position, slice, or the name that means exactly one (see `resolve_names`). Raises InvalidInputError, with
        the known names, for another name.
        """
        if not isinstance(key, str):
            return super().__getitem__(key)
        names = self.names
        return super().__getitem__(names.index(resolve_one(key, names)))

    def __contains__(self, one: object) -> bool:
        """Whether it is one of the segments, or the name of one."""
        return one in self.names if isinstance(one, str) else super().__contains__(one)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(segment.name for segment in self)

    def resolve(self, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """The segments that `wanted` means, as `SegmentMasks.resolve`."""
        return resolve_names(wanted, self.names)

    def keys(self) -> tuple[str, ...]:
        """The names, so that `dict(segments)` works."""
        return self.names

    def items(self) -> ItemsView[str, SegmentCode]:
        """Name and segment of each, in order."""
        return {segment.name: segment for segment in self}.items()
