"""Checks of tensors given from outside, one line each: their shape, and whether they are images."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor

from .deprecated import old_names
from .errors import InvalidInputError, MissingPackageError
from .wording import pictures

__getattr__ = old_names(__name__)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_type(value: object, what: str, kind: type, hint: str = "") -> None:
    """Raise InvalidInputError unless `value` is of a kind: `check_type(masks, "masks", SegmentMasks)`."""
    if not isinstance(value, kind):
        message = f"{what} is of type {type(value).__name__}; expected {kind.__name__}"
        raise InvalidInputError(f"{message}; {hint}" if hint else message)


def check_installed(package: str, what: str) -> None:
    """Raise MissingPackageError, saying what to do, where a package that `what` needs isn't there."""
    if find_spec(package) is None:
        raise MissingPackageError(
            f"{what} need the package {package}, which isn't installed; run `pip install {package}`, or `pip install "
            "-r requirements.txt`, with the Python that runs this, and restart"
        )


def check_shape(tensor: Tensor, what: str, expected: Sequence[int | str], hint: str = "") -> None:
    """Raise InvalidInputError unless the tensor has the expected shape: `check_shape(ws, "ws", ("B", 14, 512))`.

    what: its name in the error; expected: for each dimension its size, or a letter where any will do; hint: what
    to do about it.
    """
    fits = tensor.ndim == len(expected) and all(
        isinstance(size, str) or size == found for size, found in zip(expected, tensor.shape, strict=True)
    )
    if fits:
        return
    message = f"{what} has shape {list(tensor.shape)}; expected [{','.join(map(str, expected))}]"
    raise InvalidInputError(f"{message}; {hint}" if hint else message)


def check_image(image: object, what: str = "the picture", *, batch: int | None = None) -> None:
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
