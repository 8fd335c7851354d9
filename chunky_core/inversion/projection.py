"""Projection of a photo, segment by segment (P1 = Futschik et al. 2021, "Real Image Inversion via Segments",
2.1).

Each segment's code is optimised against a loss that is zero outside the segment's dilated mask, and only the
box of that mask is ever synthesised. What makes small segments fit as well as large ones: every loss is a
mean over the mask, and a warm-up finds one code for the whole photo first, from which each segment's own code
sets out. A lone eye, started at the mean face, sees too little to find out where and how the head is turned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.region import Box
from ..generator.spaces import LatentCode, synthesis_input
from ..segments.blend import blend
from ..segments.masks import grow, mask_box
from ..segments.segments import Segments
from .config import ProjectionConfig
from .fit import Fit, Region
from .inversion import Inversion, Segment
from .losses import SegmentLoss
from .schedule import learning_rate_factor
from .start import code_spread, starting_codes

Callback = Callable[[int, int, Tensor | None], None]
_BRIGHTEST = 20.0  # generators leave [-1, 1] by a few units; what is brighter was never scaled from 0 ... 255
_NOISE_END = 0.75  # fraction of the run after which the codes get no noise any more (Karras et al. 2020)


def project(
    generator: Generator,
    photo: Tensor,
    segments: Segments,
    config: ProjectionConfig | None = None,
    *,
    callback: Callback | None = None,
    preview_every: int = 25,
    start: Inversion | None = None,
) -> Inversion:
    """Find a code for each segment of `photo`, [1,3,H,W] in [-1,1], H = W = generator.img_resolution.

    Adam with the schedule of Karras et al. 2020; each step visits the segments one after the other, so that
    one segment's graph is alive at a time. Codes set out from the generator's mean code, or from those of
    `start`, an earlier inversion with the same segments or with a single one; then there is no warm-up.
    During the warm-up every segment's curve shows the shared loss.

    callback(step, total, image): after each of the steps 1 ... total; image is the composite [1,3,H,W] every
    `preview_every` steps and at the end, else None. Whatever it raises ends the run and reaches the caller.

    A loss or gradient that isn't finite, or a loss that explodes, ends the run early: the best codes so far
    are kept and `stopped` tells why. Works under torch.inference_mode; no input is modified, no global state
    is touched. Raises InvalidInputError (sizes, NaN, names), MissingWeightsError (LPIPS) and
    WrongGeneratorError (`start`).
    """
    config = config or ProjectionConfig()
    _check(photo, generator, segments, preview_every)
    with torch.inference_mode(False), torch.enable_grad():
        run = _Run(generator, photo, segments, config, start)
        run.optimise(callback, preview_every)
        return run.record(photo.device)


class _Run:
    """One call of `project`: its inputs on the generator's device and fit for gradients, and its state."""

    def __init__(
        self,
        generator: Generator,
        photo: Tensor,
        segments: Segments,
        config: ProjectionConfig,
        start: Inversion | None,
    ) -> None:
        # Copies throughout: autograd can't save tensors that were made in inference mode, weights included.
        self.generator, self.config, device = generator.to(), config, generator.device
        self.photo = photo.detach().clone().to(device, torch.float32)
        self.segments = _cloned(segments, device)
        weights = {name: getattr(config, name) for name in ("l2", "l1", "ms_ssim", "lpips", "lpips_net")}
        self.loss = SegmentLoss(**weights, device=device)
        self.rng = torch.Generator(device).manual_seed(config.seed)
        self.spread = code_spread(self.generator, config.seed) if config.code_noise else 0.0
        self.anchor = starting_codes(self.generator, ["mean"], config.space, config.seed, None)[0]
        grown = grow(self.segments.masks, config.dilation)
        self.parts = [self._region(mask[None]) for mask in grown]
        codes = starting_codes(self.generator, segments.names, config.space, config.seed, start)
        self.warmup = round(config.warmup * config.steps) if start is None and len(codes) > 1 else 0
        if self.warmup:
            self.fit = Fit(codes[:1], [self._region(grown.sum(dim=0, keepdim=True).clamp(max=1.0))])
        else:
            self.fit = Fit(codes, self.parts)
        self.curves: dict[str, list[float]] = {name: [] for name in segments.names}
        self.stopped: str | None = None

    def optimise(self, callback: Callback | None, preview_every: int) -> None:
        """All the steps, or as many as go well."""
        total = self.config.steps
        for step in range(total):
            if step == self.warmup and step > 0:
                self.fit = self.fit.split(self.parts)
            crops = self._step(step)
            if crops is None:
                return
            if callback is not None:
                shown = (step + 1) % preview_every == 0 or step + 1 == total
                callback(step + 1, total, self._composite(crops) if shown else None)

    def record(self, device: torch.device) -> Inversion:
        """The result, on `device`."""
        names, masks = self.segments.names, self.segments.masks.to(device)
        best = self.fit.best * (
            len(names) // len(self.fit.best)
        )  # a run that ended in its warm-up has one code
        return Inversion(
            photo=self.photo.to(device),
            segments=tuple(
                Segment(name, masks[i : i + 1].clone(), LatentCode(self.config.space, best[i].to(device)))
                for i, name in enumerate(names)
            ),
            static_mask=self.segments.static.to(device),
            fingerprint=self.generator.fingerprint,
            settings=asdict(self.config),
            losses=self.curves,
            stopped=self.stopped,
        )

    def _region(self, mask: Tensor) -> Region:
        box = mask_box(mask, self.config.margin if self.loss.is_structural else 0)
        return Region(box, _crop(self.photo, box), _crop(mask, box))

    def _step(self, step: int) -> list[Tensor] | None:
        """Visits every region, then takes one step of Adam; the crops seen, or None if the run must end."""
        fit = self.fit
        progress = (step + 0.5) / self.config.steps  # the step's middle: a first one of size 0 would be lost
        mean = torch.stack([code.detach() for code in fit.codes]).mean(dim=0)
        losses, gradients, crops = [], [], []
        for code, region in zip(fit.codes, fit.regions, strict=True):
            loss, crop = self._objective(code, region, mean, progress)
            gradients.append(torch.autograd.grad(loss, code)[0])
            losses.append(loss.detach())
            crops.append(crop.detach())
        values = torch.stack(losses).tolist()
        bad = fit.diverging(values, gradients)
        if bad is not None:
            shared = len(values) < len(self.segments.names)
            where = "the warm-up" if shared else f"segment {self.segments.names[bad]!r}"
            self.stopped = (
                f"diverged at step {step + 1} of {self.config.steps}: {where} had loss {values[bad]:.4g}; "
                "the best codes before it are kept; try a lower learning rate"
            )
            return None
        for index, curve in enumerate(self.curves.values()):
            curve.append(values[index % len(values)])
        fit.step(values, gradients, self.config.learning_rate * learning_rate_factor(progress))
        return crops

    def _objective(
        self, code: Tensor, region: Region, mean: Tensor, progress: float
    ) -> tuple[Tensor, Tensor]:
        config = self.config
        seen = LatentCode(config.space, self._noisy(code, progress))
        crop = self.generator.synthesis(synthesis_input(self.generator, seen), box=region.box).float()
        loss = self.loss(crop, region.target, region.mask)
        if config.lambda_reg:
            # The mean counts as a constant. That is exact: sum ||X_i - X_mu||^2 has no gradient through X_mu.
            loss = loss + config.lambda_reg * (code - mean).square().mean()
        if config.lambda_mean:
            loss = loss + config.lambda_mean * (code - self.anchor).square().mean()
        return loss, crop

    def _noisy(self, code: Tensor, progress: float) -> Tensor:
        scale = self.config.code_noise * self.spread * max(0.0, 1.0 - progress / _NOISE_END) ** 2
        if scale == 0.0:
            return code
        return code + scale * torch.randn(code.shape, generator=self.rng, device=code.device)

    @torch.no_grad()
    def _composite(self, crops: Sequence[Tensor]) -> Tensor:
        boxes = [region.box for region in self.fit.regions]
        count = len(self.segments.names) // len(boxes)  # in the warm-up one crop serves all
        return blend(self.photo, self.segments, list(crops) * count, boxes * count)


