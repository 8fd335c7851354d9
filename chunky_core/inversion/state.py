"""Where a projection stands, so that it can go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ProjectionState:
    """step: how many of the steps are done; numbers: plain values that JSON can hold; tensors: codes under
    optimisation, the optimiser's moments, and what else is large.
    """

    step: int
    numbers: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def on(self, device: torch.device | str) -> ProjectionState:
        """The same, its tensors on `device`."""
        return replace(self, tensors={name: tensor.to(device) for name, tensor in self.tensors.items()})
