"""X^S of S = G^S(X^S) under optimization (P2 = Subrtova et al. 2022, equation 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..generator.spaces import LatentCode
from ..segments.masks import grow
from ..segments.segment_masks import SegmentMasks
from .generated_masks import SPACE, GeneratedMasks
from .latents import USUAL_BETAS, LatentOptimizer

DRAFT = 64  # longer side at which classes are told while masks move
DRAFT_MEMBERS = 2  # networks that are asked then
MARGIN = 1 / 32  # of the longer side: how far masks may go between two plans


class MaskCode:
    """X^S under optimization: the masks of one step, and the way of their gradients back into the code.

    source: of the masks when they have settled, at full size by all networks of the ensemble; until then classes are
    told at DRAFT pixels, by DRAFT_MEMBERS of them. latents: the code with its optimizer. planned: the code whose masks
    boxes were planned for, after the step planned_at (None: the masks don't move yet); masks go no farther than
    `margin` pixels beyond those, until they are planned anew.
    """

    def __init__(
        self,
        source: GeneratedMasks,
        code: LatentCode,
        betas: Sequence[float] = USUAL_BETAS,
    ) -> None:
        few = source.mask_generator.with_members(min(DRAFT_MEMBERS, source.mask_generator.members))
        self.source = source
        self.draft = replace(source, mask_generator=few, longest=min(DRAFT, source.longest))
        self.margin = round(MARGIN * max(source.static.shape[-2:]))
        self.planned_at: int | None = None
        self.settled = False
        self.start(LatentOptimizer([code], joint=True, betas=betas))

    def start(self, latents: LatentOptimizer, planned: Tensor | None = None) -> None:
        """Stand at the code of an optimizer, planned for it or for another one."""
        self.latents = latents
        self.planned = (latents.codes[0] if planned is None else planned).detach().clone()
        self._reach: Tensor | None = None
        self._drawn: tuple[list[Tensor], Tensor] | None = None

    @property
    def moves(self) -> bool:
        """Whether the masks are those of each step's code."""
        return self.planned_at is not None and not self.settled

    @property
    def code(self) -> LatentCode:
        """As it stands; it wants gradients."""
        return self.latents.latent_codes()[0]

    @property
    def best(self) -> LatentCode:
        """That of the step whose codes are the best."""
        return self.latents.best()[0]

    @property
    def reach(self) -> Tensor:
        """[N,1,H,W], 1 where a mask may have a weight until the next plan."""
        if self._reach is None:
            planned = self.planned_masks().masks
            self._reach = (grow(planned, self.margin) > 0).to(planned)
        return self._reach

    def plan(self, step: int, *, settled: bool = False) -> None:
        """Plan for the code as it stands after a step; settled: its masks stay from here on."""
        if settled != self.settled:
            self.settled = settled
            self.latents = LatentOptimizer([self.code], joint=True, betas=self.latents.betas)
        self.planned, self.planned_at = self.code.tensor.detach().clone(), step
        self._reach = self._drawn = None

    def planned_masks(self) -> SegmentMasks:
        return (self.source if self.settled else self.draft).masks(LatentCode(SPACE, self.planned))

    def draw(self, size: tuple[int, int]) -> Tensor:
        """The masks [N,1,h,w] as they stand, every pixel the mean of those below it; a tensor of its own."""
        return _shrunk(self._masks()[1].detach(), size).clone()

    def _masks(self) -> tuple[list[Tensor], Tensor]:
        """The features of X^S, and the masks, differentiable by these: small next to the graph of the features."""
        if self._drawn is None:
            with torch.no_grad():
                _, maps = self.draft.mask_generator.drawn(self.draft.generator, self.code)
            with torch.enable_grad():
                maps = [one.detach().requires_grad_() for one in maps]
                self._drawn = maps, self.draft.divided(self.draft.shares_of(maps), self.reach)
        return self._drawn

    def extents(self, size: tuple[int, int]) -> Tensor:
        """`reach` in (height, width) pixels."""
        return _shrunk(self.reach, size)

    def gradient(self, by_masks: Tensor) -> Tensor:
        """What dL/dS [N,1,h,w] is by the code. No graph outlives this call."""
        maps, masks = self._masks()
        self._drawn = None
        with torch.enable_grad():
            height, width = by_masks.shape[-2:]
            by_maps = torch.autograd.grad(_shrunk(masks, (height, width)), maps, by_masks)
            _, again = self.draft.mask_generator.drawn(self.draft.generator, self.code)
            (found,) = torch.autograd.grad(again, self.latents.codes, by_maps)
        return found


def _shrunk(masks: Tensor, size: tuple[int, int]) -> Tensor:
    factor = masks.shape[-1] // size[-1]
    return masks if factor == 1 else F.avg_pool2d(masks, factor)
