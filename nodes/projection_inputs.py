"""The widgets of Segmented Projection. Each is named like the knob of ProjectionConfig that it sets."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..chunky_core.inversion import ProjectionConfig
from ..chunky_core.inversion.config import SIGNS, STORED_NAMES
from ..chunky_core.inversion.presets import PRESETS
from . import widgets
from .runs import CODES, START_AS

DEFAULTS = ProjectionConfig()
CUSTOM = "custom"  # in the place of a preset: the other widgets count


def projection_inputs() -> list[io.Input]:
    """All of them but `preset_input`, in the order of the page; saved workflows depend on it."""
    return [
        *search_inputs(),
        *optimiser_inputs(),
        *pull_inputs(),
        *edge_inputs(),
        *expert_inputs(),
        *boundary_inputs(),
        io.Combo.Input(
            "start_as",
            options=list(START_AS),
            default=CODES,
            tooltip="codes = a new run, which sets out from the codes of start if that is connected. continue = go "
            "on with the run in start or, with nothing connected, with what was saved of this same projection.",
        ),
    ]


def preset_input() -> io.Input:
    """The last widget of the page. Optional, so that prompts of before it was there are run as they were."""
    return io.Combo.Input(
        "preset",
        options=[CUSTOM, *PRESETS],
        default=CUSTOM,
        optional=True,
        tooltip="draft, good, best = recipes by measurement, each closer and slower than the one before; then only "
        "seed, loss, start and start_as count here, and no other widget. custom = the other widgets count.",
    )


def search_inputs() -> list[io.Input]:
    return [
        io.Combo.Input(
            "mode",
            options=["independent", "joint"],
            default=DEFAULTS.mode,
            tooltip="independent = each segment fits the photo by itself. joint = all together fit the picture "
            "they make: softer borders count.",
        ),
        io.Combo.Input(
            "space",
            options=["w+", "w", "s", "z"],
            default=DEFAULTS.space,
            tooltip="w+ = close likeness; w = coarser, edits more cleanly; s = per channel, closest; z = only "
            "typical faces.",
        ),
        io.String.Input(
            "spaces",
            default="",
            tooltip="Other spaces for some segments or groups, such as 'mouth=s, eyes=w'. Empty = space for "
            "all.",
        ),
        widgets.steps(DEFAULTS.num_steps, "Steps of the optimiser; 100 is good, 300 better."),
        widgets.seed(
            DEFAULTS.seed,
            "Seed of the code noise, of fitted noise maps, and of the starting point in z. Without these "
            "it changes nothing.",
        ),
    ]


def optimiser_inputs() -> list[io.Input]:
    return [
        number(
            "learning_rate",
            "Highest step size of adam; 0.1 is usual. Lower it if the run stops as diverging.",
            low=0.001,
            high=1.0,
            step=0.001,
        ),
        io.Combo.Input(
            "optimizer",
            options=["adam", "lbfgs"],
            default=DEFAULTS.optimizer,
            tooltip="adam suits every space. lbfgs is for w and z only: fewer steps, each of them dearer.",
            advanced=True,
        ),
        number(
            "warmup",
            "Part of the steps that first finds one code for the whole photo, from which each segment sets "
            "out; in independent mode that code then goes on beside them, and helps where it fits better.",
            high=0.95,
            step=0.05,
        ),
    ]


def pull_inputs() -> list[io.Input]:
    return [
        number(
            "lambda_reg",
            "Pull of all codes to their mean, per number of a code: more = segments agree better, likeness "
            "drops; 0 = off.",
            high=10000.0,
            step=0.001,
            advanced=False,
        ),
        number(
            "lambda_mean",
            "Pull of each code to the generator's mean code; keeps codes editable; 0 = off.",
            high=1.0,
            step=0.001,
        ),
        number(
            "code_noise",
            "Noise on the codes early in the run, in deviations of w; helps out of bad beginnings; 0 = off.",
            high=1.0,
            step=0.01,
        ),
    ]


def edge_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "dilation",
            default=DEFAULTS.dilation,
            min=0,
            max=64,
            tooltip="Pixels by which each segment looks beyond its edge while it is fitted. Independent mode "
            "only.",
            advanced=True,
        ),
        number(
            "feather",
            "Softness in pixels of the edge up to which a segment is fitted. Independent mode only.",
            high=32.0,
            step=0.5,
        ),
        number(
            "neighbourhood",
            "How much the 16 pixels around a segment count in its loss; 0 = not at all. Independent mode only.",
            high=0.95,
            step=0.05,
        ),
    ]


def expert_inputs() -> list[io.Input]:
    return [
        switch(
            "optimise_noise",
            "Also fit the generator's noise maps, for fine texture; saved with the inversion. StyleGAN2 only.",
        ),
        number(
            "coarse",
            "Part of the steps made at a quarter, then half of the resolution; quicker, steadier beginnings.",
            high=0.95,
            step=0.05,
        ),
        widgets.plateau(DEFAULTS.plateau),
        switch("torgb", "In space s, also fit the styles of the colour layers (toRGB)."),
    ]


def boundary_inputs() -> list[io.Input]:
    return [
        io.Int.Input(
            "refine_every",
            default=DEFAULTS.refine_every,
            min=0,
            max=500,
            tooltip="Steps after which boundaries move to where the drawn segment differs from the photo; 0 = "
            "never.",
            advanced=True,
        ),
        io.String.Input(
            "refine",
            default=", ".join(DEFAULTS.refine),
            tooltip="The segments whose boundaries move, by name or group, separated by commas.",
            advanced=True,
        ),
        io.Combo.Input(
            "refine_sign",
            options=list(SIGNS),
            default=DEFAULTS.refine_sign,
            tooltip="grow = the segment takes over where it differs from the photo. shrink = it gives way there.",
            advanced=True,
        ),
        number(
            "refine_distance",
            "Pixels by which a boundary moves each time, at most.",
            low=0.1,
            high=16.0,
            step=0.1,
        ),
    ]


def number(name: str, tooltip: str, **widget: Any) -> io.Input:
    return widgets.number(name, tooltip, default=_default(name), **widget)


def switch(name: str, tooltip: str) -> io.Input:
    return widgets.switch(name, tooltip, default=_default(name))


def _default(widget: str) -> Any:
    return getattr(DEFAULTS, STORED_NAMES.get(widget, widget))
