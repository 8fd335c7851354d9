"""Double of the host's comfy package, see ../README.md."""
