"""One photo from projection to pictures and figures, as the commands `edit` and `demo` run it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from torch import Tensor

from ..compositing import CompositeMode, KeepDetail, Replace, composite, render
from ..editing.edits import check_direction
from ..errors import SaveError
from ..evaluation.metrics import l2
from ..generator.generator import Generator
from ..images import save_image, to_uint8
from ..inversion import Edit, Inversion, ProjectionConfig
from ..saving import save_bytes
from ..segments import SegmentMasks, single_segment
from ..visualization.sheets import contact_sheet, heat_map, segment_overlay
from .outputs import COMPOSITE, FIGURES, GLOBAL, INVERSION, RECONSTRUCTION, SHEET, prepare_folder
from .projecting import Projecting
from .signals import Stopped


@dataclass(frozen=True)
class Job:
    """What to do: photo [1,3,H,W] in [-1,1] of the generator's resolution, its segments, the edits in order.

    replace, keep_detail, mode: of `composite`. resume: go on with what an earlier run left in the folder, where it
    left something. profile: an ICC profile of RGB, which composite and reconstruction get.
    """

    generator: Generator
    photo: Tensor
    segments: SegmentMasks
    edits: tuple[Edit, ...]
    config: ProjectionConfig
    compare_global: bool = True
    replace: Replace = "edited segments"
    keep_detail: KeepDetail = "keep and move"
    mode: CompositeMode = "seam only"
    resume: bool = False
    profile: bytes | None = None

    def check_edits(self) -> None:
        """Raise InvalidInputError where an edit names no segment, or its direction doesn't fit the generator."""
        for edit in self.edits:
            self.segments.resolve(edit.segments)
            check_direction(self.generator, edit.direction)

    def room(self) -> int:
        """Bytes that the results take, with the old inversion kept until the new one is complete."""
        masks, pictures = len(self.segments.names) + 1, 6
        return self.photo[0, 0].numel() * (2 * 4 * masks + 3 * pictures)

    def projections(self, folder: Path) -> list[Projecting]:
        """The projection by segments and, where it is to be compared with, that by one code."""
        jobs = [("segments", self.segments, folder / INVERSION, self.edits)]
        if self.compare_global:
            jobs.append(("global", single_segment(self.segments.size), folder / GLOBAL, ()))
        return [
            Projecting(
                title=f"{name} ({self.config.space})",
                generator=self.generator,
                photo=self.photo,
                segments=segments,
                config=self.config,
                path=path,
                edits=edits,
                resume=self.resume,
            )
            for name, segments, path, edits in jobs
        ]


def run_job(job: Job, folder: Path) -> dict:
    """Project, edit, composite; write the pictures, the inversions and figures.json; return the figures.

    Raises InvalidInputError before the first step where an edit doesn't fit, the folder can't be written to, or
    what lies in it can't be gone on with.
    """
    start = monotonic()
    job.check_edits()
    projections = job.projections(folder)
    earlier = [one.earlier() for one in projections]
    prepare_folder(folder, job.room())
    if job.resume and earlier[0] is None:
        print(f"there is no {projections[0].path} to go on with; the projection begins anew", file=sys.stderr)
    inversion = projections[0].run(earlier[0])
    try:
        others = [one.run(found) for one, found in zip(projections[1:], earlier[1:], strict=True)]
        figures = draw(job, folder, inversion, others)
        figures["seconds"] = round(monotonic() - start, 1)
        write_figures(folder, figures)
    except Stopped as stop:
        stop.advice = f"{projections[0].path} is complete; the same command with --resume goes on from there"
        raise
    return figures


def draw(job: Job, folder: Path, inversion: Inversion, others: Sequence[Inversion]) -> dict:
    """Write the pictures; returns the figures."""
    reconstruction = render(job.generator, inversion, edited=False)
    picture = composite(
        job.generator, inversion, replace=job.replace, keep_detail=job.keep_detail, mode=job.mode
    )
    global_pictures = [render(job.generator, other) for other in others]
    figures = {
        **fit_figures(job, inversion, reconstruction, global_pictures),
        **change_figures(job.photo, inversion, picture),
        "edits": [f"{'+'.join(e.segments)}:{e.direction.name}={e.strength:g}" for e in job.edits],
        "steps": job.config.num_steps,
        "stopped": inversion.stopped,
    }
    space = job.config.space
    panels = [
        ("photo", job.photo),
        ("segments", segment_overlay(job.photo, job.segments)),
        *((f"global {space}", one) for one in global_pictures),
        (f"segmented {space}", reconstruction),
        ("edited", picture),
        (f"change: {figures['changed_pixels']:.1%} of pixels", heat_map(job.photo, picture)),
    ]
    with complete_inversion(folder):
        save_image(picture, folder / COMPOSITE, job.profile)
        save_image(reconstruction, folder / RECONSTRUCTION, job.profile)
        save_image(contact_sheet(panels), folder / SHEET)
    return figures


def write_figures(folder: Path, figures: dict) -> None:
    with complete_inversion(folder):
        save_bytes(folder / FIGURES, (json.dumps(figures, indent=1) + "\n").encode())


@contextmanager
def complete_inversion(folder: Path) -> Iterator[None]:
    """Within, a file that can't be written is an error that says how to get it."""
    try:
        yield
    except SaveError as error:
        raise SaveError(f"{error}; {INVERSION} there is complete, and --resume draws the pictures") from error


def fit_figures(
    job: Job, inversion: Inversion, reconstruction: Tensor, global_pictures: list[Tensor]
) -> dict:
    """How far the reconstructions are from the photo, outside the static mask: there nothing is to be won."""
    space = job.config.space.replace("+", "_plus")
    moving = 1 - inversion.static_mask
    pictures = {f"segmented_{space}": reconstruction}
    pictures |= {f"global_{space}": one for one in global_pictures}
    return {name: {"l2": l2(picture, job.photo, moving)} for name, picture in pictures.items()}


def change_figures(photo: Tensor, inversion: Inversion, picture: Tensor) -> dict:
    """changed_pixels: share of the 8-bit pixels that differ from the photo's. static_pixels_changed: how many of
    those lie where the static mask is 1, which is 0 by construction.
    """
    changed = (to_uint8(picture) != to_uint8(photo)).any(-1)[0].cpu()
    static = (inversion.static_mask[0, 0] == 1).cpu()
    return {
        "changed_pixels": round(changed.double().mean().item(), 6),
        "static_pixels_changed": int((changed & static).sum()),
    }
