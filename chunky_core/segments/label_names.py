"""New names for the labels of a map or for masks; names that become equal merge."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from unicodedata import normalize

from torch import Tensor

from ..checks import check_type
from ..errors import InvalidInputError
from ..wording import in_pixels
from .names import check_name, known_name

Renames = dict[str, str]
_SIGNS = ",;+:=\n\r"  # what lists of names, edits and rules are made of


def check_addressable(name: str, where: str) -> None:
    """Raise InvalidInputError for a name that lists of names, edits and rules can't tell. where: what has it."""
    check_name(name, where)
    if not name.strip():
        raise InvalidInputError(f"{where}: a name is blank; give the segment one")
    signs = [sign for sign in _SIGNS if sign in name]
    if signs:
        raise InvalidInputError(
            f"{where}: the name {name[:80]!r} has {' and '.join(map(repr, signs))} in it, which stands between names "
            "and edits in the options, so nothing could name it; rename it"
        )


def addressable(name: str) -> str:
    """A name that a tool wrote, with blanks in the place of the signs that lists of names and edits are made of."""
    return " ".join(re.sub(f"[{_SIGNS}]", " ", name).split())


def split_names(text: str) -> list[str]:
    """Names separated by commas, semicolons or lines, without blanks around them, in Unicode's form NFC."""
    return [normalize("NFC", name).strip() for name in re.split(r"[,;\n]", text) if name.strip()]


def parse_renames(text: str) -> Renames:
    """Old name -> new name from "hair + hat = hair, l_eye = left_eye".

    Rules are separated by commas, semicolons or lines; all of them act on the names as they were before.
    Raises InvalidInputError for a rule without old or new name, and for a name that two rules claim.
    """
    renames: Renames = {}
    for rule in split_names(text):
        left, sign, new = (part.strip() for part in rule.rpartition("="))
        old_names = [name.strip() for name in left.split("+")]
        if not sign or not new or not all(old_names):
            raise InvalidInputError(f"the rule {rule!r} is incomplete; write it as old = new or a + b = new")
        for old in old_names:
            if renames.setdefault(old, new) != new:
                raise InvalidInputError(
                    f"{old!r} becomes both {renames[old]!r} and {new!r}; keep one of the two rules"
                )
    return renames


def renamed_labels(names: Mapping[int, str], renames: Mapping[str, str]) -> dict[int, str]:
    """The names of labels after the renames; labels of one name make one segment.

    Case doesn't count in old names. Raises InvalidInputError for one that no label has.
    """
    rules = known_renames(renames, list(dict.fromkeys(names.values())))
    return {label: rules.get(name, name) for label, name in names.items()}


def renamed_masks(masks: Mapping[str, Tensor], renames: Mapping[str, str]) -> dict[str, Tensor]:
    """Masks [H,W] in [0,1] after the renames; those of one name are added and cut at 1.

    The sum joins soft masks that share a boundary without a seam, and hard ones that overlap as their union.
    Case doesn't count in old names. Raises InvalidInputError for one that no mask has, and for sizes that do not
    agree.
    """
    rules = known_renames(renames, list(masks))
    merged: dict[str, Tensor] = {}
    for old, mask in masks.items():
        new = rules.get(old, old)
        merged[new] = mask if new not in merged else _union(new, merged[new], mask)
    return merged


def _union(name: str, first: Tensor, second: Tensor) -> Tensor:
    if first.shape != second.shape:
        raise InvalidInputError(
            f"the masks that become {name!r} are {in_pixels(first)} and {in_pixels(second)}; resize one"
        )
    return (first + second).clamp(max=1)


def known_renames(renames: Mapping[str, str], known: Collection[str]) -> Renames:
    """The renames with the old names written as they are known, which may be in another case.

    Raises InvalidInputError for one that is not known, and for what is no table of texts.
    """
    check_type(renames, "rename", Mapping, 'as in {"upper_lip": "lips"}')
    if not all(isinstance(text, str) for pair in renames.items() for text in pair):
        raise InvalidInputError(f"rename is {renames!r:.60}; expected texts: old name -> new name")
    meant = {old: known_name(old, known) for old in renames}
    unknown = [old for old, name in meant.items() if name is None]
    if unknown:
        raise InvalidInputError(
            f"there is no area {', '.join(map(repr, unknown))} to rename; there are {', '.join(known)}"
        )
    return {name: renames[old] for old, name in meant.items() if name is not None}
