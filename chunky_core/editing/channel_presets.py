"""Presets of StyleSpace (Wu et al. 2021): single channels of S, as text or JSON.

`gaze: 9_409`, `smile = (6, 259, -20)`, `{"smile": [6, 259]}`, `{"old": [[6, 364, 3], ["b32.conv1", 28]]}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..generator.spaces import Direction
from ..inversion.plain_values import check_depth
from .stored_directions import Arrangement, NeedsGeneratorError, is_torgb

MAX_TEXT = 1 << 20  # characters
MAX_LINE = 200
MAX_CHANNELS = 1 << 14
LARGEST = 1e15  # amount
WITHOUT_TORGB = "without torgb"  # as a text's comment; in JSON: "torgb": false
_NUMBER = r"[-+]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:[eE][-+]?\d{1,3})?"
_CHANNEL = rf"(?P<layer>\d{{1,3}}) ?[,_ ] ?(?P<channel>\d{{1,6}})(?: ?[,_ ] ?(?P<amount>{_NUMBER}))?"
_LINE = re.compile(
    rf"(?:['\"]?(?P<name>[^\W\d][\w-]*(?: [^\W\d][\w-]*)*)['\"]? ?[:= ] ?)?[\[(]? ?{_CHANNEL} ?[\])]? ?,? ?(?:\#.*)?"
)
_PAIR = re.compile(_CHANNEL)
_HOW = "write lines such as 'smile: 6_259' or 'smile: 6, 259, -20' (layer, channel, amount)"


@dataclass(frozen=True)
class Channel:
    """A step along one channel. layer: its number, or its name in `Generator.style_layout`."""

    layer: int | str
    channel: int
    amount: float = 1.0


@dataclass(frozen=True)
class StoredChannels:
    """A direction of few channels. torgb: whether the layers' numbers count the toRGB layers, as StyleSpace's and
    Chunkmogrify's do: 26 at 1024 pixels, 9 = b32.conv1.
    """

    name: str
    channels: tuple[Channel, ...]
    torgb: bool = True
    source: str = ""
    says_unit: ClassVar[bool] = False

    @property
    def shape(self) -> str:
        shown = ", ".join(f"{one.layer}_{one.channel}" for one in self.channels[:3])
        more = ", ..." if len(self.channels) > 3 else ""
        return f"{len(self.channels)} channel{'s' * (len(self.channels) != 1)} ({shown}{more})"

    def directions(
        self, generator: Generator | None, arrangement: Arrangement, raw: bool
    ) -> Iterator[Direction]:
        if generator is None:
            raise NeedsGeneratorError(
                f"direction {self.name[:80]!r} moves channels of S; only with the generator it is known where they are"
            )
        parts = [torch.zeros(width) for _, width in generator.style_layout]
        for one in self.channels:
            parts[self._place(one, generator)][one.channel] += one.amount
        yield Direction(self.name, "s", torch.cat(parts), unit="raw", source=self.source)

    def _place(self, one: Channel, generator: Generator) -> int:
        """The layer's number in `style_layout`."""
        layout = generator.style_layout
        known = [index for index, (layer, _) in enumerate(layout) if self.torgb or not is_torgb(layer)]
        if isinstance(one.layer, str):
            known = [index for index, (layer, _) in enumerate(layout) if layer == one.layer]
        number = 0 if isinstance(one.layer, str) else one.layer
        if number >= len(known):
            layers = f"0 to {len(known) - 1}" if known else ", ".join(layer for layer, _ in layout)
            raise InvalidInputError(
                f"direction {self.name[:80]!r} moves layer {str(one.layer)[:40]}; this generator's styles are {layers}"
            )
        index = known[number]
        if one.channel >= layout[index][1]:
            raise InvalidInputError(
                f"direction {self.name[:80]!r} moves channel {one.channel} of layer {one.layer}; this generator's has "
                f"{layout[index][1]}"
            )
        return index


def presets_of_text(text: str, stem: str, lenient: bool = False) -> list[StoredChannels]:
    """A preset for each name; lines without one make one under `stem`.

    lenient: pass over lines that are something else, as in the source of a program. Raises InvalidInputError for text
    that is no list of channels.
    """
    _check_length(text)
    found: dict[str, list[Channel]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        plain = " ".join(line.split())  # or the expression would try every way to part a run of spaces
        match = _LINE.fullmatch(plain) if len(plain) <= MAX_LINE else None
        if match is not None:
            found.setdefault(match["name"] or stem, []).append(_channel(match))
        elif not lenient and line.strip() and not line.lstrip().startswith("#"):
            raise InvalidInputError(f"line {number}, {line.strip()[:40]!r}, is no channel; {_HOW}")
    torgb = WITHOUT_TORGB not in text.lower()
    return _presets(found, torgb)


def presets_of_json(text: str, stem: str) -> list[StoredChannels]:
    """As `presets_of_text`: an object of presets by name, or a list of channels under `stem`."""
    _check_length(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"it is no JSON ({error!s:.80})") from error
    entries = dict(value) if isinstance(value, dict) else {stem: value}
    torgb = entries.pop("torgb", True)
    check_depth(entries)
    if not isinstance(torgb, bool):
        raise InvalidInputError(
            'its "torgb" is no truth value; expected false where layers don\'t count toRGB'
        )
    return _presets({name: list(_channels(name, entry)) for name, entry in entries.items()}, torgb)


def _presets(found: dict[str, list[Channel]], torgb: bool) -> list[StoredChannels]:
    if not found or sum(map(len, found.values())) > MAX_CHANNELS:
        count = sum(map(len, found.values()))
        raise InvalidInputError(f"it holds {count} channels; expected 1 to {MAX_CHANNELS}: {_HOW}")
    return [StoredChannels(name, tuple(channels), torgb) for name, channels in found.items()]


def _channels(name: str, entry: Any) -> Iterator[Channel]:
    """[6, 259], [6, 259, -20], "6_259", or a list of such."""
    if isinstance(entry, str):
        match = _PAIR.fullmatch(" ".join(entry[:MAX_LINE].split()))
        if match is not None:
            yield _channel(match)
            return
    several = isinstance(entry, list) and entry and all(isinstance(one, list | str) for one in entry)
    if several and not _is_channel(entry):
        for one in entry:
            yield from _channels(name, one)
        return
    if not _is_channel(entry):
        raise InvalidInputError(
            f"its entry {name[:80]!r} is {str(entry)[:40]!r}; expected [layer, channel, amount]"
        )
    yield Channel(entry[0], entry[1], float(entry[2]) if len(entry) == 3 else 1.0)


def _is_channel(entry: Any) -> bool:
    if not isinstance(entry, list) or len(entry) not in (2, 3):
        return False
    layer, channel, amount = (*entry, 1.0)[:3]
    placed = isinstance(layer, str) or _is_count(layer)
    number = isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < LARGEST
    return placed and _is_count(channel) and number


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 20


def _channel(match: re.Match[str]) -> Channel:
    amount = 1.0 if match["amount"] is None else float(match["amount"])
    if not abs(amount) < LARGEST:
        raise InvalidInputError(
            f"{match['amount']} is no amount of a channel; expected less than {LARGEST:g}"
        )
    return Channel(int(match["layer"]), int(match["channel"]), amount)


def _check_length(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise InvalidInputError(f"it has {len(text)} characters; expected at most {MAX_TEXT}")
