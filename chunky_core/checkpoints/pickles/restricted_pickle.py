"""A reader of pickles that builds plain data only.

Our own small stack machine over the opcodes of protocols 0 to 5 (described in CPython's pickletools). It never
imports anything: a global is looked up in a fixed list and stands for a function of ours. Bytes are views into the
file; work, nesting and text are limited, so a hostile file can neither run for long nor fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .literals import LITERALS, text_line
from .rebuild import (
    EmptyArray,
    Known,
    Record,
    Unknown,
    build,
    call,
    cut_off,
    damaged,
    instance,
    refused,
    unneeded,
)
from .stack_machine import Budget, Machine, Rules

MAX_DEPTH = 200
PROTOCOLS = range(6)
STOP = ord(".")


def read_pickle(data: memoryview, rules: Rules, start: int = 0) -> tuple[Any, int]:
    """The value of the pickle that starts at `start`, and where it ends.

    The value has no cycles, and written out as a tree it is still small, so it may be walked without care.
    Raises UnsupportedCheckpointError for a global that is not on the list, damage, or work beyond the budget.
    """
    machine = Machine(data, rules, start)
    value = _run(machine)
    _check_tree(value, rules.budget)
    return value, machine.position


def _run(machine: Machine) -> Any:
    while True:
        machine.rules.budget.spend(operations=1)
        opcode = machine.take(1)[0]
        if opcode == STOP:
            return machine.pop()
        if opcode in LITERALS:
            machine.stack.append(LITERALS[opcode](machine))
        elif opcode in OPERATIONS:
            OPERATIONS[opcode](machine)
        else:
            raise damaged(f"it has the unknown pickle opcode 0x{opcode:02x} at byte {machine.position - 1}")


def _check_tree(root: object, budget: Budget) -> None:
    """Walks everything as often as it is referred to: cycles are too deep, repeated sharing is too much work."""
    waiting = [(root, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise damaged(f"it nests more than {MAX_DEPTH} levels deep or without end")
        entries = _entries(value)
        budget.spend(operations=len(entries))
        waiting += [
            (entry, depth + 1) for entry in entries if isinstance(entry, dict | list | tuple | Record)
        ]


def _entries(value: object) -> Any:
    """The entries of a container, as something with a length."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, Record):
        return (value.args, value.state, value.items)
    return value if isinstance(value, list | tuple) else ()


def _charged(machine: Machine, function: object, args: object) -> tuple[Any, ...]:
    """A function's arguments; those that it may copy, or take keys from, are paid for."""
    if not isinstance(args, tuple) or len(args) > 64:
        raise damaged("it calls a function without a list of arguments")
    keyed = isinstance(function, Known) and function.keyed
    for value in args:
        if isinstance(value, list | tuple | dict | set | frozenset):
            keys = sum(not _is_text(entry) for entry in value) if keyed else 0
            machine.rules.budget.spend(operations=len(value), keys=keys)
        elif isinstance(value, str):
            machine.spend_text(len(value))
    return args


def _is_text(entry: object) -> bool:
    """Whether an entry is text as a key, or starts with it, as the pairs do that become a dict."""
    first = entry[0] if isinstance(entry, list | tuple) and entry else entry
    return isinstance(first, str | bytes | memoryview)


def _reduce(machine: Machine) -> None:
    function, args = machine.pop_many(2)
    machine.stack.append(call(function, _charged(machine, function, args)))


def _new(machine: Machine) -> None:
    kind, args = machine.pop_many(2)
    machine.stack.append(instance(kind, _charged(machine, kind, args)))


def _new_with_keywords(machine: Machine) -> None:
    kind, args, keywords = machine.pop_many(3)
    if keywords:
        raise unneeded("it makes an object with keyword arguments")
    machine.stack.append(instance(kind, _charged(machine, kind, args)))


def _object(machine: Machine) -> None:
    kind, *args = machine.pop_mark() or [None]
    _refuse_unknown(kind)
    machine.stack.append(instance(kind, _charged(machine, kind, tuple(args))))


def _instance(machine: Machine) -> None:
    module, name = text_line(machine), text_line(machine)
    args = tuple(machine.pop_mark())
    machine.find(module, name)
    kind = machine.pop()
    _refuse_unknown(kind)
    machine.stack.append(instance(kind, _charged(machine, kind, args)))


