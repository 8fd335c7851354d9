"""Segmented Projection: find a code for every segment, with live previews and interruption."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ..chunky_core.compositing.render import render
from ..chunky_core.inversion import ProjectionConfig, project
from .host import HostedGenerator, each_photo, loaded, per_photo, plain_tensors, step_reporter, to_host
from .types import GeneratorIO, InversionBatch, InversionIO, SegmentsBatch, SegmentsIO

DEFAULTS = ProjectionConfig()
PREVIEW_EVERY = 25  # steps


class SegmentedProjection(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ChunkyGAN_SegmentedProjection",
            display_name="Segmented Projection",
            category="ChunkyGAN/inversion",
            description="Finds one latent code per segment so that the generator redraws the photo.",
            search_aliases=["inversion", "projector", "invert", "gan inversion", "w+", "chunkygan"],
            inputs=[
                GeneratorIO.Input("generator", tooltip="The generator that is to redraw the photo."),
                io.Image.Input("image", tooltip="The photo in the generator's own size, or several."),
                SegmentsIO.Input("segments", tooltip="The segments of the photo; one set serves all photos."),
                InversionIO.Input(
                    "start",
                    optional=True,
                    tooltip="Go on from the codes of this inversion instead of the mean code.",
                ),
                *search_inputs(),
                *loss_inputs(),
                *expert_inputs(),
            ],
            outputs=[
                InversionIO.Output(
                    display_name="inversion", tooltip="Codes, masks and photo: what the edit nodes take."
                ),
                io.Image.Output(display_name="image", tooltip="The photo as the generator redraws it."),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: HostedGenerator,
        image: Tensor,
        segments: SegmentsBatch,
        space: str,
        steps: int,
        seed: int,
        learning_rate: float,
        l2: float,
        ms_ssim: float,
        lpips: float,
        lambda_reg: float,
        warmup: float,
        lambda_mean: float,
        code_noise: float,
        dilation: int,
        lpips_net: str,
        start: InversionBatch | None = None,
    ) -> io.NodeOutput:
        config = ProjectionConfig(
            space=space,
            steps=steps,
            seed=seed,
            learning_rate=learning_rate,
            l2=l2,
            ms_ssim=ms_ssim,
            lpips=lpips,
            lambda_reg=lambda_reg,
            warmup=warmup,
            lambda_mean=lambda_mean,
            code_noise=code_noise,
            dilation=dilation,
            lpips_net=lpips_net,
        )
        inversions = project_photos(generator, image, segments, start or (None,), config)
        return io.NodeOutput(*inversions)


def search_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "space",
            options=["w+", "w", "s", "z"],
            default=DEFAULTS.space,
            tooltip="w+ = closest likeness; w = coarser, edits more cleanly; s = per channel; z = only "
            "typical faces.",
        ),
        io.Int.Input(
            "steps",
            default=DEFAULTS.steps,
            min=1,
            max=2000,
            tooltip="Steps of the optimiser; 100 is good, 300 better.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=0xFFFFFFFF,
            control_after_generate=True,
            tooltip="Seed of the code noise, and of the starting point in z. The same seed gives the same "
            "result.",
        ),
        io.Float.Input(
            "learning_rate",
            default=DEFAULTS.learning_rate,
            min=0.001,
            max=1.0,
            step=0.001,
            tooltip="Highest step size of Adam; 0.1 is usual. Lower it if the run stops as diverging.",
            advanced=True,
        ),
    ]


def loss_inputs() -> list[io.Input]:
    return [
        weight_input(
            "l2", "Weight of the squared colour difference; 1 with the others at 0 is quick and good."
        ),
        weight_input("ms_ssim", "Weight of MS-SSIM, which looks at structure over several scales; 0 = off."),
        weight_input(
            "lpips", "Weight of the perceptual loss LPIPS; slow, needs its network's weights; 0 = off."
        ),
        io.Float.Input(
            "lambda_reg",
            default=DEFAULTS.lambda_reg,
            min=0.0,
            max=1.0,
            step=0.001,
            round=False,
            tooltip="Pull of all codes to their mean: more = segments agree better, likeness drops; 0 = off.",
        ),
    ]


def weight_input(name: str, tooltip: str) -> io.Input:
    return io.Float.Input(
        name, default=getattr(DEFAULTS, name), min=0.0, max=10.0, step=0.05, tooltip=tooltip
    )


def expert_inputs() -> list[io.Input]:
    return [
        io.Float.Input(
            "warmup",
            default=DEFAULTS.warmup,
            min=0.0,
            max=0.95,
            step=0.05,
            tooltip="Part of the steps that first finds one code for the whole photo, from which each "
            "segment sets out.",
            advanced=True,
        ),
        io.Float.Input(
            "lambda_mean",
            default=DEFAULTS.lambda_mean,
            min=0.0,
            max=1.0,
            step=0.001,
            round=False,
            tooltip="Pull of each code to the generator's mean code; keeps codes editable; 0 = off.",
            advanced=True,
        ),
        io.Float.Input(
            "code_noise",
            default=DEFAULTS.code_noise,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Noise on the codes early in the run, in deviations of w; helps out of bad "
            "beginnings; 0 = off.",
            advanced=True,
        ),
        io.Int.Input(
            "dilation",
            default=DEFAULTS.dilation,
            min=0,
            max=64,
            tooltip="Pixels by which each segment looks beyond its edge while it is fitted.",
            advanced=True,
        ),
        io.Combo.Input(
            "lpips_net",
            options=["vgg", "alex", "squeeze"],
            default=DEFAULTS.lpips_net,
            tooltip="The network behind LPIPS; only used when its weight is above 0.",
            advanced=True,
        ),
    ]


def project_photos(
    hosted: HostedGenerator,
    image: Tensor,
    segments: SegmentsBatch,
    start: InversionBatch | tuple[None],
    config: ProjectionConfig,
) -> tuple[InversionBatch, Tensor]:
    """Every photo of the batch in turn -> the inversions, and their reconstructions as a host IMAGE."""
    with plain_tensors():
        photos = each_photo(image)
    jobs = zip(
        photos,
        per_photo(segments, len(photos), "sets of segments"),
        per_photo(start, len(photos), "starting inversions"),
        strict=True,
    )
    inversions = []
    with loaded(hosted) as generator:
        for index, (photo, masks, first) in enumerate(jobs):
            report = step_reporter(config.steps * len(photos), done=config.steps * index)
            inversions.append(
                project(
                    generator, photo, masks, config, callback=report, preview_every=PREVIEW_EVERY, start=first
                )
            )
        return tuple(inversions), to_host(torch.cat([render(generator, one).cpu() for one in inversions]))


NODES = [SegmentedProjection]
