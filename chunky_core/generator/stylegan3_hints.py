"""The settings of a StyleGAN3 that its tensors' names and shapes don't tell, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UnsupportedCheckpointError
from .module import MAX_RESOLUTION

# What names and shapes don't tell, with the largest value that still makes sense
HINTED: dict[str, float] = {
    "channel_base": 2**24,
    "channel_max": 2**16,
    "num_critical": 128,
    "first_cutoff": MAX_RESOLUTION,
    "first_stopband": MAX_RESOLUTION,
    "last_stopband_rel": 16,
    "margin_size": 256,
    "output_scale": 1e6,
    "filter_size": 64,
    "lrelu_upsampling": 8,
    "conv_clamp": 1e30,
    "lr_multiplier": 1e6,
}
_WHOLE = {"channel_base", "channel_max", "num_critical", "margin_size", "filter_size", "lrelu_upsampling"}


def known_hints(hints: Mapping[str, Any]) -> dict[str, Any]:
    """The hints that count, of the fields' types. Raises UnsupportedCheckpointError for senseless ones."""
    known: dict[str, Any] = {}
    for key, largest in HINTED.items():
        if key not in hints:
            continue
        value = hints[key]
        if value is None and key == "conv_clamp":
            known[key] = None
            continue
        whole = key in _WHOLE
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest:
            raise UnsupportedCheckpointError(f"{key} is {value!r}; expected a number from 0 to {largest:g}")
        if (whole and value != int(value)) or (value == 0 and key != "margin_size"):
            raise UnsupportedCheckpointError(f"{key} is {value!r}; expected a positive whole number")
        known[key] = int(value) if whole else float(value)
    return known


def parsed(key: str, text: str) -> float | None:
    """A header's number. Raises UnsupportedCheckpointError where it is none."""
    if text == "None":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise UnsupportedCheckpointError(f"the header's {key} is {text!r}; expected a number") from error
