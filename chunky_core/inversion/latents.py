"""The state of an optimization: one code per segment, noise maps, the best that each has been, and Adam."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..generator.spaces import LatentCode

GLOBAL_CODE = "companion/"  # what the names of its tensors begin with, in the state of a projection
MASK_CODE = "mask_code/"  # and those of X^S
USUAL_BETAS = (0.9, 0.999)  # torch's
MOMENTS = ("exp_avg", "exp_avg_sq")
_IMPROVED = 0.99  # a loss below this many times the last one that counted is an improvement


@dataclass
class CodeHistory:
    """best_loss: the lowest since losses were forgotten; reference: the last one that counted as an improvement, after
    the step improved_at; resting: whether the code no longer moves.
    """

    best_loss: float = math.inf
    reference: float = math.inf
    improved_at: int = 0
    resting: bool = False


class LatentOptimizer(nn.Module):
    """Codes under optimization by Adam, and the best that each has been.

    codes: batch 1, in `spaces`; noise_maps: maps [h,w] that all share; joint: the codes are judged by one loss, so
    the best of each is that of one and the same step; betas: of Adam. `state_dict` holds everything, Adam's moments
    too, and `from_state_dict` makes the same again.
    """

    def __init__(
        self,
        codes: Sequence[LatentCode],
        noise_maps: Sequence[Tensor] = (),
        *,
        joint: bool = False,
        betas: Sequence[float] = USUAL_BETAS,
    ) -> None:
        super().__init__()
        self.spaces, self.joint = tuple(code.space for code in codes), joint
        self.values = _parameters([code.tensor for code in codes])
        self.maps = _parameters(noise_maps)
        self.best_values = _parameters(self.codes, requires_grad=False)
        self.best_maps = _parameters(self.noise_maps, requires_grad=False)
        self.history = [CodeHistory() for _ in codes]
        self.adam = torch.optim.Adam(self._moving_tensors(), betas=(betas[0], betas[1]))

    @property
    def betas(self) -> tuple[float, float]:
        """Of Adam."""
        first, second = self.adam.param_groups[0]["betas"]
        return first, second

    @property
    def codes(self) -> list[Tensor]:
        """The tensors of the codes, which want gradients."""
        return list(self.values)

    @property
    def noise_maps(self) -> list[Tensor]:
        """The noise maps, which want gradients; [] where they aren't optimized."""
        return list(self.maps)

    @property
    def best_noise_maps(self) -> tuple[Tensor, ...]:
        """Copies of the noise maps that belong to the best codes."""
        return tuple(noise_map.detach().clone() for noise_map in self.best_maps)

    def latent_codes(self) -> list[LatentCode]:
        """The codes as they stand, differentiable."""
        return [LatentCode(space, code) for space, code in zip(self.spaces, self.codes, strict=True)]

    def best(self) -> list[LatentCode]:
        """Each code as it was best; copies."""
        return [
            LatentCode(space, code.detach().clone())
            for space, code in zip(self.spaces, self.best_values, strict=True)
        ]

    def moving(self) -> list[int]:
        """The codes that haven't come to rest."""
        return [index for index, history in enumerate(self.history) if not history.resting]

    def forget_losses(self, step: int) -> None:
        """Judge anew from `step` on: losses of other masks or at another resolution can't be compared."""
        self.history = [CodeHistory(improved_at=step, resting=one.resting) for one in self.history]

    def reactivate(self, step: int) -> None:
        """Let all codes move again, from `step` on."""
        for history in self.history:
            history.resting, history.improved_at = False, step

    def split(self, codes: Sequence[LatentCode]) -> LatentOptimizer:
        """Several codes in the place of the only one that this holds; those in its space start with its Adam state.

        Fresh moments would make Adam's first steps full ones in every direction, whatever the gradients.
        """
        parts = LatentOptimizer(codes, self.noise_maps, joint=self.joint, betas=self.betas)
        for space, code in zip(parts.spaces, parts.codes, strict=True):
            if space == self.spaces[0]:
                parts.take_moments(code, self, self.codes[0])
        for new, old in zip(parts.noise_maps, self.noise_maps, strict=True):
            parts.take_moments(new, self, old)
        return parts

    @torch.no_grad()
    def remember(self, which: Sequence[int], losses: Sequence[float], step: int) -> None:
        """Keep those of the codes `which`, and the noise maps, that gave the best losses so far."""
        judged = [sum(losses)] * len(losses) if self.joint else losses
        for index, loss in zip(which, judged, strict=True):
            history = self.history[index]
            if loss < history.best_loss:
                history.best_loss = loss
                self.best_values[index].copy_(self.values[index])
                for best, noise_map in zip(self.best_maps, self.maps, strict=True):
                    best.copy_(noise_map)
            if loss < _IMPROVED * history.reference:
                history.reference, history.improved_at = loss, step

    @torch.no_grad()
    def adopt(
        self, index: int, code: Tensor, loss: float, step: int, donor: LatentOptimizer | None = None
    ) -> None:
        """Go on with another code for one segment, and with the moments of the donor's only code, if given."""
        self.values[index].copy_(code)
        self.best_values[index].copy_(code)
        resting = self.history[index].resting
        self.history[index] = CodeHistory(loss, loss, step, resting)
        self.adam.state.pop(self.codes[index], None)
        if donor is not None:
            self.take_moments(self.codes[index], donor, donor.codes[0])

    def take_moments(self, own: Tensor, donor: LatentOptimizer, theirs: Tensor) -> None:
        """Give one of the tensors a copy of what another optimizer's Adam knows of one of its own, if anything."""
        if theirs in donor.adam.state:
            self.adam.state[own] = {key: value.clone() for key, value in donor.adam.state[theirs].items()}

    def adam_step(
        self, grads: Mapping[int, Tensor], noise_grads: Sequence[Tensor], learning_rate: float
    ) -> None:
        """One step for the codes that have a gradient, and for the noise maps."""
        for index, code in enumerate(self.codes):
            code.grad = grads.get(index)
        for noise_map, grad in zip(self.noise_maps, noise_grads, strict=True):
            noise_map.grad = grad
        self.adam.param_groups[0]["lr"] = learning_rate
        self.adam.step()
        normalize_noise(self.noise_maps)

    def get_extra_state(self) -> dict[str, Any]:
        """What no tensor of the module holds; `adam`: for each of codes and noise maps its state, {} before a step."""
        return {
            "spaces": self.spaces,
            "joint": self.joint,
            "betas": self.betas,
            "history": [asdict(one) for one in self.history],
            "adam": [dict(self.adam.state.get(one, {})) for one in self._moving_tensors()],
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        self.spaces, self.joint = tuple(state["spaces"]), state["joint"]
        self.history = [CodeHistory(**one) for one in state["history"]]
        self.adam.param_groups[0]["betas"] = tuple(state["betas"])
        self.adam.state.clear()
        for one, known in zip(self._moving_tensors(), state["adam"], strict=True):
            if known:
                self.adam.state[one] = {
                    key: value.detach().clone().to("cpu" if key == "step" else one.device)
                    for key, value in known.items()
                }

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Any], device: torch.device | str | None = None
    ) -> LatentOptimizer:
        """The same again from a `state_dict`, on `device` (None: where the state's tensors lie)."""
        extra = state["_extra_state"]
        codes = [
            LatentCode(space, state[f"values.{i}"].to(device)) for i, space in enumerate(extra["spaces"])
        ]
        maps = [state[f"maps.{i}"].to(device) for i in range(len(extra["adam"]) - len(codes))]
        made = cls(codes, maps)
        made.load_state_dict(state)
        return made

    def _moving_tensors(self) -> list[Tensor]:
        return [*self.codes, *self.noise_maps]


