"""A harmonization under way, as data: what is drawn, what moves, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..boxes import crop
from ..editing.edits import applicable_edits, edited_code
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import LatentCode, convert
from ..inversion.loss_regions import synthesis_tiles
from ..inversion.record import Inversion
from ..inversion.segment_synthesis import SegmentSynthesizer
from ..inversion.tuning import segment_generators
from ..segments.blend import blend
from .agreement import Agreement


@dataclass(frozen=True)
class HarmonyConfig:
    """See `harmonize`."""

    num_steps: int
    hold: float
    width: float


@dataclass(frozen=True, eq=False)
class Drawer:
    """Segments (their numbers) that one generator draws, each its crop."""

    which: tuple[int, ...]
    synthesizer: SegmentSynthesizer

    def draw(self, codes: Sequence[LatentCode], noise: Sequence[Tensor]) -> dict[int, Tensor]:
        """The crops [1,3,h,w] by their segments' numbers, without gradients; codes: of all segments."""
        crops = self.synthesizer.synthesize_all([codes[index] for index in self.which], noise)
        return dict(zip(self.which, crops, strict=True))

    def draw_in_turn(
        self, codes: Sequence[LatentCode], noise: Sequence[Tensor]
    ) -> Iterator[dict[int, Tensor]]:
        """The same with gradients, as many at a time as one graph holds together."""
        own = [codes[index] for index in self.which]
        for group in self.synthesizer.groups:
            made = self.synthesizer.synthesize(group, own, noise)
            yield {self.which[place]: one for place, one in zip(group.segments, made, strict=True)}


@dataclass(eq=False)
class Harmonization:
    """part: the segments that are replaced, the others in its static part; photo: what shows there; codes: the edited
    ones; offsets: what is added to the codes of those that move, by number; residuals: what makes a segment's picture
    of its rendering; best: the offsets of the least loss so far.
    """

    config: HarmonyConfig
    part: Inversion
    photo: Tensor
    drawers: tuple[Drawer, ...]
    codes: list[LatentCode]
    noise: tuple[Tensor, ...]
    offsets: dict[int, Tensor]
    residuals: list[Tensor]
    agreement: Agreement
    step: int = 0
    stopped: str = ""
    least: float = float("inf")
    best: dict[int, Tensor] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether no step will follow."""
        return self.step >= self.config.num_steps or bool(self.stopped)

    def receive_gradients(self) -> float:
        """Draw what moves and give the offsets their gradients -> the loss. One graph is held at a time."""
        mean, total = self.agreement.mean(), 0.0
        moved = [
            LatentCode(code.space, code.tensor + self.offsets[index]) if index in self.offsets else code
            for index, code in enumerate(self.codes)
        ]
        for drawer in self.drawers:
            for made in drawer.draw_in_turn(moved, self.noise):
                pictures = {index: one + self.residuals[index] for index, one in made.items()}
                losses = [
                    self.agreement.loss(index, one, mean, self.config.hold) for index, one in pictures.items()
                ]
                loss = torch.stack(losses).sum()
                found = torch.autograd.grad(loss, [self.offsets[index] for index in pictures])
                for (index, picture), grad in zip(pictures.items(), found, strict=True):
                    self.offsets[index].grad = grad
                    self.agreement.pictures[index] = picture.detach()
                total += loss.item()
        return total

    def preview(self) -> Tensor:
        """[1,3,H,W]: the pictures as they were drawn last, softly blended."""
        boxes = [reach.box for reach in self.agreement.reaches]
        return blend(self.photo, self.part.masks, self.agreement.pictures, boxes)


@torch.no_grad()
def begin(
    generator: Generator, part: Inversion, moving: Sequence[int], config: HarmonyConfig
) -> Harmonization:
    """moving: the numbers of the segments of `part` whose codes move."""
    photo, masks = part.backdrop().to(generator.device).clone(), part.masks
    agreement = Agreement(photo, masks, round(config.width * max(masks.size) / 256))
    noise = tuple(one.to(generator.device, generator.dtype).clone() for one in part.noise)
    plain = [
        LatentCode(one.code.space, one.code.tensor.to(generator.device).clone()) for one in part.segments
    ]
    edited = [_edited(generator, part, name, code) for name, code in zip(masks.names, plain, strict=True)]
    still = [index for index in range(len(plain)) if index not in moving]
    drawers = _drawers(generator, part, agreement, moving)
    everything = (*drawers, *_drawers(generator, part, agreement, still))
    renderings = _in_order(one.draw(edited, noise) for one in everything)
    residuals = [torch.zeros_like(one) for one in renderings]
    if part.photo is not None:
        without = _in_order(one.draw(plain, noise) for one in everything)
        pairs = zip(agreement.reaches, without, strict=True)
        residuals = [crop(photo, reach.box) - one for reach, one in pairs]
    agreement.start([one + more for one, more in zip(renderings, residuals, strict=True)])
    offsets = {index: torch.zeros_like(edited[index].tensor).requires_grad_() for index in moving}
    return Harmonization(config, part, photo, drawers, edited, noise, offsets, residuals, agreement)


def _edited(generator: Generator, part: Inversion, name: str, code: LatentCode) -> LatentCode:
    """The code with the edits, in s. Raises InvalidInputError where it isn't finite."""
    moved = edited_code(generator, code, applicable_edits(part.masks, name, part.edits))
    if not moved.tensor.isfinite().all():
        raise InvalidInputError(
            f"the code of segment {name!r}, edited, holds NaN or infinite values; take another inversion, or remove "
            "the edit"
        )
    return convert(generator, moved, "s")


def _drawers(
    generator: Generator, part: Inversion, agreement: Agreement, chosen: Sequence[int]
) -> tuple[Drawer, ...]:
    """One for each generator that draws some of the chosen segments: tuning may give them different weights."""
    generators, resolution = segment_generators(generator, part), max(part.masks.size)
    of_generator: dict[int, list[int]] = {}
    for index in chosen:
        of_generator.setdefault(id(generators[index]), []).append(index)
    drawers = []
    for which in of_generator.values():
        own, reaches = generators[which[0]], [agreement.reaches[index] for index in which]
        tiles = [synthesis_tiles(own, agreement.shares[index, None], resolution) for index in which]
        synthesizer = SegmentSynthesizer(own, [reach.box for reach in reaches], tiles, resolution)
        drawers.append(Drawer(tuple(which), synthesizer))
    return tuple(drawers)


def _in_order(parts: Iterator[dict[int, Tensor]]) -> list[Tensor]:
    merged = {index: one for part in parts for index, one in part.items()}
    return [merged[index] for index in range(len(merged))]
