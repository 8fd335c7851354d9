"""Checks of what is given from outside, one line each: kinds of things, paths, shapes of tensors, images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .deprecated import old_names
from .errors import InvalidInputError, MissingPackageError
from .wording import pictures

__getattr__ = old_names(__name__)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Photos of high dynamic range may be up to 16 times as bright as white; what is brighter was never divided by 255.
_BRIGHTEST = 2 * 16.0
MOST_SEED = (1 << 64) - 1


def check_type(value: object, what: str, kind: type | UnionType, hint: str = "") -> None:
    """Raise InvalidInputError unless `value` is of a kind: `check_type(masks, "masks", SegmentMasks)`."""
    if not isinstance(value, kind):
        expected = kind.__name__ if isinstance(kind, type) else str(kind)
        message = f"{what} is of type {type(value).__name__}; expected {expected}"
        raise InvalidInputError(f"{message}; {hint}" if hint else message)


def check_each(values: object, what: str, kind: type, hint: str = "") -> None:
    """Raise InvalidInputError unless `values` can be gone through and each is of a kind, as for `check_type`."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Tensor | np.ndarray):
        message = f"{what} are of type {type(values).__name__}; expected a list of {kind.__name__}"
        raise InvalidInputError(f"{message}; {hint}" if hint else message)
    for value in values:
        check_type(value, f"one of {what}", kind, hint)


def checked_list(values: Any, what: str, kind: type, hint: str = "") -> tuple[Any, ...]:
    """`values`, gone through once. Raises InvalidInputError as `check_each` does."""
    found = tuple(values) if isinstance(values, Iterator) else values
    check_each(found, what, kind, hint)
    return tuple(found)


def checked_names(names: Any, what: str) -> tuple[str, ...]:
    """One name, or several, as a tuple. Raises InvalidInputError for anything else than texts."""
    return (names,) if isinstance(names, str) else checked_list(names, what, str)


def check_whole(value: object, what: str, least: int | None = None, most: int | None = None) -> None:
    """Raise InvalidInputError unless `value` is a whole number, from `least` to `most` where these are given."""
    fits = isinstance(value, int) and not isinstance(value, bool)
    if not fits or (least is not None and value < least) or (most is not None and value > most):  # type: ignore[operator]
        low = "" if least is None else f" of at least {least}"
        high = "" if most is None else f", at most {most}"
        raise InvalidInputError(f"{what} is {value!r:.60}; expected a whole number{low}{high}")


def is_number(value: object) -> bool:
    """Whether `value` is a real number, NumPy's included, and no switch."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_callback(callback: object) -> None:
    """Raise InvalidInputError for what can't be called; None is no callback."""
    if callback is not None and not callable(callback):
        raise InvalidInputError(f"callback is of type {type(callback).__name__}; expected a function or None")


def check_tensor(value: object, what: str, expected: str) -> None:
    """Raise InvalidInputError unless `value` is a tensor; expected: its shape, in words."""
    if not isinstance(value, Tensor):
        raise InvalidInputError(f"{what} is of type {type(value).__name__}; expected a tensor {expected}")


def as_path(path: object, what: str = "the path") -> Path:
    """What names a file as a Path. Raises InvalidInputError for what names none."""
    if isinstance(path, str) and not path:
        raise InvalidInputError(f"{what} is an empty text; expected a path")
    if isinstance(path, str) or (isinstance(path, os.PathLike) and isinstance(os.fspath(path), str)):
        return Path(path)
    raise InvalidInputError(f"{what} is of type {type(path).__name__}; expected a path, as text or a Path")


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


def check_brightness(image: Tensor, what: str = "the picture") -> None:
    """Raise InvalidInputError for an image whose numbers were never brought from 0..255 to [-1, 1]."""
    if image.detach().abs().max() > _BRIGHTEST:
        raise InvalidInputError(
            f"{what} has values from {image.min():.4g} to {image.max():.4g}; expected [-1, 1]: divide 0..255 by 127.5 "
            "and subtract 1"
        )
