"""A delta under optimization: its numbers and factors, Adam's moments, and the best that it has been."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from ...generator.weight_deltas import LEFT, RIGHT, product, sum_like
from ..latents import MOMENTS, CodeHistory
from .layout import WHOLE, Layout
from .objective import CODE

LARGEST = 60_000.0  # of a delta's numbers, which are stored in float16
_IMPROVED = 0.99  # a loss below this many times the last one that counted is an improvement


class DeltaOptimizer:
    """A delta for `weights`, and codes that move beside it, optimized by Adam.

    values: by the names that a delta has, and the codes by "code/0" ...; history: of the loss.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        layout: Layout,
        codes: Sequence[Tensor],
        code_rate: float,
    ) -> None:
        """codes: those that move, with a learning rate `code_rate` times that of the weights."""
        self.weights, self.layout = {name: weights[name] for name in layout}, dict(layout)
        device = next(iter(self.weights.values())).device
        shapes = delta_shapes(self.weights, layout)
        self.values = {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
        names = [f"{CODE}{index}" for index in range(len(codes))]
        self.values |= {name: code.detach().clone().float() for name, code in zip(names, codes, strict=True)}
        self.best = {name: value.clone() for name, value in self.values.items()}
        self.history = CodeHistory()
        groups = [
            {"params": [value], "factor": code_rate if name in names else 1.0}
            for name, value in self.values.items()
        ]
        self.adam = torch.optim.Adam(groups)

    def fits(self, delta: Mapping[str, Tensor]) -> bool:
        """Whether a delta has the same parameters in the same layout."""
        shapes = {name: tuple(one.shape) for name, one in delta.items()}
        return shapes == delta_shapes(self.weights, self.layout)

    @torch.no_grad()
    def start_from(self, delta: Mapping[str, Tensor]) -> None:
        """Set out from a delta that fits."""
        for name, one in delta.items():
            self.values[name].copy_(one)
            self.best[name].copy_(one)

    @torch.no_grad()
    def tuned_weights(self) -> dict[str, Tensor]:
        """The weights with the delta, by name; they want gradients."""
        sums = {name: sum_like(weight, self._added(name)) for name, weight in self.weights.items()}
        return {name: one.requires_grad_() for name, one in sums.items()}

    def moving_codes(self) -> dict[str, Tensor]:
        """Copies of the codes that move, by name; they want gradients."""
        moving = {name: value for name, value in self.values.items() if name.startswith(CODE)}
        return {name: value.clone().requires_grad_() for name, value in moving.items()}

    def _added(self, name: str) -> Tensor:
        if self.layout[name] == WHOLE:
            return self.values[name].to(self.weights[name].dtype)
        return product(self.values[name + LEFT], self.values[name + RIGHT], self.weights[name])

    @torch.no_grad()
    def receive(self, grads: Mapping[str, Tensor]) -> None:
        """Take the gradients of the next step. grads: by the names of the weights, and of the codes that move."""
        for name, grad in grads.items():
            if self.layout.get(name, WHOLE) == WHOLE:
                self.values[name].grad = grad.to(self.values[name].dtype)
                continue
            u, v = self.values[name + LEFT], self.values[name + RIGHT]
            matrix = grad.reshape(len(u), -1).to(u.dtype)
            if not self.adam.state.get(u) and not u.any():  # the first step from zero
                v.copy_(_steepest_rows(matrix, len(v)))
            u.grad, v.grad = matrix @ v.T, u.T @ matrix

    def move(self, learning_rate: float) -> None:
        """One step of Adam with the gradients that were received."""
        for group in self.adam.param_groups:
            group["lr"] = learning_rate * group["factor"]
        self.adam.step()

    def remember(self, loss: float, step: int) -> None:
        """Keep what stands now, which has that loss, if it is the best so far."""
        history = self.history
        if loss < history.best_loss:
            history.best_loss = loss
            for name, value in self.values.items():
                self.best[name].copy_(value)
        if loss < _IMPROVED * history.reference:
            history.reference, history.improved_at = loss, step

    def is_storable(self) -> bool:
        """Whether all numbers are finite, and those of the delta small enough for float16."""
        largest = torch.stack([value.abs().amax() for value in self.values.values()])
        limits = [math.inf if name.startswith(CODE) else LARGEST for name in self.values]
        return bool((largest < torch.tensor(limits, device=largest.device)).all())

    def best_delta(self) -> dict[str, Tensor]:
        """A copy of the best, in float16."""
        return {name: one.half() for name, one in self.best.items() if not name.startswith(CODE)}

    def best_codes(self) -> list[Tensor]:
        """Copies of those of the codes that move which belong to the best delta."""
        return [one.clone() for name, one in self.best.items() if name.startswith(CODE)]

    def pack(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Its state as plain numbers, which JSON can hold, and copies of tensors. Infinity becomes None. What can't be
        stored gives way to the best, without moments.
        """
        history = asdict(self.history)
        for name in ("best_loss", "reference"):
            history[name] = history[name] if history[name] < math.inf else None
        steps, tensors, storable = 0, {}, self.is_storable()
        for name, value in self.values.items():
            tensors[f"best/{name}"] = self.best[name].clone()
            tensors[f"values/{name}"] = value.clone() if storable else self.best[name].clone()
            known = self.adam.state.get(value, {}) if storable else {}
            tensors |= {f"{moment}/{name}": known[moment].clone() for moment in MOMENTS if known}
            steps = int(known["step"]) if known else steps
        return {"history": history, "adam_steps": steps}, tensors

    def unpack(self, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Stand where another with the same layout and codes stood. Raises KeyError and so on for a damaged state."""
        history = dict(numbers["history"])
        for name in ("best_loss", "reference"):
            history[name] = math.inf if history[name] is None else float(history[name])
        self.history = CodeHistory(**history)
        for name, value in self.values.items():
            _copy(value, tensors[f"values/{name}"])
            _copy(self.best[name], tensors[f"best/{name}"])
            self.adam.state.pop(value, None)
            if numbers["adam_steps"]:
                moments = {moment: torch.empty_like(value) for moment in MOMENTS}
                for moment, own in moments.items():
                    _copy(own, tensors[f"{moment}/{name}"])
                self.adam.state[value] = {"step": torch.tensor(float(numbers["adam_steps"])), **moments}


def _copy(own: Tensor, other: Tensor) -> None:
    if own.shape != other.shape or not other.is_floating_point():
        raise ValueError(f"{list(other.shape)} of {other.dtype} in the place of {list(own.shape)}")
    own.copy_(other)


def delta_shapes(weights: Mapping[str, Tensor], layout: Layout) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a delta's numbers and factors."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, rank in layout.items():
        weight = weights[name]
        rows = weight.shape[0]
        if rank == WHOLE:
            shapes[name] = tuple(weight.shape)
        else:
            shapes |= {name + LEFT: (rows, rank), name + RIGHT: (rank, weight.numel() // rows)}
    return shapes


def _steepest_rows(grad: Tensor, rank: int) -> Tensor:
    """The second factor [rank,rest] of a delta that is zero by its first: rows of mean square 1 in whose span most of
    the gradient [O,rest] lies, its first right singular vectors (Wang et al. 2024, "LoRA-GA", sec. 3.2).
    """
    matrix = grad.cpu()  # not every device knows eigenvectors
    _, left = torch.linalg.eigh(matrix @ matrix.T)  # ascending
    rows = left[:, -rank:].flip(1).T @ matrix
    return torch.nn.functional.normalize(rows, dim=1, eps=1e-30).to(grad) * math.sqrt(grad.shape[1])
