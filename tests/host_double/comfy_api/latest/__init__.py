"""Double of comfy_api.latest."""

from . import io, ui


class ComfyExtension:
    async def on_load(self) -> None:
        pass

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        raise NotImplementedError


__all__ = ["ComfyExtension", "io", "ui"]
