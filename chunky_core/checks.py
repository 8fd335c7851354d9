"""What a picture given from outside has to be, in one place: floats, finite, of a batch of pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from .errors import InvalidInputError
from .wording import pictures

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_picture(image: object, what: str = "the picture", *, batch: int | None = None) -> None:
    """Raise InvalidInputError unless `image` is a dense tensor of finite floats, [B,C,H,W], with C of 3 or 4.

    what: its name in the error; batch: the B that is expected, None for any of at least 1.
    """
    expected = f"a tensor of floats [{'B' if batch is None else batch},3,H,W]"
    if not isinstance(image, Tensor):
        raise InvalidInputError(f"{what} is a {type(image).__name__}; expected {expected}")
    if image.dtype not in FLOATS or image.layout != torch.strided or image.is_meta:
        kind = str(image.dtype).removeprefix("torch.")
        raise InvalidInputError(f"{what} holds {kind} numbers; expected {expected} in -1..1")
    if (
        image.ndim != 4
        or image.shape[1] not in (3, 4)
        or not image.numel()
        or batch not in (None, len(image))
    ):
        raise InvalidInputError(f"{what} is {pictures(image)}; expected {expected}")
    if not bool(image.isfinite().all()):
        raise InvalidInputError(f"{what} contains NaN or infinite values; expected numbers in -1..1")
