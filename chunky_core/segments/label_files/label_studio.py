"""Label Studio's brush exports: one picture per stroke, whose name has the annotator's e-mail address in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# label_studio_converter/brush.py: task-T-annotation-A-by-WHO-CONTROL-LABEL-N, WHO an address or a number, CONTROL the
# name of the labelling interface's tag; the converter leaves letters, digits, @ and . of an address
_WHO = r"(?:\d+|[^@]*?@(?:[\w.\-]*?\.[^\W\d_]{2,}|[^\-]*)|[^\-]*)"
_NAME = re.compile(
    rf"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-{_WHO}-(?P<control>[^\-]+)-(?P<label>.+)-\d+",
    re.I,
)
_BY = re.compile(rf"(annotation-\d+)-by-{_WHO}-", re.I)
_ADDRESS = re.compile(r"[^\s@/\\]+@[^\s@/\\]+\.[^\W\d_]{2,}")


@dataclass(frozen=True)
class Stroke:
    """photo: "TASK-ANNOTATION"; label: as it is called in Label Studio, several joined by hyphens."""

    photo: str
    label: str


def stroke(stem: str) -> Stroke | None:
    """What a picture's name without its ending says; None if it isn't of a brush export."""
    found = _NAME.fullmatch(stem)
    return found and Stroke(f"{found['task']}-{found['annotation']}", found["label"])


def has_address(name: str) -> bool:
    """Whether something like an e-mail address is in a name."""
    return _ADDRESS.search(name) is not None


def without_address(text: str) -> str:
    """A text without the addresses in the names of files, for messages."""
    return _ADDRESS.sub("...", _BY.sub(r"\1-", text))
