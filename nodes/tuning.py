"""Pivotal Tuning: change the generator's weights a little, so that chosen segments show what no code draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from comfy_api.latest import io

from ..chunky_core.callbacks import Callback
from ..chunky_core.errors import InvalidInputError
from ..chunky_core.generator.generator import Generator
from ..chunky_core.inversion import Inversion, LossConfig, TuningConfig, tune
from ..chunky_core.inversion.record import check_same_generator
from ..chunky_core.inversion.tuning.assembly import LEFT_BEHIND, leaves_deltas_behind
from ..chunky_core.segments.label_names import split_names
from .autosave import SECONDS, job_key
from .downstream import check_later_nodes
from .host import HostedGenerator
from .losses import weight_folders
from .notices import show_notice
from .runs import CONTINUE, Keep, run_jobs
from .tuning_inputs import PERCENT, SHARED, tuning_inputs
from .types import GeneratorIO, InversionBatch, InversionIO, LossIO


class PivotalTuning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_PivotalTuning",
            display_name="Pivotal Tuning",
            category="ChunkyGAN/inversion",
            description="Changes the generator's weights a little for this photo, so that chosen segments show what "
            "no code draws: glasses, a scar, the very mouth. The generator itself stays as it is.",
            search_aliases=[
                "pti",
                "fine-tune",
                "finetune generator",
                "tune weights",
                "inversion",
                "gan inversion",
            ],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that the inversion was made with."),
                InversionIO.Input(
                    "inversion",
                    tooltip="From Segmented Projection, with its photo; a batch is tuned one after the other. Its "
                    "codes are the pivot: they stay, and so do its edits.",
                ),
                LossIO.Input(
                    "loss",
                    optional=True,
                    tooltip="From Perceptual Loss. Without it the squared colour difference is used.",
                ),
                *tuning_inputs(),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion",
                    tooltip="The same with what was added to the weights: edit it as before.",
                ),
                io.Image.Output(display_name="image", tooltip="The photo as the tuned generator redraws it."),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        inversion: InversionBatch,
        segments: str,
        delta: str,
        steps: int,
        size: float,
        start_as: str,
        loss: LossConfig | None = None,
        **widgets: Any,
    ) -> io.NodeOutput:
        config = TuningConfig(
            loss=loss or LossConfig(),
            segments=tuple(split_names(segments)) or ("all",),
            shared=delta == SHARED,
            num_steps=steps,
            size=size / PERCENT,
            **widgets,
        )
        for record in inversion:
            check_tunable(generator.generator, record, config)
        jobs = [TuningJob(record, config) for record in inversion]
        return io.NodeOutput(*run_jobs(generator, jobs, resume=start_as == CONTINUE))


@dataclass(frozen=True, eq=False)
class TuningJob:
    """The inversion of one photo, and how it is to be tuned."""

    inversion: Inversion
    config: TuningConfig
    noun = "tuning"

    @property
    def given(self) -> Inversion | None:
        """An interrupted tuning that Load Inversion has opened."""
        state = self.inversion.state
        is_tuning = state is not None and state.is_tuning
        return self.inversion if is_tuning and self.inversion.is_unfinished else None

    def steps(self, record: Inversion) -> tuple[int, int]:
        return (0 if record.state is None else record.state.step), self.config.num_steps

    def names(self) -> tuple[str, ...]:
        return self.inversion.masks.resolve(self.config.segments)

    def key(self, generator: Generator) -> str:
        """The number of steps doesn't count, because a job can be given more of them."""
        pivot = self.inversion
        settings = {name: value for name, value in self.config.plain().items() if name != "num_steps"}
        settings["segments"] = self.names()  # however they were spelled
        deltas = [pivot.delta, *(segment.delta for segment in pivot.segments)]
        names = [sorted(delta) for delta in deltas]
        described = [generator.fingerprint, pivot.photo_digest, pivot.names, "tuning", settings, names]
        tensors = [pivot.masks.masks, pivot.static_mask, *pivot.noise]
        tensors += [segment.code.tensor for segment in pivot.segments]
        tensors += [delta[name] for delta in deltas for name in sorted(delta)]
        return job_key(described, tensors)

    def run(
        self,
        generator: Generator,
        earlier: Inversion | None,
        *,
        resume: bool,
        callback: Callback,
        autosave: Keep,
    ) -> Inversion:
        pivot = self.inversion
        kept = None if earlier is None else replace(earlier, edits=pivot.edits, alignment=pivot.alignment)
        return tune(
            generator,
            kept or pivot,
            self.config,
            callback=callback,
            resume=resume,
            autosave=autosave,
            autosave_seconds=SECONDS,
            folders=weight_folders(),
        )

    def remarks(self, record: Inversion) -> list[str]:
        return []


def check_tunable(generator: Generator, inversion: Inversion, config: TuningConfig) -> None:
    """Raise InvalidInputError or WrongGeneratorError for an inversion that can't be tuned so, before the first step."""
    check_same_generator(generator, inversion)
    inversion.masks.resolve(config.segments)
    if inversion.photo is None:
        raise InvalidInputError(
            "the inversion was saved without its photo, and tuning looks at the photo; connect it to the input photo "
            "of Load Inversion"
        )
    if leaves_deltas_behind(generator, inversion, config):
        show_notice(LEFT_BEHIND)
    check_later_nodes(inversion.names, generator)


NODES = [PivotalTuning]
