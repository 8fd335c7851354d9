"""The file that a result is kept in, finished or not."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import ChunkyError
from ..inversion import Inversion, save_inversion
from .signals import delay_signals


class ResultFile:
    """Writes an inversion, finished or not; a finished one that lies under its name is set aside until the end.

    noun: what the work is called, such as "projection". earlier: what it goes on with, None where it begins anew.
    """

    def __init__(self, path: Path, noun: str, earlier: Inversion | None) -> None:
        self.path, self.noun = path, noun
        target = path.resolve() if path.is_symlink() else path  # a link stays a link
        self.target, self.previous = target, target.with_name(f"previous_{target.name}")
        self.replaces = earlier is None and path.exists()
        self.kept, self.problem = earlier is not None, ""

    def keep(self, inversion: Inversion) -> None:
        """Write what isn't finished yet.

        A disk that is full now may have room at the end: the run goes on, and says so once.
        """
        try:
            with delay_signals():
                self._set_aside()
                save_inversion(inversion, self.path)
            self.kept = True
        except (ChunkyError, OSError) as error:
            if self.problem != str(error):
                print(f"\nthe {self.noun} goes on but isn't kept: {error}", file=sys.stderr)
            self.problem = str(error)

    def finish(self, inversion: Inversion) -> None:
        """Write the result. Raises InvalidInputError where that can't be."""
        with delay_signals():
            save_inversion(inversion, self.path)
            self.kept = True
            self.previous.unlink(missing_ok=True)

    def advice(self) -> str:
        """How to go on after a stop."""
        if not self.kept:
            return ": ".join(filter(None, (f"nothing of the {self.noun} is kept", self.problem)))
        aside = f" (the finished one before it: {self.previous.name})" if self.previous.exists() else ""
        return f"{self.path} keeps the {self.noun}{aside}; the same command with --resume goes on with it"

    def _set_aside(self) -> None:
        if self.replaces:
            self.target.replace(self.previous)
            self.replaces = False
