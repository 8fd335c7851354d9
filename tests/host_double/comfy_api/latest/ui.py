"""Double of comfy_api.latest.ui."""

from __future__ import annotations

from typing import Any


class PreviewImage:
    def __init__(self, image: Any, cls: Any = None) -> None:
        self.image = image

    def as_dict(self) -> dict[str, Any]:
        """Names of the files that the host would have written, one per picture."""
        files = [{"filename": f"{i}.png", "subfolder": "", "type": "temp"} for i in range(len(self.image))]
        return {"images": files, "animated": (False,)}


class PreviewText:
    def __init__(self, value: str) -> None:
        self.value = value
