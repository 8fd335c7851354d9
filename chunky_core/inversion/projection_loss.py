"""Everything that a step is judged by: the objective, the regularizers of codes and noise maps, noise on the codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from .config import ProjectionConfig
from .initialization import code_spread, mean_latent
from .latents import LatentOptimizer
from .objectives import LossAndGrads, Objective
from .regularizers import code_regularizers, noise_regularizer

_NOISE_END = 0.75  # fraction of the run after which the codes get no noise any more (Karras et al. 2020)


class ProjectionLoss:
    """Losses and gradients of codes, complete with all regularizers. rng: of the noise on the codes."""

    def __init__(self, generator: Generator, config: ProjectionConfig, spaces: Sequence[str]) -> None:
        self.generator, self.config = generator, config
        self.rng = torch.Generator().manual_seed(config.seed)  # on the CPU: the same on every device
        self._spread = code_spread(generator, config.seed) if config.code_noise else 0.0
        wanted = {*spaces} if config.lambda_mean else set()
        self._references = {space: mean_latent(generator, space, config.seed) for space in wanted}
        # 1 for each number of a code in s that may move
        layout = generator.style_layout
        self._movable = torch.cat(
            [torch.full((channels,), not name.endswith("torgb")) for name, channels in layout]
        ).to(generator.device)

    def __call__(
        self, objective: Objective, latents: LatentOptimizer, which: Sequence[int], progress: float
    ) -> LossAndGrads:
        """Of the codes `which`, at that fraction of the run."""
        leaves = [latents.codes[i] for i in which]
        codes = [
            LatentCode(latents.spaces[i], self._noisy(leaf, progress))
            for i, leaf in zip(which, leaves, strict=True)
        ]
        maps = latents.noise_maps
        found = objective(codes, leaves, maps)
        found = self._with_noise_regularizer(self._with_code_regularizers(found, latents, which), maps)
        grads = [self._allowed(latents.spaces[i], one) for i, one in zip(which, found.grads, strict=True)]
        return replace(found, grads=grads)

    def regularizers(self, codes: Sequence[LatentCode]) -> list[Tensor]:
        """What lambda_reg and lambda_mean add to the loss of each of the segments' codes; differentiable scalars."""
        config = self.config
        references = [self._references.get(code.space) for code in codes]
        return code_regularizers(self.generator, codes, references, config.lambda_reg, config.lambda_mean)

    def _with_code_regularizers(
        self, found: LossAndGrads, latents: LatentOptimizer, which: Sequence[int]
    ) -> LossAndGrads:
        config = self.config
        if not (config.lambda_reg or config.lambda_mean):
            return found
        terms = self.regularizers(latents.latent_codes())
        grads = torch.autograd.grad(torch.stack(terms).sum(), latents.codes)
        added = torch.stack([term.detach() for term in terms])
        own = added.sum().expand(len(added)) if config.mode == "joint" else added
        return replace(
            found,
            losses=[loss + own[i] for i, loss in zip(which, found.losses, strict=True)],
            grads=[grad + grads[i] for i, grad in zip(which, found.grads, strict=True)],
        )

    def _with_noise_regularizer(self, found: LossAndGrads, maps: Sequence[Tensor]) -> LossAndGrads:
        if not maps or not self.config.noise_reg:
            return found
        grads = torch.autograd.grad(self.config.noise_reg * noise_regularizer(maps), maps)
        both = zip(found.noise_grads, grads, strict=True)
        return replace(found, noise_grads=tuple(own + grad for own, grad in both))

    def _allowed(self, space: str, grad: Tensor) -> Tensor:
        return grad if space != "s" or self.config.torgb else grad * self._movable

    def _noisy(self, code: Tensor, progress: float) -> Tensor:
        scale = self.config.code_noise * self._spread * max(0.0, 1.0 - progress / _NOISE_END) ** 2
        if scale == 0.0:
            return code
        return code + scale * torch.randn(code.shape, generator=self.rng).to(code.device)
