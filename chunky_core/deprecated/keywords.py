"""Keyword arguments and fields under their old names."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def old_keywords(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Lets a function take keyword arguments under old names, too, with a DeprecationWarning: old_name="new_name"."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def renaming(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in kwargs.keys() & names.keys():
                _warn(function.__qualname__.removesuffix(".__init__"), old, names[old])
                if names[old] in kwargs and function.__name__ != "__init__":
                    raise TypeError(
                        f"{function.__name__}() got {old!r} and {names[old]!r}, which are the same"
                    )
                kwargs[names[old]] = kwargs.pop(old)
            return function(*args, **kwargs)

        return renaming

    return decorate


def old_fields(names: Mapping[str, str]) -> Callable[[type[T]], type[T]]:
    """Lets a dataclass be made with fields under old names, and read by them, with a DeprecationWarning."""

    def decorate(cls: type[T]) -> type[T]:
        def read(self: T, name: str) -> Any:
            if name not in names:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            _warn(type(self).__name__, name, names[name])
            return getattr(self, names[name])

        cls.__init__ = old_keywords(**names)(cls.__init__)  # type: ignore[method-assign]
        cls.__getattr__ = read  # type: ignore[attr-defined]
        return cls

    return decorate


def _warn(owner: str, old: str, new: str) -> None:
    message = f"{owner}: {old!r} is now {new!r}; the old name goes with version 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
