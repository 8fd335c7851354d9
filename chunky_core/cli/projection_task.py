"""A projection whose file is written while it runs: a stop or a crash costs no more than half a minute of it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ..errors import ChunkyError, InvalidInputError
from ..generator.generator import Generator
from ..inversion import Edit, Inversion, ProjectionConfig, load_inversion, project, save_inversion
from ..inversion.config import EARLIER, plain_settings
from ..inversion.validation import check_resumable, segment_spaces
from ..segments import SegmentMasks
from .progress import progress_bar
from .signals import Stopped, delay_signals


@dataclass(frozen=True)
class ProjectionTask:
    """What is projected, and the file that its result, finished or not, is kept in.

    photo: [1,3,H,W] in [-1,1] of the generator's resolution. edits: what the file and the result get. resume: go on
    from the file, where there is one.
    """

    title: str
    generator: Generator
    photo: Tensor
    segments: SegmentMasks
    config: ProjectionConfig
    path: Path
    edits: tuple[Edit, ...] = ()
    resume: bool = False

    def earlier(self) -> Inversion | None:
        """The inversion to go on from, None to begin anew.

        Raises InvalidInputError where the file belongs to another job, can't be read, or, without `resume`, holds
        a projection that isn't finished: a slip would cost its time.
        """
        if not self.path.exists():
            return None
        found = load_inversion(self.path)
        if self.resume:
            self._check_goes_on(found)
            return found
        if found.is_unfinished:
            raise InvalidInputError(
                f"{self.path} holds a projection that isn't finished ({found.stopped}); add --resume to go on with "
                "it, give another --out, or delete it"
            )
        return None

    def run(self, earlier: Inversion | None) -> Inversion:
        """Project, or go on with what `earlier` returned. `Stopped` comes back with advice how to go on."""
        result_file = _ResultFile(self.path, earlier)
        try:
            with progress_bar(self.title) as show_progress:
                inversion = project(
                    self.generator,
                    self.photo,
                    self.segments,
                    self.config,
                    callback=show_progress,
                    start=earlier,
                    resume=earlier is not None,
                    autosave=lambda unfinished: result_file.keep(replace(unfinished, edits=self.edits)),
                )
            inversion = replace(inversion, edits=self.edits)
            result_file.finish(inversion)
        except Stopped as stop:
            stop.advice = result_file.advice()
            raise
        if inversion.stopped:
            print(f"{self.title}: {inversion.stopped}", file=sys.stderr)
        return inversion

    def _check_goes_on(self, found: Inversion) -> None:
        config = self.config
        spaces = segment_spaces(self.segments, config)
        try:
            _, state = check_resumable(self.generator, found, self.photo, self.segments, spaces, config)
        except ChunkyError as error:
            raise InvalidInputError(f"--resume can't go on with {self.path}: {error}") from error
        if state.step > config.num_steps:
            raise InvalidInputError(
                f"{self.path} is at step {state.step}, --steps is {config.num_steps}; give at least {state.step}"
            )
        asked = json.loads(json.dumps(plain_settings(config)))  # as they come back from a file
        known = asked.keys() & found.settings.keys() - {"steps", *EARLIER}  # more steps are welcome
        other = sorted(name for name in known if found.settings[name] != asked[name])
        if other:
            was, now = found.settings[other[0]], asked[other[0]]
            raise InvalidInputError(
                f"{self.path} was projected with {other[0]} {was!r}, now it is {now!r}; give the same, or another --out"
            )


class _ResultFile:
    """Writes the projection, finished or not; a finished one that lies under its name is set aside until the end."""

    def __init__(self, path: Path, earlier: Inversion | None) -> None:
        self.path = path
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
                print(f"\nthe projection goes on but isn't kept: {error}", file=sys.stderr)
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
            return ": ".join(filter(None, ("nothing of the projection is kept", self.problem)))
        aside = f" (the finished one before it: {self.previous.name})" if self.previous.exists() else ""
        return f"{self.path} keeps the projection{aside}; the same command with --resume goes on with it"

    def _set_aside(self) -> None:
        if self.replaces:
            self.target.replace(self.previous)
            self.replaces = False
