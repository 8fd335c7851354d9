"""One photo from projection to pictures and figures, as the commands `edit` and `demo` run it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from torch import Tensor

from ..compositing import composite, render
from ..evaluation.metrics import l2
from ..evaluation.sheets import contact_sheet, heat_map, segment_overlay
from ..generator.generator import Generator
from ..images import save_image, to_uint8
from ..inversion import Edit, Inversion, ProjectionConfig, project, save_inversion
from ..segments import Segments, single
from .progress import progress_bar


@dataclass(frozen=True)
class Job:
    """What to do: photo [1,3,H,W] in [-1,1] of the generator's resolution, its segments, the edits in order."""

    generator: Generator
    photo: Tensor
    segments: Segments
    edits: tuple[Edit, ...]
    config: ProjectionConfig
    compare_global: bool = True
    poisson: bool = True


def run_job(job: Job, folder: Path) -> dict:
    """Project, edit, composite; write the pictures, inversion.safetensors and figures.json; return the figures."""
    for edit in job.edits:
        job.segments.resolve(edit.segments)  # a wrong name is found now, not after the projection
    start = monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    label = f"segments ({job.config.space})"
    inversion = project(job.generator, job.photo, job.segments, job.config, callback=progress_bar(label))
    inversion = inversion.with_edits(*job.edits)
    reconstruction = render(job.generator, inversion, edited=False)
    picture = (composite if job.poisson else render)(job.generator, inversion)
    panels = [("photo", job.photo), ("segments", segment_overlay(job.photo, job.segments))]
    space = job.config.space.replace("+", "_plus")
    moving = 1 - inversion.static_mask  # where the photo itself shows, nothing is to be won
    figures: dict = {f"segmented_{space}": {"l2": l2(reconstruction, job.photo, moving)}}
    if job.compare_global:
        one = single(job.segments.size)
        whole = project(
            job.generator, job.photo, one, job.config, callback=progress_bar(f"global ({job.config.space})")
        )
        global_picture = render(job.generator, whole)
        panels.append((f"global {job.config.space}", global_picture))
        figures[f"global_{space}"] = {"l2": l2(global_picture, job.photo, moving)}
    panels += [
        (f"segmented {job.config.space}", reconstruction),
        ("edited", picture),
        ("change", heat_map(job.photo, picture)),
    ]
    figures |= {
        "static_pixels_changed": static_pixels_changed(job.photo, inversion, picture),
        "edits": [f"{'+'.join(e.segments)}:{e.direction.name}={e.strength:g}" for e in job.edits],
        "steps": job.config.steps,
        "seconds": round(monotonic() - start, 1),
    }
    save_image(folder / "composite.png", picture)
    save_image(folder / "reconstruction.png", reconstruction)
    save_image(folder / "contact_sheet.png", contact_sheet(panels))
    save_inversion(inversion, folder / "inversion.safetensors")
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def static_pixels_changed(photo: Tensor, inversion: Inversion, picture: Tensor) -> int:
    """How many pixels of the static mask differ from the photo in the 8-bit picture: 0 by construction."""
    static = inversion.static_mask[0, 0] == 1
    changed = (to_uint8(picture) != to_uint8(photo)).any(-1)[0]
    return int((changed & static.to(changed.device)).sum())
