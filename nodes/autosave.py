"""The running projection in a file, so that neither an interruption nor a killed server loses it.

A job, that is one photo with its segments and settings, has one file, which is written again and again: every half
minute, when the run is cut short, and when it ends. A later run of the same job can go on from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import folder_paths
from torch import Tensor

from ..chunky_core.errors import ChunkyError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.inversion import Inversion, ProjectionConfig, load_inversion, save_inversion
from ..chunky_core.inversion.config import EARLIER, plain_settings
from ..chunky_core.inversion.record import photo_digest
from ..chunky_core.inversion.validation import segment_spaces
from ..chunky_core.segments import SegmentMasks
from .notices import show_notice, show_on_node

FOLDER = "chunkygan"  # in the host's output folder
NEWEST = 8  # files that stay
NAME = re.compile(r"autosave_[0-9a-f]{12}\.safetensors")
SECONDS = 30.0  # between two records of a run
TO_GO_ON = "To go on, set start_as to continue and run again."


class Autosave:
    """The file of one job. What can't be read or written is told, and never ends the run.

    what: how the job is called in notices, such as "photo 2 of 3".
    """

    def __init__(self, key: str, what: str) -> None:
        self.path, self._what = autosave_folder() / f"autosave_{key}.safetensors", what
        self._has_failed, self._reached, self._held = False, "", 0

    @property
    def _shown(self) -> str:
        return f"output/{FOLDER}/{self.path.name}"

    def announce(self, step: int) -> None:
        """Tell on the node from which step the run goes on, if from any, and where the work will be."""
        begins = f"Goes on after step {step}. " if step else ""
        show_on_node(f"{begins}Will be saved every {SECONDS:.0f} s\nin {self._shown}")

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
            show_notice(f"{error}. So {self._what} begins anew.", is_problem=True)
            return None

    def hold(self) -> None:
        """Leave what an earlier run has saved where it is, until this one, which begins anew, has come as far."""
        try:
            earlier = load_inversion(self.path) if self.path.is_file() else None
        except ChunkyError:
            return
        if earlier is None or earlier.state is None:
            return
        self._held = earlier.state.step
        if earlier.is_unfinished:
            show_notice(
                f"An earlier run of {self._what} is saved in {self._shown}, after step {self._held}, and this one "
                "begins anew. To go on with that one, cancel, set start_as to continue and run again."
            )

    def save_unfinished(self, record: Inversion) -> None:
        """Write the record of a run that goes on, or has just been cut short, over the last one."""
        assert record.state is not None
        if record.state.step > self._held and self._is_saved(record):
            self._reached = (record.stopped or "").removeprefix("interrupted ")
            show_on_node(f"Saved {self._reached}; start_as = continue goes on\n{self._shown}")

    def save_finished(self, record: Inversion) -> None:
        """Write the record of a run that has come to its end over the last one."""
        if self._is_saved(record):
            show_on_node(f"Saved in\n{self._shown}")

    def tell_cut_short(self) -> None:
        """Tell where the work is, if there is any."""
        if self._reached:
            show_notice(f"The projection was cut short, saved {self._reached} in {self._shown}. {TO_GO_ON}")
        elif self._held:
            show_notice(
                f"The projection was cut short; {self._shown} still holds the earlier run. {TO_GO_ON}"
            )

    def _is_saved(self, record: Inversion) -> bool:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_inversion(record, self.path)
        except (OSError, ChunkyError) as error:
            if not self._has_failed:  # once is enough
                show_notice(f"The projection can't be saved on the way: {error}", is_problem=True)
            self._has_failed = True
            return False
        return True


def job_key(generator: Generator, photo: Tensor, segments: SegmentMasks, config: ProjectionConfig) -> str:
    """Twelve hex digits that stand for a job. The number of steps doesn't count, because a job can be given more of
    them, and the seed only where it changes anything.
    """
    spaces = segment_spaces(segments, config)
    is_random = config.code_noise or config.optimize_noise or "z" in spaces
    ignored = ("steps",) if is_random else ("steps", "seed")
    settings = {key: value for key, value in plain_settings(config).items() if key not in ignored}
    plain = plain_settings(ProjectionConfig())
    for name in EARLIER:  # at their defaults they don't count: jobs begun before there were any go on
        if settings[name] == plain[name]:
            del settings[name]
    settings["spaces"] = spaces
    described = [generator.fingerprint, photo_digest(photo), segments.names, settings]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for masks in (segments.masks, segments.static):
        digest.update(masks.detach().float().cpu().contiguous().numpy().tobytes())
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
        show_notice(f"Old autosaves could not be removed: {error}", is_problem=True)