def _parameters(tensors: Sequence[Tensor], *, requires_grad: bool = True) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(one.detach().clone(), requires_grad) for one in tensors)


@torch.no_grad()
def normalize_noise(noise_maps: Sequence[Tensor]) -> None:
    """Bring each map to mean 0 and deviation 1, in place (K)."""
    for noise_map in noise_maps:
        noise_map -= noise_map.mean()
        noise_map *= noise_map.square().mean().rsqrt()


def pack(latents: LatentOptimizer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Its state under the names that files have held since version 0.1: plain numbers, which JSON can hold, and copies
    of tensors. Infinity becomes None.
    """
    state = latents.state_dict()
    extra, count = state["_extra_state"], len(latents.codes)
    history = extra["history"]
    numbers = {
        "spaces": list(extra["spaces"]),
        "active": [not one["resting"] for one in history],
        "best_losses": [_finite(one["best_loss"]) for one in history],
        "references": [_finite(one["reference"]) for one in history],
        "improved_at": [one["improved_at"] for one in history],
        "limits": [None] * count,  # of their losses, which a hook may know
        "adam_steps": [int(known["step"]) if known else 0 for known in extra["adam"]],
    }
    tensors: dict[str, Tensor] = {}
    for index, known in enumerate(extra["adam"]):
        kind, place = ("values", index) if index < count else ("maps", index - count)
        tensors[f"values/{index}"] = state[f"{kind}.{place}"]
        tensors[_best(index, count)] = state[f"best_{kind}.{place}"]
        tensors |= {f"{moment}/{index}": known[moment] for moment in MOMENTS if known}
    return numbers, {name: tensor.detach().clone() for name, tensor in tensors.items()}


def unpack(
    numbers: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    device: torch.device,
    *,
    joint: bool,
    betas: Sequence[float] = USUAL_BETAS,
) -> LatentOptimizer:
    """What `pack` was given, on `device`; betas: of Adam, which files hold in their settings. Raises KeyError where
    something is missing.
    """
    spaces, steps = numbers["spaces"], numbers["adam_steps"]
    count = len(spaces)
    rows = zip(
        *(numbers[name] for name in ("best_losses", "references", "improved_at", "active")), strict=True
    )
    history = [
        {"best_loss": _number(best), "reference": _number(reference), "improved_at": step, "resting": not on}
        for best, reference, step, on in rows
    ]
    adam = [
        {"step": torch.tensor(float(done)), **{moment: tensors[f"{moment}/{index}"] for moment in MOMENTS}}
        if done
        else {}
        for index, done in enumerate(steps)
    ]
    extra = {"spaces": spaces, "joint": joint, "betas": betas, "history": history, "adam": adam}
    state: dict[str, Any] = {"_extra_state": extra}
    for index in range(len(steps)):
        kind, place = ("values", index) if index < count else ("maps", index - count)
        state[f"{kind}.{place}"] = tensors[f"values/{index}"]
        state[f"best_{kind}.{place}"] = tensors[_best(index, count)]
    return LatentOptimizer.from_state_dict(state, device)


def restore_finite(numbers: dict[str, Any], tensors: dict[str, Tensor], prefix: str = "") -> None:
    """Put the best in the place of codes and noise maps that are no longer finite, without their moments."""
    for index in range(len(numbers["adam_steps"])):
        value = f"{prefix}values/{index}"
        moments = [f"{prefix}{moment}/{index}" for moment in MOMENTS]
        held = [tensors[name] for name in (value, *moments) if name in tensors]
        if not all(tensor.isfinite().all() for tensor in held):
            tensors[value] = tensors[prefix + _best(index, len(numbers["spaces"]))].clone()
            numbers["adam_steps"][index] = 0
            for name in moments:
                tensors.pop(name, None)


def _best(index: int, count: int) -> str:
    return f"best/{index}" if index < count else f"best_maps/{index - count}"


def _finite(loss: float) -> float | None:
    return loss if loss < math.inf else None


def _number(loss: float | None) -> float:
    return math.inf if loss is None else float(loss)
