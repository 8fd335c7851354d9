"""One photo from projection to pictures and figures, as the commands `edit` and `demo` run it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from torch import Tensor

from ..compositing import CompositeMode, KeepDetail, Replace, harmonize, mask_follower
from ..editing.direction_checks import check_direction
from ..generator.generator import Generator
from ..generator.spaces import LatentCode
from ..inversion import Edit, Inversion, ProjectionConfig, TuningConfig
from ..inversion.fits import fit_report
from ..inversion.generated_masks import GeneratedMasks
from ..inversion.presets import preset_steps
from ..segments import SegmentMasks, single_segment
from ..segments.mask_generator import MaskGenerator
from .original import OriginalPhoto
from .outputs import GLOBAL, HARMONIZED, INVERSION, TUNED, prepare_folder
from .progress import progress_bar
from .projection_task import PhotoTask, PresetTask, ProjectionTask
from .results import Results, explain_save_errors, write_figures, write_pictures
from .signals import Stopped
from .tuning_task import TuningTask

STATES = 6  # a tuning's file against its delta: 32-bit numbers, Adam's two moments and the best so far


@dataclass(frozen=True)
class Job:
    """What to do: photo [1,3,H,W] in [-1,1] of the generator's resolution, its segments, the edits in order.

    strengths: of the last edit, for a strip of pictures; () = none.
    config: of the projections; preset: of that by segments, "" = as the config says. tuning: None = the weights stay.
    harmonize: whether neighbours are made to agree after the edits. replace, keep_detail, mode, follow: of `composite`.
    resume: go on with what an earlier run left in the folder, where it left something. start: codes that the
    projections set out from. profile: an ICC profile of RGB, which composite and reconstruction get. original: what the
    photo was cut from, where it was. mask_generator: fits the masks with the codes, and tells where they follow.
    """

    generator: Generator
    photo: Tensor
    segments: SegmentMasks
    edits: tuple[Edit, ...]
    config: ProjectionConfig
    strengths: tuple[float, ...] = ()
    preset: str = ""
    tuning: TuningConfig | None = None
    compare_global: bool = True
    harmonize: bool = False
    replace: Replace = "edited segments"
    keep_detail: KeepDetail = "keep and move"
    mode: CompositeMode = "seam only"
    follow: bool = False
    resume: bool = False
    start: Inversion | LatentCode | None = None
    profile: bytes | None = None
    original: OriginalPhoto | None = None
    mask_generator: MaskGenerator | None = None

    def check_names(self) -> None:
        """Raise InvalidInputError for a name that is no segment, a segment that is no class of the mask generator, and
        a direction that doesn't fit the generator.
        """
        if self.mask_generator is not None:
            GeneratedMasks(self.generator, self.mask_generator, self.segments.names, self.segments.static)
        if self.tuning is not None:
            self.segments.resolve(self.tuning.segments)
        for edit in self.edits:
            self.segments.resolve(edit.segments)
            check_direction(self.generator, edit.direction)

    def needed_bytes(self) -> int:
        """Bytes that the results take, with the old inversion kept until the new one is complete."""
        masks, pictures = len(self.segments.names) + 1, 6 + len(self.strengths)
        whole = 0 if self.original is None else 2 * 3 * self.original.photo[0, 0].numel()
        weights = sum(one.numel() * one.element_size() for one in self.generator.module.parameters())
        sizes = [
            one.size for one in (self.tuning, TuningConfig() if self.preset else None) if one is not None
        ]
        tuned = 2 * STATES * sum(sizes) * weights
        return int(self.photo[0, 0].numel() * (2 * 4 * masks + 3 * pictures) + whole + tuned)

    @property
    def title(self) -> str:
        """How the projection by segments was made, as figures and pictures name it."""
        return self.preset or self.config.space

    @property
    def composite_options(self) -> dict[str, Any]:
        """How `composite` makes the pictures."""
        finder = self.mask_generator
        return {
            "replace": self.replace,
            "keep_detail": self.keep_detail,
            "mode": self.mode,
            "follow": self.follow
            if finder is None
            else self.follow and mask_follower(self.generator, finder),
        }

    @property
    def num_steps(self) -> int:
        """Of the projection by segments."""
        return preset_steps(self.preset) if self.preset else self.config.num_steps

    def projections(self, folder: Path) -> list[PhotoTask]:
        """The projection by segments and, where it is to be compared with, that by one code."""
        shared: dict[str, Any] = {"generator": self.generator, "photo": self.photo, "resume": self.resume}
        shared["start"] = self.start
        config = self.config
        own = shared | {"title": f"segments ({self.title})", "segments": self.segments, "edits": self.edits}
        own["path"] = folder / INVERSION
        if self.original is not None:
            own["alignment"] = self.original.crop.alignment
            own["marks"] = self.original.made_by
        task: PhotoTask
        if self.preset:
            task = PresetTask(preset=self.preset, loss=config.loss, seed=config.seed, **own)
        else:
            mode = config.mode if self.mask_generator is None else "joint"
            finder = self.mask_generator
            task = ProjectionTask(config=replace(config, mode=mode), mask_generator=finder, **own)
        if not self.compare_global:
            return [task]
        whole, title = single_segment(self.segments.size), f"global ({config.space})"
        if (
            isinstance(self.start, Inversion) and len(self.start.segments) > 1
        ):  # which has no code of the whole photo
            shared["start"] = None
        return [
            task,
            ProjectionTask(title=title, segments=whole, config=config, path=folder / GLOBAL, **shared),
        ]

    def tuning_task(self, folder: Path) -> TuningTask | None:
        """The tuning that follows the projection, if any does."""
        if self.tuning is None:
            return None
        return TuningTask(
            title="tuning",
            generator=self.generator,
            config=self.tuning,
            path=folder / TUNED,
            edits=self.edits,
            resume=self.resume,
        )


def run_job(job: Job, folder: Path) -> dict:
    """Project, tune, edit, composite; write the pictures, the inversions and figures.json; return the figures.

    Raises InvalidInputError before the first step where an edit doesn't fit, the folder can't be written to, or
    what lies in it can't be gone on with.
    """
    start = monotonic()
    job.check_names()
    projections, tuning = job.projections(folder), job.tuning_task(folder)
    earlier = [one.earlier() for one in projections]
    tuned_before = None if tuning is None else tuning.earlier()
    prepare_folder(folder, job.needed_bytes())
    if job.resume and earlier[0] is None:
        print(f"there is no {projections[0].path} to go on with; the projection begins anew", file=sys.stderr)
    projected = projections[0].run(earlier[0])
    print_fit(projected)
    tuned = None if tuning is None else run_tuning(tuning, projected, tuned_before)
    try:
        others = [one.run(found) for one, found in zip(projections[1:], earlier[1:], strict=True)]
        results = Results(projected, tuned, others)
        if job.harmonize:
            results = replace(results, harmonized=run_harmonize(job.generator, results.final, folder))
        figures = write_pictures(job, folder, results)
        figures["seconds"] = round(monotonic() - start, 1)
        write_figures(figures, folder)
    except Stopped as stop:
        path = projections[0].path if tuning is None else tuning.path
        stop.advice = f"{path} is complete; the same command with --resume goes on from there"
        raise
    return figures


def run_tuning(task: TuningTask, pivot: Inversion, earlier: Inversion | None) -> Inversion:
    """The projected inversion tuned, from where an earlier run of the same one stood."""
    task = replace(task, pivot=pivot)
    tuned = task.run(task.of_same_pivot(earlier))
    names = tuned.masks.resolve(task.config.segments)
    print_fit(replace(tuned, fits={name: fit for name, fit in tuned.fits.items() if name in names}))
    return tuned


def run_harmonize(generator: Generator, edited: Inversion, folder: Path) -> Inversion:
    """The edited inversion with its neighbours made to agree, written to the folder."""
    with progress_bar("harmonizing") as show_progress:
        found = harmonize(generator, edited, callback=show_progress)
    with explain_save_errors(folder):
        found.save(folder / HARMONIZED)
    return found


def print_fit(inversion: Inversion) -> None:
    """How near each segment came, and what to do where one didn't."""
    if report := fit_report(inversion):
        print(report, file=sys.stderr)
