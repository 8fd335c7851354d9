"""Functions that save took the path first in version 0.1, and take what they save first now."""

from __future__ import annotations

import os
import warnings
from typing import TypeAlias, TypeVar

Content = TypeVar("Content")
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
