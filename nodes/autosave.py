"""Work under way in a file, so that neither an interruption nor a killed server loses it.

A job, that is the projection or tuning of one photo with its segments and settings, has one file, which is written
again and again: every half minute, when the run is cut short, and when it ends. A later run of the same job can go on
from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import folder_paths
from torch import Tensor

from ..chunky_core.errors import ChunkyError
from ..chunky_core.inversion import Inversion, load_inversion, save_inversion
from .notices import show_notice

FOLDER = "chunkygan"  # in the host's output folder
NEWEST = 8  # files that stay
NAME = re.compile(r"autosave_[0-9a-f]{12}\.safetensors")
SECONDS = 30.0  # between two records of a run
TO_GO_ON = "To go on, set start_as to continue and run again."


class Autosave:
    """The file of one job. What can't be read or written is told, and never ends the run.

    noun, what: how the kind of job and this one are called in notices, such as "projection", "photo 2 of 3". show: puts
    a text on the node. steps: how many steps a record has behind it, and all of them.
    """

    def __init__(
        self,
        key: str,
        noun: str,
        what: str,
        show: Callable[[str], None],
        steps: Callable[[Inversion], tuple[int, int]],
    ) -> None:
        self.path = autosave_folder() / f"autosave_{key}.safetensors"
        self._noun, self._what, self._show, self._steps = noun, what, show, steps
        self._has_failed, self._reached, self._held = False, "", 0

    @property
    def _shown(self) -> str:
        return f"output/{FOLDER}/{self.path.name}"

    def announce(self, earlier: Inversion | None) -> None:
        """Tell on the node from which step the run goes on, if it goes on with an earlier record, and where the work
        will be.
        """
        begins = f"Goes on after step {self._steps(earlier)[0]}. " if earlier is not None else ""
        self._show(f"{begins}Will be saved every {SECONDS:.0f} s\nin {self._shown}")

    def load(self) -> Inversion | None:
        """What an earlier run of this job has left; None, and a word about it, where there is nothing to go on with."""
        if not self.path.is_file():
            show_notice(
                f"Nothing is saved of {self._what} with this generator, these segments and settings: it begins anew."
            )
            return None
        try:
            return load_inversion(self.path)
        except ChunkyError as error:
            show_notice(f"{error}. So {self._what} begins anew.", "error")
            return None

    def hold(self) -> None:
        """Leave what an earlier run has saved where it is, until this one, which begins anew, has come as far."""
        try:
            earlier = load_inversion(self.path) if self.path.is_file() else None
        except ChunkyError:
            return
        if earlier is None:
            return
        self._held = self._steps(earlier)[0]
        if earlier.is_unfinished:
            show_notice(
                f"An earlier run of {self._what} is saved in {self._shown}, after step {self._held}, and this one "
                "begins anew. To go on with that one, cancel, set start_as to continue and run again."
            )

    def save_unfinished(self, record: Inversion) -> None:
        """Write the record of a run that goes on, or has just been cut short, over the last one."""
        done, total = self._steps(record)
        if done > self._held and self._is_saved(record):
            self._reached = f"after step {done} of {total}"
            self._show(f"Saved {self._reached}; start_as = continue goes on\n{self._shown}")

    def save_finished(self, record: Inversion) -> None:
        """Write the record of a run that has come to its end over the last one."""
        if self._is_saved(record):
            self._show(f"Saved in\n{self._shown}")

    def tell_cut_short(self) -> None:
        """Tell where the work is, if there is any."""
        if self._reached:
            show_notice(f"The {self._noun} was cut short, saved {self._reached} in {self._shown}. {TO_GO_ON}")
        elif self._held:
            show_notice(
                f"The {self._noun} was cut short; {self._shown} still holds the earlier run. {TO_GO_ON}"
            )

    def _is_saved(self, record: Inversion) -> bool:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_inversion(record, self.path)
        except (OSError, ChunkyError) as error:
            if not self._has_failed:  # once is enough
                show_notice(f"The {self._noun} can't be saved on the way: {error}", "error")
            self._has_failed = True
            return False
        return True


def job_key(described: Any, tensors: Iterable[Tensor]) -> str:
    """Twelve hex digits that stand for a job. described: plain values; tensors: on any device."""
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for tensor in tensors:
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def autosave_folder() -> Path:
    return Path(folder_paths.get_output_directory()) / FOLDER


def remove_old(count: int = NEWEST) -> None:
    """Remove our own files beyond the `count` newest. Nothing else in the folder is touched."""
    try:
        ours = [path for path in autosave_folder().iterdir() if NAME.fullmatch(path.name) and path.is_file()]
        for path in sorted(ours, key=lambda path: path.stat().st_mtime, reverse=True)[count:]:
            path.unlink(missing_ok=True)
    except OSError as error:
        show_notice(f"Old autosaves could not be removed: {error}", "error")
