"""Text files with names: Datumaro's and CVAT's labelmap.txt, LabelMe's lists of names, and palettes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar
from unicodedata import normalize

from ...errors import InvalidInputError
from ...images import Color
from ..label_names import addressable
from ..names import check_name
from .presets import VOC_COLORS, VOID, VOID_COLOR, numbered
from .tables import HIGHEST, MOST_COLORS, LabelTable

Label = TypeVar("Label", int, Color)

BACKGROUND, IGNORED = "_background_", "__ignore__"  # LabelMe's
LONGEST_NAME = 100  # characters
_RGB = re.compile(r"\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*")
_SHOWN = 60  # characters of a line in an error


def is_labelmap(text: str) -> bool:
    """Whether any line has a color as labelmap.txt has it: "name:r,g,b:parts:actions"."""
    fields = [line.split(":") for line in _lines(text)]
    return any(len(parts) > 1 and _RGB.fullmatch(parts[1]) for parts in fields)


def labelmap_table(text: str, origin: str) -> LabelTable:
    """The colors of a labelmap.txt as Datumaro and CVAT write it: "name:r,g,b:parts:actions", "#" begins a comment.

    Without any color the names are numbered in their order and shown in PASCAL VOC's colors, as Datumaro has it. Labels
    of one name make one area. The color of PASCAL VOC's void belongs to no area unless it has a name.
    Raises InvalidInputError, naming the line, for a blank name, a color that is none or that two names have, and if
    only some names have colors.
    """
    rows: list[tuple[str, Color | None]] = []
    for number, line in enumerate(_lines(text), start=1):
        if line and not line.startswith("#"):
            name, _, rest = line.partition(":")
            where = f"{origin}, line {number}"
            rows.append((_checked(name, where), _color(rest.partition(":")[0], where)))
    if not rows:
        raise InvalidInputError(f"{origin} names nothing; expected lines such as 'mouth:64,128,0::'")
    bare = [name for name, color in rows if color is None]
    if len(bare) == len(rows):
        return _numbered(origin, dict(enumerate(bare)))
    if bare:
        raise InvalidInputError(
            f"{origin} gives {bare[0]!r} no colour, others it does; give every name one, such as '{bare[0]}:64,128,0::'"
        )
    colors: dict[Color, str] = {}
    for name, color in rows:
        assert color is not None
        if colors.setdefault(color, name) != name:
            raise InvalidInputError(
                f"{origin} gives the colour {_written(color)} to {colors[color]!r} and to {name!r}; give each its own"
            )
    if len(colors) >= MOST_COLORS:
        raise InvalidInputError(f"{origin} has {len(colors)} colours; expected fewer than {MOST_COLORS}")
    names, notes = _made_addressable(colors, origin)
    void = None if VOID_COLOR in names else VOID_COLOR
    add = "add a line such as 'rest:1,2,3::' with its red, green and blue there"
    return LabelTable(origin, colors=names, void_color=void, add=add, notes=notes)


def name_list(text: str, origin: str) -> LabelTable:
    """The numbers of a list of names, one on each line, as LabelMe writes them: the first line is 0.

    A first line "__ignore__", as the list has that its exports are made by, is no number: its pixels have 255, which
    belongs to no area. Pictures may show the numbers in PASCAL VOC's colors. "_background_" becomes "background".
    Several lines may have one name.
    Raises InvalidInputError, naming the line, for a blank one between others and for what is no list of names.
    """
    lines = _lines(text.rstrip())
    if lines[0] == IGNORED:
        lines = lines[1:]
    if not any(lines):
        raise InvalidInputError(f"{origin} names nothing; expected one name on each line")
    names = [_checked(line, f"{origin}, line {number}") for number, line in enumerate(lines, start=1)]
    if len(names) > HIGHEST + 1:
        raise InvalidInputError(f"{origin} has {len(names)} lines; expected at most {HIGHEST + 1} names")
    return _numbered(origin, dict(enumerate(names)))


def named_numbers(names: Mapping[int, str], origin: str) -> LabelTable:
    """Numbers with names that a network gave them (id2label); 255 is no area unless it has a name."""
    made, notes = _made_addressable(names, origin)
    return replace(numbered(origin, made, (VOID,)), notes=notes)


def _numbered(origin: str, names: Mapping[int, str]) -> LabelTable:
    ignored = [label for label, name in names.items() if name == IGNORED]
    kept = {label: "background" if name == BACKGROUND else name for label, name in names.items()}
    made, notes = _made_addressable({label: kept[label] for label in kept if label not in ignored}, origin)
    return replace(numbered(origin, made, (*ignored, VOID), VOC_COLORS), notes=notes)


def _made_addressable(names: Mapping[Label, str], origin: str) -> tuple[dict[Label, str], tuple[str, ...]]:
    """The names without signs that stand between names in options, and what was changed."""
    made = {name: addressable(name) for name in names.values()}
    others: dict[str, str] = {}
    for name, plain in made.items():
        if not plain or others.setdefault(plain, name) != name:
            raise InvalidInputError(
                f"{origin} has the names {others.get(plain, '')!r} and {name!r}, which differ in signs only that stand "
                "between names in options; rename one"
            )
    changed = [f"{name!r} is called {plain!r}" for name, plain in made.items() if name != plain]
    notes = (f"in {origin} {', '.join(changed)}: commas, colons and the like stand between names",) * bool(
        changed
    )
    return {label: made[name] for label, name in names.items()}, notes


def _lines(text: str) -> list[str]:
    """Without blanks around them. Only the ends of lines that editors write: names may have other separators."""
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text)]


def _checked(name: str, where: str) -> str:
    name = normalize("NFC", name).strip()
    if not name:
        raise InvalidInputError(
            f"{where} has no name; expected one, as the numbers of the others follow from it"
        )
    if len(name) > LONGEST_NAME or name[0] in "<{[":
        raise InvalidInputError(
            f"{where} is {name[:_SHOWN]!r}; expected a name of at most {LONGEST_NAME} characters, so choose the file "
            "with the names"
        )
    check_name(name, where)
    return name


def _color(text: str, where: str) -> Color | None:
    if not text.strip():
        return None
    found = _RGB.fullmatch(text)
    if found is None or max(map(int, found.groups())) > VOID:
        raise InvalidInputError(
            f"{where} has the colour {text[:_SHOWN]!r}; expected red, green and blue of 0..255, such as '64,128,0'"
        )
    red, green, blue = map(int, found.groups())
    return red, green, blue


def _written(color: Color) -> str:
    return ",".join(map(str, color))
