"""The state of a projection under the names that files have held since version 0.1, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .latents import LatentOptimizer

MOMENTS = ("exp_avg", "exp_avg_sq")
GLOBAL_CODE = "companion/"  # what the names of the global code's tensors begin with


def pack(latents: LatentOptimizer) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Plain numbers, which JSON can hold, and copies of tensors. Infinity becomes None."""
    state = latents.state_dict()
    extra, count = state["_extra_state"], len(latents.codes)
    history = extra["history"]
    numbers = {
        "spaces": list(extra["spaces"]),
        "active": [not one["resting"] for one in history],
        "best_losses": [_finite(one["best_loss"]) for one in history],
        "references": [_finite(one["reference"]) for one in history],
        "improved_at": [one["improved_at"] for one in history],
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
    numbers: Mapping[str, Any], tensors: Mapping[str, Tensor], device: torch.device, *, joint: bool
) -> LatentOptimizer:
    """What `pack` was given, on `device`. Raises KeyError where something is missing."""
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
    extra = {"spaces": spaces, "joint": joint, "history": history, "adam": adam}
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
