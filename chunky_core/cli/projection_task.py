"""The projection of a photo, by settings or by a preset, as work that can be gone on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import ChunkyError, InvalidInputError
from ..inversion import Inversion, ProjectionConfig, project
from ..inversion.config import plain_settings
from ..inversion.presets import project_preset
from ..inversion.record import check_same_generator, photo_digest
from ..inversion.validation import check_resumable, segment_spaces
from ..segments import SegmentMasks
from .task import Task

MASK_TOLERANCE = 1e-6  # of masks that come back from a file

@dataclass(frozen=True, kw_only=True)
class ProjectionTask(Task):
    """photo: [1,3,H,W] in [-1,1] of the generator's resolution. preset: "" = as the config says; of a preset only the
    config's loss and seed count.
    """

    noun = "projection"

    photo: Tensor
    segments: SegmentMasks
    config: ProjectionConfig
    preset: str = ""

    def work(self, earlier: Inversion | None, **watching: Any) -> Inversion:
        start: dict[str, Any] = {"start": earlier, "resume": earlier is not None}
        given = (self.generator, self.photo, self.segments)
        if not self.preset:
            return project(*given, self.config, **start, **watching)
        loss, seed = self.config.loss, self.config.seed
        return project_preset(*given, self.preset, loss=loss, seed=seed, **start, **watching)

    def check_goes_on(self, found: Inversion) -> None:
        try:
            self._check_job(found)
        except ChunkyError as error:
            raise InvalidInputError(f"--resume can't go on with {self.path}: {error}") from error
        settings = plain_settings(self.config)
        if self.preset:
            settings = {name: settings[name] for name in ("losses", "seed")}
        known = {"preset": "", **found.settings}
        self.check_settings({"preset": self.preset, **settings}, known, free={"steps"})  # more are welcome

    def _check_job(self, found: Inversion) -> None:
        if self.preset:
            return self._check_preset_job(found)
        spaces = segment_spaces(self.segments, self.config)
        _, state = check_resumable(
            self.generator, found, self.photo, self.segments, spaces, self.config
        )
        if state.step > self.config.num_steps:
            raise InvalidInputError(
                f"it is at step {state.step}, --steps is {self.config.num_steps}; give at least {state.step}"
            )

    def _check_preset_job(self, found: Inversion) -> None:
        check_same_generator(self.generator, found)
        if found.photo_digest != photo_digest(self.photo):
            raise InvalidInputError("it is of another photo")
        if found.names != self.segments.names:
            raise InvalidInputError(
                f"it has the segments {', '.join(found.names)}, now {', '.join(self.segments.names)}"
            )
        pairs = ((found.masks.masks, self.segments.masks), (found.static_mask, self.segments.static))
        if not all(torch.allclose(one.cpu(), other.cpu(), atol=MASK_TOLERANCE) for one, other in pairs):
            raise InvalidInputError("it has other masks")
