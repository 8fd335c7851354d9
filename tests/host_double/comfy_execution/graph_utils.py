"""Double of comfy_execution.graph_utils: just what the nodes use."""

from __future__ import annotations


class ExecutionBlocker:
    """As an output: whatever is connected there doesn't run, and the message is shown."""

    def __init__(self, message: str | None) -> None:
        self.message = message
