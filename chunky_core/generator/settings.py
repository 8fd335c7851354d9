"""Settings of a generator that its tensors' names and shapes don't tell: numbers from a file, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import UnsupportedCheckpointError


class Range(NamedTuple):
    """What a setting may be: lowest to highest, whole numbers only, None too."""

    lowest: float
    highest: float
    whole: bool = False
    optional: bool = False


# How a StyleGAN2 doubles: by its FIR filter, or bilinearly before each convolution, as GFPGAN's generator
FIR, BILINEAR = "fir", "bilinear"
UPSAMPLINGS = (FIR, BILINEAR)

# What every architecture has
SHARED = {"conv_clamp": Range(1e-6, 1e30, optional=True), "lr_multiplier": Range(1e-6, 1e6)}


def checked(ranges: Mapping[str, Range], config_hints: Mapping[str, Any]) -> dict[str, Any]:
    """The config_hints that count, as floats, ints and None.

    Raises UnsupportedCheckpointError for what is no number or out of its range.
    """
    return {
        key: _checked(key, config_hints[key], range_) for key, range_ in ranges.items() if key in config_hints
    }


def _checked(key: str, value: object, allowed: Range) -> float | None:
    if value is None and allowed.optional:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        within = allowed.lowest <= value <= allowed.highest  # false for NaN
        if within and (not allowed.whole or value == int(value)):
            return int(value) if allowed.whole else float(value)
    kind = "a whole number" if allowed.whole else "a number"
    raise UnsupportedCheckpointError(
        f"{key} is {_short(value)}; expected {kind} from {allowed.lowest:g} to {allowed.highest:g}"
    )


def checked_upsampling(value: object) -> str:
    """One of UPSAMPLINGS. Raises UnsupportedCheckpointError for anything else."""
    if value not in UPSAMPLINGS:
        raise UnsupportedCheckpointError(
            f"upsampling is {_short(value)}; expected one of {', '.join(UPSAMPLINGS)}"
        )
    return str(value)


def _short(value: object) -> str:
    """A value for a message; a file's numbers and text may be of any length."""
    plain = value is None or isinstance(value, str | int | float)
    return repr(value)[:40] if plain else f"a {type(value).__name__}"


def from_header(ranges: Mapping[str, Range], metadata: Mapping[str, str]) -> dict[str, Any]:
    """The config_hints in a file's header. Raises UnsupportedCheckpointError as `checked` does."""
    return checked(ranges, {key: _parsed(key, metadata[key]) for key in ranges if key in metadata})


def _parsed(key: str, text: str) -> float | None:
    if text == "None":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise UnsupportedCheckpointError(f"the header's {key} is {text[:40]!r}; expected a number") from error
