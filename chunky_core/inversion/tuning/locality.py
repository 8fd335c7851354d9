"""A locality regularizer for pivotal tuning, after Roich et al. 2021, sec. 3.3, eq. 5 to 7."""

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
    """Holds what other codes draw to the untuned generator's picture, plus what tuning changed at the pivot: so edits
    change the tuned picture as they change the untuned one. (Roich et al. leave the addition out; then the regularizer
    works against the fit itself, the more the nearer a code is to the pivot.)

    The other code is a pivot that is moved at random; one of the drawings has its turn at a time, inside its mask.
    boxes, masks [N,1,H,W]: of the drawings. rng: of the codes and the turns; on the CPU.
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

    def __call__(
        self,
        weights: Mapping[str, Tensor],
        codes: Sequence[LatentCode],
        crops: Sequence[Tensor],
        noise: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        """The loss's gradients by the weights, which want them; by name.

        codes: one per drawing; crops: what the tuned generator draws by them, [1,3,h,w] each; noise: maps, or ().
        """
        index = int(torch.randint(len(self.boxes), (), generator=self.rng))
        box = self.boxes[index]
        mask = crop(self.masks[index : index + 1], box)
        with torch.no_grad():
            pivot = synthesis_input(self.generator, codes[index])
            other = synthesis_input(self.generator, self._displaced(codes[index]))
            before, target = (self.generator.synthesis(one, box, noise=noise) for one in (pivot, other))
            target = target + mask * (crops[index] - before)
        loss = MaskedLoss(self.loss, self.networks, target, Box(0, 0, box.height, box.width), mask)
        drawn = with_parameters(self.generator, weights).synthesis(other, box, noise=noise)
        grads = torch.autograd.grad(loss(drawn), list(weights.values()), materialize_grads=True)
        return dict(zip(weights, grads, strict=True))

    def _displaced(self, pivot: LatentCode) -> LatentCode:
        """The pivot moved as edits move it, alike in all layers: by a share of a random code's distance to the mean."""
        seed = int(torch.randint(_SEEDS, (), generator=self.rng))
        share = torch.rand((), generator=self.rng).item()
        space = max("w", pivot.space, key=SPACES.index)
        sample = draw_codes(self.generator, 1, seed)[1]
        mean = self.generator.w_avg.detach()[None].to(sample)
        ends = [convert(self.generator, LatentCode("w", one), space).tensor for one in (mean, sample)]
        start = convert(self.generator, pivot, space).tensor
        return LatentCode(space, start + share * (ends[1] - ends[0]).to(start))
