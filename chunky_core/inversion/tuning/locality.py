"""The locality regularizer of pivotal tuning (Roich et al. 2021, sec. 3.3, eq. 5 to 7): what other codes draw stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...boxes import Box, crop
from ...generator.generator import Generator
from ...generator.replaced_parameters import with_parameters
from ...generator.spaces import SPACES, LatentCode, convert, synthesis_input
from ...generator.statistics import draw_codes
from ...losses import LossConfig, LossNetworks, MaskedLoss

_SEEDS = 2**62


class Locality:
    """Compares what the tuned and the untuned generator draw, without noise, at a code on the way from a pivot to a
    random sample: one of the drawings at a time, inside its mask.

    boxes, masks [N,1,H,W]: of the drawings. rng: of the codes, and of which drawing's turn it is; on the CPU.
    """

    def __init__(
        self,
        generator: Generator,
        boxes: Sequence[Box],
        masks: Tensor,
        loss: LossConfig,
        networks: LossNetworks,
        rng: torch.Generator,
    ) -> None:
        self.generator, self.boxes, self.masks = generator, boxes, masks
        self.networks, self.rng = networks, rng
        has_more = loss.l2 or loss.l1 or loss.ms_ssim or loss.lpips
        self.loss = replace(loss, identity=0.0, l2=loss.l2 if has_more else 1.0)  # a crop has no identity

    def __call__(self, weights: Mapping[str, Tensor], codes: Sequence[LatentCode]) -> dict[str, Tensor]:
        """The loss's gradients by the weights, which want them; by name. codes: one per drawing."""
        index = int(torch.randint(len(self.boxes), (), generator=self.rng))
        box = self.boxes[index]
        with torch.no_grad():
            given = synthesis_input(self.generator, self._on_the_way(codes[index]))
            target = self.generator.synthesis(given, box, noise_mode="none")
        mask = crop(self.masks[index : index + 1], box).to(target)
        loss = MaskedLoss(self.loss, self.networks, target, Box(0, 0, box.height, box.width), mask)
        drawn = with_parameters(self.generator, weights).synthesis(given, box, noise_mode="none")
        grads = torch.autograd.grad(loss(drawn), list(weights.values()), materialize_grads=True)
        return dict(zip(weights, grads, strict=True))

    def _on_the_way(self, pivot: LatentCode) -> LatentCode:
        """A code between the pivot and a random sample, each place as likely as any other."""
        seed = int(torch.randint(_SEEDS, (), generator=self.rng))
        space = max("w", pivot.space, key=SPACES.index)
        sample = convert(
            self.generator, LatentCode("w", draw_codes(self.generator, 1, seed)[1]), space
        ).tensor
        start = convert(self.generator, pivot, space).tensor
        share = torch.rand((), generator=self.rng).item()
        return LatentCode(space, torch.lerp(start, sample.to(start), share))
