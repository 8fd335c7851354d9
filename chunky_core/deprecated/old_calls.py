"""Functions under their names of version 0.1, whose successors take their arguments in another order.

A docstring says what stands for the function now; the warning shows it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, ParamSpec, TypeAlias, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]  # arguments, keyword arguments

ROOT = __package__.rpartition(".")[0]


def accepts_old_calls(
    translate: Callable[..., Call | None],
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """A function that may be called as in version 0.1, too, with a DeprecationWarning.

    translate: gets the arguments and returns them as the function takes them now; None where they are so already.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @functools.wraps(function)
        def call(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
            now = translate(*arguments, **options)
            if now is None:
                return function(*arguments, **options)
            name = function.__name__
            message = f"{name} has other arguments now, see its docstring; the old ones go with version 0.3"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return function(*now[0], **now[1])

        return call

    return decorate


def _photo_first(module: str, name: str, **renamed: str) -> Callable[..., Any]:
    """A function that took (picture, photo, ...): `module`'s function `name` takes the photo first.

    renamed: old keyword = new keyword.
    """

    def old(*arguments: Any, **options: Any) -> Any:
        pair = dict(zip(("picture", "photo"), arguments[:2], strict=False))
        picture, photo = (pair.get(one, options.pop(one, None)) for one in ("picture", "photo"))
        options = {renamed.get(option, option): value for option, value in options.items()}
        return getattr(import_module(f"{ROOT}.{module}"), name)(photo, picture, *arguments[2:], **options)

    old.__doc__ = f"chunky_core.{module}.{name}, with the photo before the rendering"
    return old


set_in = _photo_first("compositing.modes", "seamless_clone", rim="boundary")
poisson_composite = _photo_first("compositing.poisson", "poisson_blend", rim="boundary")
colour_shift = _photo_first("compositing.color_shift", "shift_colors", rim="boundary")
fidelity = _photo_first("evaluation.fidelity", "measure_fidelity")
seam_error = _photo_first("evaluation.seam_visibility", "seam_gradient_error")
inner_error = _photo_first("evaluation.seam_visibility", "interior_gradient_error")
seams = _photo_first("evaluation.seam_visibility", "seam_gradient_errors")


def join_segments(*arguments: Any, rim: str = "soft", **options: Any) -> Any:
    """chunky_core.compositing.segment_seams.poisson_blend_segments, with boundary for rim"""
    new = import_module(f"{ROOT}.compositing.segment_seams").poisson_blend_segments
    return new(*arguments, boundary=rim, **options)


def shift_segments(*arguments: Any, rim: str = "soft", **options: Any) -> Any:
    """chunky_core.compositing.segment_seams.shift_segment_colors, with boundary for rim"""
    new = import_module(f"{ROOT}.compositing.segment_seams").shift_segment_colors
    return new(*arguments, boundary=rim, **options)
