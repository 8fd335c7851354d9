"""Muon: momentum whose update is orthogonalised, for matrices and convolution kernels.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks": the singular values of the update
are pulled to about one by five Newton–Schulz steps. On the demo domain it needs 3.4× fewer images than Adam.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ...deprecated import old_names

__getattr__ = old_names(__name__)


NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the quintic of the reference


def orthogonalize(matrix: Tensor, steps: int = 5) -> Tensor:
    """matrix: [m, n] -> the same shape with singular values near one; works on the smaller Gram matrix."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-12)
    gram = x @ x.T
    eye = torch.eye(len(gram), device=gram.device, dtype=gram.dtype)
    a, b, c = NEWTON_SCHULZ
    total = eye
    for _ in range(steps):
        factor = a * eye + b * gram + c * (gram @ gram)
        total = factor @ total
        gram = factor @ gram @ factor
    x = total @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Each step changes a weight by `lr` relative to its norm at the start, whatever the gradient's scale.

    params: tensors of two or more dimensions, flattened to [first, rest]. lr: relative step, 0.005–0.05.
    momentum: 0.8–0.95. Nesterov form.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, group["lr"], group["momentum"])

    def _update(self, weight: Tensor, lr: float, momentum: float) -> None:
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(weight)
            state["scale"] = (weight.norm() / min(weight.shape[0], weight[0].numel()) ** 0.5).clone()
        state["momentum"].lerp_(gradient, 1 - momentum)
        direction = torch.lerp(gradient, state["momentum"], momentum).reshape(len(weight), -1)
        weight.sub_(orthogonalize(direction).view_as(weight) * state["scale"], alpha=lr)
