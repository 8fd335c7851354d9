"""Double of the host's package comfy_execution."""
