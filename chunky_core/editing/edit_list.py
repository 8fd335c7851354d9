"""The edits of an inversion as numbered lines, and changes of them as lines of text."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from ..checks import check_type
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..inversion.record import Edit, Inversion, kept_layers
from ..segments.label_names import split_names
from ..segments.names import resolve_names
from .direction_checks import layer_count
from .edits import checked_strength, parse_strength
from .harmonies import edits_in_force
from .layer_ranges import MOST_LAYERS, layers_text, parse_layers

_HOW = (
    "write NUMBER: and one of on, off, remove, strength 1.5, strength *0.5, layers 4-7, segments eyes, mouth, move 1; "
    "or order 2, 1"
)
_SYNONYMS = {"mute": "off", "unmute": "on", "delete": "remove"}
_ACTIONS = {"on": False, "off": False, "remove": False}  # whether a value follows
_ACTIONS |= dict.fromkeys(("strength", "layers", "segments", "move"), True)
_COMMENT = re.compile(r"(^|\s)#.*")
_CHANGE = re.compile(r"(?P<numbers>[^:]+):\s*(?P<action>[a-z]+)\b\s*(?P<value>.*)", re.IGNORECASE)
_ORDER = re.compile(r"order\b\s*:?\s*(?P<value>.+)", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d{1,4})(?:\s*-\s*(\d{1,4}))?")


@dataclass(frozen=True)
class EditChange:
    """One line. numbers: of edits, 1 = the first of the list as it was, () = all. action: "on", "off", "remove",
    "strength", "layers", "segments", "move" or "order"; value: what it is given.
    """

    line: int
    numbers: tuple[int, ...]
    action: str
    value: str = ""


def describe_edits(inversion: Inversion) -> str:
    """A line for each edit, as in "2: eyes: gaze_x = -1, layers 4-7, off"; "no edits" where there is none. A harmony
    that isn't in force is "made for other edits".
    """
    in_force = {id(edit) for edit in edits_in_force(inversion.segments, inversion.edits)}
    lines = [
        f"{number}: {_description(edit)}{', made for other edits' * (id(edit) not in in_force)}"
        for number, edit in enumerate(inversion.edits, 1)
    ]
    return "\n".join(lines) or "no edits"


def change_edits(generator: Generator, inversion: Inversion, changes: str) -> Inversion:
    """The inversion with its edits changed as the lines of a text say, one after the other.

    "2: off", "2: on", "2: remove", "2: strength 1.5", "2: strength *0.5" (times what it is), "2: layers 4-7" ("all":
    those of the direction), "2: segments eyes, mouth", "2: move 1" (to the first place), "order 3, 1" (these first,
    then the others). Before the colon may stand several, "1, 3-5", or "all". An edit has its number from the list as it
    was, whatever earlier lines did. Blank lines, and what follows a #, don't count.
    Raises InvalidInputError, naming the line, for what can't be read, numbers, layers and segments that aren't there,
    and a strength beyond -100 to 100.
    """
    check_type(changes, "the changes", str, "a line for each, as 2: off")
    edits = dict(enumerate(inversion.edits, 1))
    for change in parse_changes(changes):
        numbers = _present(change, edits, len(inversion.edits))
        if change.action == "remove":
            edits = {number: edit for number, edit in edits.items() if number not in numbers}
        elif change.action in ("move", "order"):
            edits = {number: edits[number] for number in _order(change, numbers, list(edits))}
        else:
            edits |= {number: _changed(generator, inversion, edits[number], change) for number in numbers}
    return inversion.with_all_edits(edits.values())


def parse_changes(text: str) -> list[EditChange]:
    """The lines of `change_edits`. Raises InvalidInputError, naming the line, for what can't be read, whatever the
    edits and the generator are.
    """
    lines = ((number, _COMMENT.sub("", line).strip()) for number, line in enumerate(text.splitlines(), 1))
    changes = [_parsed(number, line) for number, line in lines if line]
    for change in changes:
        _check_value(change)
    return changes


def _description(edit: Edit) -> str:
    parts = [f"{', '.join(edit.segments)}: {edit.direction.name} = {edit.strength:g}"]
    parts += [f"layers {layers_text(edit.layers)}"] if edit.layers else []
    return ", ".join([*parts, *["off"] * (not edit.enabled)])


def _parsed(line: int, text: str) -> EditChange:
    if match := _ORDER.fullmatch(text):
        places = re.sub(r"(?<=\d)\s+(?=\d)", ", ", match["value"])
        return EditChange(line, _numbers(line, places, once=True), "order")
    match = _CHANGE.fullmatch(text)
    action = match["action"].lower() if match else ""
    action = _SYNONYMS.get(action, action)
    if match is None or action not in _ACTIONS or bool(match["value"]) != _ACTIONS[action]:
        raise InvalidInputError(f"line {line}, {text[:60]!r}, can't be read; {_HOW}")
    everything = match["numbers"].strip().lower() == "all"
    return EditChange(line, () if everything else _numbers(line, match["numbers"]), action, match["value"])


def _check_value(change: EditChange) -> None:
    """Raise InvalidInputError for a value that no edit of any generator could take."""
    if change.action == "strength":
        _strength(change)
    elif change.action == "layers":
        _layers(change, MOST_LAYERS)
    elif change.action == "segments":
        segments_of(change)
    elif change.action == "move":
        _place(change)


def segments_of(change: EditChange) -> tuple[str, ...]:
    """The names that a change of "segments" is given. Raises InvalidInputError for none."""
    names = tuple(split_names(change.value))
    if not names:
        raise InvalidInputError(f"line {change.line} names no segment; write names, or all")
    return names


def _strength(change: EditChange) -> tuple[float, bool]:
    """The number, and whether the strength is to be multiplied by it."""
    factor = change.value.removeprefix("*")
    return parse_strength(factor, f"of line {change.line}"), factor != change.value


def _layers(change: EditChange, count: int) -> tuple[int, ...]:
    return parse_layers(change.value, count, f"line {change.line}: the layers")


def _numbers(line: int, text: str, once: bool = False) -> tuple[int, ...]:
    """From "1, 3-5", each once; once: one that stands there twice is an error."""
    numbers: dict[int, None] = {}
    for part in text.split(","):
        match = _NUMBERS.fullmatch(part.strip())
        if match is None:
            raise InvalidInputError(
                f"line {line} names the edits {text.strip()[:40]!r}; write them as in 1, 3-5"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise InvalidInputError(
                f"line {line} names the edits {part.strip()}; write the lower number first"
            )
        named = range(first, last + 1)
        twice = [number for number in named if number in numbers]
        if once and twice:
            raise InvalidInputError(f"line {line} names edit {twice[0]} twice; an edit has one place")
        numbers.update(dict.fromkeys(named))
    return tuple(numbers)


def _present(change: EditChange, edits: Collection[int], count: int) -> tuple[int, ...]:
    """The edits that a change is about. Raises InvalidInputError for one that isn't there, or no longer."""
    for number in change.numbers:
        if number not in edits:
            gone = (
                "was removed by an earlier line"
                if 1 <= number <= count
                else f"isn't there; there are {count}"
            )
            raise InvalidInputError(f"line {change.line}: edit {number} {gone}")
    return change.numbers or tuple(edits)


