"""ComfyUI-ChunkyGAN: entry point of the node pack. Library use (`import chunky_core`) needs no host."""

from __future__ import annotations

try:
    from comfy_api.latest import ComfyExtension  # noqa: F401  # only asks whether the host is there
except ImportError:  # tests and library use
    __all__: list[str] = []
else:
    from .nodes import comfy_entrypoint

    WEB_DIRECTORY = "./web"
    __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
