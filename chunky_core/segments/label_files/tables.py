"""What labels are called: the record of it, and the JSON file that people write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar
from unicodedata import normalize

from ...errors import InvalidInputError
from ...images import Color
from ...images.image_files import regular_content
from ..names import check_name

Entries: TypeAlias = list[tuple[str, object]]
Label = TypeVar("Label", int, Color)

MOST_BYTES = 1 << 20
HIGHEST = 65535  # what a picture of 16 bits can hold
MOST_COLORS = 256
_EXPECTED = 'expected {"0": "background", "1": "hair"}, or colours: {"#ff0000": "mouth"}'


_ADD = 'add "{}": "rest" there, and rest to the static areas if it is to stay the photo'


@dataclass(frozen=True)
class LabelTable:
    """Either names of label numbers 0..65535, or names of colors (red, green, blue) in 0..255; the other is empty.

    origin: where the names are from, in the words of errors. shown: the colors in which pictures show numbers. void:
    numbers of pixels that belong to no area. void_color: a color of such pixels. add: what to do about a label that
    is missing, {} = the label. notes: what was done to the names as they are in the file.
    """

    origin: str
    numbers: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[Color, str] = field(default_factory=dict)
    shown: Mapping[Color, int] = field(default_factory=dict)
    void: frozenset[int] = frozenset()
    void_color: Color | None = None
    add: str = "choose the names that belong to this picture"
    notes: tuple[str, ...] = ()


def json_table(path: Path) -> LabelTable:
    """The table of a JSON file in UTF-8, UTF-16 or UTF-32: {"0": "background"}, or {"#ff0000": "mouth"}.

    Several labels may have one name, and names may be given for labels that don't occur. Blanks around keys and names
    don't count. Raises InvalidInputError, naming the file and the entry, for anything but one JSON object of label
    numbers or of colours, each given once, with names of valid Unicode, which come in its form NFC.
    """
    entries = _entries(path)
    colors = {key for key, _ in entries if key.startswith("#")}
    others = [key for key, _ in entries if key not in colors]
    if colors and others:
        _check_no_bare_color(path, others[0])
        raise InvalidInputError(f"{path} names colours and label numbers; {_EXPECTED}")
    if len(colors) > MOST_COLORS:
        raise InvalidInputError(f"{path} has {len(colors)} colours; expected at most {MOST_COLORS}")
    if colors:
        return LabelTable(str(path), colors=_named(path, entries, _color), add=_ADD)
    return LabelTable(str(path), numbers=_named(path, entries, _number), add=_ADD)


def _named(path: Path, entries: Entries, label_of: Callable[[Path, str, object], Label]) -> dict[Label, str]:
    table: dict[Label, str] = {}
    for key, name in entries:
        label = label_of(path, key, name)
        if label in table:
            raise InvalidInputError(f"{path} names {key!r} twice; give every label once")
        table[label] = _name(path, key, name)
    return table


def _entries(path: Path) -> Entries:
    """Keys without blanks around them and what stands for each, in the order of the file."""
    content = regular_content(path, MOST_BYTES)
    try:
        # Bytes: JSON finds out the encoding. Pairs: a dict would keep the last of equal keys without a word.
        table = json.loads(content, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is no table of label names ({error}); {_EXPECTED}") from error
    if not isinstance(table, _Pairs):
        raise InvalidInputError(f"{path} is no table of label names but {_kind(table)}; {_EXPECTED}")
    if not table:
        raise InvalidInputError(f"{path} is empty, so no label has a name; {_EXPECTED}")
    return [(key.strip(), value) for key, value in table]


class _Pairs(list[tuple[str, object]]):
    """A JSON object's entries, also those with equal keys."""


def _check_no_bare_color(path: Path, key: str) -> None:
    if re.fullmatch("(0x)?[0-9a-fA-F]{6}", key):
        raise InvalidInputError(
            f"{path} has the key {key!r}, which is no label number; if it is a colour, write it as '#{key[-6:]}'"
        )


def _number(path: Path, key: str, name: object) -> int:
    _check_no_bare_color(path, key)
    if not re.fullmatch("[0-9]+", key):
        turned = not isinstance(name, bool) and re.fullmatch(r"\s*[0-9]+\s*", str(name))
        name = name.strip() if isinstance(name, str) else name
        advice = (
            f'turn it round: "{name}": "{key}"' if turned else "write whole numbers such as 3, or colours"
        )
        raise InvalidInputError(f"{path} has the key {key!r:.40}, which is no label number; {advice}")
    if len(key) > 1 and key.startswith("0"):
        raise InvalidInputError(f"{path} has the key {key!r:.40}; write it as {key.lstrip('0') or '0'!r:.40}")
    if len(key) > 5 or int(key) > HIGHEST:
        raise InvalidInputError(
            f"{path} has the label {key:.40}; expected 0 to {HIGHEST}, which pictures can hold"
        )
    return int(key)


def _color(path: Path, key: str, _name: object) -> Color:
    digits = key[1:] if len(key) != 4 else "".join(digit * 2 for digit in key[1:])
    if not re.fullmatch("[0-9a-fA-F]{6}", digits):
        raise InvalidInputError(f"{path} has the colour {key!r:.40}; write it as '#ff0000' or '#f00'")
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _name(path: Path, key: str, name: object) -> str:
    if isinstance(name, str) and name.strip():
        check_name(name, f"{path}, {key}")
        return normalize("NFC", name).strip()
    found = "a blank name" if isinstance(name, str) else f"{_kind(name)} as the name"
    raise InvalidInputError(f"{path} has {found} of {key}; {_EXPECTED}")


def _kind(value: object) -> str:
    kinds = {_Pairs: "a table", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