def _order(change: EditChange, numbers: tuple[int, ...], present: list[int]) -> list[int]:
    others = [number for number in present if number not in numbers]
    place = 1 if change.action == "order" else _place(change, len(present))
    return [*others[: place - 1], *numbers, *others[place - 1 :]]


def _place(change: EditChange, count: int | None = None) -> int:
    """count: how many places there are; None = that isn't known yet."""
    text = change.value.removeprefix("to ").strip()
    if not text.isdecimal() or not 1 <= int(text) <= (int(text) if count is None else count):
        expected = "a number from 1" if count is None else f"1 to {count}"
        raise InvalidInputError(f"line {change.line} moves to place {text[:20]!r}; expected {expected}")
    return int(text)


def _changed(generator: Generator, inversion: Inversion, edit: Edit, change: EditChange) -> Edit:
    where = f"line {change.line}"
    if change.action == "strength":
        number, is_factor = _strength(change)
        return replace(edit, strength=checked_strength(edit.strength * number) if is_factor else number)
    if change.action == "layers":
        layers = _layers(change, layer_count(generator, edit.direction.space))
        kept_layers(edit.direction, layers, where)
        return replace(edit, layers=layers)
    if change.action == "segments":
        names = segments_of(change)
        resolve_names(names, inversion.names, where=where)
        return replace(edit, segments=names)
    return replace(edit, enabled=change.action == "on")
