"""Everything that a step is judged by: the pictures' losses, the pulls on codes and noise maps, code noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from .config import ProjectionConfig
from .fit import Fit
from .noise_maps import noise_regulariser
from .objective import Objective, Verdict
from .pulls import code_pulls
from .start import code_spread, mean_code

_NOISE_END = 0.75  # fraction of the run after which the codes get no noise any more (Karras et al. 2020)


class Judge:
    """Verdicts on the codes of a fit, complete with all that pulls on them."""

    def __init__(self, generator: Generator, config: ProjectionConfig, spaces: Sequence[str]) -> None:
        self.generator, self.config = generator, config
        self.rng = torch.Generator().manual_seed(config.seed)  # on the CPU: the same on every device
        self._spread = code_spread(generator, config.seed) if config.code_noise else 0.0
        wanted = {*spaces} if config.lambda_mean else set()
        self._anchors = {space: mean_code(generator, space, config.seed) for space in wanted}
        # 1 for each number of a code in s that may move
        layout = generator.style_layout
        self._movable = torch.cat(
            [torch.full((channels,), not name.endswith("torgb")) for name, channels in layout]
        ).to(generator.device)

    def __call__(self, objective: Objective, fit: Fit, which: Sequence[int], progress: float) -> Verdict:
        """The verdict on the codes `which` of `fit`, at that fraction of the run."""
        leaves = [fit.codes[i] for i in which]
        codes = [LatentCode(fit.spaces[i], self._noisy(fit.codes[i], progress)) for i in which]
        verdict = objective(codes, leaves, fit.maps)
        verdict = self._with_noise_pull(self._with_code_pulls(verdict, fit, which), fit)
        allowed = [self._allowed(fit.spaces[i], one) for i, one in zip(which, verdict.gradients, strict=True)]
        return replace(verdict, gradients=allowed)

    def pulls(self, codes: Sequence[LatentCode]) -> list[Tensor]:
        """What lambda_reg and lambda_mean ask of each of the segments' codes; differentiable scalars."""
        config = self.config
        anchors = [self._anchors.get(code.space) for code in codes]
        return code_pulls(self.generator, codes, anchors, config.lambda_reg, config.lambda_mean)

    def _with_code_pulls(self, verdict: Verdict, fit: Fit, which: Sequence[int]) -> Verdict:
        config = self.config
        if not (config.lambda_reg or config.lambda_mean):
            return verdict
        pulls = self.pulls(fit.latent_codes())
        slopes = torch.autograd.grad(torch.stack(pulls).sum(), fit.codes)
        added = torch.stack([pull.detach() for pull in pulls])
        own = added.sum().expand(len(added)) if self.config.mode == "joint" else added
        return replace(
            verdict,
            losses=[loss + own[i] for i, loss in zip(which, verdict.losses, strict=True)],
            gradients=[slope + slopes[i] for i, slope in zip(which, verdict.gradients, strict=True)],
        )

    def _with_noise_pull(self, verdict: Verdict, fit: Fit) -> Verdict:
        if not fit.maps or not self.config.noise_reg:
            return verdict
        pull = self.config.noise_reg * noise_regulariser(fit.maps)
        slopes = torch.autograd.grad(pull, fit.maps)
        both = zip(verdict.noise_gradients, slopes, strict=True)
        return replace(verdict, noise_gradients=tuple(own + slope for own, slope in both))

    def _allowed(self, space: str, gradient: Tensor) -> Tensor:
        return gradient if space != "s" or self.config.torgb else gradient * self._movable

    def _noisy(self, code: Tensor, progress: float) -> Tensor:
        scale = self.config.code_noise * self._spread * max(0.0, 1.0 - progress / _NOISE_END) ** 2
        if scale == 0.0:
            return code
        return code + scale * torch.randn(code.shape, generator=self.rng).to(code.device)
