"""Functions whose first two arguments changed places since version 0.1, where their types tell the two orders apart."""

from __future__ import annotations

import os
import warnings
from typing import TypeAlias, TypeVar

Content = TypeVar("Content")
First = TypeVar("First")
Second = TypeVar("Second")
AnyPath: TypeAlias = "str | os.PathLike[str]"


def content_then_path(first: Content, second: AnyPath, function: str) -> tuple[Content, AnyPath]:
    """The two arguments of a `function`, in the order what is saved, path, in whichever of the two they came.

    Warns of the old order, in the name of the function's caller.
    """
    if not isinstance(first, (str, os.PathLike)):
        return first, second
    message = f"{function} takes what it saves first, then the path; the other order goes with version 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return second, first  # type: ignore[return-value]


def generator_then_inversion(
    first: First, second: Second, generator: type[First], function: str
) -> tuple[First, Second]:
    """The two arguments of a `function`, in the order generator, inversion, in whichever of the two they came.

    generator: the type that tells them apart. Warns of the old order, in the name of the function's caller.
    """
    if not isinstance(second, generator):
        return first, second
    message = f"{function} takes the generator first; the other order goes with version 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return second, first  # type: ignore[return-value]
