"""What a file says about a direction beside its tensor, as entries of a JSON document, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from ..generator.spaces import Calibration, Direction
from .plain_values import number, plain

_ABOUT = ("description", "unit", "source", "license", "fingerprint")  # texts that a direction carries


def direction_entry(direction: Direction, layers_key: str = "layers") -> dict[str, Any]:
    """Everything but the tensor, in plain values."""
    calibration = direction.calibration
    return {
        **{name: getattr(direction, name) for name in ("name", "space", *_ABOUT)},
        layers_key: list(direction.layers),
        "calibration": None if calibration is None else asdict(calibration),
    }


def direction_of_entry(entry: Mapping[str, Any], tensor: Tensor, layers_key: str = "layers") -> Direction:
    """The direction that an entry and its tensor make; earlier files have only its name and space.

    Raises InvalidInputError for values of another kind, KeyError for what is missing.
    """
    name, space = (plain(entry[key], str, f"the {key} of a direction") for key in ("name", "space"))
    about = {
        key: plain(entry[key], str, f"the {key} of direction {name[:80]!r}") for key in _ABOUT if key in entry
    }
    return Direction(
        name,
        space,
        tensor,
        layers=layers_of_entry(entry.get(layers_key, []), f"direction {name[:80]!r}"),
        calibration=_calibration(entry.get("calibration"), name),
        **about,
    )


def layers_of_entry(entry: Any, whose: str) -> tuple[int, ...]:
    """A list of whole numbers."""
    return tuple(plain(layer, int, f"a layer of {whose}") for layer in plain(entry, list, "layers"))


def _calibration(entry: Any, name: str) -> Calibration | None:
    if entry is None:
        return None
    whose = f"the calibration of direction {name[:80]!r}"
    entry = plain(entry, dict, whose)
    low, high, response, r2 = (
        number(value, whose) for value in (*entry["span"], entry["response"], entry["r2"])
    )
    return Calibration(
        plain(entry["attribute"], str, whose), response, r2, plain(entry["samples"], int, whose), (low, high)
    )