def _refuse_unknown(kind: object) -> None:
    """These opcodes call the class itself."""
    if isinstance(kind, Unknown):
        raise refused(kind.name)


def _build(machine: Machine) -> None:
    value, state = machine.pop_many(2)
    if isinstance(value, EmptyArray):
        _charged(machine, None, state)
    built = build(value, state)
    if isinstance(value, EmptyArray):
        machine.memo |= {key: built for key in value.places if machine.memo.get(key) is value}
        value.places.clear()
    machine.stack.append(built)


def _persistent(machine: Machine, key: Any) -> None:
    if machine.rules.persistent is None:
        raise damaged("it refers to objects outside of the file")
    machine.stack.append(machine.rules.persistent(key))


def _append(machine: Machine, values: list[Any] | tuple[Any, ...]) -> None:
    target = machine.top()
    if isinstance(target, Record):
        target.items = [] if target.items is None else target.items
        target = target.items
    if not isinstance(target, list):
        raise damaged(f"it appends to a {type(target).__name__}")
    target.extend(values)


def _add(machine: Machine) -> None:
    values = machine.pop_mark()
    target = machine.top()
    if not isinstance(target, set):
        raise damaged(f"it adds to a {type(target).__name__}")
    target.update(machine.key(value) for value in values)


def _set_items(machine: Machine, pairs: list[Any] | tuple[Any, ...]) -> None:
    target = machine.top()
    if isinstance(target, Record):
        target.items = {} if target.items is None else target.items
        target = target.items
    if not isinstance(target, dict):
        raise damaged(f"it sets entries of a {type(target).__name__}")
    target.update(_dict(machine, pairs))


def _dict(machine: Machine, values: list[Any] | tuple[Any, ...]) -> dict[Any, Any]:
    if len(values) % 2:
        raise damaged("it has a key without a value")
    return {machine.key(key): value for key, value in zip(values[::2], values[1::2], strict=True)}


def _proto(machine: Machine) -> None:
    protocol = machine.take(1)[0]
    if protocol not in PROTOCOLS:
        raise damaged(f"it is a pickle of protocol {protocol}; expected at most {PROTOCOLS[-1]}")


def _frame(machine: Machine) -> None:
    length = machine.number("<Q")
    if machine.position + length > len(machine.data):
        raise cut_off()


def _pop(machine: Machine) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


OPERATIONS: dict[int, Callable[[Machine], object]] = {
    0x80: _proto,
    0x95: _frame,
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("0"): _pop,
    ord("1"): lambda m: m.pop_mark(),
    ord("2"): lambda m: m.stack.append(m.top()),
    ord("p"): lambda m: m.put(int(text_line(m))),
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    0x94: lambda m: m.put(len(m.memo)),
    ord("g"): lambda m: m.get(int(text_line(m))),
    ord("h"): lambda m: m.get(m.number("<B")),
    ord("j"): lambda m: m.get(m.number("<I")),
    ord("t"): lambda m: m.stack.append(tuple(m.pop_mark())),
    0x85: lambda m: m.stack.append(m.pop_many(1)),
    0x86: lambda m: m.stack.append(m.pop_many(2)),
    0x87: lambda m: m.stack.append(m.pop_many(3)),
    ord("l"): lambda m: m.stack.append(m.pop_mark()),
    ord("d"): lambda m: m.stack.append(_dict(m, m.pop_mark())),
    0x91: lambda m: m.stack.append(frozenset(m.key(value) for value in m.pop_mark())),
    ord("a"): lambda m: _append(m, m.pop_many(1)),
    ord("e"): lambda m: _append(m, m.pop_mark()),
    ord("s"): lambda m: _set_items(m, m.pop_many(2)),
    ord("u"): lambda m: _set_items(m, m.pop_mark()),
    0x90: _add,
    ord("c"): lambda m: m.find(text_line(m), text_line(m)),
    0x93: lambda m: m.find(*m.pop_many(2)),
    ord("R"): _reduce,
    0x81: _new,
    0x92: _new_with_keywords,
    ord("o"): _object,
    ord("i"): _instance,
    ord("b"): _build,
    ord("P"): lambda m: _persistent(m, text_line(m)),
    ord("Q"): lambda m: _persistent(m, m.pop()),
}
