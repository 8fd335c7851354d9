"""Values of a JSON document, checked to be of the kind that is expected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..errors import InvalidInputError

MAX_DEPTH = 16  # of lists and objects within each other; what we write has 3 or 4


def parse(text: str) -> dict[str, Any]:
    """The document in a file's header. Raises ValueError for text that isn't one, with repeated keys too."""
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    check_depth(document)
    return plain(document, dict, "the document")


def check_depth(value: Any) -> None:
    """Raise InvalidInputError for what is nested deeper than any document of ours."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list | tuple)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise InvalidInputError(f"its entries are nested more than {MAX_DEPTH} deep")


def plain(value: Any, kind: Any, what: str) -> Any:
    """`value` if it is of a kind. Raises InvalidInputError, with what it is, where it isn't; a bool is no number."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidInputError(f"{what}: found {type(value).__name__}, expected {kind}")
    return value


def texts(values: Any, what: str) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(plain(value, str, what) for value in plain(values, list, what))


def number(value: Any, what: str) -> float:
    """An int or a float."""
    return float(plain(value, int | float, what))


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an entry of its document occurs twice")
    return found
