"""Masks that are optimized with the codes: X^S of S = G^S(X^S) (P2 = Subrtova et al. 2022, equation 2)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import InvalidInputError
from ...generator.spaces import LatentCode
from ..generated_masks import SPACE, vanished
from ..initialization import nearest_in_space
from ..latents import MASK_CODE, LatentOptimizer, pack, unpack
from ..loss_regions import PyramidLevel
from ..mask_code import MaskCode
from ..objectives import LossAndGrads, shared_objective
from ..projection import Hook, Projection
from ..schedule import learning_rate_factor
from ..single_fit import fitted_code

SETTLED = 0.75  # share of the run after which masks stay, and codes settle in them
FIT = 40  # steps that fit the warm-up's code to the photo at its full size: small parts show in none lower
EVERY = 10  # steps after which boxes are planned anew
RATE = 0.3  # of the codes' learning rate: faster, masks of the demo generator leap past what they look for


class MovingMasks(Hook):
    """Moves X^S by Adam beside the codes, and plans the boxes anew as masks move; in the last quarter they stay.

    fits: X^S, or in its place the warm-up's code when that comes to its end, is fitted to the photo first; until then
    the masks stay in any case. Its state: X^S with its optimizer, the code that boxes were planned for, and whose
    masks these are.
    """

    def __init__(self, own: MaskCode, *, fits: bool) -> None:
        self.own, self.fits = own, fits
        self._level: PyramidLevel | None = None  # of the plan

    def before_loss(self, run: Projection) -> None:
        own = self.own
        if run.is_shared:
            return
        if own.planned_at is None and self.fits:
            own.start(LatentOptimizer([self._fitted(run)], joint=True, betas=own.latents.betas))
        settled = run.progress >= SETTLED
        if settled != own.settled:
            run.losses_changed = True
        if (
            own.planned_at is None
            or settled != own.settled
            or (own.moves and run.step >= own.planned_at + EVERY)
        ):
            own.plan(run.step, settled=settled)
            self._level = None
        if self._level is None or run.full is not self._level:  # also in a run that goes on
            run.full = self._level = PyramidLevel.full(run.full.photo, own.planned_masks(), run.config)
            run.masks_moved = True

    def _fitted(self, run: Projection) -> LatentCode:
        """The warm-up's code, or X^S, where its own picture is nearest to the photo by the loss of the run."""
        code = self.own.code
        if run.shared_latents is not None:
            (shared,) = run.shared_latents.latent_codes()
            code = nearest_in_space(run.generator, shared, SPACE, run.config.seed)
        objective = shared_objective(run.generator, run.full, run.config, run.networks)

        def judge(one: LatentCode) -> tuple[float, Tensor]:
            with torch.enable_grad():
                found = objective([one], [one.tensor], ())
            return found.values[0], found.grads[0]

        return fitted_code(judge, code, FIT, run.config.learning_rate, run.config.adam_betas)

    def at_stage(self, run: Projection) -> None:
        if run.stage.losses_are_new:
            self.own.latents.forget_losses(run.step)

    def before_step(self, run: Projection, found: LossAndGrads) -> None:
        """X^S as it was judged is remembered with the codes, then moved."""
        if found.mask_grad is None:
            return
        grad, latents = self.own.gradient(found.mask_grad), self.own.latents
        if not grad.isfinite().all():
            run.stopped = (
                f"diverged at step {run.step + 1} of {run.config.num_steps}: the gradient of the masks' code isn't "
                "finite; the best codes before it are kept; try a lower learning rate"
            )
            return
        latents.remember([0], [sum(found.values)], run.step)
        rate = RATE * run.config.learning_rate * learning_rate_factor(run.progress / SETTLED)
        latents.adam_step({0: grad}, (), rate)

    def at_end(self, run: Projection) -> None:
        own = self.own
        if own.planned_at is None:
            return
        masks = run.full.masks if own.settled else own.source.masks(own.best)
        for name, other in vanished(masks).items():
            warnings.warn(
                f"segment {name!r} vanished: {other!r} has its place, and little or nothing is left of it; take it out "
                "of the masks, or start from a code of the masks that shows it (fit_mask_code)",
                stacklevel=2,
            )

    def store(self, numbers: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        own, held = pack(self.own.latents)
        numbers["mask_code"] = {
            **own,
            "planned_at": self.own.planned_at,
            "settled": self.own.settled,
            "fits": self.fits,
            "mask_generator": self.own.source.mask_generator.digest(),
        }
        held["planned"] = self.own.planned.clone()
        tensors |= {f"{MASK_CODE}{name}": tensor for name, tensor in held.items()}

    def restore(self, run: Projection, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        known, device = numbers["mask_code"], run.generator.device
        if known.get("mask_generator") != self.own.source.mask_generator.digest():
            raise InvalidInputError(
                "the earlier projection moved its masks by another mask generator; go on with that one, or start from "
                "its codes only"
            )
        self.fits = bool(known.get("fits", False))
        held = {
            name.removeprefix(MASK_CODE): tensor
            for name, tensor in tensors.items()
            if name.startswith(MASK_CODE)
        }
        latents = unpack(known, held, device, joint=True, betas=run.config.adam_betas)
        self.own.start(latents, held["planned"].to(device))
        self.own.settled = bool(known.get("settled", False))
        self.own.planned_at = None if known["planned_at"] is None else int(known["planned_at"])
