"""What the segments looked like when they were last drawn, for previews."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..boxes import Box
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..segments.blend import blend
from ..segments.masks import mask_box
from .painter import Painter
from .regions import View, crop


class Canvas:
    """The last crop of each segment of a view, and where it lies."""

    def __init__(self, generator: Generator, view: View) -> None:
        self.generator, self.view = generator, view
        self._drawn: dict[int, tuple[Tensor, Box]] = {}

    def keep(self, which: Sequence[int], crops: Sequence[Tensor], boxes: Sequence[Box]) -> None:
        """Remember crops [1,3,h,w] of the segments `which`; a single one stands for all of them."""
        pairs = list(zip(crops, boxes, strict=True))
        self._drawn.update(zip(which, pairs * (len(which) // len(pairs)), strict=True))

    @torch.no_grad()
    def picture(self, codes: Sequence[LatentCode], noise: Sequence[Tensor], size: int) -> Tensor:
        """The photo with the segments laid in, [1,3,size,size]. Those that weren't drawn yet are drawn now."""
        self._draw_missing(codes, noise)
        crops, boxes = zip(*(self._drawn[i] for i in range(len(self.view.segments.names))), strict=True)
        picture = blend(self.view.photo, self.view.segments, crops, boxes)
        if size == self.view.resolution:
            return picture
        return F.interpolate(picture, (size, size), mode="bilinear", align_corners=False)

    def errors(self, drawn: Tensor, box: Box) -> list[Tensor]:
        """Each segment's mean squared error where one crop [1,3,h,w] shows all of them; scalars."""
        error = (drawn - crop(self.view.photo, box)).square().mean(dim=1)
        masks = crop(self.view.segments.masks, box)
        return [(error * mask).sum() / mask.sum() for mask in masks]

    def _draw_missing(self, codes: Sequence[LatentCode], noise: Sequence[Tensor]) -> None:
        """Segments that came to rest before the run was continued, or before the masks moved."""
        masks = self.view.segments.masks
        missing = [i for i in range(len(masks)) if i not in self._drawn]
        boxes = [mask_box(masks[i]) for i in missing]
        painter = Painter(self.generator, boxes, [(box,) for box in boxes], self.view.resolution)
        for group in painter.groups:
            crops = painter.paint(group, [codes[i] for i in missing], noise)
            for part, one in zip(group.parts, crops, strict=True):
                self._drawn[missing[part]] = (one, boxes[part])
