"""Double of the host's server: it remembers what would have been sent to the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class PromptQueue:
    def __init__(self) -> None:
        self.running: list[tuple[Any, ...]] = []  # number, prompt_id, prompt, extra_data, outputs, sensitive

    def get_current_queue_volatile(self) -> tuple[list[Any], list[Any]]:
        return self.running, []


class Routes:
    """Only in the double: `handlers` has what was registered, by path."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[Any], Any]] = {}

    def get(self, path: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
        def keep(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
            self.handlers[path] = handler
            return handler

        return keep


class PromptServer:
    instance: PromptServer

    def __init__(self) -> None:
        self.prompt_queue = PromptQueue()
        self.routes = Routes()
        self.events: list[tuple[str, Any]] = []
        self.client_id: str | None = "page"

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        self.events.append((event, data))


PromptServer.instance = PromptServer()
