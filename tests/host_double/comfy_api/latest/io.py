"""Double of comfy_api.latest.io: schemas as plain records."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class ControlAfterGenerate(str, Enum):
    fixed = "fixed"
    randomize = "randomize"


@dataclass
class Input:
    id: str
    io_type: str = ""
    display_name: str | None = None
    optional: bool = False
    tooltip: str | None = None
    advanced: bool = False
    widget: dict[str, Any] | None = None  # None = a socket without a widget
    extra_dict: dict[str, Any] = field(default_factory=dict)


@dataclass
class Output:
    io_type: str = ""
    display_name: str | None = None
    tooltip: str | None = None
    is_output_list: bool = False


def _kind(type_name: str, *options: str, socket: bool = False) -> Any:
    """A class with the host's `Input` and `Output`; `options` are the widget's own keywords."""

    def make_input(id: str, **given: Any) -> Input:
        widget = None if socket else {key: given.pop(key) for key in options if key in given}
        return Input(id=id, io_type=type_name, widget=widget, **given)

    def make_output(**given: Any) -> Output:
        return Output(io_type=type_name, **given)

    return type(
        type_name,
        (),
        {"io_type": type_name, "Input": staticmethod(make_input), "Output": staticmethod(make_output)},
    )


def Custom(type_name: str) -> Any:  # noqa: N802
    return _kind(type_name, socket=True)


class MultiType:
    @staticmethod
    def Input(id: str, types: list[Any], **given: Any) -> Input:  # noqa: N802
        return Input(id=id, io_type=",".join(kind.io_type for kind in types), **given)


Image = _kind("IMAGE", socket=True)
Mask = _kind("MASK", socket=True)
Boolean = _kind("BOOLEAN", "default", "label_on", "label_off")
Int = _kind("INT", "default", "min", "max", "step", "control_after_generate")
Float = _kind("FLOAT", "default", "min", "max", "step", "round")
String = _kind("STRING", "default", "multiline", "placeholder")
Combo = _kind("COMBO", "default", "options")


@dataclass
class Schema:
    node_id: str
    display_name: str = ""
    category: str = ""
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    is_output_node: bool = False


class NodeOutput:
    def __init__(self, *args: Any, ui: Any = None) -> None:
        self.args, self.ui = args, ui

    @property
    def result(self) -> tuple[Any, ...]:
        return self.args


class ComfyNode:
    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **inputs: Any) -> NodeOutput:
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:  # noqa: N802
        return cls.define_schema()
