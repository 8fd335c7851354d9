"""Widgets that several nodes for masks share."""

from __future__ import annotations

from comfy_api.latest import io


def feather_input(zero: str) -> io.Input:
    """zero: what a feather of 0 means there."""
    return io.Float.Input(
        "feather",
        default=1.5,
        min=0.0,
        max=32.0,
        step=0.5,
        tooltip=f"Softness of the boundaries: Gaussian sigma in pixels; 0 = {zero}.",
    )


def gaps_input() -> io.Input:
    return io.Combo.Input(
        "gaps",
        options=["static", "nearest"],
        default="static",
        tooltip="What happens to pixels that belong to no segment: they stay as they are, or go to the nearest "
        "one.",
        advanced=True,
    )
