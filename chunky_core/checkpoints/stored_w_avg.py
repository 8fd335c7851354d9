"""The mean of w that lies beside a generator's weights, under the names and in the forms that tools give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UnsupportedCheckpointError
from .checkpoint import PartialCheckpoint, as_tensor, is_weight, text

NAMES = ("latent_avg", "w_avg", "mean_latent", "dlatent_avg", "latent_mean", "mean_w", "w_mean", "avg_latent")
MAX_NUMBERS = 1 << 20


def find_w_avg(places: Iterable[Mapping[Any, Any]]) -> tuple[str, object] | None:
    """The name and value of the first mean in these dicts; None where there is none."""
    for place in places:
        for name in NAMES:
            value = place.get(name)
            if (
                is_weight(value)
                or isinstance(value, list | tuple)
                or value is not None
                and name == "latent_avg"
            ):
                return name, value
    return None


def add_w_avg(partial: PartialCheckpoint, found: tuple[str, object] | None) -> None:
    """Makes what was found w_avg, unless the generator has its own.

    Raises UnsupportedCheckpointError where it holds no numbers, or not as many as w has.
    """
    first = partial.state.get("mapping.fc0.weight")
    if found is None or first is None or "mapping.w_avg" in partial.state:
        return
    name, value = found
    numbers = as_tensor(name, value) if is_weight(value) else _from_list(name, value)  # type: ignore[arg-type]
    width = first.shape[0]
    if not numbers.numel() or numbers.ndim == 0 or numbers.shape[-1] != width or numbers.ndim > 3:
        raise UnsupportedCheckpointError(
            f"its {name} has the shape {list(numbers.shape)}; expected [{width}], the mean of w, or such a row "
            "per layer"
        )
    rows = numbers.reshape(-1, width)
    if len(rows) > 1 and not bool((rows == rows[0]).all()):
        partial.notes.append(f"the {len(rows)} rows of {name} differ; w_avg is their mean")
        rows = rows.mean(0, keepdim=True)
    partial.state["mapping.w_avg"] = rows[0]


def _from_list(name: str, value: object) -> Tensor:
    """Numbers in nested lists."""
    if not isinstance(value, list | tuple):
        raise UnsupportedCheckpointError(f"its {name} is {text(value)!r}; expected the mean of w, a tensor")
    numbers: list[float] = []
    shape = _shape(value)
    waiting: list[Any] = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, list | tuple):
            waiting += reversed(entry)
        elif is_number(entry):
            numbers.append(float(entry))
        else:
            raise UnsupportedCheckpointError(
                f"its {name} is a list with {text(entry)!r} in it; expected numbers"
            )
        if len(numbers) + len(waiting) > MAX_NUMBERS:
            raise UnsupportedCheckpointError(
                f"its {name} has more than {MAX_NUMBERS} numbers; expected the mean of w"
            )
    if int(np.prod(shape)) != len(numbers):
        raise UnsupportedCheckpointError(
            f"its {name} is a list of rows of unequal lengths; expected the mean of w"
        )
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape).float()


def is_number(value: object) -> bool:
    """Whether a value is a number, and neither infinite nor true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _shape(value: object) -> list[int]:
    shape: list[int] = []
    while isinstance(value, list | tuple) and len(shape) < 8:
        shape.append(len(value))
        value = value[0] if value else None
    return shape
