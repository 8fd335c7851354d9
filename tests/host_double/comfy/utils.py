"""Double of comfy.utils: a progress bar that remembers what it was told."""

from __future__ import annotations

from typing import Any

sent: list[tuple[int, int, Any]] = []


class ProgressBar:
    def __init__(self, total: int) -> None:
        self.total = total

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        sent.append((value, total or self.total, preview))
