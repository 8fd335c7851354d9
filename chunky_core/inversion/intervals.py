"""What a run does by the clock: previews, and records to be saved. The codes never depend on it."""

from __future__ import annotations

import math
import time

from ..errors import InvalidInputError


class Interval:
    """Tells when `seconds` (0 or more, infinity = never) have passed since it was started last.

    name: of the argument that sets them, for the error. at_once: it is due before its first start, too.
    Raises InvalidInputError for a negative time and NaN.
    """

    def __init__(self, name: str, seconds: float, *, at_once: bool = False) -> None:
        if not seconds >= 0:
            raise InvalidInputError(f"{name} is {seconds}; expected 0 or more")
        self._seconds = seconds
        self._started = -math.inf if at_once else time.monotonic()

    def start(self) -> None:
        self._started = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._started >= self._seconds
