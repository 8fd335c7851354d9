"""Work whose file is written while it runs: a stop or a crash costs no more than half a minute of it."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..inversion import Alignment, Edit, Inversion, load_inversion
from .progress import progress_bar
from .result_file import ResultFile
from .signals import Stopped


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """What is done, and the file that its result, finished or not, is kept in.

    noun: what the work is called; title: this one, on the progress bar. edits, alignment: what the file and the result
    get, the second unless it is None. marks: entries that the result's settings get, and that a file must have if it
    has any of these.
    resume: go on from the file, where there is one.
    """

    noun: ClassVar[str]

    title: str
    generator: Generator
    path: Path
    edits: tuple[Edit, ...] = ()
    alignment: Alignment | None = None
    resume: bool = False
    marks: Mapping[str, Any] = field(default_factory=dict)

    @abstractmethod
    def work(self, earlier: Inversion | None, **watching: Any) -> Inversion:
        """Do it, or go on with `earlier`. watching: callback and autosave."""

    @abstractmethod
    def check_goes_on(self, found: Inversion) -> None:
        """Raise InvalidInputError where the file's inversion belongs to other work."""

    def earlier(self) -> Inversion | None:
        """The inversion to go on from, None to begin anew.

        Raises InvalidInputError where the file belongs to another job, can't be read, or, without `resume`, holds
        work that isn't finished: a slip would cost its time.
        """
        if not self.path.exists():
            return None
        found = load_inversion(self.path)
        if self.resume:
            self.check_goes_on(found)
            return found
        if found.is_unfinished:
            raise InvalidInputError(
                f"{self.path} holds a {self.noun} that isn't finished ({found.stopped}); add --resume to go on with "
                "it, give another --out, or delete it"
            )
        return None

    def run(self, earlier: Inversion | None) -> Inversion:
        """Do it, or go on with what `earlier` returned. `Stopped` comes back with advice how to go on."""
        file = ResultFile(self.path, self.noun, earlier)
        try:
            with progress_bar(self.title) as show_progress:
                inversion = self.work(
                    earlier,
                    callback=show_progress,
                    autosave=lambda unfinished: file.keep(self.named(unfinished)),
                )
            inversion = self.named(inversion)
            file.finish(inversion)
        except Stopped as stop:
            stop.advice = file.advice()
            raise
        if inversion.stopped:
            print(f"{self.title}: {inversion.stopped}", file=sys.stderr)
        return inversion

    def named(self, inversion: Inversion) -> Inversion:
        """The inversion with the edits, the marks, and with where its photo was cut from."""
        alignment = inversion.alignment if self.alignment is None else self.alignment
        settings = {**inversion.settings, **self.marks}
        return replace(inversion, edits=self.edits, alignment=alignment, settings=settings)

    def check_settings(
        self, asked: Mapping[str, Any], known: Mapping[str, Any], free: Collection[str] = ()
    ) -> None:
        """Raise InvalidInputError where a setting that was asked for differs from what the file knows of it.

        free: names of those that may differ.
        """
        asked = json.loads(json.dumps(asked))  # as they come back from a file
        other = sorted(name for name in asked.keys() & known.keys() - {*free} if known[name] != asked[name])
        if other:
            was, now = known[other[0]], asked[other[0]]
            raise InvalidInputError(
                f"{self.path} was made with {other[0]} {was!r}, now it is {now!r}; give the same, or another --out"
            )
