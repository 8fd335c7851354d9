"""Everything that a step is judged by: the objective, the regularizers of codes and noise maps, noise on the codes.

P2 = Subrtova et al. 2022, K = Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..generator.generator import Generator
from ..generator.spaces import SPACES, LatentCode, convert
from .config import ProjectionConfig
from .initialization import code_spread, mean_latent
from .latents import LatentOptimizer
from .objectives import LossAndGrads, Objective

_SMALLEST = 8  # side in pixels of the last noise map of the pyramid (K)
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


def code_regularizers(
    generator: Generator,
    codes: Sequence[LatentCode],
    reference_codes: Sequence[Tensor | None],
    lambda_reg: float,
    lambda_mean: float,
) -> list[Tensor]:
    """For each code lambda_reg ||X_i - X_mu||^2 (P2 eq. 2) + lambda_mean ||X_i - reference||^2, both as means per
    number of the code; differentiable scalars.

    X_mu is the mean over the codes, in the first space that all of them can be brought into. It counts as a
    constant, which is exact: the sum over i has no gradient through X_mu. reference_codes: only for lambda_mean.
    """
    losses = [code.tensor.new_zeros(()) for code in codes]
    if lambda_reg:
        common = max((code.space for code in codes), key=SPACES.index)
        moved = [convert(generator, code, common).tensor.float() for code in codes]
        first, *_ = still = [one.detach() for one in moved]
        # exact where all are one code, as after the warm-up
        mean = first + torch.stack([one - first for one in still]).mean(dim=0)
        losses = [
            loss + lambda_reg * (one - mean).square().mean() for loss, one in zip(losses, moved, strict=True)
        ]
    return [
        loss if reference is None else loss + lambda_mean * (code.tensor - reference).square().mean()
        for loss, code, reference in zip(losses, codes, reference_codes, strict=True)
    ]


def noise_regularizer(noise_maps: Sequence[Tensor]) -> Tensor:
    """Sum over the maps and their pyramids of squared correlations with the next pixel, down to 8x8 (K eq. 12
    ff.); maps [h,w]; 0 for white noise, a scalar.
    """
    total = noise_maps[0].new_zeros(())
    for noise_map in noise_maps:
        level = noise_map[None, None]
        while True:
            for axis in (2, 3):
                total = total + (level * level.roll(1, dims=axis)).mean().square()
            if min(level.shape[-2:]) <= _SMALLEST:
                break
            level = F.avg_pool2d(level, 2) * 2  # keeps the deviation of white noise
    return total
