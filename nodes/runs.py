"""Long work on one photo after the other, saved on the way: what Segmented Projection and Pivotal Tuning share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..chunky_core.callbacks import Callback
from ..chunky_core.compositing.render import render
from ..chunky_core.generator.generator import Generator
from ..chunky_core.inversion import Inversion
from .autosave import NEWEST, Autosave, remove_old
from .fits import NodeText
from .host import HostedGenerator, loaded, step_reporter, to_host
from .types import InversionBatch

Keep = Callable[[Inversion], None]
START_AS = CONTINUE, CODES = ("continue", "codes")


class Job(Protocol):
    """The work on one photo.

    noun: what it is called, such as "projection". given: a record to go on with that came over a link, if one did.
    """

    noun: str

    @property
    def given(self) -> Inversion | None: ...

    def steps(self, record: Inversion) -> tuple[int, int]:
        """How many steps of this work a record has behind it, and all of them."""

    def names(self) -> tuple[str, ...]:
        """The segments that it fits."""

    def key(self, generator: Generator) -> str:
        """As `job_key` makes it."""

    def run(
        self,
        generator: Generator,
        earlier: Inversion | None,
        *,
        resume: bool,
        callback: Callback,
        autosave: Keep,
    ) -> Inversion:
        """Do the work. earlier: what to go on with (`resume`) or to set out from, if there is anything."""

    def remarks(self, record: Inversion) -> list[str]:
        """What is to be told of the result, beside its fits."""


def run_jobs(hosted: HostedGenerator, jobs: Sequence[Job], *, resume: bool) -> tuple[InversionBatch, Tensor]:
    """Every job in turn -> the inversions, and their reconstructions as a host IMAGE."""
    done: list[Inversion] = []
    text = NodeText()
    with loaded(hosted) as generator:
        for index, job in enumerate(jobs):
            what = f"this {job.noun}" if len(jobs) == 1 else f"photo {index + 1} of {len(jobs)}"
            file = Autosave(job.key(generator), job.noun, what, text.show, job.steps)
            found = run_job(generator, job, file, step_reporter(index, len(jobs)), resume=resume)
            which = what if len(jobs) > 1 else ""
            text.add_fit(found, job.names(), which)
            for remark in job.remarks(found):
                text.add_remark(remark, which)
            file.save_finished(found)
            remove_old(max(NEWEST, len(jobs)))
            done.append(found)
        pictures = to_host(torch.cat([render(generator, one).cpu() for one in done]))
    return tuple(done), pictures


def run_job(generator: Generator, job: Job, file: Autosave, report: Callback, *, resume: bool) -> Inversion:
    """One photo, saved on the way, also where the end is an interruption."""
    earlier = file.load() if resume and job.given is None else job.given
    resume = resume and earlier is not None
    if not resume:
        file.hold()
    file.announce(earlier if resume else None)
    try:
        return job.run(generator, earlier, resume=resume, callback=report, autosave=file.save_unfinished)
    except BaseException:  # the host's interruption is none of Exception
        file.tell_cut_short()
        raise
