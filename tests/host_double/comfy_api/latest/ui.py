"""Double of comfy_api.latest.ui."""

from __future__ import annotations

from typing import Any


class PreviewImage:
    def __init__(self, image: Any, cls: Any = None) -> None:
        self.image = image


class PreviewText:
    def __init__(self, value: str) -> None:
        self.value = value
