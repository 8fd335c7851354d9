"""Who watches a run, a projection or a tuning: told of its steps, given its records, able to end it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from ..callbacks import Callback
from ..errors import InvalidInputError
from .record import Inversion

Autosave: TypeAlias = Callable[[Inversion], None]


class StopProjection(Exception):  # noqa: N818  # a request, no error; as StopIteration
    """Raised by a callback: the run ends here, and its result so far is returned."""


class Run(Protocol):
    """config: has num_steps; step: how many are done; stopped: why it ended early, or ""."""

    config: Any
    step: int
    stopped: str

    @property
    def is_over(self) -> bool: ...


class Watcher:
    """callback: told of each step, with an image at the first, then every `preview_seconds`, and at the end; autosave:
    given a record every `autosave_seconds`, and when the run ends by an exception.

    Raises InvalidInputError for a negative time and NaN.
    """

    def __init__(
        self,
        callback: Callback | None,
        preview_seconds: float,
        autosave: Autosave | None,
        autosave_seconds: float,
    ) -> None:
        self.callback, self.autosave = callback, autosave
        self._previews = Interval("preview_seconds", preview_seconds, at_once=True)
        self._saves = Interval("autosave_seconds", autosave_seconds)

    def follow(
        self,
        run: Run,
        steps: Iterator[None],
        record: Callable[..., Inversion],
        preview: Callable[[], Tensor] | None,
    ) -> Inversion:
        """Let the run make its steps -> the record of its end.

        record(unfinished=, measured=): as it stands; preview(): an image of that, None = there is none to show.
        """
        try:
            for _ in steps:
                self._report(run, preview)
                if self.autosave is not None and not run.is_over and self._saves.is_due():
                    self.autosave(record(unfinished=True, measured=False))
                    self._saves.start()
        except BaseException:  # an interruption is none of Exception
            if self.autosave is not None:
                self.autosave(record(unfinished=True))
            raise
        return record()

    def _report(self, run: Run, preview: Callable[[], Tensor] | None) -> None:
        """Tell the callback of the step that was made, with an image where one is due."""
        if self.callback is None:
            return
        shown = run.is_over or self._previews.is_due()
        try:
            self.callback(run.step, run.config.num_steps, preview() if shown and preview else None)
        except StopProjection:
            run.stopped = f"stopped on request after step {run.step} of {run.config.num_steps}"
        if shown:
            self._previews.start()


class Interval:
    """Tells when `seconds` (0 or more, infinity = never) have passed since it was started last.

    name: of the argument that sets them, for the error. at_once: it is due before its first start, too.
    Raises InvalidInputError for a negative time and NaN.
    """

    def __init__(self, name: str, seconds: float, *, at_once: bool = False) -> None:
        if not isinstance(seconds, int | float) or not seconds >= 0:
            raise InvalidInputError(f"{name} is {seconds!r:.40}; expected 0 or more")
        self._seconds = seconds
        self._started = -math.inf if at_once else time.monotonic()

    def start(self) -> None:
        self._started = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._started >= self._seconds
