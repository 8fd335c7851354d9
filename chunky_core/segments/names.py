"""Names of areas as people type them: in any case, with blanks or underscores, in the plural, or "all"."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from unicodedata import category, normalize

from ..errors import InvalidInputError
from ..wording import counted

ALL = "all"


def check_name(name: str, where: str = "") -> None:
    """Raise InvalidInputError for a name with characters that are no text and can be neither drawn nor typed: control
    characters, and what is left of the names of files from systems with another encoding.

    where: what has the name, for the error.
    """
    if any(category(letter) in ("Cc", "Cs") for letter in name):
        raise InvalidInputError(
            f"{where and f'{where}: '}the name {name[:80]!a} is no valid text, as the names of files from systems with "
            "another encoding are; rename it"
        )


def resolve_names(
    wanted: str | Collection[str], names: Sequence[str], *, thing: str = "segment", where: str = ""
) -> tuple[str, ...]:
    """Those of `names` that `wanted` means, each once, in the order of `wanted`.

    An entry is a name, "all", or a plural that stands for every name with that ending: "eyes" for left_eye and
    right_eye. Case, surrounding blanks and the way accents are stored don't count, and blanks, underscores and hyphens
    are the same ("left eye" is left_eye), but a name written exactly goes before all else.
    thing: what the names are called in errors; where: the setting that asks, for errors. Raises
    InvalidInputError for an entry that is unknown or could mean two names.
    """
    found: dict[str, None] = {}
    for entry in (wanted,) if isinstance(wanted, str) else wanted:
        members = _meant_by(entry, names)
        if not members:
            raise InvalidInputError(
                f"{where and f'{where}: '}there is no {thing} {entry!r}; expected one of {', '.join(names)}, a "
                'plural such as "eyes" for left_eye and right_eye, or "all"'
            )
        found.update(dict.fromkeys(members))
    return tuple(found)


def resolve_one(wanted: str, names: Sequence[str]) -> str:
    """The single one of `names` that an entry means, as `resolve_names` takes it.

    Raises InvalidInputError for none and for several.
    """
    meant = resolve_names((wanted,), names)
    if len(meant) > 1:
        raise InvalidInputError(
            f"{wanted!r} means {', '.join(meant)}; name one of them, and do the others in turn"
        )
    return meant[0]


def known_name(entry: str, names: Collection[str]) -> str | None:
    """The one of `names` that `entry` writes, exactly or else as `resolve_names` compares names.

    Raises InvalidInputError if several are written so.
    """
    if entry in names:
        return entry
    alike = list(dict.fromkeys(name for name in names if _plain(name) == _plain(entry)))
    if len(alike) > 1:
        raise InvalidInputError(
            f"{entry!r} could be {' or '.join(map(repr, alike))}, which differ in upper and lower case, blanks, "
            "underscores and hyphens only; write the one that is meant exactly"
        )
    return alike[0] if alike else None


@dataclass(frozen=True)
class Roles:
    """What becomes of each area: a segment, a part of the photo that nothing enters, or simply photo."""

    chosen: tuple[str, ...]
    static: tuple[str, ...]
    left_out: tuple[str, ...]


def roles(names: Sequence[str], static: Collection[str], only: Collection[str] = ()) -> Roles:
    """The roles of areas, each in the order of `names`; static and only as `resolve_names` takes them.

    only: the areas that become segments; empty = all that aren't static. "all" and plurals in it pass over static
    areas. Raises InvalidInputError for entries that are unknown or ambiguous, for a name in both, and if no
    segment is left.
    """
    for where, entries in (("static", static), ("only", only)):
        if isinstance(entries, str):
            raise InvalidInputError(f"{where} is the text {entries!r}; expected a collection of names")
        if not isinstance(entries, Sequence | Set | Mapping) or not all(
            isinstance(entry, str) for entry in entries
        ):
            raise InvalidInputError(f"{where} is {entries!r:.60}; expected a collection of names, as texts")
    kept = resolve_names(static, names, thing="area", where="static")
    free = [name for name in names if name not in kept]
    if not free:
        raise InvalidInputError(
            f"of {counted(len(names), 'area')} none becomes a segment; give at least one that isn't static"
        )
    both = [entry for entry in only if known_name(entry, names) in kept]
    if both:
        raise InvalidInputError(
            f"only and static both name {', '.join(map(repr, both))}; take it out of one of them"
        )
    wanted = resolve_names(only, free, thing="area", where="only") if only else free
    return Roles(
        tuple(name for name in free if name in wanted),
        tuple(name for name in names if name in kept),
        tuple(name for name in free if name not in wanted),
    )


def _meant_by(entry: str, names: Sequence[str]) -> tuple[str, ...]:
    plain = _plain(entry)
    if plain == ALL and entry not in names:
        return tuple(names)
    name = known_name(entry, names)
    if name is not None:
        return (name,)
    plurals = {name: f"{_plain(name)}s" for name in names}
    return tuple(name for name in names if plurals[name] == plain or plurals[name].endswith(f"_{plain}"))


def _plain(name: str) -> str:
    folded = normalize("NFC", normalize("NFC", name).casefold())
    return re.sub(r"[\s_\-]+", "_", folded.strip())
