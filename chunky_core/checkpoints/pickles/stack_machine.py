"""The state of reading one pickle, a stack and a memo, and the limits of the work that it may cause."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..formats.tool_signatures import is_dangerous
from .allowed_globals import find
from .rebuild import EmptyArray, Known, Unknown, as_key, cut_off, damaged, refused, unknown_class

MAX_GLOBAL = 400  # characters of a function's name


@dataclass
class Budget:
    """What reading a file may still cost; shared by all pickles in it.

    operations: opcodes and copied entries (real files take up to 100 000); text: bytes copied out of the file;
    keys: keys and elements of sets that are no text. Numbers can be chosen so that each look-up meets all others,
    while text is hashed with a secret; real files have some hundreds, for the parameters of an optimizer.
    """

    operations: int = 2_000_000
    text: int = 512 << 20
    keys: int = 10_000

    @classmethod
    def for_file(cls, size: int) -> Budget:
        """The budget of a file of `size` bytes: its text may be copied a few times, not without end."""
        return cls(text=min(8 * size + (16 << 20), 512 << 20))

    def spend(self, operations: int = 0, text: int = 0, keys: int = 0) -> None:
        self.operations -= operations
        self.text -= text
        self.keys -= keys
        if self.operations < 0 or self.text < 0 or self.keys < 0:
            raise damaged("it asks for far more work than any StyleGAN file needs")


@dataclass
class Rules:
    """What one pickle may use besides the common list.

    persistent: turns a persistent id into an object, None where there are none; extra: more globals by
    "module name"; unknown: whether objects of classes that are not on the list become inert records, for the caller
    to refuse what reaches them; where not, the file is refused at once.
    """

    budget: Budget = field(default_factory=Budget)
    persistent: Callable[[Any], Any] | None = None
    extra: Mapping[str, Known] = field(default_factory=dict)
    unknown: bool = False


class Machine:
    """The state of reading one pickle."""

    def __init__(self, data: memoryview, rules: Rules, position: int) -> None:
        self.data = data
        self.rules = rules
        self.position = position
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[str, Any] = {}  # by text, which can't be chosen to collide as numbers can

    def take(self, count: int) -> memoryview:
        """The next `count` bytes, as a view."""
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise cut_off()
        view = self.data[self.position : end]
        self.position = end
        return view

    def number(self, form: str) -> int:
        """The next number, in a struct format."""
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def spend_text(self, count: int) -> None:
        self.rules.budget.spend(text=count)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise damaged("it takes more from the stack than there is")
        return self.stack.pop()

    def pop_many(self, count: int) -> tuple[Any, ...]:
        return tuple(self.pop() for _ in range(count))[::-1]

    def pop_mark(self) -> list[Any]:
        """Everything above the last mark."""
        if not self.marks:
            raise damaged("it takes a group from the stack where there is none")
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def top(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise damaged("it takes more from the stack than there is")
        return self.stack[-1]

    def key(self, value: Any) -> Any:
        """A value as a key, paid for."""
        key = as_key(value)
        text = isinstance(key, str | bytes)
        self.rules.budget.spend(text=len(key) if text else 0, keys=not text)
        return key

    def put(self, number: int) -> None:
        value, key = self.top(), str(number)
        if isinstance(value, EmptyArray):
            value.places.append(key)
        self.memo[key] = value

    def get(self, number: int) -> None:
        key = str(number)
        if key not in self.memo:
            raise damaged(f"it refers to the object {key[:20]}, which is not there")
        self.stack.append(self.memo[key])

    def find(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise damaged("it names a function by something that is not text")
        if len(module) + len(name) > MAX_GLOBAL:
            raise refused(f"{module[:60]}.{name[:60]}")
        extra = self.rules.extra.get(f"{module} {name}")
        known = extra if extra is not None else find(module, name)
        if known is None:
            known = self._unknown(f"{module}.{name}")
        self.stack.append(known)

    def _unknown(self, name: str) -> Unknown:
        if not self.rules.unknown or is_dangerous(name):
            raise refused(name)
        return unknown_class(name)
