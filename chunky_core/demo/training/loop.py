"""A plain training loop with checkpoints, for small networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor, nn

from ...saving import replacing
from .muon import Muon

WARM_UP = 30  # steps
DECAY = 0.6  # the learning rates fall linearly over this last share of the steps


def rate_at(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / WARM_UP) * min(1.0, (1 - step / steps) / DECAY + 0.02)


def train(
    module: nn.Module,
    loss_at: Callable[[int], Tensor],
    steps: int,
    checkpoint: Path,
    *,
    muon_rate: float = 0.02,
    adam_rate: float = 2e-3,
    every: int = 50,
) -> None:
    """Descend `loss_at(step)` with Muon for matrices and kernels, Adam for the rest; goes on from `checkpoint`.

    A finished checkpoint is only loaded. every: steps between reports and checkpoints.
    """
    muon = Muon([p for p in module.parameters() if p.dim() > 1], muon_rate, 0.9)
    adam = torch.optim.Adam([p for p in module.parameters() if p.dim() < 2], adam_rate, betas=(0.9, 0.99))
    first = _restore(checkpoint, module, muon, adam)
    began = monotonic()
    losses: list[float] = []
    for step in range(first, steps):
        for optimizer, rate in ((muon, muon_rate), (adam, adam_rate)):
            optimizer.param_groups[0]["lr"] = rate * rate_at(step, steps)
            optimizer.zero_grad(set_to_none=True)
        loss = loss_at(step)
        loss.backward()
        muon.step()
        adam.step()
        losses.append(float(loss.detach()))
        if (step + 1) % every == 0 or step + 1 == steps:
            print(
                f"{checkpoint.stem} {step + 1}/{steps} {monotonic() - began:.0f} s: {sum(losses) / len(losses):.4f}",
                flush=True,
            )
            losses.clear()
            _store(checkpoint, step + 1, module, muon, adam)


def _store(path: Path, step: int, module: nn.Module, *optimizers: torch.optim.Optimizer) -> None:
    state = {"step": step, "module": module.state_dict(), "optimisers": [o.state_dict() for o in optimizers]}
    with replacing(path) as new:
        torch.save(state, new)


def _restore(path: Path, module: nn.Module, *optimizers: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    for optimizer, stored in zip(optimizers, state["optimisers"], strict=True):
        optimizer.load_state_dict(stored)
    return int(state["step"])
