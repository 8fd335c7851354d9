"""The steps that led to an inversion, in its file: a JSON document and tensors of each, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..errors import InvalidInputError
from .document import Read, rebuild, to_json, to_tensors
from .plain_values import parse
from .record import EarlierStep, Inversion

STEPS = "steps"  # the entry in the file's header, and the beginning of the tensors' names
MOST = 1000


def steps_to_json(inversion: Inversion) -> str:
    """The documents and the composite's options of all steps before `inversion`, the first one first.

    Raises InvalidInputError for more than 1000, and for options that JSON can't hold.
    """
    earlier = _earlier_steps(inversion)
    if len(earlier) > MOST:
        raise InvalidInputError(f"the chain has {len(earlier)} steps before this one; a file holds {MOST}")
    try:
        return json.dumps(
            {str(i): {"of": to_json(e.inversion), "options": dict(e.options)} for i, e in enumerate(earlier)}
        )
    except TypeError as error:
        raise InvalidInputError(f"a step's options are no plain values ({error})") from error


def steps_to_tensors(inversion: Inversion) -> dict[str, Tensor]:
    """The tensors of all steps before `inversion`, by their names in the file."""
    return {
        f"{STEPS}/{index}/{name}": tensor
        for index, step in enumerate(_earlier_steps(inversion))
        for name, tensor in to_tensors(step.inversion).items()
    }


def after_steps(inversion: Inversion, text: str | None, read: Read) -> Inversion:
    """The inversion with the steps that its file's header tells of, None or "" = none, linked to it.

    Raises what `document.rebuild` raises.
    """
    entries = parse(text) if text else {}
    if len(entries) > MOST:
        raise InvalidInputError(f"it has {len(entries)} steps; expected at most {MOST}")
    earlier: EarlierStep | None = None
    for index in range(len(entries)):
        entry = entries[str(index)]
        if not isinstance(entry, Mapping) or not isinstance(entry.get("options"), Mapping):
            raise InvalidInputError(f"step {index + 1} is {entry!r:.60}; expected an inversion and options")
        step = rebuild(parse(_text(entry["of"], index)), _below(read, f"{STEPS}/{index}/"))
        earlier = EarlierStep(replace(step, earlier=earlier), dict(entry["options"]))
    return inversion if earlier is None else replace(inversion, earlier=earlier)


def _text(value: Any, index: int) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(
            f"the document of step {index + 1} is a {type(value).__name__}; expected text"
        )
    return value


def _below(read: Read, prefix: str) -> Callable[[str], Tensor]:
    return lambda name: read(prefix + name)


def _earlier_steps(inversion: Inversion) -> list[EarlierStep]:
    """All steps before `inversion`, the first one first."""
    found = []
    while inversion.earlier is not None:
        found.append(inversion.earlier)
        inversion = inversion.earlier.inversion
    return found[::-1]
