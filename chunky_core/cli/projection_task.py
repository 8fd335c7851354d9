"""The projection of a photo, by settings or by a preset, as work that can be gone on with."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..errors import ChunkyError, InvalidInputError
from ..generator.spaces import LatentCode
from ..inversion import Inversion, LossConfig, ProjectionConfig, project
from ..inversion.config import EARLIER, plain_settings
from ..inversion.presets import check_same_job, project_preset
from ..inversion.validation import check_moving_masks, check_resumable, segment_spaces
from ..segments import SegmentMasks
from ..segments.mask_generator import MaskGenerator
from .task import Task

PRESET = "preset"  # the entry of an inversion's settings


@dataclass(frozen=True, kw_only=True)
class PhotoTask(Task):
    """photo: [1,3,H,W] in [-1,1] of the generator's resolution; start: codes to set out from where it begins anew."""

    noun = "projection"

    photo: Tensor
    segments: SegmentMasks
    start: Inversion | LatentCode | None = None

    def check_goes_on(self, found: Inversion) -> None:
        self.check_settings(self.marks, found.settings)
        try:
            self.check_same_photo(found)
        except ChunkyError as error:
            raise InvalidInputError(f"--resume can't go on with {self.path}: {error}") from error
        known = {PRESET: "", **found.settings}
        self.check_settings(self.settings(), known, free={"steps", *EARLIER})  # more steps are welcome

    @abstractmethod
    def check_same_photo(self, found: Inversion) -> None:
        """Raise a ChunkyError where an inversion is of something else."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What is asked for, by the names that an inversion's settings have."""


@dataclass(frozen=True, kw_only=True)
class ProjectionTask(PhotoTask):
    """As the config says. mask_generator: what moves the masks, None where they stay."""

    config: ProjectionConfig
    mask_generator: MaskGenerator | None = None

    def work(self, earlier: Inversion | None, **watching: Any) -> Inversion:
        given = (self.generator, self.photo, self.segments, self.config)
        watching |= {"resume": earlier is not None, "mask_generator": self.mask_generator}
        return project(*given, start=earlier or self.start, **watching)

    def settings(self) -> dict[str, Any]:
        return {PRESET: "", **plain_settings(self.config)}

    def check_same_photo(self, found: Inversion) -> None:
        check_moving_masks(self.mask_generator, None, self.config, found)
        spaces = segment_spaces(self.segments, self.config)
        _, state = check_resumable(self.generator, found, self.photo, self.segments, spaces, self.config)
        if state.step > self.config.num_steps:
            raise InvalidInputError(
                f"it is at step {state.step}, --steps is {self.config.num_steps}; give at least {state.step}"
            )


@dataclass(frozen=True, kw_only=True)
class PresetTask(PhotoTask):
    """By one of the presets."""

    preset: str
    loss: LossConfig
    seed: int

    def work(self, earlier: Inversion | None, **watching: Any) -> Inversion:
        given = (self.generator, self.photo, self.segments, self.preset)
        resume = earlier is not None
        return project_preset(
            *given, loss=self.loss, seed=self.seed, start=earlier or self.start, resume=resume, **watching
        )

    def settings(self) -> dict[str, Any]:
        plain = plain_settings(ProjectionConfig(loss=self.loss, seed=self.seed))
        return {PRESET: self.preset} | {name: plain[name] for name in ("losses", "seed")}

    def check_same_photo(self, found: Inversion) -> None:
        check_same_job(self.generator, found, self.photo, self.segments, self.loss)
