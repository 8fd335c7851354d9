"""A first run of a network from a file, so that what it can't do is said before a projection begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..errors import ChunkyError, UnsupportedCheckpointError
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
    finite and not 0 everywhere. What is 0 for the first picture is tried with a second one.
    """
    for picture in _pictures(size, device):
        total, slope, zeros = _slope(name, run, picture, check)
        if slope is None or not total.isfinite() or not slope.isfinite().all():
            raise UnsupportedCheckpointError(
                f"{name} gives numbers that aren't finite or don't depend on the picture; get a fresh copy of it"
            )
        if not zeros and bool(slope.any()):
            return
    what = (
        "nothing but zeros"
        if zeros
        else "numbers that don't depend on the picture: their slope is 0 everywhere"
    )
    raise UnsupportedCheckpointError(
        f"{name} gives {what}; expected a trained network that can be differentiated; get a fresh copy of it"
    )


def _pictures(size: Size, device: torch.device) -> Iterator[Tensor]:
    """A ramp; noise, for a network that is flat in the first."""
    height, width = size
    yield torch.linspace(-1, 1, 3 * height * width, device=device).view(1, 3, height, width)
    yield _noise((1, 3, height, width)).to(device)


def _noise(shape: Sequence[int]) -> Tensor:
    """Seeded numbers in [-1,1]."""
    return torch.rand(tuple(shape), generator=torch.Generator().manual_seed(0)) * 2 - 1


def _slope(
    name: str,
    run: Callable[[Tensor], Sequence[Tensor]],
    picture: Tensor,
    check: Callable[[str, Sequence[object]], None],
) -> tuple[Tensor, Tensor | None, bool]:
    """A weighted sum of all results, its slope by the picture, and whether all results are 0.

    The weights are noise: the sum of squares would have no slope where results are of length 1.
    """
    slope = None
    height, width = picture.shape[-2:]
    try:
        with torch.enable_grad():
            picture = picture.requires_grad_()
            results = run(picture)
            check(name, results)
            terms = [(result.float() * _noise(result.shape).to(result.device)).sum() for result in results]
            total = torch.stack(terms).sum()
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
    return total, slope, not any(bool(result.any()) for result in results)
