"""What a job leaves behind: pictures, and figures.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ..compositing import Renderings, composite, composite_series, render
from ..editing import strength_series
from ..errors import SaveError
from ..evaluation.metrics import mse
from ..images import save_image, to_uint8
from ..inversion import Inversion
from ..saving import save_bytes
from ..visualization.sheets import contact_sheet, heat_map, segment_overlay
from .outputs import COMPOSITE, FIGURES, INVERSION, RECONSTRUCTION, SHEET, STRIP

if TYPE_CHECKING:
    from .job import Job


@dataclass(frozen=True)
class Results:
    """projected: by segments; tuned: the same with a delta, where there was a tuning; others: the projections by one
    code, for comparison; harmonized: the last of the first two with its neighbours made to agree, where that was asked.
    """

    projected: Inversion
    tuned: Inversion | None
    others: Sequence[Inversion]
    harmonized: Inversion | None = None

    @property
    def final(self) -> Inversion:
        return self.harmonized or self.tuned or self.projected


def write_pictures(job: Job, folder: Path, results: Results) -> dict:
    """Write the pictures; returns the figures."""
    final = results.final
    kept, how = Renderings(job.generator), job.composite_options
    edited = composite(job.generator, final, kept=kept, **how)
    reconstructions = reconstructed(job, results)
    figures = {
        **fit_figures(job, final, reconstructions),
        **change_figures(final, job.photo, edited),
        "fits": {name: [round(fit.start, 3), round(fit.end, 3)] for name, fit in final.fits.items()},
        "met_detail": {name: round(fit.met, 3) for name, fit in final.fits.items() if fit.met is not None},
        "poor_fits": list(final.poor_fits),
        "out_of_domain": final.is_out_of_domain,
        "edits": list(map(str, job.edits)),
        "strengths": list(job.strengths),
        "steps": job.num_steps,
        "stopped": final.stopped,
    }
    panels = [
        ("photo", job.photo),
        ("segments", segment_overlay(job.photo, job.segments)),
        *reconstructions.items(),
        ("edited", edited),
        (f"change: {figures['changed_pixels']:.1%} of pixels", heat_map(job.photo, edited)),
    ]
    with explain_save_errors(folder):
        save_image(edited, folder / COMPOSITE, job.profile)
        save_image([*reconstructions.values()][-1], folder / RECONSTRUCTION, job.profile)
        save_image(contact_sheet(panels), folder / SHEET)
        if job.strengths:
            save_image(strength_strip(job, final, kept), folder / STRIP)
        if job.original is not None:
            figures |= job.original.write(edited, folder, job.profile)
    return figures


def strength_strip(job: Job, inversion: Inversion, kept: Renderings) -> Tensor:
    """The pictures at the job's strengths of the last edit, side by side."""
    series = strength_series(inversion, job.strengths)
    pictures = composite_series(job.generator, series, kept=kept, **job.composite_options).split(1)
    titles = [f"{one.edits[-1].direction.name} {one.edits[-1].strength:g}" for one in series]
    return contact_sheet(list(zip(titles, pictures, strict=True)), columns=len(titles))


def reconstructed(job: Job, results: Results) -> dict[str, Tensor]:
    """By what they are of: that by one code, by segments, and the tuned one, which comes last."""
    named = [(f"global {job.config.space}", one) for one in results.others]
    named.append((f"segmented {job.title}", results.projected))
    named += [("tuned", one) for one in [results.tuned] if one is not None]
    return {name: render(job.generator, one, edited=False) for name, one in named}


def write_figures(figures: dict, folder: Path) -> None:
    with explain_save_errors(folder):
        save_bytes((json.dumps(figures, indent=1) + "\n").encode(), folder / FIGURES)


@contextmanager
def explain_save_errors(folder: Path) -> Iterator[None]:
    """Within, a file that can't be written is an error that says how to get it."""
    try:
        yield
    except SaveError as error:
        raise SaveError(f"{error}; {INVERSION} there is complete, and --resume draws the pictures") from error


def fit_figures(job: Job, inversion: Inversion, reconstructions: Mapping[str, Tensor]) -> dict:
    """How far the reconstructions are from the photo, outside the static mask: there nothing is to be won."""
    moving = 1 - inversion.static_mask
    return {
        name.replace("+", "_plus").replace(" ", "_"): {"l2": mse(one, job.photo, moving)}
        for name, one in reconstructions.items()
    }


def change_figures(inversion: Inversion, photo: Tensor, edited: Tensor) -> dict:
    """changed_pixels: share of the 8-bit pixels that differ from the photo's. static_pixels_changed: how many of
    those lie where the static mask is 1, which is 0 by construction.
    """
    changed = (to_uint8(edited) != to_uint8(photo)).any(-1)[0].cpu()
    static = (inversion.static_mask[0, 0] == 1).cpu()
    return {
        "changed_pixels": round(changed.cpu().double().mean().item(), 6),
        "static_pixels_changed": int((changed & static).sum()),
    }
