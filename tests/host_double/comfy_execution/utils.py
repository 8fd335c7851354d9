"""Double of comfy_execution.utils: which node is being executed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class ExecutionContext(NamedTuple):
    prompt_id: str
    node_id: str
    list_index: int | None = None


_current: ContextVar[ExecutionContext | None] = ContextVar("_current", default=None)


def get_executing_context() -> ExecutionContext | None:
    return _current.get()


@contextmanager
def CurrentNodeContext(prompt_id: str, node_id: str) -> Iterator[None]:  # noqa: N802
    token = _current.set(ExecutionContext(prompt_id, node_id))
    try:
        yield
    finally:
        _current.reset(token)
