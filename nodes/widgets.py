"""Widgets that the nodes of projection and tuning have in common."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..chunky_core.errors import InvalidInputError


def number(
    name: str,
    tooltip: str,
    *,
    default: float,
    high: float,
    step: float,
    low: float = 0.0,
    advanced: bool = True,
) -> io.Input:
    widget: dict[str, Any] = {"min": low, "max": high, "step": step, "round": False}
    return io.Float.Input(name, default=default, **widget, tooltip=tooltip, advanced=advanced)


def switch(name: str, tooltip: str, *, default: bool) -> io.Input:
    return io.Boolean.Input(name, default=default, tooltip=tooltip, advanced=True)


def steps(default: int, tooltip: str) -> io.Input:
    return io.Int.Input("steps", default=default, min=1, max=2000, tooltip=tooltip)


def seed(default: int, tooltip: str) -> io.Input:
    """Stays as it is from run to run, so that nothing is made anew for its sake."""
    return io.Int.Input(
        "seed",
        default=default,
        min=0,
        max=0xFFFFFFFF,
        control_after_generate=io.ControlAfterGenerate.fixed,
        tooltip=tooltip,
    )


def plateau(default: int) -> io.Input:
    return io.Int.Input(
        "plateau",
        default=default,
        min=0,
        max=500,
        tooltip="Steps without an improvement by 1 % after which a segment stops; 0 = never.",
        advanced=True,
    )


def check_limits(name: str, value: float | None, low: float, high: float) -> None:
    """Raise InvalidInputError for a widget's number beyond its limits; None = linked, not known yet.

    The host leaves that to a node that names the widget in `validate_inputs`.
    """
    if value is not None and not low <= value <= high:
        raise InvalidInputError(f"{name} is {value:g}; expected {low:g} to {high:g}")
