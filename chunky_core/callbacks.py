"""How long work tells its caller where it stands."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# callback(step, total, image): after each of the steps 1 ... total. image: what there is to see, [B,3,H,W] in [-1,1],
# or None where making one would cost too much. What it raises ends the work.
Callback = Callable[[int, int, Tensor | None], None]
