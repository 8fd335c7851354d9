"""Previews: what the segments looked like when they were synthesised last, laid into the photo."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...boxes import Box
from ...segments.blend import blend
from ...segments.masks import mask_box
from ..objectives import LossAndGrads
from ..projection import Hook, Projection
from ..segment_synthesis import SegmentSynthesizer


class PreviewBuffer(Hook):
    """The last crop of each segment in the present stage, and where it lies. Nothing of it is saved."""

    def __init__(self) -> None:
        self._crops: dict[int, tuple[Tensor, Box]] = {}

    def at_stage(self, run: Projection) -> None:
        self._crops = {}

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        pairs = list(zip(found.crops, run.stage.objective.boxes, strict=True))
        if run.is_shared:
            self._crops = dict.fromkeys(range(len(run.names)), pairs[0])
        else:
            self._crops.update(zip(run.stage.which, pairs, strict=True))

    @torch.no_grad()
    def image(self, run: Projection) -> Tensor:
        """The photo with the segments laid in, [1,3,H,W] at the photo's size."""
        level = run.stage.level
        self._synthesize_missing(run)
        crops, boxes = zip(*(self._crops[i] for i in range(len(run.names))), strict=True)
        image = blend(level.photo, level.masks, crops, boxes)
        if level is run.full:
            return image
        return F.interpolate(image, run.full.size, mode="bilinear", align_corners=False)

    def _synthesize_missing(self, run: Projection) -> None:
        """Segments that came to rest before the run was continued, or before the masks moved."""
        level = run.stage.level
        missing = [i for i in range(len(run.names)) if i not in self._crops]
        boxes = [mask_box(level.masks.masks[i]) for i in missing]
        synthesizer = SegmentSynthesizer(run.generator, boxes, [(box,) for box in boxes], level.resolution)
        codes = run.latents.latent_codes()
        crops = synthesizer.synthesize_all([codes[i] for i in missing], run.latents.noise_maps)
        self._crops.update(zip(missing, zip(crops, boxes, strict=True), strict=True))