def _cloned(segments: Segments, device: torch.device) -> Segments:
    masks, static = (t.detach().clone().to(device, torch.float32) for t in (segments.masks, segments.static))
    return replace(segments, masks=masks, static=static)


def _crop(image: Tensor, box: Box) -> Tensor:
    return image[..., box.top : box.bottom, box.left : box.right]


def _check(photo: Tensor, generator: Generator, segments: Segments, preview_every: int) -> None:
    if photo.ndim != 4 or photo.shape[:2] != (1, 3):
        raise InvalidInputError(
            f"the photo has shape {tuple(photo.shape)}; expected one RGB image [1, 3, height, width], "
            "so project the images of a batch one by one"
        )
    size, resolution = f"{photo.shape[-1]}x{photo.shape[-2]}", generator.img_resolution
    if tuple(photo.shape[-2:]) != (resolution, resolution):
        raise InvalidInputError(
            f"the photo is {size}, the generator makes {resolution}x{resolution}; crop or resize "
            "the photo and the masks"
        )
    if photo.shape[-2:] != segments.static.shape[-2:]:
        height, width = segments.static.shape[-2:]
        raise InvalidInputError(f"the photo is {size}, the masks are {width}x{height}; resize one of them")
    if not torch.isfinite(photo).all():
        raise InvalidInputError("the photo holds NaN or infinite values; expected finite ones in [-1, 1]")
    if photo.abs().max() > _BRIGHTEST:
        raise InvalidInputError(
            f"the photo has values from {photo.min():.4g} to {photo.max():.4g}; expected [-1, 1]; scale it"
        )
    if preview_every < 1:
        raise InvalidInputError(f"preview_every is {preview_every} steps; expected at least 1")
