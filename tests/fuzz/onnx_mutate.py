"""Damage to an ONNX file that is still one: protobuf's fields changed, since flipped bytes hardly ever parse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

from .mutate import mutated

_NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    16,
    64,
    255,
    1024,
    65536,
    10**9,
    2**31 - 1,
    2**31,
    -(2**31),
    2**62,
    2**63 - 1,
    -(2**63),
)
_FLOATS = (0.0, -1.0, 1e-38, 1e38, float("inf"), float("-inf"), float("nan"))
_WORDS = (
    *(
        "Reshape",
        "Expand",
        "Pad",
        "Slice",
        "Transpose",
        "MatMul",
        "Split",
        "Squeeze",
        "Softmax",
        "ReduceMean",
        "Cast",
    ),
    *(
        "MaxPool",
        "Flatten",
        "Loop",
        "If",
        "ConstantOfShape",
        "Tile",
        "Resize",
        "Range",
        "axis",
        "group",
        "strides",
    ),
    *("pads", "ai.onnx.ml", "", "x\n", 'a"); print("', "\u00e9", "n" * 3000),
)


def mutated_onnx(data: bytes, rng: Random) -> bytes:
    """A damaged copy of the ONNX file `data`; deterministic for a given rng. One in five has damaged bytes."""
    from onnx import ModelProto

    if rng.random() < 0.2:
        return mutated(data, rng)
    model = ModelProto.FromString(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        messages = list(_messages(model))
        with suppress(ValueError):  # an enumeration takes only its own numbers, a name no surrogates
            rng.choice(_CHANGES)(rng.choice(messages), messages, rng)
    written: bytes = model.SerializeToString()
    return written


def _messages(message: Any) -> Iterator[Any]:
    """A message and all below it."""
    yield message
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if _repeated(field) else [value]:
                yield from _messages(inner)


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def set_value(message: Any, messages: list[Any], rng: Random) -> None:
    """A number, text or bytes of another value."""
    fields = [field for field, _ in message.ListFields() if field.type != field.TYPE_MESSAGE]
    if not fields:
        return
    field = rng.choice(fields)
    value = getattr(message, field.name)
    if _repeated(field):
        at = rng.randrange(len(value))
        value[at] = _other(field, value[at], messages, rng)
    else:
        setattr(message, field.name, _other(field, value, messages, rng))


def _other(field: Any, value: Any, messages: list[Any], rng: Random) -> Any:
    if isinstance(value, bytes):
        return rng.choice((b"", value[:-1], value * 2, b"\xff" * len(value), b"\x00" * len(value)))
    if isinstance(value, str):
        names = [getattr(message, "name", "") for message in messages]
        return rng.choice((rng.choice(_WORDS), rng.choice(names), value + value))
    if isinstance(value, float):
        return rng.choice(_FLOATS)
    number = rng.choice((*_NUMBERS, value + 1, value * 2))
    size = 31 if field.type in (field.TYPE_INT32, field.TYPE_ENUM) else 63
    return max(-(2**size), min(number, 2**size - 1))


def add_value(message: Any, messages: list[Any], rng: Random) -> None:
    """A field that was absent, or one more number in a list."""
    field = rng.choice(message.DESCRIPTOR.fields)
    if field.type == field.TYPE_MESSAGE:
        target = getattr(message, field.name)
        target.add() if _repeated(field) else target.SetInParent()
        return
    plain = {field.TYPE_STRING: "x", field.TYPE_BYTES: b"x", field.TYPE_FLOAT: 1.0, field.TYPE_DOUBLE: 1.0}
    value = _other(field, plain.get(field.type, 0), messages, rng)
    if _repeated(field):
        getattr(message, field.name).extend([value] * rng.choice((1, 1, 2, 100)))
    else:
        setattr(message, field.name, value)


def remove(message: Any, messages: list[Any], rng: Random) -> None:
    """A field, or one entry of a list."""
    fields = [field for field, _ in message.ListFields()]
    if not fields:
        return
    field = rng.choice(fields)
    if _repeated(field) and rng.random() < 0.8:
        del getattr(message, field.name)[rng.randrange(len(getattr(message, field.name)))]
    else:
        message.ClearField(field.name)


def copy(message: Any, messages: list[Any], rng: Random) -> None:
    """One message in place of another of its kind, or a list's entry again."""
    same = [other for other in messages if other.DESCRIPTOR is message.DESCRIPTOR]
    source = rng.choice(same)
    if source is not message:
        message.CopyFrom(type(source).FromString(source.SerializeToString()))
    lists = [f for f, _ in message.ListFields() if _repeated(f)]
    if lists and rng.random() < 0.5:
        entries = getattr(message, rng.choice(lists).name)
        entry = entries[rng.randrange(len(entries))]
        entries.extend([entry] * rng.choice((1, 1, 3, 300)))


Change = Callable[[Any, list[Any], Random], None]
_CHANGES: tuple[Change, ...] = (set_value, set_value, set_value, add_value, remove, copy)
