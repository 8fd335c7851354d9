"""Double of the host's comfy_api, see ../README.md."""
