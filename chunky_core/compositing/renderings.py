"""What a generator drew of segments, kept so that after a change of edits no more is drawn than has to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..boxes import Box
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.partial_synthesis import PartialSynthesis, common_layers
from ..inversion import Edit, Inversion, SegmentCode
from ..inversion.tuning import segment_generators
from .segment_drawing import edited_input, own_noise

MAX_BYTES = 256 << 20
_DRAWN = 2  # renderings of a box: mostly the unedited one and that with the last edits
_BOXES = 2  # of a segment: with a composite's margin, and without


class Renderings:
    """Draws segments by one generator, and keeps for each of them the last renderings, the last one with the photo's
    detail, and the features below the first layer in which the last renderings differ.

    What it gives is what drawing anew would give, number for number. It belongs to the segments' records and goes with
    them; beyond max_bytes in all, the segments that weren't drawn for longest are let go. Photos, masks and codes are
    told apart as objects: of one that was written into in place what was made before would be given again, so make a
    new record with a new tensor. For one thread at a time.
    """

    def __init__(self, generator: Generator, max_bytes: int = MAX_BYTES) -> None:
        self.generator, self.max_bytes = generator, max_bytes
        self._segments: WeakKeyDictionary[SegmentCode, _KeptSegment] = WeakKeyDictionary()
        self._tuned: WeakKeyDictionary[SegmentCode, _TunedGenerator] = WeakKeyDictionary()

    @property
    def num_bytes(self) -> int:
        """Of what is kept, in memory; without the weights of tuned segments, which are those of one inversion."""
        return sum(kept.num_bytes for kept in self._segments.values())

    @torch.no_grad()
    def draw(self, inversion: Inversion, segment: SegmentCode, edits: Sequence[Edit], box: Box) -> Tensor:
        """The pixels `box` of a segment's rendering with edits, [1,3,h,w] on the photo's device, to be read only.

        Raises what `draw_segment` raises.
        """
        own = self._generator_of(inversion, segment)
        given = edited_input(own, segment, edits)
        styles = own.styles(given) if isinstance(given, Tensor) else given
        like = inversion.static_mask if inversion.photo is None else inversion.photo
        at_box = self._kept(inversion, segment).at(box)
        image = at_box.draw(own, box, styles, own_noise(own, inversion), like)
        self._let_go(segment)
        return image

    def detailed(self, segment: SegmentCode, given: Sequence[Any], make: Callable[[], Tensor]) -> Tensor:
        """What `make` makes of a segment's renderings and other things given; of the very same ones, what it made."""
        kept = self._segments.get(segment)
        if kept is None:  # too large to be kept
            return make()
        if kept.detailed is None or not kept.detailed.is_of(given):
            kept.detailed = _Made(tuple(given), make())
        self._let_go(segment)
        return kept.detailed.image

    def release(self) -> None:
        """Let go of what lies on the generator's device: features, and the weights of tuned segments."""
        self._tuned.clear()
        for kept in self._segments.values():
            kept.release()

    def _generator_of(self, inversion: Inversion, segment: SegmentCode) -> Generator:
        """`segment_generator`, made once for all that is drawn of an inversion."""
        if not (inversion.delta or segment.delta):
            return self.generator
        known = self._tuned.get(segment)
        if known is None or known.delta is not inversion.delta:
            made = zip(inversion.segments, segment_generators(self.generator, inversion), strict=True)
            self._tuned = WeakKeyDictionary(
                {one: _TunedGenerator(inversion.delta, generator) for one, generator in made}
            )
        return self._tuned[segment].generator

    def _kept(self, inversion: Inversion, segment: SegmentCode) -> _KeptSegment:
        """What is kept of a segment, as the one drawn last; nothing yet where noise or weights are others."""
        kept = self._segments.pop(segment, None)
        if kept is None or kept.delta is not inversion.delta or kept.noise is not inversion.noise:
            kept = _KeptSegment(inversion.delta, inversion.noise)
        self._segments[segment] = kept
        return kept

    def _let_go(self, drawn: SegmentCode) -> None:
        for segment in list(self._segments):  # the one that was just drawn comes last
            if self.num_bytes <= self.max_bytes:
                return
            if segment is drawn:
                self._segments[segment].release()
            else:
                del self._segments[segment]


@dataclass(frozen=True)
class _TunedGenerator:
    delta: Any
    generator: Generator


@dataclass(frozen=True)
class _Made:
    given: tuple[Any, ...]
    image: Tensor

    def is_of(self, given: Sequence[Any]) -> bool:
        return len(self.given) == len(given) and all(
            one is other for one, other in zip(self.given, given, strict=True)
        )


@dataclass
class _KeptBox:
    """drawn: styles and renderings of a box, the last one last. start: from where the last one was drawn."""

    drawn: list[tuple[Sequence[Tensor], Tensor]] = field(default_factory=list)
    start: PartialSynthesis | None = None

    @property
    def num_bytes(self) -> int:
        features = 0 if self.start is None else self.start.num_bytes
        return features + sum(_bytes(image) for _, image in self.drawn)

    def draw(
        self, own: Generator, box: Box, styles: Sequence[Tensor], noise: Sequence[Tensor] | None, like: Tensor
    ) -> Tensor:
        """The rendering of these styles: a known one, or one drawn from the first layer that differs."""
        shared = [common_layers(known, styles) for known, _ in self.drawn]
        if len(styles) in shared:
            found = self.drawn.pop(shared.index(len(styles)))
        else:
            found = styles, self._drawn_anew(own, box, styles, noise, max(shared, default=0)).to(like)
        self.drawn = [*self.drawn[1 - _DRAWN :], found]
        return found[1]

    def _drawn_anew(
        self, own: Generator, box: Box, styles: Sequence[Tensor], noise: Sequence[Tensor] | None, shared: int
    ) -> Tensor:
        start = self.start if self.start is not None and self.start.fits(styles) else None
        if shared > (0 if start is None else start.layer):
            start = own.partial_synthesis(styles, shared, box, noise, start=start)
        self.start = start
        return own.synthesis(styles, box, noise=noise, start=start)


@dataclass
class _KeptSegment:
    """delta, noise: of the inversion, with which it was drawn."""

    delta: Any
    noise: tuple[Tensor, ...]
    boxes: dict[Box, _KeptBox] = field(default_factory=dict)
    detailed: _Made | None = None

    @property
    def num_bytes(self) -> int:
        made = 0 if self.detailed is None else _bytes(self.detailed.image)
        return made + sum(kept.num_bytes for kept in self.boxes.values())

    def at(self, box: Box) -> _KeptBox:
        """What is kept of a box, as the one drawn last."""
        kept = self.boxes.pop(box, None) or _KeptBox()
        self.boxes = {**dict(list(self.boxes.items())[1 - _BOXES :]), box: kept}
        return kept

    def release(self) -> None:
        for kept in self.boxes.values():
            kept.start = None


def renderings_of(generator: Generator, kept: Renderings | None) -> Renderings:
    """`kept`, or new ones. Raises InvalidInputError where they are another generator's."""
    if kept is not None and kept.generator is not generator:
        raise InvalidInputError(
            f"the renderings kept are those of {kept.generator!r}, drawn is by {generator!r}; make Renderings of the "
            "generator that draws"
        )
    return Renderings(generator) if kept is None else kept


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
