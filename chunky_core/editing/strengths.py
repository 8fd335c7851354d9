"""Several strengths of one edit: as text, and as inversions that differ in nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..checks import check_each, check_type, check_whole
from ..errors import InvalidInputError
from ..inversion.record import Inversion
from .edits import checked_strength, parse_strength

MOST = 256  # strengths of one text
_RANGE = re.compile(r"(?P<first>.+?)\s*\.\.\s*(?P<last>.+?)(?:\s*/\s*(?P<count>\d{1,4}))?")
_HOW = "write numbers, as in '-2, -1, 0, 1, 2', or a range with how many, as in '-2..2 / 5'"


def parse_strengths(text: str, count: int | None = None) -> tuple[float, ...]:
    """Strengths from "-2, -1, 0, 1, 2" or "-2..2 / 5", which means the same; commas, semicolons and lines separate.

    count: how many a range without its own is divided into, None = it needs one. Both ends of a range count.
    Raises InvalidInputError for what can't be read, no strength at all, more than 256, and one beyond -100 to 100.
    """
    check_type(text, "the strengths", str, _HOW)
    if count is not None:
        check_whole(count, "count")
    parts = [part.strip() for part in re.split(r"[,;\n]", text) if part.strip()]
    strengths = [strength for part in parts for strength in _strengths(part, text, count)]
    if not 1 <= len(strengths) <= MOST:
        raise InvalidInputError(f"{text[:60]!r} has {len(strengths)} strengths, expected 1 to {MOST}; {_HOW}")
    return tuple(strengths)


def strength_series(
    inversion: Inversion, strengths: Sequence[float], edit: int | None = None
) -> tuple[Inversion, ...]:
    """The inversion once for each strength of one of its edits; the others stay.

    edit: its place, 0 = the first, None = the last. Where it is muted, it is enabled. Raises InvalidInputError where
    the inversion has no such edit, and for a strength beyond -100 to 100.
    """
    check_type(inversion, "the inversion", Inversion, "it comes first; load_inversion reads one")
    check_each(strengths, "the strengths", object)
    if edit is not None:
        check_whole(edit, "edit")
    if not inversion.edits:
        raise InvalidInputError("the inversion has no edit whose strength could change; add one first")
    index = len(inversion.edits) - 1 if edit is None else edit
    inversion.check_edit(index)
    chosen = inversion.edits[index]
    return tuple(
        inversion.with_edit_replaced(
            index, replace(chosen, strength=checked_strength(strength), enabled=True)
        )
        for strength in strengths
    )


def _strengths(part: str, text: str, count: int | None) -> list[float]:
    where, match = f"of the strengths {text[:60]!r}", _RANGE.fullmatch(part)
    if match is None:
        return [parse_strength(part, where)]
    first, last = (parse_strength(match[end], where) for end in ("first", "last"))
    steps = count if match["count"] is None else int(match["count"])
    if steps is None or not 1 <= steps <= MOST:
        raise InvalidInputError(f"{part!r} {where} doesn't say how many, 1 to {MOST}; {_HOW}")
    if steps == 1:
        return [first]
    return [round(first + (last - first) * step / (steps - 1), 6) for step in range(steps)]
