"""The optimiser's state: one code per part of the photo, the best state that each has had, and noise maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..generator.spaces import LatentCode

FitState: TypeAlias = tuple[dict[str, Any], dict[str, Tensor]]  # plain numbers, and tensors

_DIVERGED = 100.0  # a loss this many times 1 + that of the first step will not come back
_IMPROVED = 0.99  # a loss below this many times the last one that counted is an improvement


class Fit:
    """Codes under optimisation, and the best that each has been.

    codes: tensors in `spaces`, batch 1; maps: noise maps [r,r] that all share; tied: the codes are judged by
    one loss, so the best of each is that of one and the same step.
    """

    def __init__(
        self, codes: Sequence[Tensor], spaces: Sequence[str], maps: Sequence[Tensor] = (), tied: bool = False
    ) -> None:
        self.spaces, self.tied = tuple(spaces), tied
        self.codes = [code.detach().clone().requires_grad_() for code in codes]
        self.maps = [map_.detach().clone().requires_grad_() for map_ in maps]
        self.best = [code.detach().clone() for code in codes]
        self.best_maps = [map_.detach().clone() for map_ in maps]
        self.active = [True] * len(codes)
        self.adam = torch.optim.Adam([*self.codes, *self.maps])
        self.forget_losses(0)

    def latent_codes(self) -> list[LatentCode]:
        """The codes as they stand, differentiable."""
        return [LatentCode(space, code) for space, code in zip(self.spaces, self.codes, strict=True)]

    def forget_losses(self, step: int) -> None:
        """Judge anew from `step` on: losses at another resolution can't be compared."""
        count = len(self.codes)
        self._best_losses = [float("inf")] * count
        self._references = [float("inf")] * count
        self._improved_at = [step] * count
        self._limits: dict[int, float] = {}

    def split(self, codes: Sequence[Tensor], spaces: Sequence[str]) -> Fit:
        """One code per entry of `spaces`, all made from this fit's only code, and those in the same space with
        that code's own Adam state.

        Fresh moments would make Adam's first steps full ones in every direction, whatever the gradients.
        """
        parts = Fit(codes, spaces, self.maps, self.tied)
        same = [new for new, space in zip(parts.codes, spaces, strict=True) if space == self.spaces[0]]
        for new, old in [*((one, self.codes[0]) for one in same), *zip(parts.maps, self.maps, strict=True)]:
            if old in self.adam.state:
                parts.adam.state[new] = {key: value.clone() for key, value in self.adam.state[old].items()}
        return parts

    def diverging(
        self, which: Sequence[int], losses: Sequence[float], gradients: Sequence[Tensor]
    ) -> int | None:
        """The first of the codes `which` whose loss or gradient isn't finite, or whose loss has exploded; None
        if all is well.
        """
        finite = torch.stack([gradient.isfinite().all() for gradient in gradients]).tolist()
        for index, loss, is_finite in zip(which, losses, finite, strict=True):
            limit = self._limits.setdefault(index, _DIVERGED * (1.0 + loss))
            if not is_finite or not loss < limit:  # written so that NaN counts too
                return index
        return None

    def wake(self, step: int) -> None:
        """Let all codes move again, from `step` on."""
        self.active = [True] * len(self.codes)
        self._improved_at = [step] * len(self.codes)

    def moving(self) -> list[int]:
        """The codes that haven't come to rest."""
        return [index for index, active in enumerate(self.active) if active]

    def remember(self, which: Sequence[int], losses: Sequence[float], step: int) -> None:
        """Keep those of the codes `which`, and the maps, that gave the best losses so far."""
        judged = [sum(losses)] * len(losses) if self.tied else losses
        for index, loss in zip(which, judged, strict=True):
            if loss < self._best_losses[index]:
                self._best_losses[index] = loss
                self.best[index] = self.codes[index].detach().clone()
                self.best_maps = [map_.detach().clone() for map_ in self.maps]
            if loss < _IMPROVED * self._references[index]:
                self._references[index], self._improved_at[index] = loss, step

    def rest_idle(self, step: int, patience: int) -> None:
        """Let codes come to rest that haven't improved for `patience` steps."""
        for index in self.moving():
            self.active[index] = step - self._improved_at[index] < patience

    @torch.no_grad()
    def take_over(self, index: int, code: Tensor, loss: float, step: int, giver: Fit | None) -> None:
        """Go on with another code, and with its moments where `giver` has it in the same space."""
        self.codes[index].copy_(code)
        self.best[index], self._best_losses[index] = code.clone(), loss
        self._references[index], self._improved_at[index] = loss, step
        self.adam.state.pop(self.codes[index], None)
        if giver is not None and giver.codes[0] in giver.adam.state:
            moments = giver.adam.state[giver.codes[0]]
            self.adam.state[self.codes[index]] = {key: value.clone() for key, value in moments.items()}

    def best_codes(self) -> list[LatentCode]:
        """Each code as it was best."""
        return [LatentCode(space, code) for space, code in zip(self.spaces, self.best, strict=True)]

    def adam_step(
        self, gradients: Mapping[int, Tensor], map_gradients: Sequence[Tensor], learning_rate: float
    ) -> None:
        """One step of Adam for the codes that have a gradient, and for the maps."""
        for index, code in enumerate(self.codes):
            code.grad = gradients.get(index)
        for map_, gradient in zip(self.maps, map_gradients, strict=True):
            map_.grad = gradient
        self.adam.param_groups[0]["lr"] = learning_rate
        self.adam.step()

    def state(self) -> FitState:
        """Plain numbers and tensors from which `restore` makes the same fit again."""
        numbers = {
            "spaces": list(self.spaces),
            "active": list(self.active),
            "best_losses": [_finite(loss) for loss in self._best_losses],
            "references": [_finite(loss) for loss in self._references],
            "improved_at": list(self._improved_at),
            "limits": [self._limits.get(index) for index in range(len(self.codes))],
            "adam_steps": [
                int(self.adam.state[one]["step"]) if one in self.adam.state else 0 for one in self._all()
            ],
        }
        tensors = {f"best/{i}": one for i, one in enumerate(self.best)}
        tensors |= {f"best_maps/{i}": one for i, one in enumerate(self.best_maps)}
        for index, one in enumerate(self._all()):
            tensors[f"values/{index}"] = one.detach()
            for moment in ("exp_avg", "exp_avg_sq") if one in self.adam.state else ():
                tensors[f"{moment}/{index}"] = self.adam.state[one][moment]
        return numbers, {name: tensor.clone() for name, tensor in tensors.items()}

    def mended_state(self) -> FitState:
        """The same, with the best in the place of codes and maps that are no longer finite, without their moments."""
        copy = Fit.restore(*self.state(), self.codes[0].device, self.tied)
        with torch.no_grad():
            for one, best in zip(copy._all(), (*copy.best, *copy.best_maps), strict=True):
                moments = copy.adam.state.get(one, {}).values()
                if not all(tensor.isfinite().all() for tensor in (one, *moments)):
                    one.copy_(best)
                    copy.adam.state.pop(one, None)
        return copy.state()

    @classmethod
    def restore(
        cls, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor], device: torch.device, tied: bool
    ) -> Fit:
        """The fit that `state` described, on `device`. Raises KeyError where something is missing."""
        own = {name: tensor.detach().clone().to(device) for name, tensor in tensors.items()}
        count, steps = len(numbers["spaces"]), numbers["adam_steps"]
        values = [own[f"values/{i}"] for i in range(len(steps))]
        fit = cls(values[:count], numbers["spaces"], values[count:], tied)
        fit.best = [own[f"best/{i}"] for i in range(count)]
        fit.best_maps = [own[f"best_maps/{i}"] for i in range(len(steps) - count)]
        fit.active = [bool(one) for one in numbers["active"]]
        fit._best_losses, fit._references = (
            [float("inf") if loss is None else float(loss) for loss in numbers[name]]
            for name in ("best_losses", "references")
        )
        fit._improved_at = list(numbers["improved_at"])
        fit._limits = {i: float(limit) for i, limit in enumerate(numbers["limits"]) if limit is not None}
        for index, (one, done) in enumerate(zip(fit._all(), steps, strict=True)):
            if done:
                moments = {moment: own[f"{moment}/{index}"] for moment in ("exp_avg", "exp_avg_sq")}
                fit.adam.state[one] = {"step": torch.tensor(float(done)), **moments}
        return fit

    def _all(self) -> list[Tensor]:
        return [*self.codes, *self.maps]


def _finite(loss: float) -> float | None:
    """`loss`, or None, which JSON can hold, where there is none yet."""
    return loss if loss < float("inf") else None


class Lbfgs:
    """L-BFGS with a strong Wolfe line search (torch.optim.LBFGS) over some tensors, one iteration at a time.

    Its history isn't saved: a run that is continued builds it up anew.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors
        self._optimizer = torch.optim.LBFGS(tensors, max_iter=1, max_eval=12, line_search_fn="strong_wolfe")

    def step(
        self, known: tuple[Tensor, Sequence[Tensor]], judge: Callable[[], tuple[Tensor, Sequence[Tensor]]]
    ) -> None:
        """judge() -> the loss and its gradient by each of the tensors, as they stand; known: what it would say
        now.
        """
        verdicts = [known]

        def closure() -> Tensor:
            loss, gradients = verdicts.pop() if verdicts else judge()
            for tensor, gradient in zip(self._tensors, gradients, strict=True):
                tensor.grad = gradient
            return loss

        self._optimizer.step(closure)
