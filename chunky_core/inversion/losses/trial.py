"""A first run of a network from a file, so that what it can't do is said before a projection begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...errors import ChunkyError, UnsupportedCheckpointError
from .resize import Size

_FAULTS = (RuntimeError, LookupError, TypeError, ValueError)  # what running a network on a wrong input raises


def try_network(
    name: str,
    run: Callable[[Tensor], Sequence[Tensor]],
    size: Size,
    device: torch.device,
    check: Callable[[str, Sequence[object]], None],
) -> None:
    """Gives `run` one picture [1,3,h,w] of size (h, w), and its results to `check(name, results)`.

    Raises UnsupportedCheckpointError, naming the file `name`, unless the results and their slope by the picture are
    finite.
    """
    height, width = size
    ramp = torch.linspace(-1, 1, 3 * height * width, device=device).view(1, 3, height, width)
    slope = None
    try:
        with torch.enable_grad():
            picture = ramp.requires_grad_()
            results = run(picture)
            check(name, results)
            total = torch.stack([result.float().square().mean() for result in results]).sum()
            if total.requires_grad:
                (slope,) = torch.autograd.grad(total, picture, allow_unused=True)
    except ChunkyError:
        raise
    except _FAULTS as error:
        reason = str(error).strip().rpartition("\n")[2][:200]
        raise UnsupportedCheckpointError(
            f"{name} doesn't take a picture of {width}x{height}: {reason}; expected a network of float32 [B,3,h,w] "
            "pictures: export it for pictures of one size"
        ) from error
    if slope is None or not total.isfinite() or not slope.isfinite().all():
        raise UnsupportedCheckpointError(
            f"{name} gives numbers that aren't finite or don't depend on the picture; get a fresh copy of it"
        )
