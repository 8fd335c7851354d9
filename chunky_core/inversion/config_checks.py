"""Checks that the knobs of projections and tunings have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ..errors import InvalidInputError
from ..losses.loss_config import LossConfig

Whole = Sequence[tuple[str, int, int]]  # (knob, least, most) of those that are whole numbers


def check_kinds(config: Any, whole: Whole) -> None:
    """Raise InvalidInputError where a whole number, switch or number of a config is none, or its loss no LossConfig."""
    for name, least, most in whole:
        found = getattr(config, name)
        if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
            raise InvalidInputError(
                f"{name} is {found!r}; expected a whole number of at least {least}, at most {most}"
            )
    if not isinstance(config.loss, LossConfig):
        raise InvalidInputError(f"loss is {config.loss!r:.60}; expected a LossConfig")
    for one in fields(config):
        found = getattr(config, one.name)
        if one.type == "bool" and not isinstance(found, bool):
            raise InvalidInputError(f"{one.name} is {found!r:.40}; expected True or False")
        if one.type == "float" and (not isinstance(found, int | float) or isinstance(found, bool)):
            raise InvalidInputError(f"{one.name} is {found!r:.40}; expected a number")
